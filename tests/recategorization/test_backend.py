from __future__ import annotations

import importlib.util

import pytest

from catray.errors import CatrayError
from catray.recategorization.backend import load_backend

without_cuml = pytest.mark.skipif(importlib.util.find_spec("cuml") is not None, reason="cuML is installed here")


def test_the_cpu_twins_say_why_and_which() -> None:
    backend = load_backend("cpu")
    assert backend.name == "cpu"
    assert backend.reason == "recategorization.backend=cpu"
    assert set(backend.versions) == {"umap-learn", "hdbscan", "numba"}
    backend.UMAP(n_neighbors=5, n_components=2, min_dist=0.0, metric="euclidean", random_state=0, **backend.umap_extra)
    backend.HDBSCAN(min_cluster_size=5, min_samples=5, cluster_selection_method="eom", **backend.hdbscan_extra)


@without_cuml
def test_auto_falls_back_with_a_reason() -> None:
    assert load_backend("auto").reason == "cuML is not installed"


@without_cuml
def test_explicit_cuml_never_falls_back() -> None:
    with pytest.raises(CatrayError, match=r"cuML is not installed; install it with"):
        load_backend("cuml")


@pytest.mark.gpu
def test_cuml_agrees_with_its_twins() -> None:
    from sklearn.datasets import make_blobs
    from sklearn.metrics import adjusted_rand_score

    from catray.recategorization.cluster import cluster

    x, truth = make_blobs(n_samples=600, n_features=32, centers=6, random_state=0)
    labels = [cluster(x.astype("float32"), load_backend(name), seed=0).labels for name in ("cuml", "cpu")]
    assert adjusted_rand_score(truth, labels[0]) > 0.9
    assert adjusted_rand_score(labels[1], labels[0]) > 0.8
