"""Product pictures: whether they can be decoded, bytes that later stages can decode, a perceptual hash.

Feed pictures are hostile input: bytes, pixels and metadata are limited before anything is decoded, and only the formats
of shops are tried. Where pictures lie: stores.py, fetch.py.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import urllib.parse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageChops, PngImagePlugin, UnidentifiedImageError

from catray.config import ImageLimits

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "TIFF")
KEPT_FORMATS = {"JPEG", "PNG", "WEBP"}
KEPT_MODES = {"RGB", "L"}
HASH_SIDE = 16
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MAX_SCANS = 50  # a progressive JPEG has some ten; each costs the time of a whole picture, and hardly a byte
MAX_SEGMENTS = 2000  # an ICC profile has at most 255, a picture's metadata seldom more than ten others
MAX_EXIF = 65_536  # what a JPEG segment holds
MAX_TEXT = 4_000_000  # PNG: one text or profile after unpacking, and all of them
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ValueError(f"{size:,} bytes, the limit is {max_bytes:,}")


def from_base64(text: str, limits: ImageLimits) -> bytes:
    """The bytes of a base64 text or a data: URL. ValueError where it is neither, or too large: before decoding."""
    if len(text) > 2 * limits.max_bytes + 1000:  # line breaks and escapes at their most
        raise ValueError(f"{len(text):,} characters of base64, the limit is {limits.max_bytes:,} bytes")
    text = text.strip()
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma:
            raise ValueError("a data: URL without a comma")
        if not head.lower().endswith(";base64"):
            data = urllib.parse.unquote_to_bytes(text)
            check_size(len(data), limits.max_bytes)
            return data
        text = urllib.parse.unquote(text) if "%" in text else text
    text = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    check_size(len(text) * 3 // 4, limits.max_bytes)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


def conform(data: bytes, limits: ImageLimits) -> tuple[bytes, str | None]:
    """(bytes that any later stage can decode, perceptual hash or None for a picture without structure).

    JPEG, PNG and WebP in RGB or gray are kept as they are; all else is re-encoded once, as JPEG: turned by EXIF, alpha
    on white, first frame. Raises ValueError with the reason where the picture is no picture or over the limits.
    """
    check_size(len(data), limits.max_bytes)
    if not data:
        raise ValueError("empty file")
    with _only_value_errors():
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT
        if data.startswith(b"\xff\xd8"):
            _check_jpeg(data)
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > limits.max_pixels:
        raise ValueError(f"{image.width} x {image.height} pixels, the limit is {limits.max_pixels:,} in all")
    with _only_value_errors():
        is_jpeg = image.format in ("JPEG", "MPO")  # MPO: a JPEG, and behind it others that nobody reads
        kept = is_jpeg or (image.format in KEPT_FORMATS and getattr(image, "n_frames", 1) == 1)
        kept = kept and image.mode in KEPT_MODES and "transparency" not in image.info
        image.load()  # first: TIFF turns itself then, and PNG may have its EXIF behind the pixels
        orientation = _orientation(image)
        if not (kept and orientation == 1):
            if is_jpeg and image.mode == "CMYK" and "adobe" not in image.info:
                image = ImageChops.invert(image)  # Pillow inverts all, but only Adobe's are stored inverted
            image = on_white(image)
            if orientation in TURNS:
                image = image.transpose(TURNS[orientation])
            image.info = {}  # comments would be written, and may be too long for that
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=95)
            data = buffer.getvalue()
        return data, perceptual_hash(image)


@contextmanager
def _only_value_errors() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful metadata, and of sizes that our own limit is for
            yield
    except UnidentifiedImageError:
        raise ValueError("not a picture that can be read") from None
    except Image.DecompressionBombError:
        raise ValueError("far too many pixels") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others
        raise ValueError(f"can't be decoded: {str(error) or type(error).__name__}") from None


def _check_jpeg(data: bytes) -> None:
    """Raise ValueError for a JPEG that takes minutes: thousands of scans, or of metadata segments."""
    position, scans, segments = 2, 0, 0
    while match := JPEG_MARKER.search(data, position):
        position, marker = match.end(), data[match.end() - 1]
        if marker == 0xD9 and scans:
            return
        if marker in (0x01, 0xD8, 0xD9):  # these have no length
            continue
        segments += 1
        scans += marker == 0xDA
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise ValueError(f"more than {MAX_SCANS} scans" if scans > MAX_SCANS else f"over {MAX_SEGMENTS} segments")
        position += max(2, int.from_bytes(data[position : position + 2], "big"))


def _orientation(image: Image.Image) -> int:
    """How the picture must be turned, as EXIF has it: 1 for not at all, 0 where its EXIF had better not be kept."""
    info, oversized = image.info, False
    for name, limit in (("exif", MAX_EXIF), ("Raw profile type exif", 3 * MAX_EXIF)):  # the latter in hexadecimal
        if len(info.get(name) or "") > limit:
            info[name], oversized = info[name][:limit], True  # the orientation is at its begin; the rest can be a bomb
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # as many kinds as Pillow's decoders raise
        return 0
    return found if found in TURNS else 0 if oversized else 1


def on_white(image: Image.Image) -> Image.Image:
    """RGB, transparency on white; 16-bit gray and fractions scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        array = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
        highest = float(array.max(initial=0))
        most = next((most for most in (1.0, 255.0, 65535.0) if highest <= most), highest)
        most = 65535.0 if image.mode.startswith("I;16") else max(most, 255.0) if image.mode == "I" else most
        return Image.fromarray(np.clip(array * (255.0 / most), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "P", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def perceptual_hash(image: Image.Image) -> str | None:
    """256-bit difference hash (dHash): is each pixel of the 17 x 16 gray thumbnail brighter than its right neighbor?

    None for a picture with hardly any structure (a blank or a flat one), which would be everybody's duplicate.
    """
    small = np.asarray(image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX), dtype=np.int16)
    bits = small[:, 1:] < small[:, :-1]
    if bits.sum() < 8:
        return None
    return np.packbits(bits).tobytes().hex()
