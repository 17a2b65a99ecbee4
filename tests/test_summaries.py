"""What the verbs print, from manifests as the stages return them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catray import summaries
from catray.config import Config

CONFIG = Config(workspace="ws", taxonomy="taxonomy.txt")


def test_ingest_tells_what_was_left_out_and_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"rows_in": 1200, "products": 1190, "rejected": 10, "labelled": 900, "images": 1100, "image_errors": 3}
    manifest: dict[str, Any] = {
        **counts,
        "feeds": {"shop": counts},
        "reject_reasons": {"duplicate id": 10},
        "image_error_reasons": {"can't be decoded": 3},
        "unknown_path_rows": 2,
        "unknown_paths": {"Shoes > Clogs": 2},
        "splits": {"train": 1000, "val": 95, "test": 95},
        "groups": 1180,
        "largest_group": 4,
        "seconds": 2.0,
    }
    summaries.ingest(CONFIG, manifest)
    out = capsys.readouterr().out
    assert "1,190" in out and "10 x duplicate id (kept in ws/catalog/rejects)" in out
    assert "3 x can't be decoded" in out and "'Shoes > Clogs' (2)" in out and "600 rows/s -> ws/catalog" in out


def test_train_names_the_heads_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    full = {"hF": 0.9, "exact_path": 0.8, "leaf_macro_f1": 0.7, "loss": 0.5, "epochs": 3}
    summaries.train(CONFIG, {"full": full, "seconds": 4.2})
    out = capsys.readouterr().out
    assert "full head" in out and "text head" not in out and "0.9000" in out and "ws/models/main" in out


def test_evaluate_and_predict_tell_who_answered(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "split": "test",
        "n": 300,
        "platforms": [{}, {}],
        "summary": {"headers": ["model", "hF"], "rows": [["cascade", "0.9500"]]},
        "cascade": {"threshold": 0.9, "text_share": 0.625},
        "report": "ws/evaluation/main/report.html",
    }
    summaries.evaluate(found)
    out = capsys.readouterr().out
    assert "0.9500" in out and "62.5%" in out and "report: ws/evaluation/main/report.html" in out
    result = {"products": 10, "abstained": 1, "text": 7, "full": 2, "products_per_second": 400.0}
    summaries.predict(result, Path("p.csv"))
    out = capsys.readouterr().out
    assert "10 products, 1 of them abstained" in out and "answered 7" in out and "-> p.csv" in out


def test_recategorize_with_and_without_a_proposal(capsys: pytest.CaptureFixture[str]) -> None:
    manifest: dict[str, Any] = {
        "node": ["Shoes", "Sneakers"],
        "outcome": "subcategories",
        "products": 200,
        "clusters": 2,
        "names": ["Runner", "Slip-on"],
        "sizes": [120, 70],
        "noise_share": 0.05,
        "scores": {
            "purity": 0.8, "completeness": 0.7, "AMI": 0.6, "ARI": 0.5, "noise_share": 0.05,
            "clusters": 2, "labels": 3, "labelled": 190,
        },
        "report": "r.html",
    }  # fmt: skip
    summaries.recategorize(manifest)
    out = capsys.readouterr().out
    assert "Runner (120), Slip-on (70)" in out and "noise 5.0%" in out and "0.600" in out and "report: r.html" in out
    summaries.recategorize({**manifest, "outcome": "none", "reason": "one group", "scores": None})
    out = capsys.readouterr().out
    assert "no subcategory proposed: one group" in out and "hidden labels" not in out
