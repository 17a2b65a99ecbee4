"""Text encoder: a frozen transformers model, pooled over its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from catray.encoders import sources
from catray.encoders.device import choose_device, choose_precision, log_choice
from catray.encoders.presets import TextSpec


class TextEncoder:
    """Texts -> L2-normalized vectors; a text's vector does not depend on the others of its batch.

    Errors: CatrayError where the model can't be loaded.
    """

    def __init__(self, spec: TextSpec, device: str = "auto", precision: str = "auto") -> None:
        self.spec = spec
        self.device, why_device = choose_device(device)
        self.precision, why = choose_precision(precision, self.device, "transformer")
        log_choice("text", self.device, self.precision, why_device, why)
        self.tokenizer, self.model = _load(spec, self.precision)
        self.model.to(self.device)
        self.revision = sources.revision(spec.source, "text")
        self.dim = int(self.model.config.hidden_size)
        longest = getattr(self.tokenizer, "model_max_length", spec.max_length)
        self.max_length = min(spec.max_length, int(longest))

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """(n, dim) float32. Texts of like length share a batch, so that little is spent on padding."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        if not len(texts):
            return vectors
        tokens = self.tokenizer(
            [self.spec.prefix + text for text in texts],
            truncation=True,
            max_length=self.max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        order = np.argsort([-len(some) for some in tokens], kind="stable")  # the longest first: memory peaks at once
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            vectors[rows] = self._encode([tokens[i] for i in rows])
        return vectors

    def _encode(self, tokens: list[list[int]]) -> np.ndarray:
        lengths = torch.tensor([len(some) for some in tokens])
        ids = torch.full((len(tokens), int(lengths.max())), self.tokenizer.pad_token_id, dtype=torch.long)
        for i, some in enumerate(tokens):
            ids[i, : len(some)] = torch.tensor(some)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).to(self.device)
        hidden = self.model(input_ids=ids.to(self.device), attention_mask=mask.long()).last_hidden_state.float()
        if self.spec.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return functional.normalize(pooled, dim=-1).cpu().numpy()


def _load(spec: TextSpec, dtype: torch.dtype) -> tuple[Any, Any]:
    import transformers

    where = str(sources.locate(spec.source))
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=False)
        model = transformers.AutoModel.from_pretrained(
            where, trust_remote_code=False, use_safetensors=True, dtype=dtype
        )
    except Exception as error:  # the hub, the file system, JSON, safetensors: each has errors of its own
        raise sources.cannot_load("text", spec.source, error) from error
    return tokenizer, model.eval()
