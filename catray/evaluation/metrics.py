"""Scores of predicted taxonomy nodes, their bootstrap intervals, and scores of clusters.

Hierarchical precision, recall and F1 (Kiritchenko et al. 2005, "Functional annotation of genes using hierarchical text
categorization"): a node stands for the set of itself and its ancestors, the root excluded; intersections and sizes are
summed over all rows (micro). In a tree such a set is a chain, so the intersection's size is the level of the lowest
common ancestor (LCA), and no set is ever built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from catray.errors import CatrayError
from catray.taxonomy import Taxonomy


def evaluate(taxonomy: Taxonomy, truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Scores of n rows: `truth` (n,) are nodes, `predicted` (n,) nodes or -1 where the model abstained (no node).

    n; hP, hR, hF: hierarchical, micro (0 where undefined: hP when every row abstained).
    exact_path: share of rows with predicted = truth.
    leaf_macro_f1: F1 a class, a class being a whole path (of a leaf, or of an inner node where the truth stops there),
        averaged over the paths that occur in the truth: sklearn's f1_score(labels=unique(truth), average="macro").
        A path that is only ever predicted has no F1 of its own; it costs the recall of the paths it was taken for.
    level_accuracy: {level: share of the rows whose truth reaches the level that are right down to it}.
    lca_distance: mean number of edges of the tree between truth and prediction (-1 counting as the root).

    Errors: CatrayError where there is no row; ValueError for arrays that don't fit the taxonomy or one another.
    """
    rows = _Rows(taxonomy, truth, predicted)
    scores = rows.scores(np.ones(rows.n))
    levels = {level: scores.pop(f"level_accuracy.{level}") for level in rows.levels}
    return {"n": rows.n, **scores, "level_accuracy": levels}


def bootstrap(
    taxonomy: Taxonomy,
    truth: np.ndarray,
    predicted: np.ndarray,
    groups: Sequence[Any] | np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """95 % intervals (low, high) of every score of `evaluate`, resampling whole groups with replacement.

    `groups` (n,): rows of one group (near duplicates) are drawn together, since they are no independent evidence.
    Keys as in `evaluate`, but for `n`; of levels `level_accuracy.1`, `level_accuracy.2`, ... Empty for no resamples.

    The percentiles are moved by the difference between the score and its resamples' mean. For sums that is nothing; the
    macro F1 of a resample is lower on average (rare paths come twice or not at all), often by more than the interval's
    width, so that plain percentiles would leave out the score itself.
    """
    rows = _Rows(taxonomy, truth, predicted)
    point = rows.scores(np.ones(rows.n))
    samples = [rows.scores(weights) for weights in group_weights(groups, rows.n, resamples, seed)]
    if not samples:
        return {}
    bounds = {}
    for name in samples[0]:
        values = np.array([sample[name] for sample in samples])
        limits = np.nanquantile(values, (0.025, 0.975)) + point[name] - np.nanmean(values)
        low, high = np.clip(limits, 0.0, None if name == "lca_distance" else 1.0).tolist()
        bounds[name] = (low, high)
    return bounds


def group_weights(groups: Sequence[Any] | np.ndarray, n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """A resample at a time: how often each of the n rows was drawn, (n,) float64. The same draws for the same seed."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if group.shape != (n,):
        raise ValueError(f"{n} rows, but groups of shape {group.shape}")
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        draws = np.bincount(generator.integers(0, len(names), len(names)), minlength=len(names))
        yield draws[group].astype(np.float64)


def lca_level(taxonomy: Taxonomy, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Level of the lowest common ancestor of each pair of nodes; 0 (the root) where either is -1. (n,) int64."""
    level, parents = np.append(taxonomy.level, 0), np.append(taxonomy.parents, -1)  # entry -1: the root
    a, b = a.copy(), b.copy()
    while len(rows := np.flatnonzero(a != b)):
        deeper = level[a[rows]] - level[b[rows]]
        up_a, up_b = rows[deeper >= 0], rows[deeper <= 0]
        a[up_a], b[up_b] = parents[a[up_a]], parents[b[up_b]]
    return level[a]


class _Rows:
    """Sums and class counts of weighted rows: every score is a function of the weights alone."""

    def __init__(self, taxonomy: Taxonomy, truth: np.ndarray, predicted: np.ndarray) -> None:
        truth, predicted = _nodes(taxonomy, truth, 0), _nodes(taxonomy, predicted, -1)
        if truth.shape != predicted.shape:
            raise ValueError(f"{len(truth)} true but {len(predicted)} predicted nodes")
        self.n = len(truth)
        if not self.n:
            raise CatrayError("no labelled product to evaluate on")
        level = np.append(taxonomy.level, 0)
        shared, true, found = lca_level(taxonomy, truth, predicted), level[truth], level[predicted]
        self.levels = range(1, int(true.max()) + 1)
        reaches = [true >= n for n in self.levels]
        right = [shared >= n for n in self.levels]
        columns = [shared, true, found, truth == predicted, *reaches, *right]
        self._values = np.stack(columns, axis=1).astype(np.float64)  # (n, 4 + 2 levels)
        classes, self._truth = np.unique(truth, return_inverse=True)
        self._classes = len(classes)
        place = np.full(len(taxonomy) + 1, self._classes)  # -1 and nodes that are only predicted: one class past all
        place[classes] = np.arange(self._classes)
        self._predicted = place[predicted]
        self._hit = truth == predicted

    def scores(self, weights: np.ndarray) -> dict[str, float]:
        """Of rows taken `weights` (n,) times; NaN for the accuracy of a level that no row taken reaches."""
        shared, true, found, exact, *rest = (weights @ self._values).tolist()
        count = weights.sum()
        scores: dict[str, float] = {
            "hP": shared / found if found else 0.0,
            "hR": shared / true,
            "hF": 2 * shared / (true + found),
            "exact_path": exact / count,
            "leaf_macro_f1": self._macro_f1(weights),
            "lca_distance": (true + found - 2 * shared) / count,
        }
        reach, right = rest[: len(self.levels)], rest[len(self.levels) :]
        for level, rows, hits in zip(self.levels, reach, right, strict=True):
            scores[f"level_accuracy.{level}"] = hits / rows if rows else float("nan")
        return {name: float(value) for name, value in scores.items()}

    def _macro_f1(self, weights: np.ndarray) -> float:
        size = self._classes
        true = np.bincount(self._truth, weights, size)
        predicted = np.bincount(self._predicted, weights, size + 1)[:size]
        hits = np.bincount(self._truth, weights * self._hit, size)
        there = true > 0
        return float(np.mean(2 * hits[there] / (true[there] + predicted[there])))


def _nodes(taxonomy: Taxonomy, nodes: np.ndarray, least: int) -> np.ndarray:
    nodes = np.asarray(nodes)
    if nodes.ndim != 1 or (nodes.size and nodes.dtype.kind not in "iu"):
        raise ValueError(f"expected a vector of node indices, found shape {nodes.shape} of {nodes.dtype}")
    nodes = nodes.astype(np.int64)
    if nodes.size and not least <= nodes.min() <= nodes.max() < len(taxonomy):
        raise ValueError(f"nodes must lie in {least}..{len(taxonomy) - 1}, found {nodes.min()}..{nodes.max()}")
    return nodes


def clustering(truth_labels: Sequence[Any] | np.ndarray, assignments: Sequence[int] | np.ndarray) -> dict[str, Any]:
    """Agreement of clusters with the true labels, both (n,); assignment -1 is noise.

    clusters: their number, noise not counted; noise_share: of all rows.
    purity: share of the rows in a cluster whose label is their cluster's commonest (0 where all is noise). It grows
        with the number of clusters and with the noise left out: read it beside those and the next three.
    completeness (Rosenberg and Hirschberg 2007), AMI (adjusted mutual information, arithmetic), ARI (adjusted Rand):
        over all rows, the noise as one more cluster, so that calling hard rows noise is no way to better agreement.
    """
    from sklearn import metrics

    _, truth = np.unique(np.asarray(truth_labels), return_inverse=True)
    found = np.asarray(assignments)
    if truth.shape != found.shape or found.ndim != 1:
        raise ValueError(f"labels of shape {truth.shape}, assignments of shape {found.shape}")
    if not len(found):
        raise CatrayError("no labelled product to score the clusters on")
    kept = found >= 0
    table = metrics.cluster.contingency_matrix(truth[kept], found[kept]) if kept.any() else np.zeros((1, 0))
    labels = np.where(kept, found, -1)
    return {
        "clusters": int(table.shape[1]),
        "noise_share": float(np.mean(~kept)),
        "purity": float(table.max(axis=0).sum() / kept.sum()) if kept.any() else 0.0,
        "completeness": float(metrics.completeness_score(truth, labels)),
        "AMI": float(metrics.adjusted_mutual_info_score(truth, labels)),
        "ARI": float(metrics.adjusted_rand_score(truth, labels)),
    }
