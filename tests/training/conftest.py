"""A tiny workspace: a taxonomy of ragged depth, a catalog and embeddings in which every leaf can be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catray import schema
from catray.artifact import write_manifest
from catray.config import Config, ModelConfig

PATHS = [
    ("Shoes", "Boots"),
    ("Shoes", "Sandals"),
    ("Bags",),
    ("Clothes", "Tops", "Shirts"),
    ("Clothes", "Tops", "Knits"),
    ("Clothes", "Skirts"),
]
BUCKETS = 512


def write_workspace(folder: Path, products: int = 240, unlabelled: int = 10, seed: int = 0) -> Config:
    """`products` labelled ones and some unlabelled; every seventh lacks its text, every fifth its picture, one both."""
    rng = np.random.default_rng(seed)
    count = products + unlabelled
    leaf = rng.integers(len(PATHS), size=count)
    keys = [f"shop{i % 3}/{i:04d}" for i in range(count)]
    catalog = {name: [None] * count for name in schema.CATALOG.names}
    catalog |= {
        "key": keys,
        "platform": [key.split("/")[0] for key in keys],
        "product_id": [key.split("/")[1] for key in keys],
        "title": ["title"] * count,
        "description": [""] * count,
        "path": [list(PATHS[leaf[i]]) if i < products else None for i in range(count)],
        "group": keys,
        "split": [("train", "train", "train", "val", "test")[i % 5] for i in range(count)],
    }
    catalog["path"][0] = ["Clothes", "Tops"]  # a label that stops at an inner node
    centers = {"text": rng.normal(size=(len(PATHS), 8)), "image": rng.normal(size=(len(PATHS), 12))}
    has_text, has_image = np.arange(count) % 7 != 6, np.arange(count) % 5 != 4
    has_text[5] = has_image[5] = False
    columns: dict[str, object] = {"key": keys, "has_text": has_text, "has_image": has_image}
    for name, center in centers.items():
        x = (center[leaf] + 0.5 * rng.normal(size=(count, center.shape[1]))).astype(np.float16)
        x[~(has_text if name == "text" else has_image)] = 0
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), center.shape[1])
    columns["lexical"] = [[int(leaf[i]), 100 + int(rng.integers(300))] if has_text[i] else [] for i in range(count)]
    embeddings = pa.table(columns).cast(schema.embeddings({"text": 8, "image": 12}, lexical=True))
    half = count // 2
    order = rng.permutation(count)  # embeddings come in another order than the catalog
    for sub, name, table in (
        ("catalog", "products", pa.table(catalog, schema=schema.CATALOG)),
        ("embeddings", "part", embeddings.take(order)),
    ):
        (folder / sub).mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(0, half), folder / sub / f"{name}-00000.parquet")
        pq.write_table(table.slice(half), folder / sub / f"{name}-00001.parquet")
    write_manifest(folder / "catalog", config_hash="c", products=count)
    write_manifest(
        folder / "embeddings",
        config_hash="e",
        encoders={"preset": "tiny", "text": {"source": "t", "dim": 8}, "lexical": {"buckets": BUCKETS}},
        dims={"text": 8, "image": 12},
        lexical_buckets=BUCKETS,
    )
    (folder / "taxonomy.txt").write_text("\n".join(" > ".join(path) for path in PATHS) + "\n", encoding="utf-8")
    model = ModelConfig(hidden=32, epochs=12, patience=12, batch_size=32, learning_rate=3e-3)
    return Config(workspace=str(folder), taxonomy=str(folder / "taxonomy.txt"), model=model)


@pytest.fixture
def workspace(tmp_path: Path) -> Config:
    return write_workspace(tmp_path / "workspace")


@pytest.fixture
def make_workspace(tmp_path: Path) -> Callable[..., Config]:
    return lambda **settings: write_workspace(tmp_path / "workspace", **settings)
