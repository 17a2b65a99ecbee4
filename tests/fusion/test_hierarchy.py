"""The segment softmax against one softmax a sibling group at a time; two defects of HiClass that must not come in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from catray.fusion.hierarchy import Hierarchy
from catray.taxonomy import Taxonomy

SHOP = Taxonomy.from_paths([("Shoes", "Boots", "Rain"), ("Shoes", "Boots", "Snow"), ("Shoes", "Sandals"), ("Bags",)])
SHOES, BAGS, BOOTS, SANDALS, RAIN, SNOW = range(6)

names = st.sampled_from("abcd")
trees = st.lists(st.lists(names, min_size=1, max_size=5).map(tuple), min_size=1, max_size=15).map(Taxonomy.from_paths)


def random_logits(rows: int, nodes: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(rows, nodes, generator=torch.Generator().manual_seed(seed))


@st.composite
def cases(draw: Any) -> tuple[Taxonomy, Tensor]:
    tree = draw(trees)
    scale = draw(st.sampled_from([0.0, 0.1, 1.0, 10.0]))
    return tree, random_logits(draw(st.integers(1, 5)), len(tree), draw(st.integers(0, 2**31)), scale)


def groups(tree: Taxonomy) -> list[list[int]]:
    return [np.flatnonzero(tree.parents == parent).tolist() for parent in np.unique(tree.parents)]


def naive_conditional(tree: Taxonomy, logits: Tensor) -> Tensor:
    """Group by group, in float64; independent of the order in which the nodes stand."""
    logits = logits.double()
    columns: dict[int, Tensor] = {}
    for members in groups(tree):
        part = torch.log_softmax(logits[:, members], dim=1)
        columns |= {node: part[:, i] for i, node in enumerate(members)}
    return torch.stack([columns[node] for node in range(len(tree))], dim=1)


def naive_joint(tree: Taxonomy, logits: Tensor) -> Tensor:
    conditional = naive_conditional(tree, logits)
    return torch.stack([conditional[:, tree.ancestors(node)].sum(1) for node in range(len(tree))], dim=1)


def random_tree(nodes: int, seed: int) -> Taxonomy:
    """Every node hangs below a random earlier one or at the top: ragged, and about e ln(nodes) deep."""
    rng = np.random.default_rng(seed)
    parents = [int(rng.integers(-1, i)) if i else -1 for i in range(nodes)]
    return Taxonomy([f"n{i}" for i in range(nodes)], parents, [None] * nodes)


# --- probabilities ---------------------------------------------------------------------------------------------------


@given(cases())
def test_siblings_share_one(case: tuple[Taxonomy, Tensor]) -> None:
    tree, logits = case
    probability = Hierarchy(tree).conditional(logits).exp()
    for members in groups(tree):
        assert torch.allclose(probability[:, members].sum(1), torch.ones(len(logits)), atol=1e-5)


@given(cases())
def test_leaves_share_one_and_a_node_is_the_sum_of_its_children(case: tuple[Taxonomy, Tensor]) -> None:
    tree, logits = case
    hierarchy = Hierarchy(tree)
    joint = hierarchy.joint(hierarchy.conditional(logits)).exp()
    assert torch.allclose(joint[:, hierarchy.leaf].sum(1), torch.ones(len(logits)), atol=1e-5)
    for node in np.flatnonzero(~tree.is_leaf).tolist():
        assert torch.allclose(joint[:, tree.children(node)].sum(1), joint[:, node], atol=1e-5)


@given(cases())
def test_equals_the_naive_computation(case: tuple[Taxonomy, Tensor]) -> None:
    tree, logits = case
    hierarchy = Hierarchy(tree)
    conditional = hierarchy.conditional(logits)
    assert conditional.dtype == torch.float32 and conditional.shape == logits.shape
    assert torch.allclose(conditional.double(), naive_conditional(tree, logits), rtol=1e-5, atol=1e-5)
    assert torch.allclose(hierarchy.joint(conditional).double(), naive_joint(tree, logits), rtol=1e-5, atol=1e-5)


@given(cases())
def test_a_constant_in_a_group_changes_nothing(case: tuple[Taxonomy, Tensor]) -> None:
    tree, logits = case
    hierarchy = Hierarchy(tree)
    shift = random_logits(len(logits), hierarchy.groups, seed=1, scale=3)[:, hierarchy.group]
    assert torch.allclose(hierarchy.conditional(logits), hierarchy.conditional(logits + shift), atol=1e-4)


def test_half_precision_logits_are_worked_on_in_float32() -> None:
    hierarchy, logits = Hierarchy(SHOP), random_logits(4, len(SHOP), seed=0)
    for dtype in (torch.float16, torch.bfloat16):
        conditional = hierarchy.conditional(logits.to(dtype))
        assert conditional.dtype == torch.float32
        assert torch.equal(conditional, hierarchy.conditional(logits.to(dtype).float()))


def test_a_row_does_not_depend_on_the_others() -> None:
    """HiClass #159: probabilities were normalized over rows, so that a row's changed with its company."""
    tree = random_tree(200, seed=3)
    hierarchy, logits = Hierarchy(tree), random_logits(9, 200, seed=0, scale=3)
    conditional = hierarchy.conditional(logits)
    joint = hierarchy.joint(conditional)
    company = random_logits(9, 200, seed=1, scale=1e3)
    company[4] = logits[4]
    changed = hierarchy.conditional(company)
    assert torch.equal(changed[4], conditional[4]) and torch.equal(hierarchy.joint(changed)[4], joint[4])
    assert not torch.allclose(changed[3], conditional[3])  # the company did change
    alone = torch.cat([hierarchy.joint(hierarchy.conditional(row[None])) for row in logits])
    assert torch.allclose(alone, joint, rtol=1e-5, atol=1e-5)


@given(cases(), st.randoms(use_true_random=False))
def test_batch_order_does_not_matter(case: tuple[Taxonomy, Tensor], random: Any) -> None:
    tree, logits = case
    order = list(range(len(logits)))
    random.shuffle(order)
    hierarchy = Hierarchy(tree)
    joint = hierarchy.joint(hierarchy.conditional(logits))
    shuffled = hierarchy.joint(hierarchy.conditional(logits[order]))
    assert torch.allclose(shuffled, joint[order], rtol=1e-6, atol=1e-6)


def test_a_leaf_of_intermediate_depth_has_its_due() -> None:
    """HiClass #162: leaves above the deepest level lost their probability to the others."""
    hierarchy = Hierarchy(SHOP)
    joint = hierarchy.joint(hierarchy.conditional(torch.zeros(1, len(SHOP)))).exp()[0]
    expected = {SHOES: 1 / 2, BAGS: 1 / 2, BOOTS: 1 / 4, SANDALS: 1 / 4, RAIN: 1 / 8, SNOW: 1 / 8}
    assert joint.tolist() == pytest.approx([expected[node] for node in range(6)])
    assert hierarchy.leaf.tolist() == [False, True, False, True, True, True]
    # nine to one for the bags: the shoes below share the tenth, however many levels they have
    odds = torch.tensor([[1.0, 9, 1, 1, 3, 1]]).log()
    joint = hierarchy.joint(hierarchy.conditional(odds)).exp()[0]
    assert joint.tolist() == pytest.approx([0.1, 0.9, 0.05, 0.05, 0.0375, 0.0125])


# --- loss ------------------------------------------------------------------------------------------------------------


@given(cases(), st.data())
def test_loss_is_minus_the_conditionals_along_the_path(case: tuple[Taxonomy, Tensor], data: Any) -> None:
    tree, logits = case
    target = torch.tensor([data.draw(st.integers(0, len(tree) - 1)) for _ in logits])
    conditional = naive_conditional(tree, logits)
    expected = torch.stack([-conditional[i, tree.ancestors(node)].sum() for i, node in enumerate(target.tolist())])
    hierarchy = Hierarchy(tree)
    assert torch.allclose(hierarchy.losses(logits, target).double(), expected, rtol=1e-5, atol=1e-5)
    assert float(hierarchy.loss(logits, target)) == pytest.approx(float(expected.mean()), rel=1e-5, abs=1e-5)


@given(cases(), st.data())
def test_gradients_are_those_of_the_naive_computation(case: tuple[Taxonomy, Tensor], data: Any) -> None:
    tree, logits = case
    target = torch.tensor([data.draw(st.integers(0, len(tree) - 1)) for _ in logits])
    ours, naive = logits.clone().requires_grad_(), logits.double().requires_grad_()
    Hierarchy(tree).loss(ours, target).backward()
    naive_joint(tree, naive).gather(1, target[:, None]).mean().neg().backward()
    assert ours.grad is not None and naive.grad is not None
    assert torch.allclose(ours.grad.double(), naive.grad, atol=1e-5)


def test_gradient_of_the_joint_is_that_of_the_naive_computation() -> None:
    tree = random_tree(60, seed=5)
    logits, weight = random_logits(4, 60, seed=0), random_logits(4, 60, seed=1)
    ours, naive = logits.clone().requires_grad_(), logits.double().requires_grad_()
    hierarchy = Hierarchy(tree)
    (hierarchy.joint(hierarchy.conditional(ours)) * weight).sum().backward()
    (naive_joint(tree, naive) * weight).sum().backward()
    assert ours.grad is not None and naive.grad is not None
    assert torch.allclose(ours.grad.double(), naive.grad, rtol=1e-4, atol=1e-4)


def test_an_inner_node_trains_only_its_levels() -> None:
    logits = random_logits(1, len(SHOP), seed=0).requires_grad_()
    Hierarchy(SHOP).loss(logits, torch.tensor([BOOTS])).backward()
    assert logits.grad is not None
    gradient = logits.grad[0]
    assert (gradient[[SHOES, BAGS, BOOTS, SANDALS]] != 0).all()
    assert (gradient[[RAIN, SNOW]] == 0).all()
    # a leaf below trains that level too
    logits.grad = None
    Hierarchy(SHOP).loss(logits, torch.tensor([RAIN])).backward()
    assert (logits.grad[0] != 0).all()  # type: ignore[index]


def test_siblings_off_the_path_are_not_trained() -> None:
    logits = random_logits(1, len(SHOP), seed=0).requires_grad_()
    Hierarchy(SHOP).loss(logits, torch.tensor([BAGS])).backward()
    assert logits.grad is not None
    assert (logits.grad[0, [SHOES, BAGS]] != 0).all() and (logits.grad[0, [BOOTS, SANDALS, RAIN, SNOW]] == 0).all()


# --- shapes of trees, sizes of numbers -------------------------------------------------------------------------------


def test_one_node() -> None:
    hierarchy = Hierarchy(Taxonomy.from_paths([("Everything",)]))
    logits = torch.tensor([[3.0], [-7.0]], requires_grad=True)
    assert hierarchy.conditional(logits).tolist() == [[0.0], [0.0]]
    assert hierarchy.joint(hierarchy.conditional(logits)).tolist() == [[0.0], [0.0]]
    loss = hierarchy.loss(logits, torch.tensor([0, 0]))
    loss.backward()
    assert float(loss.detach()) == 0 and logits.grad is not None and (logits.grad == 0).all()


def test_one_level_is_plain_cross_entropy() -> None:
    hierarchy = Hierarchy(Taxonomy.from_paths([(name,) for name in "abcde"]))
    logits, target = random_logits(7, 5, seed=0), torch.arange(7) % 5
    assert torch.allclose(hierarchy.joint(hierarchy.conditional(logits)), logits.log_softmax(1), atol=1e-6)
    assert torch.allclose(hierarchy.loss(logits, target), torch.nn.functional.cross_entropy(logits, target))


def test_a_single_chain_is_certain() -> None:
    tree = Taxonomy.from_paths([tuple(f"level {i}" for i in range(40))])
    hierarchy = Hierarchy(tree)
    assert hierarchy.depth == 40
    assert (hierarchy.joint(hierarchy.conditional(random_logits(3, 40, seed=0))) == 0).all()


@pytest.mark.parametrize("shape", ["ragged", "flat"])
def test_fifty_thousand_nodes(shape: str) -> None:
    nodes = 50_000
    if shape == "ragged":
        tree = random_tree(nodes, seed=0)
        assert tree.level.max() > 15
    else:
        tree = Taxonomy([f"n{i}" for i in range(nodes)], [-1] * nodes, [None] * nodes)
    hierarchy = Hierarchy(tree)
    logits = random_logits(3, nodes, seed=0).requires_grad_()
    joint = hierarchy.joint(hierarchy.conditional(logits))
    assert torch.isfinite(joint).all()
    assert torch.allclose(joint.exp()[:, hierarchy.leaf].double().sum(1), torch.ones(3).double(), atol=1e-4)
    deepest = int(tree.level.argmax())
    expected = sum(
        float(logits.detach()[0, node].double() - logits.detach()[0, members].double().logsumexp(0))
        for node in tree.ancestors(deepest)
        for members in [np.flatnonzero(tree.parents == tree.parents[node])]
    )
    assert float(joint.detach()[0, deepest]) == pytest.approx(expected, rel=1e-4)
    hierarchy.loss(logits, torch.tensor([0, nodes // 2, deepest])).backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


@given(trees, st.integers(0, 2**31))
def test_extreme_logits_stay_finite(tree: Taxonomy, seed: int) -> None:
    signs = torch.randint(-1, 2, (3, len(tree)), generator=torch.Generator().manual_seed(seed))
    logits = (1e4 * signs).requires_grad_()
    hierarchy = Hierarchy(tree)
    conditional = hierarchy.conditional(logits)
    assert torch.isfinite(conditional).all() and (conditional <= 0).all()
    assert torch.allclose(conditional.double(), naive_conditional(tree, logits), rtol=1e-5, atol=1e-3)
    assert torch.isfinite(hierarchy.joint(conditional)).all()
    loss = hierarchy.loss(logits, torch.arange(3) % len(tree))
    loss.backward()
    assert torch.isfinite(loss) and logits.grad is not None and torch.isfinite(logits.grad).all()


@given(trees)
def test_what_it_knows_of_the_tree(tree: Taxonomy) -> None:
    hierarchy = Hierarchy(tree)
    assert (hierarchy.nodes, hierarchy.depth) == (len(tree), tree.level.max())
    assert hierarchy.levels == [
        (int(at.min()), int(at.max()) + 1)
        for at in (np.flatnonzero(tree.level == n + 1) for n in range(tree.level.max()))
    ]
    for node in range(len(tree)):
        path = tree.ancestors(node)
        assert hierarchy.paths[node].tolist() == path + [-1] * (hierarchy.depth - len(path))
        siblings = np.flatnonzero(tree.parents == tree.parents[node])
        assert (hierarchy.group == hierarchy.group[node]).nonzero()[:, 0].tolist() == siblings.tolist()
    for node in range(-1, len(tree)):
        children = tree.children(node).tolist()
        group = int(hierarchy.first_group[node + 1])
        assert (hierarchy.group == group).nonzero()[:, 0].tolist() == children and (group >= 0) == bool(children)


def test_nothing_of_it_is_saved() -> None:
    assert Hierarchy(SHOP).state_dict() == {} and not list(Hierarchy(SHOP).parameters())
