"""What is clustered: the products at or below one node, and one vector a product from its embeddings.

Labels are never features: a product's path decides only that it is here, and scores the clusters afterwards.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from catray.config import HiddenLabels
from catray.errors import CatrayError, nearest
from catray.schema import CATALOG, DENSE_MODALITIES, MASK_OF
from catray.taxonomy import NodePath

_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Products:
    """The node's products, sorted by key: what the catalog says of them, without their pictures."""

    keys: list[str]
    platforms: list[str]
    titles: list[str]
    paths: list[NodePath]

    def __len__(self) -> int:
        return len(self.keys)

    def select(self, rows: Sequence[int] | np.ndarray) -> Products:
        return Products(
            [self.keys[r] for r in rows],
            [self.platforms[r] for r in rows],
            [self.titles[r] for r in rows],
            [self.paths[r] for r in rows],
        )


def read_products(catalog: Path, path: Sequence[str]) -> Products:
    """All products of the catalog whose canonical path is `path` or lies below it."""
    node = _SEPARATOR.join(path)
    found = []
    for batch in _dataset(catalog, "products-*.parquet").to_batches(columns=["key", "platform", "title", "path"]):
        joined = pc.binary_join(batch["path"].cast(pa.list_(pa.string())), _SEPARATOR)
        below = pc.or_(pc.equal(joined, node), pc.starts_with(joined, node + _SEPARATOR))
        found += batch.filter(pc.fill_null(below, False)).to_pylist()
    found.sort(key=lambda row: row["key"])
    return Products(
        [row["key"] for row in found],
        [row["platform"] for row in found],
        [row["title"] or "" for row in found],
        [tuple(row["path"]) for row in found],
    )


def read_images(catalog: Path, keys: Sequence[str]) -> dict[str, bytes]:
    """{key: encoded picture} of those that have one."""
    wanted = pa.array(list(keys), pa.string())
    table = _dataset(catalog, "products-*.parquet").to_table(
        columns=["key", "image"], filter=ds.field("key").isin(wanted) & ds.field("image").is_valid()
    )
    return dict(zip(table["key"].to_pylist(), table["image"].to_pylist(), strict=True))


def read_features(
    folder: Path, keys: Sequence[str], space: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(features (n, d) float32 in the order of `keys`, present (n, M) bool, the M modalities used).

    `space` names modalities; None takes `text` and `image`, or what there is of the dense ones. `present` says which of
    them a product has: none, where it has no embedding. Errors: CatrayError for a modality that isn't embedded.
    """
    dataset = _dataset(folder, "part-*.parquet")
    there = [name for name in DENSE_MODALITIES if name in dataset.schema.names]
    chosen: list[str] = (
        list(dict.fromkeys(space)) if space else [name for name in ("text", "image") if name in there] or there
    )
    for name in chosen:
        if name not in there:
            hint = nearest(name, there)
            raise CatrayError(f"recategorization.space: the embeddings hold {', '.join(there)}, not {name!r}.{hint}")
    if not chosen:
        raise CatrayError(f"{folder}: no dense modality to cluster in: embed with a preset that has text or image")
    place = {key: i for i, key in enumerate(keys)}
    dense = {name: np.zeros((len(keys), dataset.schema.field(name).type.list_size), np.float32) for name in chosen}
    mask = {name: np.zeros(len(keys), bool) for name in chosen}
    masks = sorted({MASK_OF[name] for name in chosen})
    for batch in dataset.to_batches(columns=["key", *masks, *chosen]):
        rows = np.array([place.get(key, -1) for key in batch["key"].to_pylist()], dtype=np.int64)
        here = rows >= 0
        if not here.any():
            continue
        for name in chosen:
            values = batch[name].flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)
            dense[name][rows[here]] = values[here]
            mask[name][rows[here]] = batch[MASK_OF[name]].to_numpy(zero_copy_only=False)[here]
    features = combine([dense[name] for name in chosen], [mask[name] for name in chosen])
    return features, np.stack([mask[name] for name in chosen], axis=1), chosen


def combine(dense: Sequence[np.ndarray], mask: Sequence[np.ndarray]) -> np.ndarray:
    """Modalities (n, d_i) with their masks (n,) -> (n, sum d_i) float32.

    Each is L2-normalized, so that none counts more by its length, and centered on the mean of the node's products,
    which changes no distance between complete products. A missing modality is zeros, i.e. that mean: it says nothing,
    and doesn't gather the products that lack it. Rescaled to equal variance, titles would weigh more and group the
    products by brand (the shoes of one shop: AMI .37 against .49).
    """
    columns = []
    for x, has in zip(dense, mask, strict=True):
        out = np.zeros(x.shape, np.float32)
        if has.any():
            y = x[has] / np.maximum(np.linalg.norm(x[has], axis=1, keepdims=True), 1e-12)
            out[has] = y - y.mean(axis=0)
        columns.append(out)
    return np.ascontiguousarray(np.concatenate(columns, axis=1), dtype=np.float32)


def hidden_labels(products: Products, path: Sequence[str], setting: HiddenLabels | None) -> list[str | None] | None:
    """The names that the clusters are scored against, one a product (None where it has none); None: there are none.

    From the CSV file of `setting`, or from the part of the products' own paths below the node.
    Errors: CatrayError where the file or one of its columns is missing.
    """
    if setting is not None:
        labels = _read_hidden(setting)
        found = [labels.get(key) for key in products.keys]
    else:
        found = [" > ".join(p[len(path) :]) or None for p in products.paths]
    return found if any(found) else None


def _read_hidden(setting: HiddenLabels) -> dict[str, str]:
    file = Path(setting.file)
    if not file.is_file():
        raise CatrayError(f"recategorization.hidden.file: {file}: no such file")
    with file.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        columns = list(reader.fieldnames or [])
        for name in (setting.key, setting.label):
            if name not in columns:
                raise CatrayError(f"{file}: no column {name!r} (it has: {', '.join(columns)}).{nearest(name, columns)}")
        return {row[setting.key]: row[setting.label] for row in reader if row[setting.label]}


def _dataset(folder: Path, pattern: str) -> ds.Dataset:
    schema = CATALOG if pattern.startswith("products") else None
    return ds.dataset([str(file) for file in sorted(folder.glob(pattern))], schema=schema, format="parquet")
