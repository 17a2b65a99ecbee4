"""A workspace in the artifacts' schema without any encoder: products drawn around a few centers."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from catray import schema
from catray.artifact import write_manifest
from catray.config import Config, RecategorizationConfig

DIMS = {"text": 16, "image": 24}
KINDS = ("Boots", "Loafers", "Sneakers")
COLORS = {"Boots": (90, 50, 20), "Loafers": (30, 30, 120), "Sneakers": (20, 140, 60)}
MakeWorkspace = Callable[..., Config]


@pytest.fixture
def make_workspace(tmp_path: Path) -> MakeWorkspace:
    """make(per_kind=40, noise=0.3, identical=False, titles=None, **recategorization) -> Config.

    `per_kind` products of each of three kinds of shoes, every ninth without text and every seventh without a picture;
    ten bags beside them; three shoes that have no embedding; one that has neither modality.
    """

    def make(
        per_kind: int = 40,
        noise: float = 0.3,
        identical: bool = False,
        title: str = "{kind} for you",
        **settings: object,
    ) -> Config:
        rng = np.random.default_rng(0)
        centers = {kind: {m: rng.normal(size=d) for m, d in DIMS.items()} for kind in (*KINDS, "Totes")}
        rows, vectors = [], []
        kinds = [kind for kind in KINDS for _ in range(per_kind)] + ["Totes"] * 10
        for i, kind in enumerate(kinds):
            path = ["Bags", kind] if kind == "Totes" else ["Footwear", "Shoes", kind]
            platform = ("north", "south")[i % 2]
            buffer = io.BytesIO()
            Image.new("RGB", (12, 16), COLORS.get(kind, (0, 0, 0))).save(buffer, "PNG")
            rows.append(
                {
                    "key": f"{platform}/{i}",
                    "platform": platform,
                    "product_id": str(i),
                    "title": title.format(kind=kind, i=i),
                    "description": "",
                    "image": buffer.getvalue() if i % 7 else None,
                    "path": path,
                    "group": str(i),
                    "split": "train",
                }
            )
            has = {"text": i % 9 != 0 or identical, "image": i % 7 != 0 or identical}
            source = KINDS[0] if identical else kind
            vector = {m: centers[source][m] + (0 if identical else noise) * rng.normal(size=d) for m, d in DIMS.items()}
            vectors.append(
                {
                    "key": rows[-1]["key"],
                    "has_text": has["text"],
                    "has_image": has["image"],
                    **{m: (v if has[m] else 0 * v).astype(np.float16) for m, v in vector.items()},
                }
            )
        blank = {**vectors[0], "key": "south/blank", "has_text": False, "has_image": False}
        vectors.append({**blank, **{m: np.zeros(d, np.float16) for m, d in DIMS.items()}})
        for name in ("blank", "a", "b", "c"):
            rows.append({**rows[0], "key": f"south/{name}", "product_id": name})
        workspace = tmp_path / "workspace"
        for part, table in (
            ("catalog/products", pa.Table.from_pylist(rows, schema.CATALOG)),
            ("embeddings/part", pa.Table.from_pylist(vectors[::-1], schema.embeddings(DIMS, lexical=False))),
        ):
            folder = (workspace / part).parent
            folder.mkdir(parents=True, exist_ok=True)
            half = table.num_rows // 2
            pq.write_table(table.slice(0, half), f"{workspace / part}-00000.parquet")
            pq.write_table(table.slice(half), f"{workspace / part}-00001.parquet")
            write_manifest(folder, products=table.num_rows, encoders={"preset": "none"})
        lines = [*(f"Footwear > Shoes > {kind}" for kind in KINDS), "Footwear > Socks", "Bags > Totes"]
        (tmp_path / "taxonomy.txt").write_text("\n".join(lines), encoding="utf-8")
        return Config(
            workspace=str(workspace),
            taxonomy=str(tmp_path / "taxonomy.txt"),
            recategorization=RecategorizationConfig.model_validate({"backend": "cpu", **settings}),
        )

    return make
