"""What a report shows: mix-ups counted, weak paths found, examples spread."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from catray.evaluation.examples import choose_right, choose_wrong, confusions, worst_paths

TRUTH = np.array([1, 1, 1, 2, 2, 3])
PREDICTED = np.array([1, 2, 2, 2, -1, 1])


def test_confusions() -> None:
    found = confusions(TRUTH, PREDICTED)
    assert [(c.truth, c.predicted, c.count, c.of, c.example) for c in found] == [
        (1, 2, 2, 3, 1),
        (2, -1, 1, 2, 4),
        (3, 1, 1, 1, 5),
    ]
    assert confusions(TRUTH, TRUTH) == []


def test_worst_paths() -> None:
    found, least = worst_paths(TRUTH, PREDICTED)
    assert least == 1
    assert [(p.node, p.n, p.mostly) for p in found] == [(3, 1, 1), (1, 3, 2), (2, 2, -1)]  # of equals the larger first
    by_node = {p.node: p for p in found}
    assert by_node[1].f1 == pytest.approx(2 * 1 / (3 + 2))
    assert by_node[1].precision == 0.5 and by_node[1].recall == pytest.approx(1 / 3)
    assert by_node[3].f1 == 0 and np.isnan(by_node[3].precision)


def test_small_paths_are_left_out_where_there_are_enough_others() -> None:
    truth = np.repeat(np.arange(20), 5)
    predicted = truth.copy()
    truth = np.append(truth, 20)  # one product, wrong
    predicted = np.append(predicted, 0)
    found, least = worst_paths(truth, predicted)
    assert least == 5 and len(found) == 15 and 20 not in {p.node for p in found}


def test_examples_are_of_many_kinds(sample: Any) -> None:
    e = sample.evaluated
    wrong, right = choose_wrong(e, 12), choose_right(e, 8, seed=0)
    assert len(set(wrong)) == 12 and all(e.truth[i] != e.predicted[i] for i in wrong)
    assert all(e.truth[i] == e.predicted[i] for i in right)
    assert len({e.truth[i] for i in right}) == len(np.unique(e.truth))  # each path once
    assert max(Counter((e.truth[i], e.predicted[i]) for i in wrong).values()) == 1
    assert len({e.titles[i] for i in right}) == len(right)
    assert choose_right(e, 8, seed=0) == right
    assert choose_wrong(e, 0) == []
