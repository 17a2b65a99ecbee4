"""The main job on real feeds: every stage on the shops of configs/fashion.yaml, beside TF-IDF + linear SVM.

    python benchmarks/fashion.py --data DIR [--quick] [--root DIR]

DIR holds the feeds (myntra/, luma/, taxonomy/ ...). Both sides are scored in one run on the same products of a split by
near-duplicate group. Then the products of "Footwear > Shoes" are clustered, and scored against the leaf names, which no
feature has seen. `--quick` takes the luma feed alone; the figures then mean little.

Prints a table (figure, goal, value, met) and, as its last line, the same as one JSON object; exits with 0 only if
every goal is met.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from catray import summaries
from catray.catalog.ingest import ingest
from catray.cluster import connect
from catray.config import load_config
from catray.embedding.embed import embed
from catray.recategorization.recategorize import recategorize
from catray.training.evaluate import evaluate
from catray.training.fit import fit

CONFIG = Path(__file__).parents[1] / "configs" / "fashion.yaml"
NODE = "Footwear > Shoes"
Figure = tuple[str, str, float, bool | None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="about a minute: one small shop")
    parser.add_argument("--root", type=Path, help="where the workspace goes; default: a folder that is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"data_root={arguments.data.absolute()}", f"root={arguments.root or folder}"]
        if arguments.quick:
            overrides += ["catalog.feeds.myntra.enabled=false"]
        figures = measure(overrides, arguments.quick)
    print(f"\n{'figure':62} {'goal':>10} {'value':>12}  met")
    for name, goal, value, met in figures:
        print(f"{name:62} {goal:>10} {value:12,.4f}  {'' if met is None else 'yes' if met else 'NO'}")
    ok = all(met is not False for *_, met in figures)
    keys = ("figure", "goal", "value", "met")
    print(
        json.dumps({"ok": ok, "cores": os.cpu_count(), "figures": [dict(zip(keys, f, strict=True)) for f in figures]})
    )
    return 0 if ok else 1


def measure(overrides: list[str], quick: bool) -> list[Figure]:
    config = load_config(CONFIG, overrides)
    connect()
    figures: list[Figure] = []

    def figure(name: str, value: float, goal: float | None = None) -> None:
        figures.append(
            (name, "" if goal is None else f">= {goal:.4f}", float(value), None if goal is None else value >= goal)
        )

    def timed(name: str, run: Any, count: str) -> Any:
        started = time.monotonic()
        result = run()
        figure(f"{name}, products/s", result[count] / (time.monotonic() - started))
        return result

    catalog = timed("ingest", lambda: ingest(config), "products")
    summaries.ingest(config, catalog)
    figure("products", catalog["products"])
    figure(
        "rows that are neither products nor rejected", catalog["rows_in"] - catalog["products"] - catalog["rejected"]
    )
    timed("embed", lambda: embed(config), "products")
    metrics = fit(config)
    figure("training, seconds", metrics["seconds"])
    found = evaluate(config)
    summaries.evaluate(found)
    rows = {row["name"]: row for row in found["rows"]}
    svm = rows.pop("tfidf_svm")
    figure("products of the test split", found["n"])
    for score, label in (("hF", "hF"), ("exact_path", "exact path"), ("leaf_macro_f1", "leaf macro-F1")):
        figure(f"TF-IDF + linear SVM, {label}", svm[score])
        for row in rows.values():
            must_win = row["name"] == found["headline"] and not quick
            figure(f"{row['label']}, {label}", row[score], svm[score] if must_win else None)
    low, high = rows[found["headline"]]["intervals"]["leaf_macro_f1"]
    figure("cascade, leaf macro-F1, 95 % interval, from", low)
    figure("cascade, leaf macro-F1, 95 % interval, to", high)
    figure("cascade over TF-IDF + linear SVM, hF", found["gain"]["hF"])
    figure("the same, 95 % interval by group, from", found["gain"]["low"], None if quick else 0.0)
    figure("the same, 95 % interval by group, to", found["gain"]["high"])
    figure("answered by the text head alone, share", found["cascade"]["text_share"])
    figure("calibration error of the cascade (ECE)", found["confidence"][found["headline"]]["ece"])
    if not quick:
        proposal = recategorize(config, NODE)
        summaries.recategorize(proposal)
        figure(f"{NODE}: products", proposal["products"])
        for name in ("clusters", "purity", "completeness", "AMI", "noise_share"):
            figure(f"{NODE}: {name.replace('_', ' ')}", proposal["scores"][name])
    return figures


if __name__ == "__main__":
    sys.exit(main())
