"""Scores against brute force and against sklearn; intervals; scores of clusters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from catray.errors import CatrayError
from catray.evaluation.metrics import bootstrap, clustering, evaluate, lca_level
from catray.taxonomy import Taxonomy

SHOP = Taxonomy.from_paths([("Shoes", "Boots", "Rain"), ("Shoes", "Sandals"), ("Bags",)])
SHOES, BAGS, BOOTS, SANDALS, RAIN = range(5)

names = st.sampled_from("abc")
trees = st.lists(st.lists(names, min_size=1, max_size=4).map(tuple), min_size=1, max_size=12).map(Taxonomy.from_paths)


@st.composite
def cases(draw: Any, abstain: bool = True, tree: Taxonomy | None = None) -> tuple[Taxonomy, np.ndarray, np.ndarray]:
    tree = tree or draw(trees)
    n = draw(st.integers(1, 30))
    truth = draw(st.lists(st.integers(0, len(tree) - 1), min_size=n, max_size=n))
    predicted = draw(st.lists(st.integers(-1 if abstain else 0, len(tree) - 1), min_size=n, max_size=n))
    return tree, np.array(truth), np.array(predicted)


def closure(tree: Taxonomy, node: int) -> set[int]:
    return set(tree.ancestors(node))


# --- evaluate --------------------------------------------------------------------------------------------------------


def test_by_hand() -> None:
    truth = np.array([RAIN, SANDALS, BAGS, BOOTS])
    predicted = np.array([SANDALS, SANDALS, RAIN, -1])
    scores = evaluate(SHOP, truth, predicted)
    # shared nodes 1 + 2 + 0 + 0; true 3 + 2 + 1 + 2; predicted 2 + 2 + 3 + 0
    assert scores["n"] == 4 and scores["hP"] == 3 / 7 and scores["hR"] == 3 / 8 and scores["hF"] == 6 / 15
    assert scores["exact_path"] == 1 / 4
    assert scores["leaf_macro_f1"] == pytest.approx((0 + 2 / 3 + 0 + 0) / 4)
    assert scores["level_accuracy"] == {1: 2 / 4, 2: 1 / 3, 3: 0.0}
    assert scores["lca_distance"] == (3 + 0 + 4 + 2) / 4


@given(cases())
def test_agrees_with_sets(case: tuple[Taxonomy, np.ndarray, np.ndarray]) -> None:
    tree, truth, predicted = case
    pairs = [(closure(tree, t), closure(tree, p)) for t, p in zip(truth, predicted, strict=True)]
    shared, true, found = (sum(len(s) for s in sets) for sets in zip(*((t & p, t, p) for t, p in pairs), strict=True))
    scores = evaluate(tree, truth, predicted)
    assert scores["hP"] == (shared / found if found else 0.0)
    assert scores["hR"] == shared / true
    assert scores["hF"] == 2 * shared / (true + found)
    assert scores["lca_distance"] == sum(len(t ^ p) for t, p in pairs) / len(pairs)
    assert set(scores["level_accuracy"]) == set(range(1, tree.level[truth].max() + 1))
    for level, accuracy in scores["level_accuracy"].items():
        chains = [(tree.ancestors(t), tree.ancestors(p)) for t, p in zip(truth, predicted, strict=True)]
        reach = [(t, p) for t, p in chains if len(t) >= level]
        assert accuracy == sum(t[level - 1] == (*p, *[-1] * level)[level - 1] for t, p in reach) / len(reach)


@given(cases())
def test_macro_f1_is_sklearns(case: tuple[Taxonomy, np.ndarray, np.ndarray]) -> None:
    tree, truth, predicted = case
    expected = sk.f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert evaluate(tree, truth, predicted)["leaf_macro_f1"] == pytest.approx(expected, abs=1e-12)


@given(cases(abstain=False, tree=Taxonomy.from_paths([(name,) for name in "abcde"])))
def test_on_a_flat_taxonomy_everything_is_accuracy(case: tuple[Taxonomy, np.ndarray, np.ndarray]) -> None:
    scores = evaluate(*case)
    accuracy = pytest.approx(sk.accuracy_score(case[1], case[2]), abs=1e-12)
    for name in ("hP", "hR", "hF", "exact_path"):
        assert scores[name] == accuracy
    assert scores["level_accuracy"] == {1: accuracy}


@given(cases())
def test_bounds_and_perfection(case: tuple[Taxonomy, np.ndarray, np.ndarray]) -> None:
    tree, truth, predicted = case
    scores = evaluate(tree, truth, predicted)
    every = [scores[k] for k in ("hP", "hR", "hF", "exact_path", "leaf_macro_f1")] + list(
        scores["level_accuracy"].values()
    )
    assert all(0 <= value <= 1 for value in every)
    assert min(scores["hP"], scores["hR"]) - 1e-12 <= scores["hF"] <= max(scores["hP"], scores["hR"]) + 1e-12
    equal = bool((truth == predicted).all())
    assert (scores["hF"] == 1) == (scores["exact_path"] == 1) == (scores["lca_distance"] == 0) == equal
    accuracies = list(scores["level_accuracy"].values())
    assert len(set(tree.level[truth])) > 1 or accuracies == sorted(accuracies, reverse=True)


@given(cases(abstain=False))
def test_swapping_truth_and_prediction_swaps_precision_and_recall(
    case: tuple[Taxonomy, np.ndarray, np.ndarray],
) -> None:
    tree, truth, predicted = case
    there, back = evaluate(tree, truth, predicted), evaluate(tree, predicted, truth)
    assert (there["hP"], there["hR"], there["hF"]) == (back["hR"], back["hP"], back["hF"])
    assert there["lca_distance"] == back["lca_distance"]


def test_abstaining_costs_recall_only() -> None:
    truth = np.array([RAIN, SANDALS])
    scores = evaluate(SHOP, truth, np.array([RAIN, -1]))
    assert scores["hP"] == 1.0 and scores["hR"] == 3 / 5
    nothing = evaluate(SHOP, truth, np.array([-1, -1]))
    assert (nothing["hP"], nothing["hR"], nothing["hF"], nothing["leaf_macro_f1"]) == (0, 0, 0, 0)


@given(cases())
def test_lca_level(case: tuple[Taxonomy, np.ndarray, np.ndarray]) -> None:
    tree, a, b = case
    expected = [len(closure(tree, x) & closure(tree, y)) for x, y in zip(a, b, strict=True)]
    assert lca_level(tree, a, b).tolist() == lca_level(tree, b, a).tolist() == expected


@pytest.mark.parametrize(
    ("truth", "predicted", "told"),
    [
        ([0, 1], [0], "2 true but 1 predicted"),
        ([-1], [0], "nodes must lie in 0..4, found -1..-1"),
        ([0], [5], "nodes must lie in -1..4, found 5..5"),
        ([0.5], [0], "node indices"),
        ([[0]], [0], "node indices"),
    ],
)
def test_arrays_that_do_not_fit(truth: list[Any], predicted: list[Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        evaluate(SHOP, np.array(truth), np.array(predicted))


def test_no_rows() -> None:
    with pytest.raises(CatrayError, match="no labelled product"):
        evaluate(SHOP, np.array([], dtype=int), np.array([], dtype=int))
    with pytest.raises(CatrayError, match="no labelled product"):
        clustering([], [])


# --- bootstrap -------------------------------------------------------------------------------------------------------


def sample(n: int, right: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, len(SHOP), n)
    predicted = np.where(random.random(n) < right, truth, random.integers(-1, len(SHOP), n))
    return truth, predicted, random.integers(0, n // 2, n)


def flat(scores: dict[str, Any]) -> dict[str, float]:
    levels = {f"level_accuracy.{level}": value for level, value in scores["level_accuracy"].items()}
    return {k: v for k, v in scores.items() if k not in ("n", "level_accuracy")} | levels


@pytest.mark.parametrize("right", [0.0, 0.5, 0.9, 1.0])
def test_intervals_hold_the_scores(right: float) -> None:
    truth, predicted, groups = sample(400, right, 3)
    intervals, scores = bootstrap(SHOP, truth, predicted, groups, 200, 0), flat(evaluate(SHOP, truth, predicted))
    assert intervals.keys() == scores.keys()
    for name, (low, high) in intervals.items():
        assert low <= scores[name] <= high, name
        assert low < high or right == 1.0


def test_intervals_hold_the_macro_f1_of_many_rare_paths() -> None:
    tree = Taxonomy.from_paths([(f"{i}",) for i in range(500)])
    random = np.random.default_rng(0)
    truth = random.integers(0, 500, 1000)
    predicted = np.where(random.random(1000) < 0.8, truth, random.integers(0, 500, 1000))
    low, high = bootstrap(tree, truth, predicted, np.arange(1000), 200, 0)["leaf_macro_f1"]
    assert low < evaluate(tree, truth, predicted)["leaf_macro_f1"] < high


def test_the_seed_decides() -> None:
    truth, predicted, groups = sample(200, 0.8, 1)
    first = bootstrap(SHOP, truth, predicted, groups, 50, 7)
    assert bootstrap(SHOP, truth, predicted, [f"g{g}" for g in groups], 50, 7).keys() == first.keys()
    assert bootstrap(SHOP, truth, predicted, groups, 50, 7) == first != bootstrap(SHOP, truth, predicted, groups, 50, 8)


def test_exact_path_has_the_binomial_interval() -> None:
    truth, predicted, _ = sample(2000, 0.8, 2)
    low, high = bootstrap(SHOP, truth, predicted, np.arange(2000), 1000, 0)["exact_path"]
    share = float((truth == predicted).mean())
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(share * (1 - share) / 2000), rel=0.1)


def test_copies_in_one_group_are_no_evidence() -> None:
    truth, predicted, _ = sample(200, 0.8, 4)
    alone = bootstrap(SHOP, truth, predicted, np.arange(200), 200, 0)
    copies = bootstrap(SHOP, np.tile(truth, 5), np.tile(predicted, 5), np.tile(np.arange(200), 5), 200, 0)
    for name, interval in alone.items():
        assert copies[name] == pytest.approx(interval, abs=1e-9)


def test_one_group_no_resamples_and_a_wrong_length() -> None:
    truth, predicted, _ = sample(20, 0.5, 5)
    for low, high in bootstrap(SHOP, truth, predicted, ["one"] * 20, 10, 0).values():
        assert low == pytest.approx(high)
    assert bootstrap(SHOP, truth, predicted, np.arange(20), 0, 0) == {}
    with pytest.raises(ValueError, match="20 rows"):
        bootstrap(SHOP, truth, predicted, np.arange(19), 10, 0)


# --- clustering ------------------------------------------------------------------------------------------------------


def test_clusters_by_hand() -> None:
    scores = clustering(["a", "a", "a", "b", "b", "c"], [0, 0, 1, 1, 1, -1])
    assert scores["clusters"] == 2 and scores["noise_share"] == 1 / 6 and scores["purity"] == 4 / 5
    assert set(scores) == {"clusters", "noise_share", "purity", "completeness", "AMI", "ARI"}


def test_perfect_clusters_whatever_their_numbers() -> None:
    scores = clustering(["x", "y", "y", "z"], np.array([7, 3, 3, 0]))
    assert scores == {
        "clusters": 3,
        "noise_share": 0,
        "purity": 1,
        "completeness": 1,
        "AMI": pytest.approx(1),
        "ARI": 1,
    }


def test_all_noise_is_no_cluster() -> None:
    scores = clustering(["x", "y", "y"], [-1, -1, -1])
    assert (scores["clusters"], scores["noise_share"], scores["purity"]) == (0, 1.0, 0.0)
    assert scores["AMI"] == pytest.approx(0) and scores["ARI"] == pytest.approx(0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 3)), min_size=1, max_size=40))
def test_clustering_bounds_and_sklearn(rows: list[tuple[str, int]]) -> None:
    labels, found = [label for label, _ in rows], [cluster for _, cluster in rows]
    scores = clustering(labels, found)
    assert 0 <= scores["purity"] <= 1 and 0 <= scores["completeness"] <= 1 + 1e-12 and scores["AMI"] <= 1 + 1e-12
    assert scores["clusters"] == len(set(found) - {-1}) and scores["noise_share"] == found.count(-1) / len(found)
    kept = [row for row in rows if row[1] >= 0]
    right = sum(max(kept.count((label, cluster)) for label in "abc") for cluster in range(4))
    assert scores["purity"] == (right / len(kept) if kept else 0.0)
    assert scores["AMI"] == pytest.approx(sk.adjusted_mutual_info_score(labels, found))


def test_calling_hard_rows_noise_does_not_raise_agreement() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 400)
    found = np.where(random.random(400) < 0.7, labels, random.integers(0, 4, 400))
    hidden = np.where(found == labels, found, -1)
    shy = clustering(labels, hidden)
    assert shy["purity"] == 1.0 and shy["AMI"] < 1.0 and shy["noise_share"] > 0


def test_clusters_of_another_length() -> None:
    with pytest.raises(ValueError, match="assignments of shape"):
        clustering(["a", "b"], [0])
