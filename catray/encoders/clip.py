"""CLIP encoder: a frozen open_clip model, whose texts and pictures share one space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from catray.encoders import sources
from catray.encoders.device import choose_device, choose_precision, log_choice
from catray.encoders.image import to_device
from catray.encoders.presets import ClipSpec
from catray.errors import CatrayError


class ClipEncoder:
    """Texts and pictures -> L2-normalized vectors of one space.

    Errors: CatrayError where the model can't be loaded, or takes pictures of another size than the spec's.
    """

    def __init__(self, spec: ClipSpec, device: str = "auto", precision: str = "auto") -> None:
        import open_clip

        self.spec = spec
        self.size = spec.size
        self.device, why_device = choose_device(device)
        self.precision, why = choose_precision(precision, self.device, "transformer")
        log_choice("clip", self.device, self.precision, why_device, why)
        self.model, self.tokenizer = _load(spec)
        self.model.to(device=self.device, dtype=self.precision)
        self.revision = sources.revision(spec.source, "clip")
        settings = open_clip.get_model_preprocess_cfg(self.model)
        self.mean, self.std = tuple(settings["mean"]), tuple(settings["std"])
        size = settings["size"]
        size = size if isinstance(size, int) else size[0]
        if size != spec.size:
            raise CatrayError(f"clip encoder {spec.source} takes pictures of {size} px, the preset makes {spec.size}")
        with torch.inference_mode():
            self.dim = int(self.model.encode_text(self.tokenizer(["a"]).to(self.device)).shape[-1])

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """(n, dim) float32; a text is cut at the model's context length."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), batch_size):
            tokens = self.tokenizer(list(texts[start : start + batch_size])).to(self.device)
            features = self.model.encode_text(tokens).float()
            vectors[start : start + batch_size] = functional.normalize(features, dim=-1).cpu().numpy()
        return vectors

    @torch.inference_mode()
    def encode_image(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """(n, size, size, 3) uint8 -> (n, dim) float32."""
        vectors = np.zeros((len(images), self.dim), dtype=np.float32)
        for start in range(0, len(images), batch_size):
            x = to_device(images[start : start + batch_size], self.device, self.precision, self.mean, self.std)
            features = self.model.encode_image(x).float()
            vectors[start : start + batch_size] = functional.normalize(features, dim=-1).cpu().numpy()
        return vectors


def _load(spec: ClipSpec) -> tuple[Any, Any]:
    import open_clip

    where = sources.locate(spec.source)
    name, tag = str(where), None
    if isinstance(where, Path):
        name = f"local-dir:{where}"
    elif ":" not in name:
        name, _, tag = name.partition("/")
        if not tag:
            raise CatrayError(f"clip encoder {spec.source}: name its weights too, as in ViT-B-32/laion2b_s34b_b79k")
    try:
        model = open_clip.create_model(name, pretrained=tag, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # the hub, the file system, JSON, safetensors: each has errors of its own
        raise sources.cannot_load("clip", spec.source, error) from error
    return model.eval(), tokenizer
