from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catray.catalog.images import ImageStore, conform
from catray.config import ImageLimits
from catray.errors import CatrayError

LIMITS = ImageLimits()


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 5, size[0] // 5, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size).convert(mode)


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


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


def test_exif_turns() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    kept, _ = conform(encoded(picture(), "JPEG", exif=exif), LIMITS)
    assert Image.open(io.BytesIO(kept)).size == (30, 40)


def test_transparency_becomes_white() -> None:
    kept, _ = conform(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), LIMITS)
    assert np.asarray(Image.open(io.BytesIO(kept))).min() > 250
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


def test_stores(tmp_path: Path) -> None:
    data = encoded(picture())
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(data)
    (tmp_path / "secret").write_bytes(b"secret")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("images/a.jpg", data)
    folder, archive_store = ImageStore(str(tmp_path / "pictures")), ImageStore(str(tmp_path / "pictures.zip"))
    assert folder.read("a.jpg", LIMITS) == archive_store.read("images/a.jpg", LIMITS) == data
    with pytest.raises(ValueError, match="outside"):
        folder.read("../secret", LIMITS)
    for store in (folder, archive_store):
        with pytest.raises(ValueError, match=r"no b.jpg in pictures"):
            store.read("b.jpg", LIMITS)
    with pytest.raises(CatrayError, match="no such folder or zip"):
        ImageStore(str(tmp_path / "none"))
    with pytest.raises(CatrayError, match="not a zip"):
        ImageStore(str(tmp_path / "secret"))
