from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from catray.artifact import MANIFEST, read_manifest
from catray.errors import CatrayError
from catray.recategorization.recategorize import ASSIGNMENTS, recategorize, slug

HOSTILE = "{kind} <script>alert(1)</script> \"'><img src=x onerror=y> {i}"


def test_a_node_with_subcategories(make_workspace) -> None:
    config = make_workspace(title=HOSTILE)
    result = recategorize(config, "Footwear > Shoes")
    assert (result["products"], result["without_embedding"]) == (124, 6)  # 3 not embedded, 3 without text and image
    assert result["outcome"] == "subcategories"
    assert result["scores"]["AMI"] > 0.7
    assert result["scores"]["purity"] > 0.9
    assert {name.split()[0].rstrip(",") for name in result["names"]} == {"Boots", "Loafers", "Sneakers"}
    folder = config.folder("recategorization", "footwear-shoes")
    assert read_manifest(folder)["clusters"] == result["clusters"]

    table = pq.read_table(folder / "assignments.parquet")
    assert table.schema.equals(ASSIGNMENTS)
    rows = {row["key"]: row for row in table.to_pylist()}
    assert len(rows) == 124
    assert rows["south/a"] == {"key": "south/a", "cluster": -1, "strength": 0.0, "x": None, "y": None}
    proposal = json.loads((folder / "proposal.json").read_text())
    assert proposal["status"] == "proposed"
    assert [c["size"] for c in proposal["clusters"]] == [
        sum(row["cluster"] == c["cluster"] for row in rows.values()) for c in proposal["clusters"]
    ]
    for cluster in proposal["clusters"]:
        assert all(rows[key]["cluster"] == cluster["cluster"] for key in cluster["typical"])

    html = (folder / "report.html").read_text()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "data:image/webp" in html
    assert "http://" not in html.replace("http://www.w3.org/", "")


def test_the_same_seed_gives_the_same_assignments(make_workspace) -> None:
    config = make_workspace(per_kind=20, noise=1.0)
    tables = []
    for name in ("one", "two"):
        named = config.recategorization.model_copy(update={"name": name})
        recategorize(config.model_copy(update={"recategorization": named}), ("Footwear", "Shoes"))
        tables.append(pq.read_table(config.folder("recategorization", name, "assignments.parquet")))
    assert tables[0].equals(tables[1])


def test_labels_from_a_file_come_before_the_paths(make_workspace, tmp_path) -> None:
    file = tmp_path / "hidden.csv"
    lines = [f"{('north', 'south')[i % 2]}/{i},{'low' if i < 40 else 'high'}" for i in range(60)]
    file.write_text("\n".join(["key,label", *lines]) + "\n")
    scores = recategorize(make_workspace(hidden={"file": str(file)}), "Footwear > Shoes")["scores"]
    assert (scores["labels"], scores["labelled"]) == (2, 59)  # the 0th has no embedding


def test_identical_products_are_no_subcategories(make_workspace) -> None:
    result = recategorize(make_workspace(identical=True), "Footwear > Shoes")
    assert (result["outcome"], result["clusters"], result["noise_share"]) == ("none", 0, 1.0)
    assert result["reason"].startswith("all products look alike")
    html = Path(result["report"]).read_text()
    assert "No subcategories were found among 120 products" in html


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("Footwear > Shoe", r"no 'Footwear > Shoe'\. Did you mean 'Footwear > Shoes'\?"),
        ("Footwear > > Shoes", "an empty name.*a node is a path, 'A > B'"),
        ("Footwear > Socks", r"Socks has 0 products; .* takes at least 20 \(two of 10\)"),
        ("Footwear > Shoes > Loafers", "Loafers has 1 product; "),
        ("Footwear > Shoes > Boots", "Boots has 5 products, 0 of them with an embedding; "),
        ("Bags", "Bags has 10 products; .*choose a node above it, or set recategorization.min_cluster_size lower"),
    ],
)
def test_nodes_that_cannot_be_clustered(make_workspace, node: str, message: str) -> None:
    config = make_workspace(per_kind=1)
    with pytest.raises(CatrayError, match=message):
        recategorize(config, node)
    assert not config.folder("recategorization").exists()


def test_unfinished_stages_are_named(make_workspace) -> None:
    config = make_workspace(per_kind=1)
    config.folder("embeddings", MANIFEST).unlink()
    with pytest.raises(CatrayError, match="run `catray embed` first"):
        recategorize(config, "Footwear > Shoes")


def test_a_crash_leaves_no_finished_artifact(make_workspace, monkeypatch) -> None:
    config = make_workspace(per_kind=20)
    recategorize(config, "Footwear > Shoes")
    (config.folder("recategorization", "footwear-shoes") / "report.html").unlink()
    (config.folder("recategorization", "footwear-shoes") / "report.html").mkdir()  # writing it fails
    with pytest.raises(OSError):
        recategorize(config, "Footwear > Shoes")
    assert read_manifest(config.folder("recategorization", "footwear-shoes")) is None


def test_slug() -> None:
    assert slug(("Footwear", "Shoes & Boots")) == "footwear-shoes-boots"
    assert slug(("Обувь",)) == "обувь"
    assert slug(("…",)) == "node"
    assert np.all([slug((name,)) not in ("", ".", "..") for name in (".", "..", "/")])
