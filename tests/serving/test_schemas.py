import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from catray.encoders.encoders import prepare_rows
from catray.encoders.presets import PRESETS
from catray.serving import schemas
from catray.serving.schemas import BadRequest, Product, ServeArgs

TINY = PRESETS["tiny"]
LIMIT = 100_000


def prepare(image: bytes | None, title: str = "shirt"):
    return schemas.prepare(Product(title=title), image, TINY, LIMIT)


def test_json(picture) -> None:
    data = picture(1)
    text = base64.b64encode(data).decode()
    for sent in (text, f"data:image/jpeg;base64,{text}", "\n".join([text[:60], text[60:]])):
        product, image = schemas.parse_json(json.dumps({"title": "a", "image": sent, "top_k": 2}).encode())
        assert (product.title, product.top_k, image) == ("a", 2, data)
    assert schemas.parse_json(b'{"image": "", "title": null}')[1] is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"image": "@@"}', "image: not valid base64"),
        (b'{"image": "abc"}', "image: not valid base64"),
        (b'{"image": "\xc3\xa9"}', "image: not valid base64"),
        (b'{"image": "data:image/jpeg,abc"}', "image: a data: URL must be"),
        (b'{"image": 3}', "image: Input should be a valid string"),
        (b'{"titel": "x"}', "titel: unknown field. Did you mean 'title'?"),
        (b'{"title": ["x"]}', "title: Input should be a valid string"),
        (b'{"top_k": -1}', "top_k: Input should be greater than or equal to 0"),
        (b'{"stage": "both"}', "stage: Input should be 'text' or 'full'"),
        (b"[]", "body: Input should be an object"),
        (b"{", "body: Invalid JSON"),
        (b"\xff\xfe", "body: Invalid JSON"),
        (b"[" * 100_000, "body: Invalid JSON"),
    ],
)
def test_bad_json(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        schemas.parse_json(body)
    assert str(caught.value).startswith(message)
    assert caught.value.field == message.split(":")[0]
    assert len(str(caught.value)) < 200


def test_forms() -> None:
    product = schemas.parse_form({"title": "a", "top_k": "5", "stage": "full"}, None)
    assert (product.title, product.top_k, product.stage) == ("a", 5, "full")
    with pytest.raises(BadRequest, match="as a file"):
        schemas.parse_form({"image": "shoe.jpg"}, None)
    with pytest.raises(BadRequest, match="Did you mean 'title'"):
        schemas.parse_form({"Title": "a"}, None)


@pytest.mark.parametrize("kind,mode", [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("WEBP", "RGB")])
def test_usual_pictures_are_prepared_as_the_embedding_does(picture, kind: str, mode: str) -> None:
    data = picture(3, kind, mode=mode)
    ours, theirs = prepare(data), prepare_rows([{"title": "shirt", "image": data}], TINY)
    assert ours.has_image.tolist() == [True]
    for shape, pixels in theirs.images.items():
        assert np.array_equal(ours.images[shape], pixels)


@pytest.mark.parametrize(
    "kind,mode", [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("GIF", "P"), ("BMP", "RGB"), ("JPEG", "CMYK")]
)
def test_odd_pictures_are_read_too(picture, kind: str, mode: str) -> None:
    if mode == "I;16":
        buffer = io.BytesIO()
        Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(buffer, kind)
        data = buffer.getvalue()
    else:
        data = picture(3, kind, mode=mode)
    assert prepare(data).has_image.tolist() == [True]


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


def test_broken_pictures(picture) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    for data, message in {
        picture(1)[:300]: "can't be decoded",
        picture(1)[:-100]: "truncated",
        picture(1, "PNG")[:100]: "can't be decoded|truncated",
        b"": "empty file",
        b"GIF89a": "not a picture|can't be decoded",
        b"hello, this is text": "not a picture that can be read",
        buffer.getvalue(): "not a picture that can be read",
        eps: "not a picture that can be read",
        bomb(30_000): "pixels",
        bomb(8_000): "pixels, the limit is 50,000,000",
        b"\xff" * (LIMIT + 1): "100,001 bytes, the limit is 100,000",
    }.items():
        with pytest.raises(BadRequest, match=f"^image: .*({message})") as caught:
            prepare(data)
        assert caught.value.field == "image"


def test_any_cut_or_flipped_picture_is_read_or_refused(picture) -> None:
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
        data = picture(2, kind)
        for _ in range(40):
            broken = bytearray(data[: rng.integers(1, len(data) + 1)])
            for at in rng.integers(0, len(broken), 3):
                broken[at] = rng.integers(256)
            try:
                assert prepare(bytes(broken)).has_image.tolist() == [True]
            except BadRequest as error:
                assert error.field == "image"


def test_nothing_to_go_by() -> None:
    for title in ("", "  ", "\x00\x01"):
        with pytest.raises(BadRequest, match="give a title, a description or an image"):
            prepare(None, title)


def test_the_text_stage_gets_no_pixels(picture) -> None:
    both = prepare(picture(1))
    light = schemas.without_images(both)
    assert light.has_image.tolist() == [False] and both.has_image.tolist() == [True]
    assert all(len(pixels) == 0 for pixels in light.images.values())
    assert light.texts == both.texts


def test_arguments_of_the_yaml() -> None:
    assert ServeArgs(model="m").threshold == 0.9
    with pytest.raises(ValueError, match="modell"):
        ServeArgs.model_validate({"modell": "m"})
