"""What of n evaluated products a person should look at: mix-ups, weak paths, and examples right and wrong.

`truth` (n,) are nodes, `predicted` (n,) nodes or -1 where the model abstained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 5
"""Products that a path should have for its F1 to say much."""


@dataclass(frozen=True)
class Evaluated:
    """n products with their true path and the answer that the report looks into (the cascade's)."""

    keys: Sequence[str]
    titles: Sequence[str]
    platforms: Sequence[str]
    truth: np.ndarray
    """(n,) int64 nodes"""
    predicted: np.ndarray
    """(n,) int64 nodes, -1 where abstained"""
    probability: np.ndarray
    """(n,) float"""
    stages: Sequence[str | None]
    probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]
    """{label: (nodes, probability)} of every model that gives one, for risk and coverage"""
    train_counts: np.ndarray
    """(N,) training products labelled with each node"""


@dataclass(frozen=True)
class Confusion:
    truth: int
    predicted: int
    count: int
    of: int
    """products of the true path"""
    example: int
    """row of the first such product"""


@dataclass(frozen=True)
class PathScore:
    node: int
    n: int
    f1: float
    precision: float
    recall: float
    mostly: int
    """what its missed products were mostly taken for; -1 where none was missed, or the model abstained"""


def confusions(truth: np.ndarray, predicted: np.ndarray) -> list[Confusion]:
    """Every pair of a true and another predicted node, the commonest first."""
    rows = np.flatnonzero(truth != predicted)
    pairs = [(int(truth[i]), int(predicted[i])) for i in rows]
    counts, sizes = Counter(pairs), Counter(truth.tolist())
    first: dict[tuple[int, int], int] = {}
    for row, pair in zip(rows.tolist(), pairs, strict=True):
        first.setdefault(pair, row)
    found = [Confusion(*pair, count, sizes[pair[0]], first[pair]) for pair, count in counts.items()]
    return sorted(found, key=lambda pair: (-pair.count, pair.truth, pair.predicted))


def worst_paths(truth: np.ndarray, predicted: np.ndarray, count: int = 15) -> tuple[list[PathScore], int]:
    """The `count` true paths of lowest F1, the larger first among equals, and how many products each has at least.

    Only paths of LEAST products count, unless fewer than `count` have as many.
    """
    sizes, answers = Counter(truth.tolist()), Counter(predicted.tolist())
    hits = Counter(truth[truth == predicted].tolist())
    least = LEAST if sum(n >= LEAST for n in sizes.values()) >= count else 1
    missed: dict[int, int] = {}
    for pair in confusions(truth, predicted):
        missed.setdefault(pair.truth, pair.predicted)
    found = [
        PathScore(
            node=node,
            n=n,
            f1=2 * hits[node] / (n + answers[node]),
            precision=hits[node] / answers[node] if answers[node] else float("nan"),
            recall=hits[node] / n,
            mostly=missed.get(node, -1),
        )
        for node, n in sizes.items()
        if n >= least
    ]
    return sorted(found, key=lambda path: (path.f1, -path.n, path.node))[:count], least


def choose_wrong(answers: Evaluated, count: int) -> list[int]:
    """Rows of the surest mistakes: first one of each pair of true and predicted path, then more; no title twice."""
    wrong = np.flatnonzero(answers.truth != answers.predicted)
    order = wrong[np.argsort(-answers.probability[wrong], kind="stable")].tolist()
    return _spread(order, [(int(answers.truth[i]), int(answers.predicted[i])) for i in order], answers, count)


def choose_right(answers: Evaluated, count: int, seed: int) -> list[int]:
    """Rows of right answers, drawn at random: first one of each path, then more; no title twice."""
    right = np.flatnonzero(answers.truth == answers.predicted)
    order = np.random.default_rng(seed).permutation(right).tolist()
    return _spread(order, [int(answers.truth[i]) for i in order], answers, count)


def _spread(rows: Sequence[int], kinds: Iterable[object], answers: Evaluated, count: int) -> list[int]:
    """The first `count` of `rows`, those first that come first of their kind, then the second of each, and so on."""
    seen: Counter[object] = Counter()
    titles: set[str] = set()
    ranked = []
    for place, (row, kind) in enumerate(zip(rows, kinds, strict=True)):
        title = answers.titles[row] or answers.keys[row]
        if title in titles:
            continue
        titles.add(title)
        ranked.append((seen[kind], place, row))
        seen[kind] += 1
    return [row for _, _, row in sorted(ranked)[:count]]
