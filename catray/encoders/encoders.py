"""All encoders of a preset behind one object.

    prepared = prepare_rows(rows, preset)        # CPU: decode, resize, hash; no weights
    table = Encoders(preset).encode(prepared)    # the networks

`prepare_rows` and `Prepared` are importable from here and need no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from catray.encoders.prepare import Prepared, image_shape, prepare_rows
from catray.encoders.presets import ClipSpec, ImageSpec, LexicalSpec, Preset, TextSpec
from catray.errors import CatrayError
from catray.schema import DENSE_MODALITIES

__all__ = ["Encoders", "Prepared", "prepare_rows"]

PARTS = ("text", "image", "clip")


class Encoders:
    """The networks of a preset, loaded.

    `parts` names those to load (`text`, `image`, `clip`); default: all that the preset has. Lexical features need
    nothing loaded and are always there. Errors: CatrayError where one can't be loaded.
    """

    def __init__(
        self,
        preset: Preset,
        device: str = "auto",
        precision: str = "auto",
        parts: Collection[str] = PARTS,
    ) -> None:
        self.preset = preset
        self.text = self.image = self.clip = None
        if preset.text and "text" in parts:
            from catray.encoders.text import TextEncoder

            self.text = TextEncoder(preset.text, device, precision)
        if preset.image and "image" in parts:
            from catray.encoders.image import ImageEncoder

            self.image = ImageEncoder(preset.image, device, precision)
        if preset.clip and "clip" in parts:
            from catray.encoders.clip import ClipEncoder

            self.clip = ClipEncoder(preset.clip, device, precision)

    @property
    def dims(self) -> dict[str, int]:
        """{dense modality: dimension}, in the schema's order."""
        owners = {"text": self.text, "image": self.image, "clip_text": self.clip, "clip_image": self.clip}
        return {name: owner.dim for name in DENSE_MODALITIES if (owner := owners[name]) is not None}

    def describe(self) -> dict[str, Any]:
        """What made the vectors, for manifests and models: `from_description` builds the same from it.

        {"preset", "text": {"source", "revision", "dim", ...}, "image", "clip_text", "clip_image", "lexical"}
        """
        described: dict[str, Any] = {"preset": self.preset.name}
        for name, encoder in (("text", self.text), ("image", self.image)):
            if encoder is not None:
                described[name] = {**asdict(encoder.spec), "revision": encoder.revision, "dim": encoder.dim}
        if self.clip is not None:
            clip = {**asdict(self.clip.spec), "revision": self.clip.revision, "dim": self.clip.dim}
            described |= {"clip_text": clip, "clip_image": clip}
        if self.preset.lexical is not None:
            described["lexical"] = asdict(self.preset.lexical)
        return described

    @classmethod
    def from_description(
        cls,
        description: Mapping[str, Any],
        device: str = "auto",
        precision: str = "auto",
        parts: Collection[str] = PARTS,
    ) -> Encoders:
        """The encoders that `describe` told of.

        Errors: CatrayError where one can't be loaded, or is of another revision here: its vectors would not match.
        """
        encoders = cls(preset_of(description), device, precision, parts)
        ours = encoders.describe()
        for name in ours.keys() & description.keys() & set(DENSE_MODALITIES):
            there, here = description[name]["revision"], ours[name]["revision"]
            if there != here:
                raise CatrayError(
                    f"{name} encoder {ours[name]['source']}: this was made with {there}, here is {here}; "
                    "install that revision, or embed and train again"
                )
        return encoders

    def prepare(self, rows: Iterable[Mapping[str, Any]]) -> Prepared:
        """`prepare_rows` for this preset."""
        return prepare_rows(rows, self.preset)

    def encode(self, prepared: Prepared, batch_size: int = 64) -> pa.Table:
        """B rows of has_text, has_image, the dense modalities and lexical: schema.embeddings without the key."""
        has_text, has_image = prepared.has_text, prepared.has_image
        columns: dict[str, pa.Array] = {"has_text": pa.array(has_text), "has_image": pa.array(has_image)}
        texts = [text for text, there in zip(prepared.texts, has_text, strict=True) if there]
        if self.text is not None:
            columns["text"] = _column(self.text.encode(texts, batch_size), has_text)
        if self.image is not None:
            images = prepared.images[image_shape(self.image.size, self.image.spec.fit)]
            columns["image"] = _column(self.image.encode(images, batch_size), has_image)
        if self.clip is not None:
            images = prepared.images[image_shape(self.clip.size, self.clip.spec.fit)]
            columns["clip_text"] = _column(self.clip.encode_text(texts, batch_size), has_text)
            columns["clip_image"] = _column(self.clip.encode_image(images, batch_size), has_image)
        if prepared.lexical is not None:
            ids, lengths = prepared.lexical
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            columns["lexical"] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids))
        return pa.table(columns)


def preset_of(description: Mapping[str, Any]) -> Preset:
    """The preset that `Encoders.describe` told of, for `prepare_rows`."""

    def fields(name: str, spec: Any) -> dict[str, Any] | None:
        if name not in description:
            return None
        return {key: value for key, value in description[name].items() if key in spec.__dataclass_fields__}

    text, image, clip = fields("text", TextSpec), fields("image", ImageSpec), fields("clip_image", ClipSpec)
    lexical = fields("lexical", LexicalSpec)
    if lexical is not None:
        lexical["characters"] = tuple(lexical["characters"])  # a list, once it has been JSON
    return Preset(
        description["preset"],
        None if text is None else TextSpec(**text),
        None if image is None else ImageSpec(**image),
        None if clip is None else ClipSpec(**clip),
        None if lexical is None else LexicalSpec(**lexical),
    )


def _column(vectors: np.ndarray, present: np.ndarray) -> pa.Array:
    """The vectors of the rows that are present, zeros elsewhere, as a fixed-size list column of float16."""
    rows = np.zeros((len(present), vectors.shape[1]), dtype=np.float16)
    rows[present] = vectors
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), vectors.shape[1])
