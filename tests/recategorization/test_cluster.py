from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from catray.recategorization.backend import Backend, load_backend
from catray.recategorization.cluster import by_size, cluster, smallest_cluster


@pytest.fixture(scope="module")
def backend() -> Backend:
    return load_backend("cpu")


def blobs(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    x = 3 * rng.normal(size=(len(sizes), 20))[truth] + rng.normal(size=(len(truth), 20))
    order = rng.permutation(len(truth))
    return x[order].astype(np.float32), truth[order]


def test_finds_blobs_numbers_them_by_size_and_repeats_itself(backend: Backend) -> None:
    x, truth = blobs([30, 90, 60])
    steps: list[int] = []
    first = cluster(x, backend, seed=3, step=lambda: steps.append(1))
    assert first.count == 3
    assert len(steps) == 3
    assert adjusted_rand_score(truth, first.labels) > 0.95
    sizes = np.bincount(first.labels[first.labels >= 0])
    assert list(sizes) == sorted(sizes, reverse=True)
    assert first.map.shape == (180, 2)
    assert first.map.dtype == first.strength.dtype == np.float32
    assert np.isfinite(first.map).all()
    assert first.strength.min() >= 0 and first.strength.max() <= 1
    again = cluster(x, backend, seed=3)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.strength, again.strength)
    np.testing.assert_array_equal(first.map, again.map)


def test_one_cluster_of_nearly_all_is_divided_where_it_has_parts(backend: Backend) -> None:
    x, truth = blobs([60, 60, 60, 60])
    x[truth > 0] += 100  # seen from afar: two groups, of which one holds three quarters
    assert cluster(x, backend, seed=0, largest=0.5).count == 4
    x, truth = blobs([200, 40])
    assert cluster(x, backend, seed=0, largest=0.5).count == 2  # nothing to divide: it stays, it isn't noise


def test_copies_share_a_cluster_and_make_none(backend: Backend) -> None:
    x, _ = blobs([40, 40])
    once = cluster(x, backend, seed=0)
    twice = cluster(np.concatenate([x, x[:10], np.repeat(x[:1], 30, axis=0)]), backend, seed=0)
    assert adjusted_rand_score(once.labels, twice.labels[:80]) == 1
    assert (twice.labels[90:] == twice.labels[0]).all()
    assert twice.parameters["distinct"] == 80


@pytest.mark.parametrize("distinct", [1, 2, 19])
def test_too_few_distinct_rows_are_noise(backend: Backend, distinct: int) -> None:
    x = np.random.default_rng(0).normal(size=(distinct, 8)).astype(np.float32)
    result = cluster(np.concatenate([x] * 40), backend, seed=0, min_cluster_size=10)
    assert result.count == 0
    assert (result.labels == -1).all()
    assert not result.map.any()


@pytest.mark.parametrize(("n", "smallest"), [(4, 2), (5, 2), (7, 3), (20, 10), (21, 10), (26, 10), (45, 10)])
def test_small_nodes_work(backend: Backend, n: int, smallest: int) -> None:
    x, _ = blobs([n // 2, n - n // 2])
    result = cluster(x, backend, seed=0, min_cluster_size=smallest)
    assert result.labels.shape == (n,)
    assert result.parameters["neighbors"] < n


def test_by_size() -> None:
    labels = np.array([5, 5, -1, 2, 2, 2, 7, 7, -1])
    np.testing.assert_array_equal(by_size(labels), [1, 1, -1, 0, 0, 0, 2, 2, -1])
    np.testing.assert_array_equal(by_size(np.array([-1, -1])), [-1, -1])


def test_smallest_cluster() -> None:
    assert smallest_cluster(0, None) == 10
    assert smallest_cluster(4000, None) == 60
    assert smallest_cluster(4000, 7) == 7
