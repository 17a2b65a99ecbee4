from __future__ import annotations

import base64
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catray.catalog.demo import NODE
from catray.config import Config
from catray.demo import FORMS, free_port, headline, requests


def test_requests_are_of_all_forms_and_of_the_test_split(tmp_path: Path) -> None:
    rows = [
        {"title": f"product {i}", "image": b"jpeg" if i % 5 else None, "split": "test" if i % 2 else "train"}
        for i in range(40)
    ]
    (tmp_path / "catalog").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "catalog" / "products-00000.parquet")
    bodies = requests(Config(workspace=str(tmp_path), taxonomy="t.txt"))
    assert len(bodies) == 16  # twenty of the test split, of which four have no picture
    assert [sorted(body) for body in bodies[: len(FORMS)]] == [["title"], ["image"], ["image", "title"]]
    assert {base64.b64decode(body["image"]) for body in bodies if "image" in body} == {b"jpeg"}
    assert all(int(body["title"].split()[1]) % 2 for body in bodies if "title" in body)


def test_a_port_in_use_is_no_reason_to_fail() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) not in (0, port)
    assert free_port("127.0.0.1", port) == port


def test_headline_sets_our_figures_beside_the_plain_model_s() -> None:
    rows = [{"name": "cascade", "hF": 0.95, "exact_path": 0.9}, {"name": "tfidf_svm", "hF": 0.85, "exact_path": 0.7}]
    found = {"rows": rows, "cascade": {"text_share": 0.5}}
    scores = {"AMI": 0.6, "purity": 0.8, "labels": 4, "clusters": 5}
    lines = headline(found, {"scores": scores}, {"milliseconds": [10.0, 30.0, 20.0]})
    assert ["hierarchical F1, test split (TF-IDF + linear SVM)", "0.9500 (0.8500)"] in lines
    assert ["4 hidden subtypes, 5 found", "0.60 AMI, 0.80 purity"] in lines and lines[-1][1] == "20"
    assert len(headline(found, {"scores": None}, {"milliseconds": [1.0]})) == len(lines) - 1


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "catray.cli", "demo", "--out", str(tmp_path / "demo"), "--products", "400"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr[-3000:]
    for stage in ("draw", "ingest", "embed", "train", "evaluate", "predict", "recategorize", "serve"):
        assert f"== {stage}" in run.stdout
    assert "TF-IDF + linear SVM" in run.stdout and "Next: catray serve" in run.stdout
    assert "Traceback" not in run.stderr and "core_worker" not in run.stderr
    table = pq.read_table(tmp_path / "demo" / "predictions.parquet")
    assert table.num_rows == len(set(table["key"].to_pylist())) == 400
    slug = "-".join(NODE).lower()
    for report in ("evaluation/main", f"recategorization/{slug}"):
        assert (tmp_path / "demo" / report / "report.html").stat().st_size > 50_000
