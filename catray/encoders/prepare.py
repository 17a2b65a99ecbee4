"""Rows of a catalog -> what the encoders take. CPU only: no weights, no torch, so it runs beside the encoders.

Pictures are hostile input even after ingest: one that can't be decoded counts as missing and never stops a run.
"""

from __future__ import annotations

import io
import logging
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from catray.encoders.lexical import lexical_ids
from catray.encoders.presets import Fit, Preset

logger = logging.getLogger(__name__)
MAX_PIXELS = 50_000_000
TITLE, DESCRIPTION = 300, 300
"""Characters that are kept: what a category needs stands in front, and time grows with the length."""


@dataclass(frozen=True)
class Prepared:
    """B products, ready to be encoded."""

    texts: list[str]
    """B texts, "" where a product has none."""
    has_text: np.ndarray
    """(B,) bool"""
    has_image: np.ndarray
    """(B,) bool"""
    images: dict[str, np.ndarray]
    """{shape: (number of true in has_image, size, size, 3) uint8}; the shape is `image_shape(size, fit)`."""
    lexical: tuple[np.ndarray, np.ndarray] | None
    """(ids int32, one product's after the other's; lengths (B,) int32)"""

    def __len__(self) -> int:
        return len(self.texts)

    def pack(self) -> dict[str, Any]:
        """As plain arrays and texts, to cross a process border as one row of a table; `unpack` turns it back."""
        row: dict[str, Any] = {"texts": "\0".join(self.texts), "has_text": _bytes(self.has_text)}
        row["has_image"] = _bytes(self.has_image)
        for shape, pixels in self.images.items():
            row[f"images:{shape}"] = pixels.tobytes()
        if self.lexical is not None:
            row["lexical_ids"], row["lexical_lengths"] = (_bytes(array) for array in self.lexical)
        return row

    @classmethod
    def unpack(cls, row: Mapping[str, Any]) -> Prepared:
        has_text, has_image = (np.frombuffer(row[name], dtype=bool) for name in ("has_text", "has_image"))
        images = {}
        for name, data in row.items():
            if name.startswith("images:"):
                shape = name.removeprefix("images:")
                size = int(shape.split("-")[0])
                images[shape] = np.frombuffer(data, dtype=np.uint8).reshape(-1, size, size, 3)
        lexical = None
        if "lexical_ids" in row:
            ids, lengths = (np.frombuffer(row[f"lexical_{name}"], dtype=np.int32) for name in ("ids", "lengths"))
            lexical = (ids, lengths)
        texts = row["texts"].split("\0") if len(has_text) else []
        return cls(texts, has_text, has_image, images, lexical)


def prepare_rows(rows: Iterable[Mapping[str, Any]], preset: Preset) -> Prepared:
    """`rows` are mappings with title, description (text or None) and image (encoded bytes or None)."""
    rows = list(rows)
    texts = [compose_text(row.get("title"), row.get("description")) for row in rows]
    specs = {image_shape(spec.size, spec.fit): spec for spec in (preset.image, preset.clip) if spec is not None}
    images: dict[str, list[np.ndarray]] = {shape: [] for shape in specs}
    has_image = np.zeros(len(rows), dtype=bool)
    for i, row in enumerate(rows):
        if not specs or not row.get("image"):
            continue
        try:
            decoded = {shape: prepare_image(row["image"], spec.size, spec.fit) for shape, spec in specs.items()}
        except ValueError as error:
            logger.warning("%s: the picture is left out: %s", row.get("key", "a product"), error)
            continue
        has_image[i] = True
        for shape, pixels in decoded.items():
            images[shape].append(pixels)
    lexical = None
    if preset.lexical is not None:
        ids = [lexical_ids(text, preset.lexical) for text in texts]
        flat = np.fromiter((i for some in ids for i in some), dtype=np.int32)
        lexical = (flat, np.array([len(some) for some in ids], dtype=np.int32))
    return Prepared(
        texts,
        np.array([bool(text) for text in texts], dtype=bool),
        has_image,
        {
            shape: np.stack(some) if some else np.zeros((0, specs[shape].size, specs[shape].size, 3), np.uint8)
            for shape, some in images.items()
        },
        lexical,
    )


def compose_text(title: str | None, description: str | None) -> str:
    """`title. description` in one line, each cut to its length; "" where both are blank."""
    parts = [_clean(title, TITLE), _clean(description, DESCRIPTION)]
    return ". ".join(part for part in parts if part)


def prepare_image(data: bytes, size: int, fit: Fit = "pad") -> np.ndarray:
    """Encoded bytes -> (size, size, 3) uint8 RGB: turned as EXIF says, alpha on white, made square as `fit` says.

    Errors: ValueError with the reason where the bytes are no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data))
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels")
            if image.format == "JPEG":  # decodes at 1/2, 1/4 or 1/8 where that is still no smaller than asked for
                image.draft("RGB", (size, size))
            image = _on_white(ImageOps.exif_transpose(image))
            return np.asarray(_square(image, size, fit), dtype=np.uint8)
    except ValueError:
        raise
    except UnidentifiedImageError:
        raise ValueError("not a picture that can be read") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others
        raise ValueError(f"can't be decoded: {str(error) or type(error).__name__}") from error


def image_shape(size: int, fit: Fit) -> str:
    """The name of a prepared picture's shape, `160-pad`: encoders of one shape share the pixels."""
    return f"{size}-{fit}"


ImageFile.LOAD_TRUNCATED_IMAGES = False


def _clean(text: str | None, limit: int) -> str:
    """One line of valid Unicode, without control characters and soft hyphens, cut at `limit` characters."""
    if not text:
        return ""
    text = text[: 4 * limit].encode("utf-8", "replace").decode("utf-8")  # lone surrogates become "?"
    text = "".join(c if c.isprintable() else "" if unicodedata.category(c) == "Cf" else " " for c in text)
    return " ".join(text.split())[:limit].rstrip()


def _on_white(image: Image.Image) -> Image.Image:
    if "transparency" in image.info and image.mode in ("1", "L", "RGB"):  # a PNG's transparent color
        image = image.convert("RGBA")
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16-bit gray
        array = np.asarray(image, dtype=np.float32)
        return Image.fromarray((array * (255.0 / max(255.0, float(array.max())))).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "P", "RGBa", "La"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    if fit == "squash":
        return image.resize((size, size), Image.Resampling.BICUBIC)
    sides = image.size
    if fit == "pad":
        width, height = (max(1, round(side * size / max(sides))) for side in sides)
        canvas = Image.new("RGB", (size, size), "white")
        small = image.resize((width, height), Image.Resampling.BICUBIC)
        canvas.paste(small, ((size - width) // 2, (size - height) // 2))
        return canvas
    left, top = ((side - min(sides)) / 2 for side in sides)
    box = (left, top, left + min(sides), top + min(sides))
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)  # cut first: a strip would grow beyond bounds


def _bytes(array: np.ndarray) -> bytes:
    return array.tobytes()
