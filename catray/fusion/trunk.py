"""What early and late fusion share: one view a modality, and modality dropout.

A view turns a modality into (B, hidden). Where the modality is missing, the output is a learned vector instead, put
there by `torch.where`, so that what stands in a masked row (zeros, noise, even NaN) cannot reach the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from catray.fusion.batch import Batch


@dataclass(frozen=True)
class Inputs:
    """What a head reads: {dense modality: dimension}, and of the lexical modality the sizes (None: not read)."""

    dims: dict[str, int]
    lexical: LexicalSize | None = None

    @property
    def modalities(self) -> list[str]:
        return [*self.dims, *(["lexical"] if self.lexical else [])]

    def only(self, modalities: tuple[str, ...]) -> Inputs:
        dims = {name: dim for name, dim in self.dims.items() if name in modalities}
        return Inputs(dims, self.lexical if "lexical" in modalities else None)


@dataclass(frozen=True)
class LexicalSize:
    buckets: int
    """Ids are in 0..buckets-1."""
    rows: int
    """Rows of the embedding table: the buckets that training saw, and row 0 for the others."""


class DenseView(nn.Module):
    """A frozen encoder's embedding, standardized by the training rows' mean and deviation, then projected."""

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.project = nn.Linear(dim, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Set mean and deviation from training rows x (n, dim). E5's cosines, for one, are squeezed into .75-1."""
        if len(x) > 1:
            deviation, mean = torch.std_mean(x, dim=0)
            self.mean.copy_(mean)
            # a constant dimension stays near zero instead of being blown up
            self.scale.copy_(1 / deviation.clamp_min(1e-4 + 0.05 * float(deviation.mean())))

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(functional.gelu(self.norm(self.project((x.float() - self.mean) * self.scale))))


class LexicalView(nn.Module):
    """Hashed n-grams: an embedding bag trained with the head, weighted by inverse document frequency (TF-IDF, L2).

    Only buckets that training saw have a row in the table. An n-gram never seen weighs nothing: its vector is noise.
    """

    row: Tensor  # (buckets,) int32 row of the table; 0: never seen
    idf: Tensor  # (rows,)

    def __init__(self, size: LexicalSize, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("row", torch.zeros(size.buckets, dtype=torch.int32))
        self.register_buffer("idf", torch.zeros(size.rows))
        self.bag = nn.EmbeddingBag(size.rows, width, mode="sum")
        nn.init.normal_(self.bag.weight, std=width**-0.5)
        self.project = nn.Linear(width, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    @torch.no_grad()
    def fit(self, row: Tensor, idf: Tensor) -> None:
        """Set what `vocabulary` found in the training rows."""
        self.row.copy_(row)
        self.idf.copy_(idf)

    def forward(self, lexical: tuple[Tensor, Tensor]) -> Tensor:
        ids, offsets = lexical
        ids = self.row[ids].long()
        weight = self.idf[ids]
        ends = torch.cat([offsets[1:], offsets.new_tensor([len(ids)])])
        product = torch.repeat_interleave(torch.arange(len(offsets), device=ids.device), ends - offsets)
        squares = weight.new_zeros(len(offsets)).index_add(0, product, weight * weight)
        x = self.bag(ids, offsets, per_sample_weights=weight) / (squares + 1e-6).sqrt().unsqueeze(1)
        return self.dropout(functional.gelu(self.norm(self.project(x))))


def vocabulary(
    ids: Tensor, offsets: Tensor, buckets: int, minimum: int = 2, limit: int = 100_000
) -> tuple[Tensor, Tensor]:
    """(row (buckets,), idf (rows,)) of the training rows' n-grams: those in at least `minimum` products, and of these
    the `limit` that are in the most. idf = ln((1 + n) / (1 + df)) + 1, as scikit-learn has it."""
    ends = torch.cat([offsets[1:], offsets.new_tensor([len(ids)])])
    product = torch.repeat_interleave(torch.arange(len(offsets)), ends - offsets)
    once = torch.unique(product * buckets + ids)  # an n-gram counts once a product
    frequency = torch.bincount(once % buckets, minlength=buckets)
    kept = torch.nonzero(frequency >= minimum).squeeze(1)
    if len(kept) > limit:
        order = torch.argsort(frequency[kept], descending=True, stable=True)
        kept = kept[order[:limit]].sort().values
    row = torch.zeros(buckets, dtype=torch.int32)
    row[kept] = torch.arange(1, len(kept) + 1, dtype=torch.int32)
    idf = torch.zeros(len(kept) + 1)
    idf[1:] = torch.log((1 + len(offsets)) / (1 + frequency[kept].float())) + 1
    return row, idf


class Views(nn.Module):
    """One view a modality. forward(batch) -> ([(B, hidden)] in the order of `modalities`, mask (B, M) bool)."""

    def __init__(self, inputs: Inputs, hidden: int, dropout: float, modality_dropout: float, width: int = 128) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.modality_dropout = modality_dropout
        views: dict[str, nn.Module] = {name: DenseView(dim, hidden, dropout) for name, dim in inputs.dims.items()}
        if inputs.lexical is not None:
            views["lexical"] = LexicalView(inputs.lexical, width, hidden, dropout)
        self.views = nn.ModuleDict(views)
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(hidden)) for name in self.modalities})

    def forward(self, batch: Batch) -> tuple[list[Tensor], Tensor]:
        mask = torch.stack([batch.mask[name] for name in self.modalities], dim=1)
        if self.training:
            mask = drop_modalities(mask, self.modality_dropout)
        out = []
        for m, name in enumerate(self.modalities):
            if name == "lexical":
                assert batch.lexical is not None
                x = self.views[name](batch.lexical)
            else:
                # zeros before the projection: 0 x NaN in the backward pass would still be NaN
                dense = batch.dense[name]
                x = self.views[name](torch.where(mask[:, m : m + 1], dense, torch.zeros_like(dense)))
            out.append(torch.where(mask[:, m : m + 1], x, self.missing[name]))
        return out, mask


def drop_modalities(mask: Tensor, rate: float) -> Tensor:
    """Mask (B, M) with every modality dropped at `rate`, but in no row all that it has."""
    if rate == 0 or mask.shape[1] < 2:
        return mask
    kept = mask & (torch.rand(mask.shape, device=mask.device) >= rate)
    return torch.where(kept.any(1, keepdim=True), kept, mask)
