"""Model: the two heads on one taxonomy, `text` (the light stage) and `full` (every modality); saves and loads itself.

A folder of four files: config.json (settings, modalities, dimensions, encoders), taxonomy.json, model.safetensors
(both heads, prefixed `text.` and `full.`), calibration.json (a temperature a head). Training adds metrics.json,
README.md and, last, manifest.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from torch import Tensor, nn

from catray import __version__
from catray.artifact import write_json
from catray.config import ModelConfig
from catray.errors import CatrayError
from catray.fusion.batch import Batch, empty_rows
from catray.fusion.decoding import best_leaf, greedy
from catray.fusion.early import Early
from catray.fusion.hierarchy import Hierarchy
from catray.fusion.late import Late
from catray.fusion.trunk import Inputs, LexicalSize
from catray.taxonomy import Taxonomy

FORMAT = 2
FILES = ("config.json", "taxonomy.json", "model.safetensors", "calibration.json")
TEXT_MODALITIES = ("text", "clip_text", "lexical")
"""What the text stage sees."""
Stage = Literal["text", "full"]


class Description(BaseModel):
    """config.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    catray: str
    taxonomy: str = Field(description="its hash")
    modalities: list[str]
    dims: dict[str, PositiveInt]
    lexical: LexicalSize | None
    encoders: dict[str, Any] = Field(description="what made the embeddings, as Encoders.describe tells it")
    settings: ModelConfig


@dataclass(frozen=True)
class Prediction:
    """For B products: the node of the chosen path; -1 (abstained) where there is no modality that the stage reads."""

    nodes: np.ndarray
    """(B,) int64"""
    probability: np.ndarray
    """(B,) float32, joint, of the chosen path; 0 where abstained"""
    level_probabilities: list[list[float]]
    """p(child | parent) along the path, top first; empty where abstained"""
    log_joint: np.ndarray | None = None
    """(B, N) float32 log p(path to node), if asked for"""


class Model:
    """Both heads, their taxonomy, and what they were trained on.

    A head is None where the model reads no modality of that stage; that stage then abstains from everything.
    """

    def __init__(self, taxonomy: Taxonomy, config: ModelConfig, encoders: dict[str, Any], inputs: Inputs) -> None:
        self.taxonomy, self.config, self.encoders, self.inputs = taxonomy, config, encoders, inputs
        self.modalities = inputs.modalities
        self.hierarchy = Hierarchy(taxonomy)
        text = inputs.only(TEXT_MODALITIES)
        self.text = self._head(text) if text.modalities else None
        self.full = self._head(inputs)
        self.temperature: dict[str, float] = {"text": 1.0, "full": 1.0}
        """What a head's logits are divided by (calibration.fit_temperature)."""

    def _head(self, inputs: Inputs) -> nn.Module:
        kind = {"early": Early, "late": Late}[self.config.fusion]
        c = self.config
        return kind(self.hierarchy, inputs, c.hidden, c.dropout, c.modality_dropout)

    def head(self, stage: Stage) -> nn.Module | None:
        return self.text if stage == "text" else self.full

    def reads(self, stage: Stage) -> list[str]:
        """The modalities that a stage reads."""
        return [m for m in self.modalities if stage == "full" or m in TEXT_MODALITIES]

    def to(self, device: torch.device | str) -> Model:
        for module in (self.hierarchy, self.text, self.full):
            if module is not None:
                module.to(device)
        return self

    @property
    def device(self) -> torch.device:
        return self.hierarchy.group.device

    @torch.inference_mode()
    def predict(
        self,
        batch: Batch,
        stage: Stage,
        *,
        decoding: Literal["joint", "greedy"] = "joint",
        log_joint: bool = False,
        batch_size: int = 1024,
    ) -> Prediction:
        """Categorize the products of `batch` (on any device), `batch_size` at a time."""
        if stage not in ("text", "full"):
            raise CatrayError(f"stage {stage!r}: expected 'text' or 'full'")
        if decoding not in ("joint", "greedy"):
            raise CatrayError(f"decoding {decoding!r}: expected 'joint' or 'greedy'")
        reads, head = self.reads(stage), self.head(stage)
        if missing := [m for m in reads if m not in batch.mask]:
            raise CatrayError(f"the model reads {', '.join(missing)}, which the batch doesn't hold")
        count = len(batch)
        nodes = np.full(count, -1, dtype=np.int64)
        probability = np.zeros(count, dtype=np.float32)
        levels: list[list[float]] = [[] for _ in range(count)]
        joints = np.zeros((count, len(self.taxonomy)), dtype=np.float32) if log_joint else None
        if head is None:
            return Prediction(nodes, probability, levels, joints)
        head.eval()
        for start in range(0, count, batch_size):
            rows = torch.arange(start, min(count, start + batch_size))
            part = batch.select(rows.to(next(iter(batch.mask.values())).device)).to(self.device)
            conditional = self.hierarchy.conditional(head(part) / self.temperature[stage])
            joint = self.hierarchy.joint(conditional)
            best = best_leaf(joint, self.hierarchy) if decoding == "joint" else greedy(conditional, self.hierarchy)
            said = ~empty_rows(part, reads)
            path = self.hierarchy.paths[best]
            along = conditional.gather(1, path.clamp_min(0)).exp()
            here = slice(start, start + len(rows))
            nodes[here] = torch.where(said, best, -1).cpu().numpy()
            probability[here] = (joint.gather(1, best[:, None])[:, 0].exp() * said).cpu().numpy()
            for i, (p, on_path) in enumerate(zip(along.cpu().tolist(), (path >= 0).cpu().tolist(), strict=True)):
                if nodes[start + i] >= 0:
                    levels[start + i] = [value for value, on in zip(p, on_path, strict=True) if on]
            if joints is not None:
                joints[here] = joint.cpu().numpy()
        return Prediction(nodes, probability, levels, joints)

    # --- on disk -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Every tensor of both heads, prefixed `text.` and `full.`."""
        tensors = {}
        for stage, head in (("text", self.text), ("full", self.full)):
            if head is not None:
                tensors.update({f"{stage}.{k}": v.detach().cpu().contiguous() for k, v in head.state_dict().items()})
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        for stage, head in (("text", self.text), ("full", self.full)):
            if head is not None:
                prefix = f"{stage}."
                own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                head.load_state_dict(own)

    def save(self, folder: str | Path) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        description = Description(
            format=FORMAT,
            catray=__version__,
            taxonomy=self.taxonomy.hash,
            modalities=self.modalities,
            dims=self.inputs.dims,
            lexical=self.inputs.lexical,
            encoders=self.encoders,
            settings=self.config,
        )
        self.taxonomy.write(folder / "taxonomy.json")
        safetensors.torch.save_file(self.state(), folder / "model.safetensors")
        write_json(folder / "calibration.json", {stage: {"temperature": t} for stage, t in self.temperature.items()})
        write_json(folder / "config.json", description.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Model:
        """Errors: CatrayError for a missing or damaged file, another format, or files that don't belong together."""
        folder = Path(folder)
        description = _description(folder)
        for name in FILES:
            if not (folder / name).is_file():
                raise CatrayError(f"{folder}: no {name} there, so this is no model; run `catray train` first")
        try:
            taxonomy = Taxonomy.from_json(json.loads((folder / "taxonomy.json").read_text(encoding="utf-8")))
            calibration = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
            temperature = {stage: float(calibration[stage]["temperature"]) for stage in ("text", "full")}
        except (CatrayError, KeyError, TypeError, ValueError) as error:
            raise CatrayError(
                f"{folder}: taxonomy.json or calibration.json is damaged ({error}); train again"
            ) from error
        if description.taxonomy != taxonomy.hash:
            raise CatrayError(f"{folder}: taxonomy.json is not the taxonomy that the model was trained on; train again")
        inputs = Inputs(description.dims, description.lexical)
        if inputs.modalities != description.modalities:
            raise CatrayError(f"{folder}: config.json contradicts itself about the modalities; train again")
        model = cls(taxonomy, description.settings, description.encoders, inputs)
        try:
            model.load_state(safetensors.torch.load_file(folder / "model.safetensors"))
        except (safetensors.SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise CatrayError(f"{folder}: model.safetensors doesn't fit config.json ({reason}); train again") from error
        model.temperature = temperature
        return model.to(device)


def _description(folder: Path) -> Description:
    if not (folder / "config.json").is_file():
        raise CatrayError(f"{folder}: no config.json there, so this is no model; run `catray train` first")
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CatrayError(f"{folder}: config.json is damaged ({error}); train again") from error
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != FORMAT:
        raise CatrayError(f"{folder}: model format {found}, this catray reads {FORMAT}; train again")
    try:
        return Description.model_validate(raw)
    except ValidationError as error:
        where = ", ".join(".".join(str(x) for x in e["loc"]) for e in error.errors())
        raise CatrayError(f"{folder}: config.json doesn't fit this catray ({where}); train again") from error
