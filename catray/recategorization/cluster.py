"""Reduce with UMAP (McInnes et al. 2018), cluster with HDBSCAN (Campello et al. 2013), draw a second UMAP as a map.

The dense groups of a node's products; what lies between them is noise (-1), not forced into a group.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from catray.recategorization.backend import Backend

MIN_SAMPLES = 5
"""Neighbors that make a point dense (HDBSCAN): more makes cautious clusters and much noise."""
MAP_MIN_DIST = 0.3
COVERED, PERSISTENT = 0.5, 0.12
"""A cluster is divided where its parts hold this share of it, and their persistence (HDBSCAN's, 0..1), averaged over
their products, is this or more: Gaussian clouds fall into parts of .02 to .10, shoes and bags into .15 to .3."""


@dataclass(frozen=True)
class Clusters:
    labels: np.ndarray
    """(n,) int64: 0 for the largest cluster, then by falling size; -1 for noise."""
    strength: np.ndarray
    """(n,) float32, 0..1: how deep within its cluster a product lies; 0 for noise."""
    map: np.ndarray
    """(n, 2) float32: a picture of the neighborhoods. Distances between far points and areas mean nothing."""
    parameters: dict[str, Any]
    """What was in force, for the manifest."""

    @property
    def count(self) -> int:
        return int(self.labels.max(initial=-1)) + 1


def smallest_cluster(products: int, setting: int | None) -> int:
    """The least number of products that make a subcategory: the setting, or 1.5 % of the products, at least 10."""
    return setting if setting is not None else max(10, round(0.015 * products))


def cluster(
    features: np.ndarray,
    backend: Backend,
    seed: int,
    neighbors: int = 15,
    components: int = 10,
    min_cluster_size: int = 10,
    largest: float = 0.6,
    step: Callable[[], None] = lambda: None,
) -> Clusters:
    """features (n, d) float32, Euclidean. Calls `step` after each of three steps: reduce, cluster, map.

    A cluster with more than `largest` of the products is the node again: it is divided where its parts stand out.

    Identical rows are clustered once and share the result: copies of one product make no subcategory, and ties break
    the reproducibility of both libraries. Fewer than 2 `min_cluster_size` distinct rows are all noise.
    """
    distinct, inverse = _distinct(features)
    n = len(distinct)
    # a neighborhood much larger than a tenth of the node joins what should come apart
    neighbors = max(2, min(neighbors, max(5, n // 10), n - 1))
    components = max(2, min(components, n // 4))
    parameters = {
        "neighbors": neighbors,
        "components": components,
        "min_cluster_size": min_cluster_size,
        "min_samples": MIN_SAMPLES,
        "largest": largest,
        "seed": seed,
        "distinct": n,
    }
    if n < 2 * min_cluster_size:
        for _ in range(3):
            step()
        size = len(features)
        return Clusters(np.full(size, -1), np.zeros(size, np.float32), np.zeros((size, 2), np.float32), parameters)
    reduced = _umap(backend, distinct, neighbors, components, 0.0, seed)
    step()
    labels, strength = _hdbscan(backend, reduced, min_cluster_size, largest)
    step()
    # drawn from the features themselves: a map of the reduced space would show the reduction's own strings and crumbs
    drawn = _umap(backend, distinct, neighbors, 2, MAP_MIN_DIST, seed)
    step()
    return Clusters(by_size(labels[inverse]), strength[inverse], drawn[inverse], parameters)


def by_size(labels: np.ndarray) -> np.ndarray:
    """Renumber 0.. by falling size, ties by first appearance; noise (-1) stays."""
    ids, first, counts = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    new = np.full(int(labels.max(initial=-1)) + 2, -1, dtype=np.int64)  # the last place answers for -1
    new[ids[order]] = np.arange(len(ids))
    return new[labels]


def _distinct(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows without repeats, in order of first appearance, and which of them each row is."""
    seen: dict[bytes, int] = {}
    inverse = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in features], dtype=np.int64)
    _, first = np.unique(inverse, return_index=True)
    return np.ascontiguousarray(features[first], dtype=np.float32), inverse


def _hdbscan(backend: Backend, x: np.ndarray, smallest: int, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and strengths. Excess of mass loves the first division of a node (women's | men's) and stops there."""

    def fit(cap: int) -> Any:
        return backend.HDBSCAN(
            min_cluster_size=smallest, min_samples=MIN_SAMPLES, max_cluster_size=cap, **backend.hdbscan_extra
        ).fit(x)

    def results(model: Any) -> tuple[np.ndarray, np.ndarray]:
        labels = np.asarray(model.labels_, dtype=np.int64)
        return labels, np.where(labels < 0, 0, np.asarray(model.probabilities_)).astype(np.float32)

    labels, strength = results(fit(0))
    cap = int(largest * len(x))
    big = np.flatnonzero(np.bincount(labels[labels >= 0]) > cap)
    if not len(big):
        return labels, strength
    capped = fit(cap)
    parts, inner = results(capped)
    persistence = np.asarray(capped.cluster_persistence_)
    for k in big.tolist():
        here = labels == k
        members = parts[here]
        placed = members[members >= 0]
        # a big cluster without parts is noise under a cap, and noise itself falls into parts, though faint ones
        if len(placed) >= COVERED * len(members) and persistence[placed].mean() >= PERSISTENT:
            labels[here] = np.where(members >= 0, members + labels.max() + 1, -1)
            strength[here] = inner[here]
    return labels, strength


def _umap(backend: Backend, x: np.ndarray, neighbors: int, components: int, min_dist: float, seed: int) -> np.ndarray:
    model = backend.UMAP(
        n_neighbors=neighbors,
        n_components=components,
        min_dist=min_dist,
        metric="euclidean",
        random_state=seed,
        **backend.umap_extra,
    )
    with warnings.catch_warnings():
        # a graph that falls apart is what we look for; umap-learn warns that it then places the parts by their means
        warnings.simplefilter("ignore")
        return np.ascontiguousarray(model.fit_transform(x), dtype=np.float32)
