from __future__ import annotations

import base64
import io
import random
import struct
import urllib.parse
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features

from catray.catalog.images import conform, from_base64
from catray.config import ImageLimits
from tests.catalog.conftest import decoded, encoded, mutated, picture

LIMITS = ImageLimits()


def test_conforming_bytes_are_kept() -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        data = encoded(picture(), format)
        kept, picture_hash = conform(data, LIMITS)
        assert kept == data and picture_hash is not None


def test_others_are_encoded_once() -> None:
    odd = [
        encoded(picture("RGBA"), "PNG"),
        encoded(picture("P"), "GIF"),
        encoded(picture("CMYK"), "JPEG"),
        encoded(picture("LA"), "PNG"),
        encoded(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50), "PNG"),
        encoded(picture(), "BMP"),
    ]
    for data in odd:
        kept, _ = conform(data, LIMITS)
        image = Image.open(io.BytesIO(kept))
        assert image.format == "JPEG" and image.mode == "RGB" and image.size == (40, 30)


def corner(mode: str = "RGB") -> Image.Image:
    """Blue, with the upper left quarter red: shows how it is turned."""
    image = Image.new("RGB", (64, 32), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 32, 16))
    return image.convert(mode)


def is_color(pixel: np.ndarray, *color: int) -> bool:
    return bool((abs(pixel - np.array(color)) < 40).all())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 say nothing
def test_exif_turns(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(corner(), format, exif=exif)
    kept, _ = conform(data, LIMITS)
    pixels = decoded(kept)
    assert pixels.shape == ((64, 32, 3) if orientation in (5, 6, 7, 8) else (32, 64, 3))
    red = {2: (4, -5), 3: (-5, -5), 4: (-5, 4), 5: (4, 4), 6: (4, -5), 7: (-5, -5), 8: (-5, 4)}.get(orientation, (4, 4))
    for place in ((4, 4), (4, -5), (-5, 4), (-5, -5)):
        assert is_color(pixels[place], *((255, 0, 0) if place == red else (0, 0, 255)))
    if format in ("JPEG", "PNG", "WEBP") and orientation in (0, 1, 9):
        assert kept == data


def test_metadata_that_is_too_much_or_broken() -> None:
    plain = encoded(corner(), "PNG")
    for exif in (b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x01" * 99, b"Exif\0\0XX", b"Exif\0\0"):
        assert decoded(conform(encoded(corner(), "JPEG", exif=exif), LIMITS)[0]).shape == (32, 64, 3)
    large = Image.Exif()
    large[0x0112], large[0x010E] = 6, "x" * 200_000
    kept, _ = conform(encoded(corner(), "PNG", exif=large), LIMITS)
    assert decoded(kept).shape == (64, 32, 3) and len(kept) < 10_000  # turned, and its EXIF gone
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tagged = encoded(corner(), "JPEG", icc_profile=profile)
    assert conform(tagged, LIMITS)[0] == tagged
    for texts in ([50_000_000], [900_000] * 8):
        info = PngImagePlugin.PngInfo()
        for i, size in enumerate(texts):
            info.add_text(f"text{i}", "x" * size, zip=True)
        with pytest.raises(ValueError, match="can't be decoded"):
            conform(encoded(corner(), "PNG", pnginfo=info), LIMITS)
    assert conform(plain, LIMITS)[0] == plain
    comment = encoded(corner("P"), "GIF", comment=b"x" * 100_000)  # more than a JPEG can hold
    assert decoded(conform(comment, LIMITS)[0]).shape == (32, 64, 3)


def test_a_jpeg_of_endless_segments_or_scans() -> None:
    data = encoded(picture(), progressive=True)
    assert conform(data, LIMITS)[0] == data
    segment = b"\xff\xe1" + struct.pack(">H", 10) + b"Exif\0\0xx"  # Pillow joins them one by one
    with pytest.raises(ValueError, match="over 2000 segments"):
        conform(data[:2] + segment * 300_000 + data[2:], LIMITS)
    at = data.rindex(b"\xff\xda")
    with pytest.raises(ValueError, match="more than 50 scans"):
        conform(data[:at] + data[at:-2] * 60 + data[-2:], LIMITS)
    film = data + b"\xff\xda" * 1000  # what follows the picture isn't looked at
    assert conform(film, LIMITS)[0] == film


def test_cmyk_with_and_without_adobes_inversion() -> None:
    adobe = encoded(corner("CMYK"), "JPEG")
    at = adobe.index(b"\xff\xee")
    plain = adobe[:at] + adobe[at + 2 + int.from_bytes(adobe[at + 2 : at + 4], "big") :]
    assert b"Adobe" in adobe and b"Adobe" not in plain
    pixels = decoded(conform(adobe, LIMITS)[0])
    assert is_color(pixels[4, 4], 255, 0, 0) and is_color(pixels[-5, -5], 0, 0, 255)
    ink = encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG")  # red; stored inverted
    at = ink.index(b"\xff\xee")
    ink = ink[:at] + ink[at + 2 + int.from_bytes(ink[at + 2 : at + 4], "big") :]
    assert is_color(decoded(conform(ink, LIMITS)[0])[4, 4], 0, 0, 0)  # cyan and black: read as stored


def test_sixteen_bits_and_fractions() -> None:
    ramp = np.linspace(0, 1, 64 * 32).reshape(32, 64)
    expected = np.repeat((ramp * 255)[:, :, None], 3, axis=2)
    for data in (
        encoded(Image.fromarray((ramp * 65535).astype(np.uint16)), "PNG"),
        encoded(Image.fromarray((ramp * 65535).astype(np.uint16)), "TIFF"),
        encoded(Image.fromarray((ramp * 65535).astype(np.int32)), "TIFF"),
        encoded(Image.fromarray((ramp * 255).astype(np.int32)), "TIFF"),
        encoded(Image.fromarray(ramp.astype(np.float32)), "TIFF"),
        encoded(Image.fromarray((ramp * 255).astype(np.float32)), "TIFF"),
    ):
        assert abs(decoded(conform(data, LIMITS)[0]) - expected).max() < 8
    dark = encoded(Image.fromarray((ramp * 6553).astype(np.uint16)), "PNG")
    assert decoded(conform(dark, LIMITS)[0]).max() < 32  # not stretched
    odd = np.full((32, 64), np.nan, dtype=np.float32)
    odd[0, :2] = np.inf, -np.inf
    assert decoded(conform(encoded(Image.fromarray(odd), "TIFF"), LIMITS)[0]).max() < 8


def test_animations_give_their_first_frame() -> None:
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue", "lime")]
    for format in ("GIF", "WEBP", "PNG", "AVIF", "TIFF"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        kept, _ = conform(data, LIMITS)
        image = Image.open(io.BytesIO(kept))
        assert image.format == "JPEG" and is_color(decoded(kept)[4, 4], 255, 0, 0)


def test_avif_is_encoded_anew_and_a_phones_mpo_is_a_jpeg() -> None:
    assert features.check("avif") and features.check("webp")
    kept, picture_hash = conform(encoded(picture(size=(200, 200)), "AVIF"), LIMITS)
    assert Image.open(io.BytesIO(kept)).format == "JPEG"
    assert _distance(picture_hash, conform(encoded(picture(size=(200, 200))), LIMITS)[1]) < 12
    phone = encoded(corner(), "MPO", save_all=True, append_images=[picture()])
    assert Image.open(io.BytesIO(phone)).format == "MPO"
    assert conform(phone, LIMITS)[0] == phone and is_color(decoded(phone)[4, 4], 255, 0, 0)


def test_only_the_formats_of_shops_are_tried() -> None:
    for format in ("PPM", "TGA", "JPEG2000", "ICO", "PCX", "SGI", "EPS", "PDF"):
        with pytest.raises(ValueError, match="not a picture that can be read"):
            conform(encoded(picture(), format), LIMITS)


def test_transparency_becomes_white() -> None:
    kept, _ = conform(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), LIMITS)
    assert np.asarray(Image.open(io.BytesIO(kept))).min() > 250
    for format in ("WEBP", "AVIF", "TIFF"):
        kept, _ = conform(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), format, lossless=True), LIMITS)
        assert decoded(kept).min() > 250
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    for format, transparency in (("GIF", 1), ("PNG", 1), ("PNG", bytes([255, 0]))):
        assert decoded(conform(encoded(palette, format, transparency=transparency), LIMITS)[0]).min() > 250
    keyed = encoded(Image.new("RGB", (8, 8), (9, 9, 9)), "PNG", transparency=(9, 9, 9))  # one color is transparent
    kept, _ = conform(keyed, LIMITS)
    assert np.asarray(Image.open(io.BytesIO(kept))).min() > 250


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just text named .jpg", "not a picture"),
        (encoded(picture(size=(200, 200)))[:1500], "can't be decoded"),
    ],
)
def test_broken_pictures_have_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        conform(data, LIMITS)


def test_limits() -> None:
    with pytest.raises(ValueError, match="limit is 100"):
        conform(encoded(picture()), ImageLimits(max_bytes=100))
    with pytest.raises(ValueError, match="pixels, the limit is 100 in all"):
        conform(encoded(picture()), ImageLimits(max_pixels=100))
    bomb = encoded(Image.new("L", (30_000, 30_000)), "PNG")
    with pytest.raises(ValueError, match=r"pixels|decode"):
        conform(bomb, LIMITS)


def test_pillows_own_limit_on_pixels_is_a_warning_that_ours_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    data, larger = encoded(picture()), encoded(picture(size=(80, 60)), "WEBP")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert conform(data, LIMITS)[0] == data
    with pytest.raises(ValueError, match="far too many pixels"):
        conform(larger, LIMITS)


def test_the_hash_outlives_resizing_and_re_encoding_and_tells_pictures_apart() -> None:
    image = picture(size=(200, 200))
    first = conform(encoded(image), LIMITS)[1]
    assert (
        first == conform(encoded(image, "PNG"), LIMITS)[1]
        or _distance(first, conform(encoded(image, "PNG"), LIMITS)[1]) < 12
    )
    assert _distance(first, conform(encoded(picture(size=(200, 200), seed=1)), LIMITS)[1]) > 60
    assert conform(encoded(Image.new("RGB", (50, 50), "white")), LIMITS)[1] is None


def _distance(a: str | None, b: str | None) -> int:
    assert a and b
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_base64() -> None:
    data = random.Random(0).randbytes(1001)
    text = base64.b64encode(data).decode()
    for good in (
        text,
        text.rstrip("="),
        base64.urlsafe_b64encode(data).decode(),
        base64.encodebytes(data).decode(),
        f" data:image/png;base64,{text}\n",
        f"DATA:image/png;charset=x;BASE64,{urllib.parse.quote(text)}",
        f"data:image/png,{urllib.parse.quote(data)}",
    ):
        assert from_base64(good, LIMITS) == data
        assert from_base64(good, ImageLimits(max_bytes=1001)) == data
        with pytest.raises(ValueError, match="limit is 1,000"):
            from_base64(good, ImageLimits(max_bytes=1000))
    for bad in ("a", "#", "data:image/png;base64", f"data:;base64,{text}#", "äöü=", "\ud800", "a" * 10**7):
        with pytest.raises(ValueError):
            from_base64(bad, ImageLimits(max_bytes=1_000_000))
    assert from_base64("", LIMITS) == b""


# --- damage ----------------------------------------------------------------------------------------------------------


def originals(format: str) -> list[bytes]:
    image, exif = picture(), Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    frames = {"save_all": True, "append_images": [picture(seed=1), picture(seed=2)]}
    more: dict[str, list[bytes]] = {
        "JPEG": [encoded(image, progressive=True), encoded(picture("CMYK")), encoded(image, "MPO", **frames)],
        "PNG": [
            encoded(picture("P"), "PNG", transparency=3),
            encoded(picture("I").convert("I;16"), "PNG"),
            encoded(image, "PNG", **frames),
        ],
        "WEBP": [encoded(image, "WEBP", lossless=True), encoded(picture("RGBA"), "WEBP", **frames)],
        "GIF": [encoded(picture("P"), "GIF", comment=b"comment", transparency=3, **frames)],
        "AVIF": [encoded(image, "AVIF", **frames), encoded(picture("RGBA"), "AVIF")],
        "TIFF": [encoded(image, "TIFF", compression=c) for c in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")],
        "BMP": [encoded(picture("P"), "BMP")],
    }
    plain = encoded(image, format) if format in ("GIF", "BMP") else encoded(image, format, exif=exif)
    return [plain, *more[format]]


def fuzz(format: str, cases: int, seed: int) -> None:
    rng, good = random.Random(seed), originals(format)
    for data in good:
        conform(data, LIMITS)
    for _ in range(cases):
        data = mutated(rng.choice(good), rng)
        try:
            kept, _ = conform(data, ImageLimits(max_pixels=1_000_000))
        except ValueError as error:
            assert str(error)
        else:
            decoded(kept)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
def test_damaged_pictures_raise_nothing_but_value_errors(format: str) -> None:
    fuzz(format, 100, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
def test_thousands_of_damaged_pictures(format: str) -> None:
    fuzz(format, 1500, seed=1)
