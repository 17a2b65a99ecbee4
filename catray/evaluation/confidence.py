"""Whether the probabilities can be trusted: calibration bins and error, risk and coverage, and what a threshold buys.

`probability` (n,) in 0..1 is the model's own of its answer, `right` (n,) bool whether the answer was exactly right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catray.evaluation.metrics import lca_level
from catray.taxonomy import Taxonomy


def reliability(probability: np.ndarray, right: np.ndarray, bins: int = 10) -> list[dict[str, float]]:
    """Bins of equal width: {low, high, n, confidence (mean probability), accuracy}; empty bins are left out."""
    place = np.clip((np.asarray(probability, dtype=np.float64) * bins).astype(np.int64), 0, bins - 1)
    found = []
    for i in np.unique(place):
        rows = place == i
        found.append(
            {
                "low": float(i / bins),
                "high": float((i + 1) / bins),
                "n": int(rows.sum()),
                "confidence": float(np.mean(probability[rows], dtype=np.float64)),
                "accuracy": float(np.mean(right[rows])),
            }
        )
    return found


def calibration_error(probability: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017): mean |accuracy - confidence| over the bins, weighted by their n."""
    found = reliability(probability, right, bins)
    return sum(b["n"] * abs(b["accuracy"] - b["confidence"]) for b in found) / max(1, len(probability))


def risk_coverage(probability: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk), both (k,): the share of products kept, most probable first, and the share of errors among them.

    Products of one probability are kept or left together, so k is the number of distinct probabilities.
    """
    order = np.argsort(-np.asarray(probability), kind="stable")
    sorted_probability, wrong = np.asarray(probability)[order], ~np.asarray(right, dtype=bool)[order]
    last = np.append(np.flatnonzero(np.diff(sorted_probability)), len(order) - 1) if len(order) else np.zeros(0, int)
    kept = last + 1
    return kept / max(1, len(order)), np.cumsum(wrong)[last] / kept


def area_under_risk(coverage: np.ndarray, risk: np.ndarray) -> float:
    """AURC (Geifman et al. 2019): mean risk over all coverages; lower is better."""
    return float(np.sum(np.diff(coverage, prepend=0.0) * risk))


def coverage_at(coverage: np.ndarray, risk: np.ndarray, most: float) -> float:
    """Largest share of the products that can be kept with at most `most` errors among them."""
    fine = coverage[risk <= most]
    return float(fine.max()) if len(fine) else 0.0


def threshold_curve(
    taxonomy: Taxonomy,
    truth: np.ndarray,
    text: tuple[np.ndarray, np.ndarray],
    full: np.ndarray,
    pictured: np.ndarray,
    thresholds: np.ndarray,
) -> list[dict[str, Any]]:
    """The cascade at each threshold: {threshold, text_share, hF, exact_path}.

    `text` is (nodes, probability) of the text stage, `full` the nodes of the full stage; -1 where a stage abstained.
    A product without a picture, `pictured` (n,) bool, stays with the text stage however unsure, as in serving.
    """
    level = np.append(taxonomy.level, 0)
    curve = []
    for threshold in thresholds.tolist():
        by_text = (text[0] >= 0) & ((text[1] >= threshold) | ~pictured)
        nodes = np.where(by_text, text[0], full)
        shared = lca_level(taxonomy, truth, nodes).sum()
        curve.append(
            {
                "threshold": threshold,
                "text_share": float(by_text.mean()),
                "hF": float(2 * shared / (level[truth].sum() + level[nodes].sum())),
                "exact_path": float((nodes == truth).mean()),
            }
        )
    return curve
