"""The tables of the evaluation report that hold scores: models compared, by level, by platform.

`metrics` is what metrics.json holds (training.evaluate); a row is a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from catray.evaluation import page, plots
from catray.evaluation.page import Cell

SCORES = {
    "hF": "hF",
    "hP": "hP",
    "hR": "hR",
    "exact_path": "exact path",
    "leaf_macro_f1": "leaf macro-F1",
    "lca_distance": "tree distance",
}
LOWER_IS_BETTER = {"lca_distance"}
WITH_INTERVAL = ("hF", "exact_path", "leaf_macro_f1")

COMPARISON_NOTE = (
    "All rows on the same products. hF is the F1 of the categories along the path: an answer beside the right category"
    " counts in part, one in another branch of the tree for nothing; hP and hR are its precision and recall."
    " Exact path: the whole path is right. Leaf macro-F1: the mean of the F1 of every category, rare or frequent. Tree"
    " distance: steps between the answer and the truth, fewer is better. The best of each column is bold."
)
LEVELS_NOTE = (
    "Share of the products that are right from the top down to each level, among those whose truth reaches it."
)


def row(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next(row for row in metrics["rows"] if row["name"] == name)


def between(row: Mapping[str, Any], score: str, more: str, percent: bool = False) -> str:
    parts = [interval(row, score, percent), more]
    return " · ".join(part for part in parts if part)


def interval(row: Mapping[str, Any], score: str, percent: bool = False) -> str:
    bounds = row["intervals"].get(score)
    if bounds is None:
        return ""
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}" if percent else f"{bounds[0]:.3f}–{bounds[1]:.3f}"


def _score_cell(row: Mapping[str, Any], score: str, best: float, with_interval: bool) -> Cell:
    value = row[score]
    return Cell(f"{value:.3f}", value, round(value, 3) == round(best, 3), interval(row, score) if with_interval else "")


def comparison(metrics: Mapping[str, Any]) -> Markup:
    rows = metrics["rows"]
    best = {s: (min if s in LOWER_IS_BETTER else max)(row[s] for row in rows) for s in SCORES}
    cells = [
        [row["label"], *(_score_cell(row, s, best[s], s in WITH_INTERVAL) for s in SCORES), row["answered"]]
        for row in rows
    ]
    caption = f"{metrics['split']} split, n = {metrics['n']:,}; 95% intervals"
    panels = {
        SCORES[s]: [(row[s], *(row["intervals"].get(s) or (float("nan"),) * 2)) for row in rows] for s in WITH_INTERVAL
    }
    reference = next((row["label"] for row in rows if row["name"] == metrics["reference"]), None)
    drawn = plots.models([row["label"] for row in rows], panels, reference)
    alt = "; ".join(f"{row['label']}: hF {row['hF']:.3f}" for row in rows)
    return page.table(["model", *SCORES.values(), "answered"], cells, caption) + page.figure_svg(drawn, alt)


def levels(metrics: Mapping[str, Any]) -> Markup:
    rows, counts = metrics["rows"], {int(k): v for k, v in metrics["level_counts"].items()}
    best = {level: max(row["level_accuracy"][level] for row in rows) for level in counts}
    cells = []
    for row in rows:
        line: list[Any] = [row["label"]]
        for level in counts:
            value = row["level_accuracy"][level]
            strong = round(value, 3) == round(best[level], 3)
            line.append(Cell(f"{value:.3f}", value, strong, interval(row, f"level_accuracy.{level}")))
        cells.append(line)
    headers = ["model", *(f"level {level} (n = {count:,})" for level, count in counts.items())]
    return page.table(headers, cells, "Right down to the level, with 95% intervals")


def platforms(metrics: Mapping[str, Any]) -> Markup:
    shops, headline = metrics["platforms"], metrics["headline"]
    names = {row["name"]: row["label"] for row in metrics["rows"]}
    others = [name for name in names if name != headline]
    cells = []
    for shop in shops:
        best = max(score["hF"] for score in shop["scores"].values())
        ours = shop["scores"][headline]
        cells.append(
            [
                shop["platform"],
                shop["n"],
                _score_cell({**ours, "intervals": shop["intervals"]}, "hF", best, True),
                *(_score_cell({**shop["scores"][name], "intervals": {}}, "hF", best, False) for name in others),
                ours["exact_path"],
            ]
        )
    headers = ["platform", "n", f"hF, {names[headline]}", *(f"hF, {names[n]}" for n in others), "exact path"]
    caption = (
        "The best hF of each platform is bold. Few products, wide interval: don't read much into a shop of twenty."
        " Click on a header to sort."
    )
    found = page.table(headers, cells, caption, sortable=True)
    if len(shops) < 2:
        return found
    bounds = [shop["intervals"].get("hF") or (float("nan"),) * 2 for shop in shops]
    scores = [(shop["scores"][headline]["hF"], *bound) for shop, bound in zip(shops, bounds, strict=True)]
    against = metrics["reference"]
    reference = (names[against], [shop["scores"][against]["hF"] for shop in shops]) if against else None
    drawn = plots.shops([shop["platform"] for shop in shops], (names[headline], scores), reference)
    more = f" The {plots.MOST_SHOPS} lowest." if len(shops) > plots.MOST_SHOPS else ""
    return (
        page.figure_svg(drawn, "hF of every platform, as in the table below", f"Lowest first; lines are 95%.{more}")
        + found
    )
