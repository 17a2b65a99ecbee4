"""Several models' answers for the same products, side by side: what metrics.json and the report hold.

A model is a name and its nodes (n,), -1 where it abstained. One of them is the headline (the product's own answer), one
may be the reference that it must beat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from catray.evaluation import confidence
from catray.evaluation.baseline import gain
from catray.evaluation.metrics import bootstrap, evaluate
from catray.taxonomy import Taxonomy


def compare(
    taxonomy: Taxonomy,
    truth: np.ndarray,
    nodes: Mapping[str, np.ndarray],
    labels: Mapping[str, str],
    groups: Sequence[str],
    platforms: Sequence[str],
    headline: str,
    reference: str | None,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Scores of each model, overall and by platform; `labels` are the models' names for people.

    n, groups, platforms, paths: what was scored. resamples, seed, headline, reference: as given.
    rows: a model each: name, label, answered, the scores of `metrics.evaluate`, and `intervals` {score: (low, high)}.
    gain: {hF, low, high} of the headline over the reference, paired; None without a reference.
    level_counts: {level: products whose truth reaches it}.
    platforms: the largest first: platform, n, scores {model: ...}, intervals (the headline's).
    """
    group, shop = np.asarray(groups), np.asarray(platforms)
    names, sizes = np.unique(shop, return_counts=True)
    rows = [
        {
            "name": name,
            "label": labels[name],
            "answered": int((predicted >= 0).sum()),
            **evaluate(taxonomy, truth, predicted),
            "intervals": bootstrap(taxonomy, truth, predicted, group, resamples, seed),
        }
        for name, predicted in nodes.items()
    ]
    over = None
    if reference is not None:
        ours, theirs = nodes[headline], nodes[reference]
        by, low, high = gain(taxonomy, truth, ours, theirs, group, resamples, seed)
        over = {"hF": by, "low": low if resamples else None, "high": high if resamples else None}
    by_platform = []
    for name in names[np.argsort(-sizes, kind="stable")].tolist():
        here = shop == name
        by_platform.append(
            {
                "platform": name,
                "n": int(here.sum()),
                "scores": {model: evaluate(taxonomy, truth[here], found[here]) for model, found in nodes.items()},
                "intervals": bootstrap(taxonomy, truth[here], nodes[headline][here], group[here], resamples, seed),
            }
        )
    levels = range(1, int(taxonomy.level[truth].max()) + 1)
    return {
        "n": len(truth),
        "groups": len(np.unique(group)),
        "paths": len(np.unique(truth)),
        "resamples": resamples,
        "seed": seed,
        "headline": headline,
        "reference": reference,
        "rows": rows,
        "gain": over,
        "level_counts": {level: int((taxonomy.level[truth] >= level).sum()) for level in levels},
        "platforms": by_platform,
    }


def trust(probability: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Whether (n,) probabilities can be trusted: ece, aurc, coverage_at_1 and _5 (% of errors), bins (reliability)."""
    coverage, risk = confidence.risk_coverage(probability, right)
    return {
        "ece": confidence.calibration_error(probability, right),
        "aurc": confidence.area_under_risk(coverage, risk),
        "coverage_at_1": confidence.coverage_at(coverage, risk, 0.01),
        "coverage_at_5": confidence.coverage_at(coverage, risk, 0.05),
        "bins": confidence.reliability(probability, right),
    }


def summary(compared: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison as a table of texts for a console: {"headers", "rows"}."""
    levels = list(compared["level_counts"])
    rows = []
    for row in compared["rows"]:
        bounds = row["intervals"].get("hF")
        interval = f"{bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else ""
        scores = [row["exact_path"], row["leaf_macro_f1"], *(row["level_accuracy"][level] for level in levels)]
        rows.append([row["label"], f"{row['hF']:.4f}", interval, *(f"{score:.4f}" for score in scores)])
    headers = ["model", "hF", "95 %", "exact path", "leaf macro-F1", *(f"level {level}" for level in levels)]
    return {"headers": headers, "rows": rows}
