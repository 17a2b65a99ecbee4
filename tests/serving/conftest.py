"""A tiny workspace made by the real classes: embeddings of 40 products by `tiny` encoders, a model of random weights.

Products: every fifth has no picture, every seventh no text, number 34 (as it falls out) neither.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from catray.artifact import write_manifest
from catray.config import Config, ModelConfig
from catray.encoders.encoders import Encoders
from catray.encoders.presets import PRESETS
from catray.fusion.model import Model
from catray.fusion.trunk import Inputs, LexicalSize
from catray.schema import DENSE_MODALITIES
from catray.taxonomy import Taxonomy

PATHS = [
    ("Shoes", "Boots"),
    ("Shoes", "Sandals"),
    ("Bags",),
    ("Clothes", "Tops", "Shirts"),
    ("Clothes", "Tops", "Knits"),
    ("Clothes", "Skirts"),
]
PARTS = (15, 1, 24)
WORDS = ("red boots", "open sandals", "leather bag", "striped shirt", "wool knit", "pleated skirt", "x")


def draw(seed: int, kind: str = "JPEG", size: tuple[int, int] = (48, 64), mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(size).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    return draw


@pytest.fixture(scope="session")
def products() -> list[dict[str, Any]]:
    return [
        {
            "key": f"shop{i % 3}/{i}",
            "title": "" if i % 7 == 6 else f"{WORDS[i % 7]} number {i}",
            "description": "soft and light" if i % 2 and i % 7 != 6 else "",
            "image": None if i % 5 == 4 else draw(i),
        }
        for i in range(sum(PARTS))
    ]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, products: list[dict[str, Any]]) -> Config:
    """A config whose threshold lies amid the text stage's probabilities, so that both stages answer."""
    folder = tmp_path_factory.mktemp("serving")
    encoders = Encoders(PRESETS["tiny"], "cpu", "fp32")
    taxonomy = Taxonomy.from_paths(PATHS)
    torch.manual_seed(0)
    lexical = LexicalSize(PRESETS["tiny"].lexical.buckets, 100)
    model = Model(taxonomy, ModelConfig(hidden=16, fusion="late"), encoders.describe(), Inputs(encoders.dims, lexical))
    with torch.no_grad():
        for head in (model.text, model.full):
            for view in head.views.views.values():
                if hasattr(view, "row"):
                    view.row.copy_(torch.arange(len(view.row)) % 100)
                    view.idf.fill_(1.0)
            for layer in head.heads:
                layer.weight.mul_(8)
    model.save(folder / "models" / "main")
    write_manifest(folder / "models" / "main")
    start = 0
    for number, count in enumerate(PARTS):
        rows = products[start : start + count]
        table = encoders.encode(encoders.prepare(rows))
        table = table.add_column(0, "key", pa.array([row["key"] for row in rows]))
        (folder / "embeddings").mkdir(exist_ok=True)
        pq.write_table(table, folder / "embeddings" / f"part-{number:05d}.parquet")
        start += count
    dims = {name: encoders.dims[name] for name in DENSE_MODALITIES}
    write_manifest(folder / "embeddings", products=start, encoders=encoders.describe(), dims=dims)
    settings = {
        "workspace": str(folder),
        "taxonomy": "unused",
        "embedding": {"preset": "tiny", "device": "cpu", "precision": "fp32"},
        "serving": {"threshold": 0.5},
    }
    return Config.model_validate(settings)


@pytest.fixture(scope="session")
def model_folder(workspace: Config) -> Path:
    return workspace.folder("models", "main")
