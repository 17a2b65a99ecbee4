"""The training loop on products that can be told apart: what it reads, when it stops, what it leaves behind."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from catray.config import ModelConfig
from catray.evaluation import metrics
from catray.fusion.batch import Batch
from catray.fusion.decoding import best_leaf
from catray.fusion.early import Early
from catray.fusion.hierarchy import Hierarchy
from catray.fusion.late import Late
from catray.fusion.trunk import Inputs, LexicalSize, vocabulary
from catray.taxonomy import Taxonomy
from catray.training import loop
from catray.training.loop import (
    Score,
    batches,
    fit_views,
    parameter_groups,
    rate,
    sample_logits,
    score,
    train_head,
    update_average,
)

TREE = Taxonomy.from_paths(
    [("Shoes", "Boots", "Rain"), ("Shoes", "Boots", "Snow"), ("Shoes", "Sandals"), ("Bags",), ("Tops", "Knits")]
)
LEAVES = np.flatnonzero(TREE.is_leaf)
BAGS = TREE.index(("Bags",))
DIMS = {"text": 6, "image": 5}
BUCKETS = 40
CONFIG = ModelConfig(hidden=16, dropout=0.1, modality_dropout=0.1, epochs=6, patience=6, batch_size=32)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These sums are tiny: on a busy machine several threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def products(count: int, seed: int = 0, noise: float = 0.5) -> tuple[Batch, Tensor]:
    """Every modality tells the leaf, more or less; each product has at least one of them."""
    generator = torch.Generator().manual_seed(seed)
    leaf = torch.randint(len(LEAVES), (count,), generator=generator)
    dense = {}
    for name, dim in DIMS.items():
        centers = torch.randn(len(LEAVES), dim, generator=torch.Generator().manual_seed(dim))
        dense[name] = centers[leaf] + noise * torch.randn(count, dim, generator=generator)
    has_text, has_image = torch.rand(2, count, generator=generator) < 0.8
    has_text |= ~has_image
    words = torch.stack([leaf, torch.randint(10, BUCKETS, (count,), generator=generator)], dim=1)
    mask = {"text": has_text, "image": has_image, "lexical": has_text}
    return Batch(dense, mask, (words.reshape(-1), 2 * torch.arange(count))), torch.from_numpy(LEAVES)[leaf]


def make(kind: type[Early] | type[Late] = Early, seed: int = 0) -> Early | Late:
    torch.manual_seed(seed)
    batch, _ = products(200)
    assert batch.lexical is not None
    words = vocabulary(*batch.lexical, buckets=BUCKETS)
    inputs = Inputs(DIMS, LexicalSize(BUCKETS, len(words[1])))
    head = kind(Hierarchy(TREE), inputs, CONFIG.hidden, CONFIG.dropout, CONFIG.modality_dropout)
    fit_views(head, batch, torch.arange(200), words)
    return head


def train(head: Early | Late, config: ModelConfig = CONFIG, seed: int = 0, **other: Any) -> list[dict[str, float]]:
    parts = {"train": products(200), "val": products(80, seed=1)} | other
    return train_head(head, head.hierarchy, parts.pop("train"), parts.pop("val"), config, seed, **parts)


def changed(**settings: object) -> ModelConfig:
    return CONFIG.model_copy(update=settings)


# --- batches ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 4), st.integers(0, 2**31))
def test_workers_divide_every_batch_and_cover_every_row(count: int, share: int, workers: int, seed: int) -> None:
    each = [list(batches(count, share, workers, rank, seed)) for rank in range(workers)]
    assert {len(own) for own in each} == {math.ceil(count / (share * workers))}  # they wait for each other at each step
    whole = list(batches(count, share * workers, 1, 0, seed))
    assert sorted(torch.cat(whole).tolist()) == list(range(count))
    for parts, batch in zip(zip(*each, strict=True), whole, strict=True):
        together = sorted(torch.cat(parts).tolist())
        sizes = [len(part) for part in parts]
        assert max(sizes) <= share and max(sizes) - min(sizes) <= 1
        if len(batch) >= workers:
            assert together == sorted(batch.tolist())
        else:  # too few for all: the others take the first once more, since an empty batch has no loss
            assert sizes == [1] * workers and set(together) == set(batch.tolist())


def test_batches_come_in_a_seeds_order() -> None:
    first, again, other = (torch.cat(list(batches(50, 8, 1, 0, seed))).tolist() for seed in (3, 3, 4))
    assert first == again != other and first != sorted(first)
    assert [len(rows) for rows in batches(50, 8, 1, 0, 3)] == [8] * 6 + [2]
    assert list(batches(0, 8, 1, 0, 3)) == []


def test_batches_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    list(batches(50, 8, 1, 0, 3))
    assert torch.equal(torch.rand(1), expected)


# --- learning rate and average ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [1, 2, 7, 40, 1000])
def test_the_rate_rises_once_and_falls_to_a_hundredth(total: int) -> None:
    rates = [rate(step, total) for step in range(total)]
    rise = max(1, round(0.05 * total))
    assert all(0 < x <= 1 for x in rates) and max(rates) == 1 == rates[rise - 1]
    assert rates[:rise] == pytest.approx([(step + 1) / rise for step in range(rise)])
    falling = rates[rise - 1 :]
    assert all(a >= b for a, b in pairwise(falling))
    assert rate(total, total) == pytest.approx(0.01 if total > 1 else 1.0, abs=1e-9)  # after the last step
    if total == 1000:
        assert rates[50 + 475] == pytest.approx((1 + 0.01) / 2)  # half-way down the cosine
        assert rates[-1] < 0.0101


def test_the_average_moves_its_share_of_the_way() -> None:
    head, average = make(seed=0), make(seed=1)
    before = [p.detach().clone() for p in average.parameters()]
    scale = average.views.views["text"].scale.clone()
    average.views.views["text"].scale.fill_(3.0)
    update_average(average, head, 0.75)
    for old, now, p in zip(before, average.parameters(), head.parameters(), strict=True):
        assert torch.allclose(now, 0.75 * old + 0.25 * p, atol=1e-6)
    assert (average.views.views["text"].scale == 3).all() and not (scale == 3).all()  # statistics are no weights
    update_average(average, head, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(average.parameters(), head.parameters(), strict=True))


def test_weights_decay_and_biases_do_not() -> None:
    for kind in (Early, Late):
        head = make(kind)
        decayed, free = parameter_groups(head, 0.03)
        assert (decayed["weight_decay"], free["weight_decay"]) == (0.03, 0.0)
        ids = {id(p): name for name, p in head.named_parameters()}
        names = [[ids[id(p)] for p in group["params"]] for group in (decayed, free)]  # type: ignore[attr-defined]
        assert sorted(names[0] + names[1]) == sorted(ids.values())
        for name in names[1]:
            assert name.endswith("bias") or "missing" in name or name.endswith(".weight"), name
        assert {name for name in ids.values() if "missing" in name or name.endswith("bias")} <= set(names[1])
        assert "views.views.text.project.weight" in names[0] and "views.views.text.norm.weight" in names[1]


# --- views -----------------------------------------------------------------------------------------------------------


def test_fit_views_reads_present_training_rows_alone() -> None:
    batch, _ = products(100)
    rows = torch.arange(0, 100, 2)
    spoiled = {}
    for name, x in batch.dense.items():
        there = torch.zeros(100, dtype=torch.bool)
        there[rows] = batch.mask[name][rows]
        spoiled[name] = torch.where(there[:, None], x, torch.nan).half()  # other rows, and rows without it
    assert batch.lexical is not None
    words = vocabulary(*batch.select(rows).lexical, buckets=BUCKETS)  # type: ignore[misc]
    head = Early(Hierarchy(TREE), Inputs(DIMS, LexicalSize(BUCKETS, len(words[1]))), 16, 0.0, 0.0)
    fit_views(head, Batch(spoiled, batch.mask, batch.lexical), rows, words)
    for name in DIMS:
        x = batch.dense[name][rows[batch.mask[name][rows]]].half().float()
        view = head.views.views[name]
        assert torch.allclose(view.mean, x.mean(0), atol=1e-5)
        assert torch.allclose(view.scale, 1 / x.std(0), rtol=1e-3)
    lexical = head.views.views["lexical"]
    assert torch.equal(lexical.row, words[0]) and torch.equal(lexical.idf, words[1])


# --- score -----------------------------------------------------------------------------------------------------------


def predictions(head: nn.Module, batch: Batch) -> np.ndarray:
    hierarchy = head.hierarchy
    with torch.inference_mode():
        joint = hierarchy.joint(hierarchy.conditional(head.eval()(batch)))  # type: ignore[operator]
    return best_leaf(joint, hierarchy).numpy()  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [7, 64, 2048])
@pytest.mark.parametrize("epochs", [0, 4])
def test_score_agrees_with_the_evaluation(size: int, epochs: int) -> None:
    head = make(Late)
    if epochs:
        train(head, changed(epochs=epochs))
    batch, targets = products(150, seed=2, noise=1.5)
    generator = torch.Generator().manual_seed(0)
    targets = targets.clone()
    targets[:40] = torch.randint(len(TREE), (40,), generator=generator)  # wrong ones, and labels at inner nodes
    targets[targets == BAGS] = TREE.index(("Shoes",))  # a leaf that is only ever predicted
    assert not TREE.is_leaf[targets.numpy()].all()
    found = score(head.train(), head.hierarchy, batch, targets, size=size)
    expected = metrics.evaluate(TREE, targets.numpy(), predictions(head, batch))
    assert found.hF == pytest.approx(expected["hF"], abs=1e-9)
    assert found.exact_path == pytest.approx(expected["exact_path"], abs=1e-9)
    assert found.leaf_macro_f1 == pytest.approx(expected["leaf_macro_f1"], abs=1e-9)
    with torch.inference_mode():
        assert found.loss == pytest.approx(float(head.hierarchy.loss(head(batch), targets)), rel=1e-4)
    assert (BAGS in predictions(head, batch)) or not epochs
    assert all(0 < x < 1 for x in (found.hF, found.exact_path, found.leaf_macro_f1))


def test_score_of_nothing() -> None:
    batch, targets = products(5)
    head = make()
    assert score(head, head.hierarchy, batch.select(targets[:0]), targets[:0]) == Score(0.0, 0.0, 0.0, 0.0)


def test_sample_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    head = make()
    batch, targets = products(50, seed=2)
    logits, same = sample_logits(head.train(), head.hierarchy, batch, targets, seed=0, size=16)
    assert torch.equal(same, targets) and torch.allclose(logits, head.eval()(batch), atol=1e-5)
    monkeypatch.setattr(loop, "LOGITS", 10 * len(TREE))  # room for eleven rows
    logits, some = sample_logits(head, head.hierarchy, batch, targets, seed=0)
    assert logits.shape == (11, len(TREE)) and some.shape == (11,)
    everything = head(batch)
    rows = [int((everything - row).abs().sum(1).argmin()) for row in logits]
    assert rows == sorted(set(rows)) and torch.equal(targets[rows], some)  # each with its own target
    again = sample_logits(head, head.hierarchy, batch, targets, seed=0)[0]
    other = sample_logits(head, head.hierarchy, batch, targets, seed=1)[0]
    assert torch.equal(again, logits) and not torch.equal(other, logits)


# --- train_head ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Early, Late])
def test_it_learns_and_keeps_a_history(kind: type[Early] | type[Late]) -> None:
    head = make(kind)
    first = score(head, head.hierarchy, *products(80, seed=1))
    reported: list[dict[str, float]] = []
    history = train(head, changed(epochs=12, patience=12, learning_rate=5e-3), report=reported.append)
    assert reported == history and [h["epoch"] for h in history] == list(range(1, 13))
    assert set(history[0]) == {"epoch", "train_loss", "val_loss", "val_hF", "val_exact_path", "val_leaf_macro_f1"}
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2
    final = score(head, head.hierarchy, *products(80, seed=1))
    assert final.hF > 0.95 and final.hF > first.hF and final.loss < first.loss


def test_the_best_epochs_weights_are_kept() -> None:
    """Validation labels that training contradicts: the better it learns, the worse the score."""
    head = make()
    batch, targets = products(80, seed=1)
    other = {int(leaf): int(LEAVES[(i + 1) % len(LEAVES)]) for i, leaf in enumerate(LEAVES)}
    contrary = torch.tensor([other[int(target)] for target in targets])
    history = train(head, changed(epochs=40, patience=3, learning_rate=5e-3), val=(batch, contrary))
    scores = [h["val_hF"] for h in history]
    best = int(np.argmax(scores))  # the first of equals
    assert scores[best] > scores[-1] and len(history) < 40
    assert len(history) == best + 1 + 3  # patience: so many epochs without a better one
    found = score(head, head.hierarchy, batch, contrary)
    assert found.hF == pytest.approx(scores[best]) and found.loss == pytest.approx(history[best]["val_loss"], rel=1e-5)
    assert abs(found.loss - history[-1]["val_loss"]) > 0.01


def test_a_later_best_epoch_is_kept_too() -> None:
    head = make()
    val = products(80, seed=1, noise=1.5)
    history = train(head, changed(epochs=15, patience=15, learning_rate=3e-3), val=val)
    scores = [h["val_hF"] for h in history]
    best = int(np.argmax(scores))
    assert best > 0 and len(history) == 15
    assert score(head, head.hierarchy, *val).loss == pytest.approx(history[best]["val_loss"], rel=1e-5)


def test_an_equal_score_is_no_improvement() -> None:
    head = make()
    history = train(head, changed(epochs=60, patience=2, learning_rate=5e-3), val=products(40, seed=1, noise=0.1))
    first = [h["val_hF"] for h in history].index(1.0)
    assert len(history) == first + 1 + 2
    found = score(head, head.hierarchy, *products(40, seed=1, noise=0.1))
    assert found.loss == pytest.approx(history[first]["val_loss"], rel=1e-5)
    assert found.loss > history[-1]["val_loss"]  # it went on improving, but not in what decides


class Witness(nn.Module):
    """The objective, and which products it was given, batch by batch."""

    def __init__(self, objective: nn.Module, seen: list[list[float]]) -> None:
        super().__init__()
        self.objective, self.seen = objective, seen

    def forward(self, batch: Batch, target: Tensor) -> Tensor:
        self.seen.append(batch.dense["text"][:, 0].tolist())
        loss: Tensor = self.objective(batch, target)
        return loss


def test_every_epoch_reads_all_in_another_order() -> None:
    everything = sorted(products(200)[0].dense["text"][:, 0].tolist())
    seen: list[list[float]] = []
    train(make(), changed(epochs=2, batch_size=64), prepare=lambda module: Witness(module, seen))
    assert [len(batch) for batch in seen] == [64, 64, 64, 8] * 2
    first, second = ([x for batch in epoch for x in batch] for epoch in (seen[:4], seen[4:]))
    assert sorted(first) == sorted(second) == everything and first != second


def test_workers_share_the_batches_of_one() -> None:
    alone: list[list[float]] = []
    shared: list[list[list[float]]] = [[], []]
    train(make(), changed(epochs=2, batch_size=64), prepare=lambda module: Witness(module, alone))
    for rank, own in enumerate(shared):
        config = changed(epochs=2, batch_size=64)
        train(make(), config, prepare=lambda module, own=own: Witness(module, own), rank=rank, workers=2)
    assert [sorted(a + b) for a, b in zip(*shared, strict=True)] == [sorted(batch) for batch in alone]


def test_what_is_kept_is_the_average() -> None:
    """After one step of a whole-batch epoch the average has gone nine tenths of the way (done / (done + 9) kept)."""
    head, start = make(), make()
    states: list[dict[str, Tensor]] = []
    config = changed(epochs=1, batch_size=200)
    train(head, config, report=lambda m: states.append(copy.deepcopy(head.state_dict())))
    name = "head.weight"
    raw, before, kept = states[0][name], start.state_dict()[name], head.state_dict()[name]
    assert not torch.equal(raw, before)
    assert torch.allclose(kept, 0.1 * before + 0.9 * raw, atol=1e-6) and not torch.equal(kept, raw)


@pytest.mark.parametrize("kind", [Early, Late])
def test_a_seed_decides_everything(kind: type[Early] | type[Late]) -> None:
    def run(seed: int, drawn: int) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
        head = make(kind)
        torch.rand(drawn)  # whatever was drawn before does not matter
        return train(head, changed(epochs=2), seed=seed), head.state_dict()

    (history, weights), (again, same), (_, other) = run(3, 0), run(3, 7), run(4, 0)
    assert history == again and all(torch.equal(weights[name], same[name]) for name in weights)
    assert any(not torch.equal(weights[name], other[name]) for name in weights)


def test_training_does_not_touch_the_views_statistics() -> None:
    head = make()
    before = {name: b.clone() for name, b in head.named_buffers()}
    train(head, changed(epochs=1))
    assert before and all(torch.equal(before[name], b) for name, b in head.named_buffers())


def test_inner_nodes_alone_train_no_leaf() -> None:
    """With labels of the top level only, what the head says below stays where weight decay leaves it: undecided."""
    head = make()
    batch, targets = products(200)
    top = head.hierarchy.paths[targets][:, 0]
    train(head, changed(epochs=8, learning_rate=5e-3), train=(batch, top), val=(batch, top))
    bias = head.head.bias.detach()
    start = make().head.bias.detach()
    below = TREE.level > 1
    assert torch.equal(bias[below], start[below]) and not torch.equal(bias[~below], start[~below])


def test_a_batch_larger_than_the_data() -> None:
    head = make()
    history = train(head, changed(epochs=2, batch_size=10_000))
    assert len(history) == 2 and all(math.isfinite(value) for h in history for value in h.values())
