"""A small workspace whose catalog is written directly in the artifact's schema, with `tiny` encoders."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from catray import schema
from catray.artifact import write_manifest
from catray.config import Config


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((48, 64)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_catalog(folder: Path, products: int, shard: int, word: str = "shoe") -> None:
    """Products 0..n-1: every fifth without picture, every seventh without text."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {}
    for number, start in enumerate(range(0, products, shard)):
        rows = [
            {
                "key": f"shop/{i}",
                "platform": "shop",
                "product_id": str(i),
                "title": "" if i % 7 == 6 else f"{word} number {i}",
                "description": "",
                "image": None if i % 5 == 4 else jpeg(i),
                "group": f"g{i}",
                "split": "train",
            }
            for i in range(start, min(start + shard, products))
        ]
        path = folder / f"products-{number:05d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=schema.CATALOG), path)
        files[path.name] = {"products": len(rows), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    write_manifest(folder, products=products, files=files, config_hash="test")


@pytest.fixture
def workspace(tmp_path: Path) -> Config:
    write_catalog(tmp_path / "ws" / "catalog", products=70, shard=10)
    settings = {
        "workspace": str(tmp_path / "ws"),
        "taxonomy": "none",
        "embedding": {"preset": "tiny", "precision": "fp32"},
    }
    return Config.model_validate(settings)
