"""The proposal: which subcategories a node's products suggest, with the evidence that a reviewer needs.

proposal.json: `status` is "proposed" until a person decides; `outcome` is "subcategories", or "none" with a `reason`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from catray.recategorization.cluster import Clusters
from catray.recategorization.features import Products
from catray.recategorization.naming import distinct_names, name_terms

EXAMPLES = 12
"""Keys kept a cluster, typical and borderline each."""


def propose(
    node: Sequence[str],
    node_id: str,
    products: Products,
    features: np.ndarray,
    clusters: Clusters,
    complete: np.ndarray | None = None,
) -> dict[str, Any]:
    """`products` and `features` (n, d) are those that were clustered, row by row.

    `complete` (n,) bool: has every modality (default: all have). A product that lacks one lies nearer to every center
    than it should, and shows a reviewer less, so that it is an example only where nothing else is.
    """
    whole = np.ones(len(products), bool) if complete is None else complete
    found = clusters.count if clusters.count > 1 else 0
    labels = clusters.labels if found else np.full_like(clusters.labels, -1)
    terms = name_terms(products.titles, labels, found)
    names = distinct_names(terms)
    centers = _centers(features, labels, found)
    entries = []
    for k in range(found):
        rows = np.flatnonzero(labels == k)
        shown = rows[whole[rows]] if whole[rows].any() else rows
        typical, borderline = _typical(features, centers, shown, k, products.titles)
        platforms = Counter(products.platforms[r] for r in rows)
        entries.append(
            {
                "cluster": k,
                "name": names[k],
                "size": len(rows),
                "share": len(rows) / len(products),
                "strength": float(clusters.strength[rows].mean()),
                "terms": [asdict(term) for term in terms[k]],
                "evidence": evidence(terms[k]),
                "platforms": {name: count / len(rows) for name, count in platforms.most_common()},
                "typical": [products.keys[r] for r in typical],
                "borderline": [{"key": products.keys[r], "near": near} for r, near in borderline],
            }
        )
    noise = int((clusters.labels < 0).sum())
    return {
        "node": list(node),
        "node_id": node_id,
        "status": "proposed",
        "outcome": "subcategories" if found else "none",
        "reason": None if found else no_structure(clusters),
        "products": len(products),
        "noise": noise,
        "noise_share": noise / len(products),
        "clusters": entries,
    }


def no_structure(clusters: Clusters) -> str:
    distinct, smallest = clusters.parameters["distinct"], clusters.parameters["min_cluster_size"]
    if distinct < 2 * smallest:
        alike = "all products look alike" if distinct == 1 else f"only {distinct} products differ from one another"
        return f"{alike}: two subcategories of at least {smallest} need {2 * smallest} different ones"
    if clusters.count == 1:
        return "the products form one group: nothing in them asks for a division"
    return f"no group of at least {smallest} products stands out from the rest"


def evidence(terms: Sequence[Any]) -> str:
    """`"heels" in 93 % of the titles (elsewhere 1 %), ...`, of the three best terms."""
    parts = [f'"{t.text}" in {t.inside:.0%} of its titles (elsewhere {t.outside:.0%})' for t in terms[:3]]
    return "; ".join(parts) or "no word of the titles sets it apart"


def _centers(features: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    return np.stack([features[labels == k].mean(axis=0) for k in range(count)]) if count else features[:0]


def _typical(
    features: np.ndarray, centers: np.ndarray, rows: np.ndarray, own: int, titles: Sequence[str]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Rows next to the cluster's center, and rows hardly nearer to it than to another's, with that other cluster.

    A title is shown once: repeats tell a reviewer nothing.
    """
    x = features[rows]
    # squared distances to every center, (len(rows), clusters), without a (rows, clusters, d) array
    distance = (x**2).sum(1)[:, None] - 2 * x @ centers.T + (centers**2).sum(1)[None]
    home = distance[:, own].copy()
    distance[:, own] = np.inf
    near = distance.argmin(axis=1)
    margin = distance.min(axis=1) - home
    nearest = _unrepeated(rows[np.argsort(home, kind="stable")], titles)
    typical = nearest[: min(EXAMPLES, -(-2 * len(nearest) // 3))]  # a small cluster too has a border
    order = np.argsort(margin, kind="stable")
    other = dict(zip(rows.tolist(), near.tolist(), strict=True))
    taken = set(typical)
    borderline = [r for r in _unrepeated(rows[order], titles) if r not in taken][:EXAMPLES]
    return typical, [(r, other[r]) for r in borderline]


def _unrepeated(rows: np.ndarray, titles: Sequence[str]) -> list[int]:
    first: dict[str, int] = {}
    for row in rows.tolist():
        first.setdefault(titles[row] or str(row), row)
    return list(first.values())
