"""Views: standardizing, TF-IDF as scikit-learn has it, the vocabulary, and modality dropout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from catray.fusion.batch import Batch
from catray.fusion.trunk import DenseView, Inputs, LexicalSize, LexicalView, Views, drop_modalities, vocabulary

# ids are what the lexical encoder gives: each once a product
bag = st.lists(st.integers(0, 11), max_size=8, unique=True)


def as_lexical(bags: list[list[int]]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(ids) for ids in bags], dtype=torch.int64)
    return torch.tensor([i for ids in bags for i in ids], dtype=torch.int64), lengths.cumsum(0) - lengths


def standardized(view: DenseView, x: Tensor) -> Tensor:
    """What the projection is given."""
    seen: list[Tensor] = []
    handle = view.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    view(x)
    handle.remove()
    return seen[0].detach()


def weights(view: LexicalView, bags: list[list[int]]) -> Tensor:
    """(B, rows): what every row of the table weighs in a product, read off with the identity as table."""
    rows = view.bag.num_embeddings
    reader = LexicalView(LexicalSize(len(view.row), rows), width=rows, hidden=4, dropout=0.0)
    reader.fit(view.row, view.idf)
    with torch.no_grad():
        reader.bag.weight.copy_(torch.eye(rows))
    seen: list[Tensor] = []
    reader.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    reader(as_lexical(bags))
    return seen[0].detach()


def fitted(bags: list[list[int]], buckets: int = 12, **limits: int) -> LexicalView:
    row, idf = vocabulary(*as_lexical(bags), buckets=buckets, **limits)
    view = LexicalView(LexicalSize(buckets, len(idf)), width=4, hidden=4, dropout=0.0)
    view.fit(row, idf)
    return view


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_inputs_keep_their_order_and_can_be_narrowed() -> None:
    inputs = Inputs({"text": 3, "clip_image": 4}, LexicalSize(10, 5))
    assert inputs.modalities == ["text", "clip_image", "lexical"]
    text = inputs.only(("text", "clip_text", "lexical"))
    assert text == Inputs({"text": 3}, LexicalSize(10, 5))
    assert inputs.only(("clip_image",)) == Inputs({"clip_image": 4})
    assert inputs.only(()).modalities == []


# --- dense view ------------------------------------------------------------------------------------------------------


def test_fit_standardizes() -> None:
    x = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 2, 1, 0.5, 3, 1]) + 7
    view = DenseView(6, 8, dropout=0.0)
    view.fit(x)
    z = standardized(view, x)
    assert torch.allclose(z.mean(0), torch.zeros(6), atol=1e-4) and torch.allclose(z.std(0), torch.ones(6), atol=1e-4)
    # other rows by the training rows' figures, not by their own
    assert torch.allclose(standardized(view, x[:3] + 1), z[:3] + 1 / x.std(0), atol=1e-4)


def test_a_constant_dimension_is_not_blown_up() -> None:
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    x[:, 2] = 0.3
    view = DenseView(4, 8, dropout=0.0)
    view.fit(x)
    assert standardized(view, x)[:, 2].abs().max() < 1e-3
    # a product that differs there by a little, as no training product did, must not drown the rest
    other = x[:1].clone()
    other[0, 2] += 0.05
    assert standardized(view, other).abs().max() < 5
    view.fit(torch.ones(10, 4))
    assert torch.isfinite(view(torch.ones(2, 4))).all() and torch.isfinite(view.scale).all()


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_to_fit_leave_it_as_it_is(rows: int) -> None:
    view = DenseView(3, 4, dropout=0.0)
    view.fit(torch.full((rows, 3), 9.0))
    assert view.mean.tolist() == [0, 0, 0] and view.scale.tolist() == [1, 1, 1]
    assert torch.isfinite(view(torch.randn(2, 3))).all()


def test_half_precision_comes_in_and_float32_comes_out() -> None:
    view = DenseView(3, 4, dropout=0.0)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).half()
    assert view(x).dtype == torch.float32 and torch.equal(view(x), view(x.float()))


# --- lexical view and vocabulary -------------------------------------------------------------------------------------


@given(st.lists(bag, min_size=1, max_size=12))
def test_weights_are_those_of_scikit_learn(bags: list[list[int]]) -> None:
    row, idf = vocabulary(*as_lexical(bags), buckets=12, minimum=1)
    assert idf[0] == 0
    if not any(bags):
        assert len(idf) == 1 and (row == 0).all()
        return
    reference = TfidfVectorizer(analyzer=lambda ids: ids, min_df=1)
    expected = reference.fit_transform(bags).toarray()
    terms = reference.get_feature_names_out().tolist()
    assert row[terms].tolist() == list(range(1, len(terms) + 1)) and int((row > 0).sum()) == len(terms)
    assert idf[1:].numpy() == pytest.approx(reference.idf_, rel=1e-5)
    found = weights(fitted(bags, minimum=1), bags)
    assert (found[:, 0] == 0).all()
    assert np.allclose(found[:, 1:].numpy(), expected, atol=1e-5)


def test_weights_of_new_products_too() -> None:
    train = [[0, 1, 2], [1, 2], [2, 5], [1, 5, 7]]
    reference = TfidfVectorizer(analyzer=lambda ids: ids, min_df=2).fit(train)
    new = [[1, 5], [2], [0, 1, 11], [], [0, 9]]  # 0 came once in training, 9 and 11 never
    found = weights(fitted(train), new)
    assert np.allclose(found[:, 1:].numpy(), reference.transform(new).toarray(), atol=1e-5)
    assert found[[0, 1, 2]].norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert (found[[3, 4]] == 0).all()


def test_an_unseen_n_gram_weighs_nothing() -> None:
    view = fitted([[0, 1], [0, 1], [0, 2], [2, 3]])
    seen, with_unseen = as_lexical([[0, 2]]), as_lexical([[3, 0, 9, 2, 11]])  # 3 came once, 9 and 11 never
    assert torch.equal(view(seen), view(with_unseen))
    assert not torch.equal(view(seen), view(as_lexical([[0, 1]])))
    view(with_unseen).sum().backward()
    assert view.bag.weight.grad is not None and (view.bag.weight.grad[0] == 0).all()


def test_products_do_not_leak_into_each_other() -> None:
    view = fitted([[0, 1], [0, 1], [0, 2], [2, 3], [3, 1]])
    bags = [[], [0, 1, 2], [], [3], [9], []]
    together = view(as_lexical(bags))
    assert together.shape == (6, 4) and torch.isfinite(together).all()
    for i, ids in enumerate(bags):
        assert torch.allclose(together[i], view(as_lexical([ids]))[0], atol=1e-6)


def test_only_empty_products() -> None:
    out = fitted([[0, 1], [0, 1]])(as_lexical([[], []]))
    assert out.shape == (2, 4) and torch.equal(out[0], out[1])


def test_vocabulary_limits() -> None:
    bags = [[0, 1, 2], [0, 1, 2], [0, 1], [0, 5], [4], [5, 1, 3]]  # in products: 0: 4, 1: 4, 2: 2, 3: 1, 4: 1, 5: 2
    row, idf = vocabulary(*as_lexical(bags), buckets=6)
    assert row.tolist() == [1, 2, 3, 0, 0, 4] and row.dtype == torch.int32
    expected = [0.0, *(np.log(7 / (1 + df)) + 1 for df in (4, 4, 2, 2))]
    assert idf.tolist() == pytest.approx(expected)
    row, idf = vocabulary(*as_lexical(bags), buckets=6, minimum=3)
    assert row.tolist() == [1, 2, 0, 0, 0, 0] and len(idf) == 3
    # the commonest stay, the first of equally common ones
    row, idf = vocabulary(*as_lexical(bags), buckets=6, minimum=1, limit=3)
    assert row.tolist() == [1, 2, 3, 0, 0, 0] and idf.tolist() == pytest.approx(expected[:4])
    row, idf = vocabulary(*as_lexical(bags), buckets=6, minimum=5)
    assert (row == 0).all() and idf.tolist() == [0.0]


def test_an_n_gram_counts_once_a_product() -> None:
    row, idf = vocabulary(*as_lexical([[3, 3, 3], [1], [1]]), buckets=4)
    assert row.tolist() == [0, 1, 0, 0] and idf.tolist() == pytest.approx([0, np.log(4 / 3) + 1])


def test_a_vocabulary_of_nothing() -> None:
    for bags in ([], [[], []]):
        row, idf = vocabulary(*as_lexical(bags), buckets=4)
        assert row.tolist() == [0, 0, 0, 0] and idf.tolist() == [0.0]


# --- views and modality dropout --------------------------------------------------------------------------------------


def products(count: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    bags = [[i % 12, (3 * i + 1) % 12] for i in range(count)]
    mask = {name: torch.rand(count, generator=generator) < 0.6 for name in ("text", "image", "lexical")}
    dense = {name: torch.randn(count, dim, generator=generator) for name, dim in (("text", 4), ("image", 3))}
    return Batch(dense, mask, as_lexical(bags))


def test_a_missing_modality_gives_its_learned_vector() -> None:
    torch.manual_seed(0)
    views = Views(Inputs({"text": 4, "image": 3}, LexicalSize(12, 13)), hidden=5, dropout=0.0, modality_dropout=0.0)
    with torch.no_grad():
        for i, name in enumerate(views.modalities):
            views.missing[name].fill_(10.0 + i)
    batch = products(30)
    out, mask = views(batch)
    assert mask.tolist() == torch.stack([batch.mask[m] for m in ("text", "image", "lexical")], dim=1).tolist()
    for m, x in enumerate(out):
        assert x.shape == (30, 5) and 0 < mask[:, m].sum() < 30
        assert (x[~mask[:, m]] == 10.0 + m).all() and (x[mask[:, m]] < 10).all()


@given(st.integers(1, 40), st.integers(1, 5), st.floats(0, 0.99), st.integers(0, 2**31))
def test_dropout_takes_never_all_and_adds_nothing(rows: int, count: int, rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    mask = torch.rand(rows, count) < 0.6
    kept = drop_modalities(mask, rate)
    assert not (kept & ~mask).any()
    assert torch.equal(kept.any(1), mask.any(1))


def test_dropout_drops_at_its_rate() -> None:
    torch.manual_seed(0)
    mask = torch.ones(20_000, 5, dtype=torch.bool)
    kept = drop_modalities(mask, 0.3)
    # all of a row's five fall together with 0.3 ** 5, and come back
    assert float(kept.float().mean()) == pytest.approx(0.7 + 0.3**5, abs=0.01)
    assert drop_modalities(mask, 0.0) is mask
    one = torch.ones(100, 1, dtype=torch.bool)
    assert drop_modalities(one, 0.9).all()


def test_dropout_is_for_training_alone() -> None:
    batch = products(200)
    views = Views(Inputs({"text": 4, "image": 3}, LexicalSize(12, 13)), hidden=5, dropout=0.0, modality_dropout=0.8)
    full = views.eval()(batch)[1]
    torch.manual_seed(0)
    dropped = views.train()(batch)[1]
    assert torch.equal(full, torch.stack(list(batch.mask.values()), dim=1))
    assert int(dropped.sum()) < int(full.sum()) and torch.equal(dropped.any(1), full.any(1))
