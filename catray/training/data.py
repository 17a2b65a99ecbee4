"""Training data: the labelled rows of the catalog joined by key with their embeddings, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import torch
from torch import Tensor

from catray.errors import CatrayError
from catray.fusion.batch import Batch
from catray.schema import DENSE_MODALITIES, MASK_OF
from catray.taxonomy import Taxonomy, format_path


@dataclass(frozen=True)
class Labelled:
    """n labelled products in the order of their keys."""

    keys: list[str]
    platforms: list[str]
    groups: list[str]
    splits: np.ndarray
    """(n,) str, of schema.SPLITS"""
    targets: Tensor
    """(n,) int64 node of the taxonomy, a leaf or an inner node"""
    batch: Batch
    """Dense modalities stay float16, as they are stored: half the memory. The heads work in float32."""

    def rows(self, split: str) -> Tensor:
        """(r,) int64 rows of one split."""
        return torch.from_numpy(np.flatnonzero(self.splits == split))


def load_labelled(
    workspace: str | Path, taxonomy: Taxonomy, modalities: Sequence[str], splits: Sequence[str] = ("train", "val")
) -> Labelled:
    """Read W/catalog and W/embeddings; unlabelled rows and other splits are left out.

    Errors: CatrayError for a label that the taxonomy lacks, a key without embeddings, or a modality not embedded.
    """
    workspace = Path(workspace)
    catalog = _labels(workspace, splits).sort_by("key")
    targets = _targets(catalog, taxonomy)
    embeddings = _dataset(workspace / "embeddings", "embed")
    known = embeddings.schema.names
    if absent := [m for m in modalities if m not in known]:
        raise CatrayError(
            f"{workspace / 'embeddings'}: no {', '.join(absent)} there; choose model.modalities from "
            f"{', '.join(n for n in known if n in MASK_OF)}, or embed with a preset that has it"
        )
    order = pc.index_in(catalog["key"], embeddings.to_table(columns=["key"])["key"].combine_chunks())
    if order.null_count:
        first = catalog["key"].filter(pc.is_null(order))[0].as_py()
        raise CatrayError(
            f"{workspace / 'embeddings'}: {order.null_count:,} of the catalog's products are missing (first: {first}); "
            "run `catray embed` again"
        )
    rows = torch.from_numpy(order.to_numpy().astype(np.int64))
    dense, mask, lexical = {}, {}, None
    for name in modalities:  # one at a time: the peak is one modality above what stays
        table = embeddings.to_table(columns=[MASK_OF[name], name])
        part = Batch.from_table(table, [name], dtype=torch.float16).select(rows)
        mask[name] = part.mask[name]
        if name in DENSE_MODALITIES:
            dense[name] = part.dense[name]
        else:
            lexical = part.lexical
    return Labelled(
        keys=catalog["key"].to_pylist(),
        platforms=catalog["platform"].to_pylist(),
        groups=catalog["group"].to_pylist(),
        splits=np.array(catalog["split"].to_pylist(), dtype=str),
        targets=targets,
        batch=Batch(dense, mask, lexical),
    )


def count_labelled(
    workspace: str | Path, taxonomy: Taxonomy, splits: Sequence[str] = ("train", "val")
) -> dict[str, dict[str, int]]:
    """Of each split: how many products are labelled, how many of them with a leaf, and with how many leaves.

    Reads the catalog alone. Errors: as load_labelled.
    """
    catalog = _labels(Path(workspace), splits)
    nodes, split = _targets(catalog, taxonomy).numpy(), np.array(catalog["split"].to_pylist(), dtype=str)
    leaf = np.asarray(taxonomy.is_leaf)[nodes]
    return {
        name: {
            "labelled": int((split == name).sum()),
            "leaf": int(leaf[split == name].sum()),
            "leaves": len(np.unique(nodes[(split == name) & leaf])),
        }
        for name in splits
    }


def _labels(workspace: Path, splits: Sequence[str]) -> pa.Table:
    return _dataset(workspace / "catalog", "ingest").to_table(
        columns=["key", "platform", "path", "group", "split"],
        filter=pc.is_valid(pc.field("path")) & pc.is_in(pc.field("split"), pa.array(splits, pa.string())),
    )


def _dataset(folder: Path, verb: str) -> ds.Dataset:
    # the files of this folder only: catalog/rejects lies below it
    files = sorted(str(file) for file in folder.glob("*.parquet"))
    if not files:
        raise CatrayError(f"{folder}: no Parquet file there; run `catray {verb}` first")
    return ds.dataset(files, format="parquet")


def _targets(catalog: pa.Table, taxonomy: Taxonomy) -> Tensor:
    paths = [tuple(path) for path in catalog["path"].to_pylist()]
    nodes = {path: taxonomy.get(path) for path in set(paths)}
    for key, path in zip(catalog["key"].to_pylist(), paths, strict=True):
        if nodes[path] is None:
            raise CatrayError(
                f"{key}: its label {format_path(path)!r} is not in the taxonomy; after a change of the taxonomy run "
                "`catray ingest` again"
            )
    return torch.tensor([nodes[path] for path in paths], dtype=torch.int64)
