"""Batches: choosing rows, and reading tables of embeddings in whatever chunks they come."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from catray import schema
from catray.errors import CatrayError
from catray.fusion.batch import Batch, empty_rows

DIMS = {"text": 4, "image": 3}
MODALITIES = ["text", "image", "lexical"]


def bags_of(batch: Batch) -> list[list[int]]:
    assert batch.lexical is not None
    ids, offsets = batch.lexical
    assert ids.dtype == offsets.dtype == torch.int64
    return [ids[a:b].tolist() for a, b in pairwise([*offsets.tolist(), len(ids)])]


def batch_of(bags: list[list[int]]) -> Batch:
    count = len(bags)
    lengths = torch.tensor([len(bag) for bag in bags], dtype=torch.int64)
    ids = torch.tensor([i for bag in bags for i in bag], dtype=torch.int64)
    return Batch(
        {"text": torch.arange(4.0 * count).reshape(count, 4)},
        {"text": torch.arange(count) % 3 != 0, "lexical": lengths > 0},
        (ids, lengths.cumsum(0) - lengths),
    )


def embeddings(count: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {
        "key": [f"shop/{i}" for i in range(count)],
        "has_text": rng.random(count) < 0.7,
        "has_image": rng.random(count) < 0.7,
        **{
            name: pa.FixedSizeListArray.from_arrays(
                pa.array(rng.normal(size=count * dim).astype(np.float16), pa.float16()), dim
            )
            for name, dim in DIMS.items()
        },
        "lexical": [rng.integers(0, 100, size=rng.integers(0, 5)).tolist() for _ in range(count)],
    }
    return pa.table(columns).cast(schema.embeddings(DIMS, lexical=True))


def assert_holds(batch: Batch, table: pa.Table) -> None:
    """Every row of the batch is the row of the table, as Python reads it."""
    assert len(batch) == table.num_rows
    for name in DIMS:
        assert batch.dense[name].tolist() == table[name].to_pylist() and batch.dense[name].dtype == torch.float32
        assert batch.dense[name].shape == (table.num_rows, DIMS[name])
    assert batch.mask["text"].tolist() == batch.mask["lexical"].tolist() == table["has_text"].to_pylist()
    assert batch.mask["image"].tolist() == table["has_image"].to_pylist()
    assert all(mask.dtype == torch.bool for mask in batch.mask.values())
    assert bags_of(batch) == table["lexical"].to_pylist()


# --- select ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 99), max_size=4), min_size=1, max_size=8), st.data())
def test_select_takes_rows_in_order_with_repeats(bags: list[list[int]], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(bags) - 1), max_size=12))
    batch = batch_of(bags)
    chosen = batch.select(torch.tensor(rows, dtype=torch.int64))
    assert len(chosen) == len(rows)
    assert chosen.dense["text"].tolist() == [batch.dense["text"][row].tolist() for row in rows]
    for name in ("text", "lexical"):
        assert chosen.mask[name].tolist() == [bool(batch.mask[name][row]) for row in rows]
    assert bags_of(chosen) == [bags[row] for row in rows]


def test_select_of_a_selection() -> None:
    bags = [[1, 2, 3], [], [4], [5, 6]]
    once = batch_of(bags).select(torch.tensor([3, 0, 0, 1]))
    assert bags_of(once.select(torch.tensor([2, 3, 0]))) == [[1, 2, 3], [], [5, 6]]


def test_select_without_a_lexical_part_and_as_stored() -> None:
    batch = Batch({"image": torch.ones(3, 2, dtype=torch.float16)}, {"image": torch.tensor([True, False, True])})
    chosen = batch.select(torch.tensor([2, 1]))
    assert chosen.lexical is None and chosen.dense["image"].dtype == torch.float16
    assert chosen.mask["image"].tolist() == [True, False]


def test_select_leaves_the_original_alone() -> None:
    batch = batch_of([[1], [2, 3]])
    chosen = batch.select(torch.tensor([0, 1]))
    chosen.dense["text"].zero_()
    assert batch.dense["text"].sum() > 0 and bags_of(batch) == [[1], [2, 3]]


def test_to_moves_every_part() -> None:
    moved = batch_of([[1], [2, 3]]).to("meta")
    assert moved.lexical is not None
    parts = [*moved.dense.values(), *moved.mask.values(), *moved.lexical]
    assert {part.device.type for part in parts} == {"meta"} and len(moved) == 2
    assert Batch({}, {"image": torch.ones(2, dtype=torch.bool)}).to("cpu").lexical is None


def test_a_batch_of_nothing_has_no_rows() -> None:
    assert len(Batch({}, {})) == 0


# --- from_table ------------------------------------------------------------------------------------------------------


def test_from_a_table() -> None:
    table = embeddings(20)
    batch = Batch.from_table(table, MODALITIES)
    assert_holds(batch, table)
    assert list(batch.dense) == ["text", "image"] and list(batch.mask) == MODALITIES


def test_from_a_slice() -> None:
    table = embeddings(20)
    for start, count in ((7, 6), (0, 1), (19, 1), (20, 0)):
        part = table.slice(start, count)
        assert_holds(Batch.from_table(part, MODALITIES), part)


def test_from_chunks_of_any_size() -> None:
    table = embeddings(20)
    parts = [table.slice(0, 3), table.slice(3, 0), table.slice(3, 10), table.slice(13)]
    chunked = pa.concat_tables(parts)
    assert chunked["text"].num_chunks == 4
    assert_holds(Batch.from_table(chunked, MODALITIES), table)
    assert_holds(Batch.from_table(chunked.slice(2, 13), MODALITIES), table.slice(2, 13))


def test_from_parquet_with_row_groups(tmp_path: Path) -> None:
    table = embeddings(20)
    pq.write_table(table, tmp_path / "part.parquet", row_group_size=6)
    assert_holds(Batch.from_table(pq.read_table(tmp_path / "part.parquet"), MODALITIES), table)


@pytest.mark.parametrize("empty", ["schema", "slice", "no chunk"])
def test_from_an_empty_table(empty: str) -> None:
    form = schema.embeddings(DIMS, lexical=True)
    table = {
        "schema": form.empty_table(),
        "slice": embeddings(5).slice(2, 0),
        "no chunk": pa.table([pa.chunked_array([], field.type) for field in form], schema=form),
    }[empty]
    batch = Batch.from_table(table, MODALITIES)
    assert_holds(batch, table)
    assert len(batch.select(torch.zeros(0, dtype=torch.int64))) == 0


def test_only_the_modalities_asked_for() -> None:
    table = embeddings(6).drop_columns(["image", "has_image"])  # what isn't read may be missing
    batch = Batch.from_table(table, ["lexical"])
    assert batch.dense == {} and list(batch.mask) == ["lexical"]
    batch = Batch.from_table(table, ["text"])
    assert batch.lexical is None and list(batch.dense) == ["text"]


def test_as_stored() -> None:
    table = embeddings(6)
    half = Batch.from_table(table, MODALITIES, dtype=torch.float16)
    assert half.dense["text"].dtype == torch.float16
    assert torch.equal(half.dense["text"].float(), Batch.from_table(table, MODALITIES).dense["text"])


def test_the_tensors_are_its_own() -> None:
    """Arrow's memory is shared and read-only: writing into a batch must not reach the table."""
    table = embeddings(3)
    before = table["text"].to_pylist()
    Batch.from_table(table, ["text"], dtype=torch.float16).dense["text"].zero_()
    assert table["text"].to_pylist() == before


def test_a_missing_column_is_named_with_those_there() -> None:
    table = embeddings(3)
    with pytest.raises(CatrayError, match=r"no column 'clip_image' \(they hold: key, has_text, .*lexical\)"):
        Batch.from_table(table, ["text", "clip_image"])
    with pytest.raises(CatrayError, match="no column 'has_image'"):
        Batch.from_table(table.drop_columns("has_image"), ["image"])


# --- empty rows ------------------------------------------------------------------------------------------------------


def test_empty_rows() -> None:
    mask = {
        "text": torch.tensor([True, False, False, False]),
        "image": torch.tensor([True, True, False, False]),
        "lexical": torch.tensor([False, False, True, False]),
    }
    batch = Batch({}, mask)
    assert empty_rows(batch, MODALITIES).tolist() == [False, False, False, True]
    assert empty_rows(batch, ["text", "lexical"]).tolist() == [False, True, False, True]
    assert empty_rows(batch, ["image"]).tolist() == [False, False, True, True]
    assert empty_rows(batch, []).tolist() == [True] * 4
