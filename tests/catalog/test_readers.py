from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catray.catalog.readers import feed_files, file_format, read, sample_columns, scan
from catray.config import Feed, Fields
from catray.errors import CatrayError


def rows_of(file: Path, format: str, size: int) -> list[tuple[int, dict, str | None]]:
    return [(r.line, r.values, r.error) for c in scan("f", str(file), format, size) for r in read(c)]


def test_csv_lines_survive_quotes_and_chunks(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('\ufeffid,title\n1,"two\nlines"\n\n2,plain\n3,"a ""b"""\n', encoding="utf-8")
    expected = [
        (2, {"id": "1", "title": "two\nlines"}, None),
        (5, {"id": "2", "title": "plain"}, None),
        (6, {"id": "3", "title": 'a "b"'}, None),
    ]
    for size in (1, 2, 3, 100):
        got = rows_of(file, "csv", size)
        assert [v for _, v, _ in got] == [v for _, v, _ in expected]
        assert got[0][0] == 2 and got[2][0] == 6
    assert sample_columns(str(file), "csv") == ["id", "title"]


def test_csv_bad_rows_keep_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"id,title\n1,ok\n2,too,many\n3\n4,\xff\xfe\n5,ok\n")
    got = rows_of(file, "csv", 2)
    assert [error for _, _, error in got] == [
        None,
        "3 fields, the header has 2",
        "1 fields, the header has 2",
        "not valid UTF-8",
        None,
    ]
    assert got[1][1] == {"fields": ["2", "too", "many"]}


def test_jsonl_bad_rows_keep_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": 1}\n\nnot json\n[1]\n{"id": 2, "a": {"b": 3}}\n{"id": "\\ud800"}\n')
    got = rows_of(file, "jsonl", 2)
    assert [line for line, _, _ in got] == [1, 3, 4, 5, 6]
    errors = [error or "" for _, _, error in got]
    assert errors[0] == errors[3] == ""
    assert errors[1].startswith("not valid JSON") and "found list" in errors[2] and errors[4] == "not valid UTF-8"
    assert sample_columns(str(file), "jsonl") == ["id", "value", "a", "a.b"] or "a.b" in sample_columns(
        str(file), "jsonl"
    )


def test_parquet_by_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": list(range(10)), "image": [b"x"] * 10}), file, row_group_size=4)
    got = rows_of(file, "parquet", 3)
    assert [v["id"] for _, v, _ in got] == list(range(10))
    assert [line for line, _, _ in got] == list(range(1, 11))


def test_missing_and_unreadable_files_say_so(tmp_path: Path) -> None:
    feed = Feed(files=str(tmp_path / "no-*.csv"), fields=Fields(product_id="{id}"))
    with pytest.raises(CatrayError, match=r"feed shop: no such file: .*no-"):
        feed_files("shop", feed)
    with pytest.raises(CatrayError, match="can't tell the format"):
        file_format("shop", feed, "x.dat")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(CatrayError, match="is empty"):
        list(scan("shop", str(tmp_path / "empty.csv"), "csv", 10))
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(CatrayError, match="not a readable Parquet file"):
        list(scan("shop", str(tmp_path / "bad.parquet"), "parquet", 10))
    (tmp_path / "twice.csv").write_text("id,id\n1,2\n")
    with pytest.raises(CatrayError, match="more than once"):
        list(scan("shop", str(tmp_path / "twice.csv"), "csv", 10))


@given(
    st.lists(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), min_size=1), max_size=20),
    st.integers(1, 7),
)
def test_jsonl_round_trip_in_any_chunks(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], size: int
) -> None:
    file = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    got = rows_of(file, "jsonl", size)
    assert [values for _, values, _ in got] == rows
    assert [line for line, _, _ in got] == list(range(1, len(rows) + 1))
