"""Early fusion: what is masked can't be seen, rows don't see each other, and it learns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest
import torch
from torch import Tensor

from catray.fusion.batch import Batch
from catray.fusion.decoding import best_leaf
from catray.fusion.early import Early
from catray.fusion.hierarchy import Hierarchy
from catray.fusion.trunk import Inputs, LexicalSize
from catray.taxonomy import Taxonomy

TREE = Taxonomy.from_paths([("Shoes", "Boots"), ("Shoes", "Sandals"), ("Bags",), ("Tops", "Knits"), ("Tops", "Shirts")])
LEAVES = TREE.is_leaf.nonzero()[0]
BUCKETS = 30
INPUTS = Inputs({"text": 6, "image": 5}, LexicalSize(BUCKETS, BUCKETS + 1))
ALL = {"text": 6, "image": 5, "clip_text": 4, "clip_image": 4}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These sums are tiny: on a busy machine several threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(inputs: Inputs = INPUTS, seed: int = 0, dropout: float = 0.0, modality_dropout: float = 0.0) -> Early:
    torch.manual_seed(seed)
    head = Early(Hierarchy(TREE), inputs, hidden=16, dropout=dropout, modality_dropout=modality_dropout)
    if inputs.lexical:
        head.views.views["lexical"].fit(torch.arange(1, BUCKETS + 1), torch.linspace(0, 2, BUCKETS + 1))
    with torch.no_grad():
        for vector in head.views.missing.values():  # they start at zero; as after some training
            vector.normal_()
    return head


def products(count: int, inputs: Inputs = INPUTS, seed: int = 0) -> tuple[Batch, Tensor]:
    """Products that tell their leaf in every modality that they have; some have none."""
    generator = torch.Generator().manual_seed(seed)
    leaf = torch.randint(len(LEAVES), (count,), generator=generator)
    dense = {}
    for name, dim in inputs.dims.items():
        centers = torch.randn(len(LEAVES), dim, generator=torch.Generator().manual_seed(dim))
        dense[name] = centers[leaf] + 0.3 * torch.randn(count, dim, generator=generator)
    mask = {name: torch.rand(count, generator=generator) < 0.7 for name in inputs.modalities}
    noise = torch.randint(10, BUCKETS, (count,), generator=generator)
    lexical = (torch.stack([leaf, noise], dim=1).reshape(-1), 2 * torch.arange(count)) if inputs.lexical else None
    return Batch(dense, mask, lexical), torch.from_numpy(LEAVES)[leaf]


def spoiled(batch: Batch, value: float) -> Batch:
    """Other content wherever the mask is false."""
    dense = {name: torch.where(batch.mask[name][:, None], x, value) for name, x in batch.dense.items()}
    assert batch.lexical is not None
    ids, offsets = batch.lexical
    masked = ~batch.mask["lexical"].repeat_interleave(2)
    return Batch(dense, batch.mask, (torch.where(masked, (ids + 7) % BUCKETS, ids), offsets))


def gradients(head: Early, batch: Batch, target: Tensor) -> dict[str, Tensor]:
    head.zero_grad()
    head.loss(batch, target).backward()
    return {name: p.grad.clone() for name, p in head.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, -3.0])
def test_what_is_masked_changes_nothing(value: float) -> None:
    head = make()
    batch, target = products(40)
    other = spoiled(batch, value)
    assert torch.equal(head(batch), head(other)) and torch.isfinite(head(other)).all()
    before, after = gradients(head, batch, target), gradients(head, other, target)
    assert before.keys() == after.keys() == dict(head.named_parameters()).keys()
    for name, gradient in after.items():
        assert torch.isfinite(gradient).all(), name
        if "bag" in name:  # other ids are added up in another order
            assert torch.allclose(gradient, before[name], rtol=1e-5, atol=1e-8), name
        else:
            assert torch.equal(gradient, before[name]), name


def test_what_is_there_does_change_the_output() -> None:
    """So that the test above can fail."""
    head = make()
    batch, _ = products(40)
    for name in ("text", "image"):
        moved = Batch(batch.dense | {name: batch.dense[name] + 1}, batch.mask, batch.lexical)
        changed = (head(moved) != head(batch)).any(1)
        assert torch.equal(changed, batch.mask[name])
    assert batch.lexical is not None
    ids, offsets = batch.lexical
    changed = (head(Batch(batch.dense, batch.mask, ((ids + 7) % BUCKETS, offsets))) != head(batch)).any(1)
    assert torch.equal(changed, batch.mask["lexical"])


def test_rows_do_not_see_each_other() -> None:
    head = make().eval()
    batch, _ = products(40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    logits = head(batch)
    assert torch.allclose(head(batch.select(order)), logits[order], atol=1e-5)
    for row in (0, 17, 39):
        assert torch.allclose(head(batch.select(torch.tensor([row])))[0], logits[row], atol=1e-5)


def test_products_of_nothing_are_all_alike() -> None:
    head = make().eval()
    batch, _ = products(40)
    nothing = Batch(batch.dense, {name: torch.zeros_like(m) for name, m in batch.mask.items()}, batch.lexical)
    logits = head(nothing)
    assert torch.isfinite(logits).all() and torch.equal(logits, logits[:1].expand_as(logits))


def test_the_mask_itself_is_read() -> None:
    """A missing modality is not the same as one whose view happens to be the vector that stands for it."""
    head = make().eval()
    with torch.no_grad():
        for name in ("text", "image"):
            head.views.missing[name].copy_(head.views.views[name](torch.zeros(1, INPUTS.dims[name]))[0])
    batch, _ = products(40)
    zeros = {name: torch.zeros_like(x) for name, x in batch.dense.items()}
    there, missing = (
        Batch(zeros, batch.mask | {"image": torch.full((40,), value)}, batch.lexical) for value in (True, False)
    )
    assert torch.equal(head.views(there)[0][1], head.views(missing)[0][1])
    assert not torch.allclose(head(there), head(missing))


def test_modality_dropout_leaves_something_and_ends_with_training() -> None:
    head = make(modality_dropout=0.9)
    batch, _ = products(200)
    given = torch.stack([batch.mask[name] for name in INPUTS.modalities], dim=1)
    torch.manual_seed(0)
    kept = head.train().views(batch)[1]
    assert torch.equal(kept.any(1), given.any(1)) and int(kept.sum()) < int(given.sum())
    assert torch.equal(head.eval()(batch), head(batch))
    head.train()
    assert not torch.equal(head(batch), head(batch))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_every_set_of_modalities(count: int) -> None:
    for names in combinations([*ALL, "lexical"], count):
        lexical = LexicalSize(BUCKETS, BUCKETS + 1) if "lexical" in names else None
        inputs = Inputs({name: dim for name, dim in ALL.items() if name in names}, lexical)
        head = make(inputs, dropout=0.1, modality_dropout=0.3).train()
        batch, target = products(8, inputs)
        assert head(batch).shape == (8, len(TREE))
        head.loss(batch, target).backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters()), names


def test_the_loss_is_the_hierarchys() -> None:
    head = make()
    batch, target = products(12)
    assert torch.equal(head.loss(batch, target), head.hierarchy.loss(head(batch), target))


def test_it_learns() -> None:
    head = make(dropout=0.1, modality_dropout=0.1)
    batch, target = products(150)
    said = torch.stack(list(batch.mask.values())).any(0)
    batch, target = batch.select(said.nonzero()[:, 0]), target[said]
    first = float(head.eval().loss(batch, target).detach())
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    head.train()
    for _ in range(40):
        optimizer.zero_grad()
        head.loss(batch, target).backward()
        optimizer.step()
    head.eval()
    assert float(head.loss(batch, target).detach()) < first / 5
    joint = head.hierarchy.joint(head.hierarchy.conditional(head(batch)))
    assert float((best_leaf(joint, head.hierarchy) == target).float().mean()) > 0.95


def test_a_seed_decides_everything() -> None:
    def run(seed: int) -> tuple[Tensor, Tensor]:
        head = make(seed=seed, dropout=0.3, modality_dropout=0.3).train()
        batch, target = products(30)
        loss = head.loss(batch, target)
        loss.backward()
        return loss.detach(), torch.cat([p.grad.reshape(-1) for p in head.parameters() if p.grad is not None])

    first, again, other = run(3), run(3), run(4)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
