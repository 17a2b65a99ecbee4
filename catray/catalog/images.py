"""Product pictures: where they lie (a folder, a zip), whether they can be decoded, and a perceptual hash.

Feed pictures are hostile input: sizes are checked before decoding, names can't leave the folder.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from catray.config import ImageLimits
from catray.errors import CatrayError

KEPT_FORMATS = {"JPEG", "PNG", "WEBP"}
KEPT_MODES = {"RGB", "L"}
HASH_SIDE = 16


class ImageStore:
    """Named pictures of a folder or a zip file."""

    def __init__(self, location: str) -> None:
        path = Path(location)
        self.location = location
        self.zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self.folder = path.resolve()
        elif path.is_file():
            try:
                self.zip = zipfile.ZipFile(path)
            except zipfile.BadZipFile as error:
                raise CatrayError(f"{location}: not a zip file: give a folder or a zip of pictures") from error
        else:
            raise CatrayError(f"{location}: no such folder or zip of pictures")

    def read(self, name: str, limits: ImageLimits) -> bytes:
        """The picture's bytes. ValueError with a reason where there is none, or it is too large."""
        if self.zip is not None:
            try:
                info = self.zip.getinfo(name)
            except KeyError:
                raise ValueError(f"no {name} in {Path(self.location).name}") from None
            if info.file_size > limits.max_bytes:
                raise ValueError(f"{info.file_size:,} bytes, the limit is {limits.max_bytes:,}")
            try:
                with self.zip.open(info) as stream:
                    return stream.read(limits.max_bytes + 1)
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
                raise ValueError(f"{name} can't be read from the zip: {error}") from None
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder):
            raise ValueError(f"{name} points outside the picture folder")
        if not path.is_file():
            raise ValueError(f"no {name} in {Path(self.location).name}")
        if path.stat().st_size > limits.max_bytes:
            raise ValueError(f"{path.stat().st_size:,} bytes, the limit is {limits.max_bytes:,}")
        return path.read_bytes()


@lru_cache(maxsize=8)
def image_store(location: str) -> ImageStore:
    """One open store a process."""
    return ImageStore(location)


def conform(data: bytes, limits: ImageLimits) -> tuple[bytes, str | None]:
    """(bytes that any later stage can decode, perceptual hash or None for a picture without structure).

    JPEG, PNG and WebP in RGB or gray are kept as they are; all else is re-encoded once, as JPEG: turned by EXIF, alpha
    on white, first frame. Raises ValueError with the reason where the picture is no picture or over the limits.
    """
    if len(data) > limits.max_bytes:
        raise ValueError(f"{len(data):,} bytes, the limit is {limits.max_bytes:,}")
    if not data:
        raise ValueError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data))
            if image.width * image.height > limits.max_pixels:
                raise ValueError(f"{image.width} x {image.height} pixels, the limit is {limits.max_pixels:,} in all")
            kept = image.format in KEPT_FORMATS and image.mode in KEPT_MODES and image.getexif().get(0x0112, 1) == 1
            kept = kept and getattr(image, "n_frames", 1) == 1 and "transparency" not in image.info
            image.load()
        if not kept:
            image = on_white(ImageOps.exif_transpose(image))
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=95)
            data = buffer.getvalue()
        return data, perceptual_hash(image)
    except ValueError:
        raise
    except UnidentifiedImageError:
        raise ValueError("not a picture that can be read") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others
        raise ValueError(f"can't be decoded: {str(error) or type(error).__name__}") from None


def on_white(image: Image.Image) -> Image.Image:
    """RGB, transparency on white; 16-bit gray scaled to 8."""
    if image.mode.startswith("I"):
        array = np.asarray(image, dtype=np.float32)
        return Image.fromarray((array * (255.0 / max(255.0, float(array.max())))).astype(np.uint8)).convert("RGB")
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
