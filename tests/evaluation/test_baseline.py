"""The reference: it learns, it is deterministic, and it survives poor input."""

from __future__ import annotations

import numpy as np
import pytest

from catray.errors import CatrayError
from catray.evaluation.baseline import gain, tfidf_svm
from catray.evaluation.metrics import evaluate
from catray.taxonomy import Taxonomy

TEXTS = ["Red running shoes", "LEATHER boots", "leather running shoes", "winter boots", "cotton shirt", "linen shirt"]
NODES = np.array([3, 4, 3, 4, 7, 7])


def test_it_learns_words_whatever_their_case() -> None:
    found = tfidf_svm(TEXTS, NODES, ["blue RUNNING SHOES", "rain Boots", "striped shirt. soft cotton"], 0)
    assert found.dtype == np.int64
    assert found.tolist() == [3, 4, 7]


def test_it_reads_pairs_of_words() -> None:
    texts = ["dress shirt", "shirt dress", "a dress shirt", "a shirt dress"] * 3
    found = tfidf_svm(texts, np.array([1, 2, 1, 2] * 3), ["the dress shirt", "the shirt dress"], 0)
    assert found.tolist() == [1, 2]


def test_same_seed_same_answers() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["a1", "b2", "c3", "d4", "e5"], 3)) for _ in range(300)]
    nodes = rng.integers(4, size=300)
    assert (tfidf_svm(texts, nodes, texts, 5) == tfidf_svm(texts, nodes, texts, 5)).all()


@pytest.mark.parametrize(
    ("texts", "nodes", "expected"),
    [
        (["", "", ""], [1, 2, 2], 2),  # no word at all
        (["boots", "shoes"], [5, 5], 5),  # one path
    ],
)
def test_where_there_is_nothing_to_choose_between(texts: list[str], nodes: list[int], expected: int) -> None:
    assert tfidf_svm(texts, np.array(nodes), ["boots", ""], 0).tolist() == [expected, expected]


def test_an_empty_text_gets_a_trained_path() -> None:
    assert tfidf_svm(TEXTS, NODES, [""], 0)[0] in NODES
    assert tfidf_svm(TEXTS, NODES, [], 0).shape == (0,)


def test_no_training_text() -> None:
    with pytest.raises(CatrayError, match="no labelled product"):
        tfidf_svm([], np.array([], dtype=np.int64), ["x"], 0)


def test_gain_is_the_difference_of_hF_and_paired() -> None:
    taxonomy = Taxonomy.from_paths([("A", "B", "C"), ("A", "D"), ("E",)])
    rng = np.random.default_rng(1)
    n = 400
    truth = rng.integers(len(taxonomy), size=n)
    reference = np.where(rng.random(n) < 0.7, truth, rng.integers(len(taxonomy), size=n))
    ours = np.where(rng.random(n) < 0.3, truth, reference)
    ours[:5] = -1  # abstained
    groups = np.arange(n) // 2
    by, low, high = gain(taxonomy, truth, ours, reference, groups, 300, 0)
    expected = evaluate(taxonomy, truth, ours)["hF"] - evaluate(taxonomy, truth, reference)["hF"]
    assert by == pytest.approx(expected, abs=1e-12)
    assert low < by < high
    assert gain(taxonomy, truth, ours, ours, groups, 50, 0) == (0.0, 0.0, 0.0)  # what is shared cancels
    assert np.isnan(gain(taxonomy, truth, ours, reference, groups, 0, 0)[1:]).all()
