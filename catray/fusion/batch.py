"""Batch: the features of B products as tensors, whatever modalities they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from catray.errors import CatrayError
from catray.schema import DENSE_MODALITIES, MASK_OF


@dataclass(frozen=True)
class Batch:
    """Features of B products; a product lacks a modality where its mask is false."""

    dense: dict[str, Tensor]
    """{modality: (B, D) float32, or float16 as stored}; zeros where missing, though no head reads them there."""
    mask: dict[str, Tensor]
    """{modality: (B,) bool} for every modality, lexical too."""
    lexical: tuple[Tensor, Tensor] | None = None
    """(ids (K,) int64, offsets (B,) int64), as nn.EmbeddingBag takes them."""

    def __len__(self) -> int:
        return int(next(iter(self.mask.values())).shape[0]) if self.mask else 0

    def select(self, rows: Tensor) -> Batch:
        """The products at `rows` ((R,) int64), in that order; rows may repeat."""
        dense = {name: x[rows] for name, x in self.dense.items()}
        mask = {name: m[rows] for name, m in self.mask.items()}
        if self.lexical is None:
            return Batch(dense, mask)
        ids, offsets = self.lexical
        ends = torch.cat([offsets[1:], offsets.new_tensor([len(ids)])])
        lengths = (ends - offsets)[rows]
        new = lengths.cumsum(0) - lengths  # offsets of the selected bags
        # position of every id: its bag's old start, plus how far into the bag it is
        within = torch.arange(int(lengths.sum()), device=ids.device)
        positions = within + torch.repeat_interleave(offsets[rows] - new, lengths)
        return Batch(dense, mask, (ids[positions], new))

    def to(self, device: torch.device | str) -> Batch:
        return Batch(
            {name: x.to(device) for name, x in self.dense.items()},
            {name: m.to(device) for name, m in self.mask.items()},
            None if self.lexical is None else (self.lexical[0].to(device), self.lexical[1].to(device)),
        )

    @classmethod
    def from_table(cls, table: pa.Table, modalities: Sequence[str], dtype: torch.dtype = torch.float32) -> Batch:
        """From a table of embeddings (schema.embeddings); the dense modalities come as `dtype`.

        Errors: CatrayError for a modality that the table has no column for.
        """
        dense: dict[str, Tensor] = {}
        mask: dict[str, Tensor] = {}
        lexical = None
        masks = {column: _bools(table, column) for column in sorted({MASK_OF[name] for name in modalities})}
        for name in modalities:
            if name not in table.column_names:
                raise CatrayError(
                    f"the embeddings have no column {name!r} (they hold: {', '.join(table.column_names)})"
                )
            mask[name] = masks[MASK_OF[name]]
            column = table[name].combine_chunks()
            if isinstance(column, pa.ChunkedArray):  # combine_chunks of an empty column, in some versions of pyarrow
                column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
            if name in DENSE_MODALITIES:
                width = column.type.list_size
                values = column.flatten().to_numpy(zero_copy_only=False)
                dense[name] = torch.from_numpy(values.reshape(len(column), width).copy()).to(dtype)
            else:
                lengths = np.asarray(column.value_lengths().to_numpy(zero_copy_only=False), dtype=np.int64)
                ids = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.int64)
                lexical = (torch.from_numpy(ids), torch.from_numpy(np.cumsum(lengths) - lengths))
        return cls(dense, mask, lexical)


def _bools(table: pa.Table, column: str) -> Tensor:
    if column not in table.column_names:
        raise CatrayError(f"the embeddings have no column {column!r}")
    return torch.from_numpy(table[column].to_numpy().astype(bool))


def empty_rows(batch: Batch, modalities: Sequence[str]) -> Tensor:
    """(B,) bool: products that have none of `modalities`; nothing can be said about them."""
    present = torch.zeros(len(batch), dtype=torch.bool, device=next(iter(batch.mask.values())).device)
    for name in modalities:
        present = present | batch.mask[name]
    return ~present
