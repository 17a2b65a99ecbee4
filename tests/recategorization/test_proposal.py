from __future__ import annotations

import json

import numpy as np

from catray.recategorization.cluster import Clusters
from catray.recategorization.features import Products
from catray.recategorization.proposal import propose

NODE = ("Footwear", "Shoes")


def clusters(labels: list[int], distinct: int | None = None) -> Clusters:
    array = np.array(labels)
    parameters = {"min_cluster_size": 10, "distinct": distinct or len(labels)}
    strength = np.where(array < 0, 0, 0.5).astype(np.float32)
    return Clusters(array, strength, np.zeros((len(labels), 2), np.float32), parameters)


def products(titles: list[str]) -> Products:
    n = len(titles)
    return Products([f"p/{i}" for i in range(n)], ["a" if i % 3 else "b" for i in range(n)], titles, [NODE] * n)


def test_evidence_and_examples_of_each_cluster() -> None:
    titles = [f"high boots {i}" for i in range(12)] + [f"canvas sneakers {i}" for i in range(9)] + ["odd"]
    x = np.zeros((22, 3), np.float32)
    x[:12, 0], x[12:21, 0] = 1, -1
    x[:12, 1] = np.linspace(0, 1, 12)
    x[5, 0] = 0.1  # boots on the border
    proposal = propose(NODE, "id", products(titles), x, clusters([0] * 12 + [1] * 9 + [-1]))
    assert (proposal["status"], proposal["outcome"], proposal["noise"]) == ("proposed", "subcategories", 1)
    boots, sneakers = proposal["clusters"]
    assert (boots["size"], sneakers["size"]) == (12, 9)
    assert boots["name"] == "High boots"
    assert boots["evidence"].startswith('"high boots" in 100% of its titles (elsewhere 0%)')
    assert boots["platforms"] == {"a": 8 / 12, "b": 4 / 12}
    assert boots["borderline"][0] == {"key": "p/5", "near": 1}
    assert len(set(boots["typical"]) | {b["key"] for b in boots["borderline"]}) == 12
    json.dumps(proposal)


def test_products_that_lack_a_modality_are_no_examples_while_others_are_there() -> None:
    x = np.repeat(np.array([[1.0, 1.0], [-1.0, -1.0]], np.float32), 10, axis=0)
    complete = np.ones(20, bool)
    x[:4], complete[:4] = 0.9, False  # next to the center, for what they lack is the mean
    complete[10:] = False  # nobody of this cluster has all
    found = clusters([0] * 10 + [1] * 10)
    one, other = propose(NODE, "id", products([f"t{i}" for i in range(20)]), x, found, complete)["clusters"]
    assert set(one["typical"]) <= {f"p/{i}" for i in range(4, 10)} and one["size"] == 10
    assert other["typical"]


def test_a_repeated_title_is_shown_once() -> None:
    proposal = propose(NODE, "id", products(["same"] * 20), np.eye(20, dtype=np.float32), clusters([0] * 10 + [1] * 10))
    assert [len(c["typical"]) for c in proposal["clusters"]] == [1, 1]


def test_no_subcategories_says_why() -> None:
    x = np.zeros((30, 2), np.float32)
    for found, reason in (
        (
            clusters([-1] * 30, distinct=1),
            "all products look alike: two subcategories of at least 10 need 20 different",
        ),
        (clusters([-1] * 30, distinct=7), "only 7 products differ"),
        (clusters([0] * 25 + [-1] * 5), "the products form one group"),
        (clusters([-1] * 30), "no group of at least 10 products stands out"),
    ):
        proposal = propose(NODE, "id", products(["t"] * 30), x, found)
        assert proposal["outcome"] == "none"
        assert proposal["clusters"] == []
        assert proposal["reason"].startswith(reason)
