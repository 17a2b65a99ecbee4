"""Greedy and joint decoding against brute force over the tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from catray.fusion.decoding import best_leaf, greedy
from catray.fusion.hierarchy import Hierarchy
from catray.taxonomy import Taxonomy

names = st.sampled_from("abcd")
trees = st.lists(st.lists(names, min_size=1, max_size=5).map(tuple), min_size=1, max_size=15).map(Taxonomy.from_paths)


@st.composite
def cases(draw: Any) -> tuple[Taxonomy, Tensor]:
    """Logits of whole numbers, so that ties are common, or of real ones."""
    tree = draw(trees)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (draw(st.integers(1, 6)), len(tree))
    if draw(st.booleans()):
        return tree, torch.randint(0, 2, shape, generator=generator).float()
    return tree, 3 * torch.randn(shape, generator=generator)


def walk(tree: Taxonomy, conditional: Tensor) -> int:
    """One row: from the top, always to the best child, the first of equals."""
    node = -1
    while len(children := tree.children(node).tolist()):
        node = max(children, key=lambda child: (float(conditional[child]), -child))
    return node


def best(tree: Taxonomy, joint: Tensor) -> int:
    return max(np.flatnonzero(tree.is_leaf).tolist(), key=lambda leaf: (float(joint[leaf]), -leaf))


@given(cases())
def test_greedy_is_the_walk_from_the_top(case: tuple[Taxonomy, Tensor]) -> None:
    tree, logits = case
    hierarchy = Hierarchy(tree)
    conditional = hierarchy.conditional(logits)
    found = greedy(conditional, hierarchy)
    assert found.dtype == torch.int64 and found.tolist() == [walk(tree, row) for row in conditional]
    assert tree.is_leaf[found.numpy()].all()


@given(cases())
def test_best_leaf_is_the_most_probable_of_all_leaves(case: tuple[Taxonomy, Tensor]) -> None:
    tree, logits = case
    hierarchy = Hierarchy(tree)
    joint = hierarchy.joint(hierarchy.conditional(logits))
    found = best_leaf(joint, hierarchy)
    assert found.dtype == torch.int64 and found.tolist() == [best(tree, row) for row in joint]
    assert tree.is_leaf[found.numpy()].all()


@given(cases())
def test_the_joint_choice_is_never_less_probable(case: tuple[Taxonomy, Tensor]) -> None:
    tree, logits = case
    hierarchy = Hierarchy(tree)
    conditional = hierarchy.conditional(logits)
    joint = hierarchy.joint(conditional)
    chosen = joint.gather(1, best_leaf(joint, hierarchy)[:, None])
    walked = joint.gather(1, greedy(conditional, hierarchy)[:, None])
    assert (chosen >= walked).all()


def test_an_example_in_which_they_differ() -> None:
    tree = Taxonomy.from_paths([("Clothes", name) for name in ("Shirts", "Skirts", "Coats")] + [("Bags",)])
    hierarchy = Hierarchy(tree)
    odds = torch.tensor([[0.6, 0.4, 0.34, 0.33, 0.33]]).log()  # clothes are likelier, but each kind of them has a fifth
    conditional = hierarchy.conditional(odds)
    assert tree.path(int(greedy(conditional, hierarchy))) == ("Clothes", "Shirts")
    assert tree.path(int(best_leaf(hierarchy.joint(conditional), hierarchy))) == ("Bags",)


def test_ties_go_to_the_first_node() -> None:
    tree = Taxonomy.from_paths([(a, b) for a in "xyz" for b in "pqr"])
    hierarchy = Hierarchy(tree)
    logits = torch.zeros(2, len(tree))
    logits[1, tree.index(("y",))] = logits[1, tree.index(("z",))] = 5.0
    conditional = hierarchy.conditional(logits)
    joint = hierarchy.joint(conditional)
    expected = [tree.index(("x", "p")), tree.index(("y", "p"))]
    assert greedy(conditional, hierarchy).tolist() == expected
    assert best_leaf(joint, hierarchy).tolist() == expected


def test_a_probable_inner_node_is_no_answer() -> None:
    """The joint probability of an inner node is always at least that of its leaves; it must not win."""
    tree = Taxonomy.from_paths([("a", "b", name) for name in "cdef"])
    hierarchy = Hierarchy(tree)
    joint = hierarchy.joint(hierarchy.conditional(torch.zeros(1, len(tree))))
    assert int(joint.argmax()) == 0  # the top node has probability one
    assert tree.path(int(best_leaf(joint, hierarchy))) == ("a", "b", "c")


def test_extreme_logits_give_a_leaf() -> None:
    tree = Taxonomy.from_paths([("a", "b", "c"), ("a", "b", "d"), ("e", "f"), ("g",)])
    hierarchy = Hierarchy(tree)
    signs = torch.randint(0, 2, (64, len(tree)), generator=torch.Generator().manual_seed(0)) * 2 - 1
    conditional = hierarchy.conditional(1e4 * signs)
    for found in (greedy(conditional, hierarchy), best_leaf(hierarchy.joint(conditional), hierarchy)):
        assert tree.is_leaf[found.numpy()].all()


def test_no_rows() -> None:
    hierarchy = Hierarchy(Taxonomy.from_paths([("a", "b"), ("c",)]))
    conditional = hierarchy.conditional(torch.zeros(0, 3))
    assert greedy(conditional, hierarchy).shape == (0,)
    assert best_leaf(hierarchy.joint(conditional), hierarchy).shape == (0,)
