from __future__ import annotations

from pathlib import Path

import numpy as np

from catray.recategorization.cluster import Clusters
from catray.recategorization.features import Products
from catray.recategorization.proposal import propose
from catray.recategorization.report import write_report

ABOUT = {"backend": {"name": "cpu", "reason": "r", "versions": {"umap-learn": "0"}}, "space": ["text"]}


def report(config, labels: np.ndarray, truth: list[str | None] | None, tmp_path: Path) -> str:
    n = len(labels)
    products = Products(
        [f"north/{i}" for i in range(n)], ["north"] * n, [f"thing {i} <b>" for i in range(n)], [("Bags",)] * n
    )
    points = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    found = Clusters(labels, np.ones(n, np.float32), points, {"distinct": n, "min_cluster_size": 10})
    proposal = propose(("Bags",), "id", products, points, found)
    scores = (
        {"labels": 2, "labelled": 3, "purity": 0.51, "completeness": 0.4, "AMI": 0.3, "ARI": 0.2} if truth else None
    )
    about = {**ABOUT, "parameters": found.parameters}
    write_report(tmp_path / "r.html", proposal, products, found, truth, scores, about, config.folder("catalog"), 6)
    return (tmp_path / "r.html").read_text()


def test_many_clusters_with_labels(make_workspace, tmp_path: Path) -> None:
    labels = np.arange(120) % 30  # more than there are colors
    html = report(make_workspace(per_kind=5), labels, [f"<i>{i % 12}" if i % 2 else None for i in range(120)], tmp_path)
    assert "0.510" in html
    assert "<i>" not in html
    assert "thing 0 <b>" not in html
    assert html.count("<svg") == 2
    assert "Hidden labels" in html
    assert "borderline, close to" in html


def test_nothing_found(make_workspace, tmp_path: Path) -> None:
    html = report(make_workspace(per_kind=5), np.full(30, -1), None, tmp_path)
    assert "No subcategories were found among 30 products" in html
    assert html.count("<svg") == 1
    assert "A sample of the products" in html
    assert "Hidden labels" not in html
