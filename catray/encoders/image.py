"""Image encoder: a frozen timm model without its classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from catray.encoders import sources
from catray.encoders.device import Kind, choose_device, choose_precision, log_choice
from catray.encoders.prepare import prepare_image
from catray.encoders.presets import ImageSpec

__all__ = ["ImageEncoder", "prepare_image", "to_device"]


class ImageEncoder:
    """Pictures -> L2-normalized vectors.

    Errors: CatrayError where the model can't be loaded.
    """

    def __init__(self, spec: ImageSpec, device: str = "auto", precision: str = "auto") -> None:
        self.spec = spec
        self.size = spec.size
        self.device, why_device = choose_device(device)
        self.model = _load(spec)
        convolutional = any(isinstance(layer, torch.nn.BatchNorm2d) for layer in self.model.modules())
        kind: Kind = "cnn" if convolutional else "transformer"
        self.precision, why = choose_precision(precision, self.device, kind)
        log_choice("image", self.device, self.precision, why_device, why)
        self.layout = torch.channels_last if kind == "cnn" else torch.contiguous_format
        self.model.to(device=self.device, dtype=self.precision, memory_format=self.layout)
        self.revision = sources.revision(spec.source, "image")
        self.dim = int(self.model.num_features)
        config = self.model.pretrained_cfg
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])

    def prepare(self, image: bytes) -> np.ndarray:
        """Encoded bytes -> (size, size, 3) uint8. Errors: ValueError where they are no picture."""
        return prepare_image(image, self.size, self.spec.fit)

    @torch.inference_mode()
    def encode(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """(n, size, size, 3) uint8 -> (n, dim) float32."""
        vectors = np.zeros((len(images), self.dim), dtype=np.float32)
        for start in range(0, len(images), batch_size):
            x = to_device(images[start : start + batch_size], self.device, self.precision, self.mean, self.std)
            features = self.model(x.contiguous(memory_format=self.layout)).float()
            vectors[start : start + batch_size] = functional.normalize(features, dim=-1).cpu().numpy()
        return vectors


def to_device(
    images: np.ndarray, device: torch.device, dtype: torch.dtype, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """(n, size, size, 3) uint8 -> (n, 3, size, size) normalized: the bytes travel, the arithmetic is the device's."""
    if not images.flags.writeable:  # torch warns of arrays that it could write through
        images = images.copy()
    x = torch.from_numpy(images).to(device, non_blocking=True).permute(0, 3, 1, 2).float()
    shift, scale = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (mean, std))
    return ((x - shift) / scale).to(dtype)


def _load(spec: ImageSpec) -> Any:
    import timm

    where = sources.locate(spec.source)
    local = isinstance(where, Path)
    name = f"local-dir:{where}" if local else str(where)
    if not local and "/" in name and ":" not in name:
        name = f"hf-hub:{name}"
    options = {}
    try:
        if not local and ":" not in name:
            known = timm.models.get_pretrained_cfg(name)
            if known and known.fixed_input_size and known.input_size[-1] != spec.size:
                options["img_size"] = spec.size  # a ViT of another size: timm resizes its position embeddings
        model = timm.create_model(name, pretrained=True, num_classes=0, **options).eval()
        patches: Any = getattr(model, "patch_embed", None)
        if getattr(patches, "strict_img_size", False) and patches.img_size[-1] != spec.size:
            model.set_input_size(img_size=spec.size)  # of the hub or a directory: as above, once it is loaded
        return model
    except Exception as error:  # the hub, the file system, JSON, safetensors: each has errors of its own
        raise sources.cannot_load("image", spec.source, error) from error
