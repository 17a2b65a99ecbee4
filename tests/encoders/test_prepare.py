from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catray.encoders.lexical import lexical_ids
from catray.encoders.prepare import DESCRIPTION, TITLE, Prepared, compose_text, image_shape, prepare_image, prepare_rows
from catray.encoders.presets import PRESETS, ClipSpec, ImageSpec, Preset

TINY = PRESETS["tiny"]
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
Encoded = Callable[..., bytes]
ANY_TEXT = st.text(st.characters(), max_size=400)  # lone surrogates too


def colour(pixels: np.ndarray) -> str:
    """red, blue, white or black: the nearest to the mean of the pixels."""
    known = {"red": RED, "blue": BLUE, "white": WHITE, "black": (0, 0, 0)}
    mean = pixels.reshape(-1, 3).mean(0)
    return min(known, key=lambda name: float(np.abs(mean - known[name]).sum()))


def two_halves(size: tuple[int, int] = (80, 40)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "description", "text"),
    [
        ("Red shoe", "Soft leather", "Red shoe. Soft leather"),
        ("Red shoe", None, "Red shoe"),
        (None, "Soft leather", "Soft leather"),
        (None, None, ""),
        (" \t\n ", "\x00\x07", ""),
        (" Red\n\nshoe ", "soft\x00leather\u2028here", "Red shoe. soft leather here"),
        ("shoe 👟 größe", "靴", "shoe 👟 größe. 靴"),
        ("bad \ud800 half", "", "bad ? half"),
    ],
)
def test_text_is_one_clean_line(title: str | None, description: str | None, text: str) -> None:
    assert compose_text(title, description) == text


def test_long_texts_are_cut_so_that_a_title_leaves_room_for_a_description() -> None:
    text = compose_text("t" * 1_000_000, "d" * 1_000_000)
    assert text == "t" * TITLE + ". " + "d" * DESCRIPTION


@given(ANY_TEXT, ANY_TEXT)
def test_any_text_becomes_valid_printable_and_short(title: str, description: str) -> None:
    text = compose_text(title, description)
    assert text.isprintable() and text.encode().decode() == text
    assert text == text.strip() and len(text) <= TITLE + DESCRIPTION + 2
    assert compose_text(text[:TITLE], None) == text[:TITLE].strip()  # what is clean stays as it is


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (32, 32), (33, 31), (1000, 700)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_picture_becomes_the_square_asked_for(
    picture: Encoded, kind: str, size: tuple[int, int], fit: str
) -> None:
    pixels = prepare_image(picture(1, kind, size), 32, fit)
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8


def test_padding_keeps_the_whole_picture_between_white_margins(encoded: Encoded) -> None:
    pixels = prepare_image(encoded(two_halves()), 40, "pad")
    assert (pixels[:9] == 255).all() and (pixels[-9:] == 255).all()
    assert colour(pixels[12:28, :18]) == "red" and colour(pixels[12:28, 22:]) == "blue"
    assert (pixels[12:28, 0] == RED).all() and (pixels[12:28, -1] == BLUE).all()
    upright = prepare_image(encoded(two_halves((40, 80))), 40, "pad")
    assert (upright[:, :9] == 255).all() and (upright[:, -9:] == 255).all() and colour(upright[:, 12:18]) == "red"


def test_cropping_keeps_the_center(encoded: Encoded) -> None:
    image = Image.new("RGB", (120, 40), WHITE)
    image.paste(two_halves((40, 40)), (40, 0))
    pixels = prepare_image(encoded(image), 20, "crop")
    assert (pixels[:, 2:8] == RED).all() and (pixels[:, 12:18] == BLUE).all()


def test_squashing_keeps_all_and_fills_the_square(encoded: Encoded) -> None:
    pixels = prepare_image(encoded(two_halves()), 20, "squash")
    assert (pixels[:, :8] == RED).all() and (pixels[:, 12:] == BLUE).all()


def test_a_square_of_the_right_size_is_left_as_it_is(encoded: Encoded) -> None:
    original = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    for fit in ("pad", "crop", "squash"):
        assert np.array_equal(prepare_image(encoded(Image.fromarray(original)), 32, fit), original)


def test_transparency_becomes_white(encoded: Encoded) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (prepare_image(encoded(clear), 8) == 255).all()
    assert (prepare_image(encoded(clear.convert("LA")), 8) == 255).all()
    half = prepare_image(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 128))), 8)
    assert np.abs(half.astype(int) - 127).max() <= 1
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0] + [255, 0, 0] * 255)
    assert (prepare_image(encoded(palette, transparency=0), 8) == 255).all()


@pytest.mark.parametrize(("mode", "key"), [("RGB", (10, 20, 30)), ("L", 0)])
def test_a_transparent_colour_becomes_white(encoded: Encoded, mode: str, key: object) -> None:
    assert (prepare_image(encoded(Image.new(mode, (8, 8), key), transparency=key), 8) == 255).all()


def test_gray_pictures_have_three_equal_channels(encoded: Encoded) -> None:
    gray = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
    pixels = prepare_image(encoded(Image.fromarray(gray)), 8)
    assert all(np.array_equal(pixels[..., channel], gray) for channel in range(3))
    deep = prepare_image(encoded(Image.fromarray(gray.astype(np.uint16) * 257)), 8)  # 16 bits
    assert np.abs(deep[..., 0].astype(int) - gray).max() <= 1


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "CMYK"), ("JPEG", "L"), ("GIF", "P"), ("BMP", "RGB"), ("PNG", "1")]
)
def test_other_kinds_look_the_same(picture: Encoded, encoded: Encoded, kind: str, mode: str) -> None:
    data = picture(2, kind, mode=mode)
    plain = encoded(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(prepare_image(data, 32).astype(int) - prepare_image(plain, 32)).max() <= 2


def test_turned_as_exif_says(encoded: Encoded) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: the left comes to the top
    pixels = prepare_image(encoded(two_halves((400, 400)), "JPEG", exif=exif, quality=95), 40)
    assert colour(pixels[:16]) == "red" and colour(pixels[24:]) == "blue"


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
@pytest.mark.parametrize("size", [(1600, 1200), (700, 1100), (161, 160), (4000, 170)])
def test_jpegs_decoded_at_a_fraction_look_nearly_the_same(
    picture: Encoded, encoded: Encoded, size: tuple[int, int], fit: str
) -> None:
    data = picture(3, "JPEG", size)
    whole = prepare_image(encoded(Image.open(io.BytesIO(data))), 160, fit)  # a PNG is always decoded whole
    difference = np.abs(prepare_image(data, 160, fit).astype(int) - whole)
    assert difference.mean() < 2 and np.percentile(difference, 99) < 12


def broken_pictures(picture: Encoded) -> dict[str, bytes]:
    jpeg, png = picture(1, "JPEG", (200, 200)), picture(1, "PNG", (200, 200))
    return {
        "nothing": b"",
        "text": b"no picture at all",
        "cut JPEG": jpeg[: len(jpeg) // 2],
        "cut PNG": png[: len(png) // 2],
        "only a head": png[:40],
        "noise": np.random.default_rng(0).bytes(5000),
        "a bomb": encode_bomb(),
    }


def encode_bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (8_000, 8_000)).save(buffer, "PNG")  # 64 million pixels in 8 KB
    return buffer.getvalue()


def test_broken_bytes_are_a_value_error(picture: Encoded) -> None:
    for name, data in broken_pictures(picture).items():
        with pytest.raises(ValueError, match=r"decoded|read|truncated|pixels"):
            prepare_image(data, 32)
            pytest.fail(name)


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_the_reason_is_for_people(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^<>]+$"):
        prepare_image(data, 32)


def test_a_cut_or_flipped_picture_is_read_or_refused(picture: Encoded) -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        for _ in range(30):
            data = bytearray(picture(2, kind))[: rng.integers(1, 10_000)]
            for at in rng.integers(0, len(data), 3):
                data[at] = rng.integers(256)
            try:
                assert prepare_image(bytes(data), 32).shape == (32, 32, 3)
            except ValueError:
                refused += 1
    assert refused > 10


def test_cropping_a_long_strip_takes_little_memory(python: Callable[..., str]) -> None:
    code = """
import io
from PIL import Image
from catray.encoders.prepare import prepare_image

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

buffer = io.BytesIO()
Image.new("RGB", (1, 60_000), "white").save(buffer, "PNG")
before = peak()
prepare_image(buffer.getvalue(), 32, "crop")
print(peak() - before)
"""
    assert int(python(code)) < 100_000  # KiB


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_with_and_without_each_part(picture: Encoded, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"key": "a/1", "title": "Red shoe", "description": "soft", "image": picture(1)},
        {"key": "a/2", "title": "", "description": None, "image": None},
        {"key": "a/3", "title": None, "image": picture(2, "JPEG")},
        {"key": "a/4", "title": "Bag", "description": "", "image": b"broken"},
        {"key": "a/5"},
    ]
    with caplog.at_level(logging.WARNING, "catray"):
        prepared = prepare_rows(iter(rows), TINY)
    assert len(prepared) == 5
    assert prepared.texts == ["Red shoe. soft", "", "", "Bag", ""]
    assert prepared.has_text.tolist() == [True, False, False, True, False]
    assert prepared.has_image.tolist() == [True, False, True, False, False]
    assert prepared.images["32-pad"].shape == (2, 32, 32, 3)
    assert np.array_equal(prepared.images["32-pad"][1], prepare_image(picture(2, "JPEG"), 32))
    ids, lengths = prepared.lexical
    assert lengths.tolist() == [len(lexical_ids(text, TINY.lexical)) for text in prepared.texts]
    assert ids.tolist() == lexical_ids("Red shoe. soft", TINY.lexical) + lexical_ids("Bag", TINY.lexical)
    assert [message[:30] for message in caplog.messages] == ["a/4: the picture is left out: "]


def test_encoders_of_one_shape_share_the_pixels(picture: Encoded) -> None:
    row = {"title": "x", "image": picture(1)}
    preset = Preset("mine", None, ImageSpec("any", 32), ClipSpec("any", 32))
    assert list(prepare_rows([row], preset).images) == ["32-pad"]
    other = replace(preset, clip=ClipSpec("any", 16, "squash"))
    assert {k: v.shape for k, v in prepare_rows([row], other).images.items()} == {
        image_shape(32, "pad"): (1, 32, 32, 3),
        image_shape(16, "squash"): (1, 16, 16, 3),
    }


def test_a_preset_for_texts_alone_looks_at_no_picture(picture: Encoded) -> None:
    prepared = prepare_rows([{"title": "x", "image": picture(1)}], Preset("mine", TINY.text, None, None, None))
    assert not prepared.has_image.any() and prepared.images == {} and prepared.lexical is None


def assert_same(one: Prepared, two: Prepared) -> None:
    assert one.texts == two.texts
    assert np.array_equal(one.has_text, two.has_text) and np.array_equal(one.has_image, two.has_image)
    assert one.images.keys() == two.images.keys()
    assert all(np.array_equal(one.images[shape], two.images[shape]) for shape in one.images)
    assert (one.lexical is None) == (two.lexical is None)
    if one.lexical is not None and two.lexical is not None:
        for a, b in zip(one.lexical, two.lexical, strict=True):
            assert np.array_equal(a, b) and a.dtype == b.dtype


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("lexical", [True, False])
def test_packed_and_unpacked_is_the_same(picture: Encoded, count: int, lexical: bool) -> None:
    rows = [{"title": "" if i % 2 else f"shoe {i}", "image": picture(i) if i % 3 else None} for i in range(count)]
    preset = replace(TINY, clip=ClipSpec("any", 16, "crop"), lexical=TINY.lexical if lexical else None)
    prepared = prepare_rows(rows, preset)
    packed = prepared.pack()
    assert all(isinstance(value, bytes | str) for value in packed.values())
    unpacked = Prepared.unpack({**packed, "source": "columns of others are passed over"})
    assert_same(unpacked, prepared)


@given(st.lists(st.tuples(st.none() | ANY_TEXT, st.none() | ANY_TEXT), max_size=6))
def test_any_texts_survive_packing(texts: list[tuple[str | None, str | None]]) -> None:
    prepared = prepare_rows([{"title": title, "description": more} for title, more in texts], TINY)
    assert_same(Prepared.unpack(prepared.pack()), prepared)


def test_a_soft_hyphen_does_not_cut_a_word() -> None:
    assert compose_text("Baum\u00adwoll\u00adhose", None) == "Baumwollhose"
    assert compose_text("a\u200bb\x00c", None) == "ab c"
