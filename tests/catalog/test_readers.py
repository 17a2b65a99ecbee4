from __future__ import annotations

import csv
import gzip
import html
import io
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catray.catalog import json_documents, lines, xml_documents
from catray.catalog.readers import feed_files, file_format, read, read_table, sample_columns, scan
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


# --- every format ----------------------------------------------------------------------------------------------------

FEED = [
    {"id": "1", "title": "Größe, 5 €", "tags": "a"},
    {"id": "2", "title": 'say "hi"\nand go', "tags": "b & <c>"},
    {"id": "3", "title": "plain", "tags": ""},
]


def delimited(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def merchant(rows: list[dict[str, str]], root: str = "rss", item: str = "item") -> str:
    items = "".join(
        f"<{item}>" + "".join(f"<g:{k}>{html.escape(v)}</g:{k}>" for k, v in row.items()) + f"</{item}>\n"
        for row in rows
    )
    return (
        f'<?xml version="1.0"?>\n<{root} xmlns:g="http://base.google.com/ns/1.0">\n<!-- <item> --><channel>'
        f"<title>Shop</title>{items}</channel></{root}>\n"
    )


def parquet(rows: list[dict[str, str]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, row_group_size=2)
    return buffer.getvalue()


WRITERS: dict[str, tuple[str, Callable[[list[dict[str, str]]], bytes]]] = {
    "a.csv": ("csv", lambda rows: delimited(rows).encode()),
    "semicolon.csv": ("csv", lambda rows: delimited(rows, ";").encode("utf-8-sig")),
    "utf16.csv": ("csv", lambda rows: delimited(rows).encode("utf-16")),
    "cp1252.csv": ("csv", lambda rows: delimited(rows).encode("cp1252")),
    "a.tsv": ("tsv", lambda rows: delimited(rows, "\t").encode()),
    "feed.txt": ("csv", lambda rows: delimited(rows, "\t").encode()),
    "a.jsonl": ("jsonl", lambda rows: "".join(json.dumps(r) + "\n" for r in rows).encode()),
    "lines.json": ("jsonl", lambda rows: "".join(json.dumps(r) + "\n" for r in rows).encode()),
    "utf16.jsonl": ("jsonl", lambda rows: "".join(json.dumps(r) + "\n" for r in rows).encode("utf-16")),
    "a.json": ("json", lambda rows: json.dumps(rows, indent=1, ensure_ascii=False).encode()),
    "object.json": ("json", lambda rows: json.dumps({"products": rows}).encode()),
    "a.xml": ("xml", lambda rows: merchant(rows).encode()),
    "atom.xml": ("xml", lambda rows: merchant(rows, "feed", "entry").encode("utf-16")),
    "a.parquet": ("parquet", parquet),
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, suffix: str) -> None:
    format, write = WRITERS[name]
    file = tmp_path / (name + suffix)
    file.write_bytes(PACKERS[suffix](write(FEED)))
    feed = Feed(files=str(file), fields=Fields(product_id="{id}"))
    assert file_format("shop", feed, str(file)) == (format if not (suffix and name == "lines.json") else "jsonl")
    for size in (1, 2, 100):
        got = rows_of(file, format, size)
        assert [(values, error) for _, values, error in got] == [(row, None) for row in FEED]
    assert sample_columns(str(file), format) == ["id", "title", "tags"]


def test_the_feeds_delimiter_and_encoding_win(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("id|a,b\n1|Größe\n".encode("cp850"))
    feed = Feed(files=str(file), delimiter="|", encoding="cp850", fields=Fields(product_id="{id}"))
    rows = [r.values for c in scan("f", str(file), "csv", 9, feed) for r in read(c)]
    assert rows == [{"id": "1", "a,b": "Größe"}]
    assert sample_columns(str(file), "csv", feed=feed) == ["id", "a,b"]
    assert Feed(files="x", delimiter="\\t", fields=Fields(product_id="{id}")).delimiter == "\t"
    for wrong in ({"delimiter": ",,"}, {"delimiter": '"'}, {"encoding": "utf-9"}):
        with pytest.raises(ValidationError):
            Feed.model_validate({"files": "x", "fields": {"product_id": "{id}"}, **wrong})


# --- hostile files ---------------------------------------------------------------------------------------------------


def errors_of(file: Path, format: str, size: int = 100) -> list[tuple[str, str]]:
    rows = [(r.values, r.error) for c in scan("f", str(file), format, size) for r in read(c)]
    return [(str(v.get("id", "-")), (e or "").split(":")[0].split(" (")[0]) for v, e in rows]


def test_a_quote_that_is_never_closed_takes_no_row_with_it(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    bad = ("-", "a quote that is never closed")
    file.write_text('id,title\n1,a\n2,"open\n3,b\n4,c\n')
    assert errors_of(file, "csv") == errors_of(file, "csv", 1) == [("1", ""), bad, ("3", ""), ("4", "")]
    file.write_text('id,title\n1,"open\n2,"b"\n3,"c\nd"\n4,"5" wide"\n')
    assert errors_of(file, "csv") == [bad, ("2", ""), ("3", ""), ("4", "")]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.csv", b"id,title\r1,a\r2,b\r", [("1", ""), ("2", "")]),
        ("a.csv", b"id,title\n1,a\0b\n2,b\n", [("1", ""), ("2", "")]),
        ("a.csv", b"id,\xc3\xa9\n1,\xc3\xa9\n2,\xe9\n3,c\n", [("1", ""), ("2", "not valid UTF-8"), ("3", "")]),
        ("a.csv", "id,é\n1,a\n".encode("utf-16")[:-1], [("1", "not valid UTF-16")]),
        ("a.jsonl", b'{"id": 1}\r{"id": 2}\r\n{"id": "\xff"}', [("1", ""), ("2", ""), ("\udcff", "not valid UTF-8")]),
        (
            "a.jsonl",
            b"[" * 5000 + b"\n" + b'{"id": ' * 150 + b"1" + b"}" * 150,
            [("-", "not valid JSON"), ("-", "nested more than 100 deep")],
        ),
        (
            "a.json",
            b'[{"id": 1}, {"id": 2 "x": 3}, {"id": nan}, 7, {"id": 3}]',
            [
                ("1", ""),
                ("-", "not valid JSON"),
                ("-", "not valid JSON"),
                ("-", "expected a JSON object, found int"),
                ("3", ""),
            ],
        ),
        ("a.json", b'[{"id": 1}, {"id": 2', [("1", ""), ("-", "not valid JSON")]),
        ("a.json", b'[{"id": 1},', [("1", ""), ("-", "the array is never closed")]),
        ("a.json", b'{"all": [{"id": 1}]}\n{"id": 2}', [("1", ""), ("-", "text after the end of the array")]),
        (
            "a.xml",
            b"<rss><item><id>1</id></item><item><id>AT&T</id></item><item><id>3</id></item></rss>",
            [("1", ""), ("-", "not valid XML"), ("3", "")],
        ),
        (
            "a.xml",
            b"<rss><item><id>1</id><item><id>2</id></item><item/></rss>",
            [("-", "an item that is never closed"), ("2", ""), ("-", "")],
        ),
        ("a.xml", b"<rss><item><id>1</id></item>", [("1", ""), ("-", "the document ends before </rss>")]),
        ("a.xml", b"<rss><item><id>1</id></item><item><id>2", [("1", ""), ("-", "an item that is never closed")]),
        ("a.xml", b"<rss><item><id><![CDATA[</item>]]></id></item><!-- <item> --></rss>", [("</item>", "")]),
    ],
)
def test_bad_rows_keep_their_reason(tmp_path: Path, name: str, data: bytes, expected: list[tuple[str, str]]) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    format = file.suffix[1:]
    assert errors_of(file, format) == errors_of(file, format, 1) == expected


def test_a_truncated_stream_ends_in_a_bad_row(tmp_path: Path) -> None:
    rows = [{"id": str(i), "title": str(i**9)} for i in range(9000)]
    for name in ("a.csv", "a.jsonl", "a.json", "a.xml"):
        format, write = WRITERS[name]
        for suffix in (".gz", ".zst"):
            file = tmp_path / (name + suffix)
            file.write_bytes(PACKERS[suffix](write(rows))[:-20])
            got = errors_of(file, format, 1000)
            assert "truncated" in got[-1][1] and all(not error for _, error in got[:-1]), (name, suffix, got[-2:])


def test_a_dtd_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text('<!DOCTYPE r [<!ENTITY a "aaaa">]><rss><item><id>&a;</id></item></rss>')
    with pytest.raises(CatrayError, match="DTD"):
        list(scan("f", str(file), "xml", 9))
    for text in ("<html></html>", "no xml at all", "<rss", "<a></b><item></item>"):
        file.write_text(text)
        with pytest.raises(CatrayError, match=r"a\.xml"):
            list(scan("f", str(file), "xml", 9))


def test_xml_values(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text(
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><entry><title>plain</title>'
        '<g:title>Google &amp; co</g:title><link href="http://x"/><g:image>a</g:image><g:image>b</g:image>'
        "<g:shipping><g:country>DE</g:country></g:shipping><summary>Soft <b>cotton</b>!</summary>"
        "<g:empty/></entry></feed>"
    )
    assert [values for _, values, _ in rows_of(file, "xml", 9)] == [
        {
            "link": "http://x",
            "summary": "Soft  cotton !",
            "title": "Google & co",
            "image": ["a", "b"],
            "shipping": {"country": "DE"},
            "empty": "",
        }
    ]
    assert "shipping.country" in sample_columns(str(file), "xml")


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lines, json_documents, xml_documents):
        monkeypatch.setattr(module, "MAX_LINE", 100_000)
    for name in ("a.csv", "a.jsonl"):
        format, write = WRITERS[name]
        (tmp_path / name).write_bytes(write([*FEED, {"id": "4", "title": "x" * 2_000_000, "tags": ""}, *FEED]))
        assert errors_of(tmp_path / name, format)[3] == ("-", "a line of more than 100,000 bytes")
        assert len(errors_of(tmp_path / name, format)) == 7
    long = {"id": "4", "title": "x" * 2_000_000, "tags": ""}
    (tmp_path / "a.xml").write_text(merchant([*FEED, long, *FEED]))
    got = errors_of(tmp_path / "a.xml", "xml")
    assert got[3] == ("-", "an item of more than 10 MB") and len(got) == 7
    (tmp_path / "a.json").write_text(json.dumps([*FEED, {"id": 4, "bad": [["x" * 2_000_000]]}])[:-1])
    assert [error for _, error in errors_of(tmp_path / "a.json", "json")][:3] == ["", "", ""]


SEEDS = [(*WRITERS[name], suffix) for name in WRITERS for suffix in PACKERS]
NOISE = [
    b'"',
    b"'",
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\",
    b'",',
]
NOISE += [
    b"<",
    b">",
    b"&",
    b"<item>",
    b"</item>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"\\ud800",
    b"\xff\xfe",
    b"]}",
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of some format with bytes cut, put in or replaced, before or after its compression."""
    format, write, suffix = draw(st.sampled_from(SEEDS))
    pack = PACKERS[suffix]
    data = write(FEED * draw(st.integers(1, 3)))
    inside = draw(st.booleans()) if suffix else True
    data = data if inside else pack(data)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 4)))
        data = data[:at] + draw(st.sampled_from(NOISE) | st.binary(max_size=3)) + data[to:]
    if draw(st.integers(0, 5)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    return format, pack(data) if inside else data


def check_counts(folder: Path, format: str, data: bytes, size: int) -> None:
    file = folder / "feed"
    file.write_bytes(data)
    try:
        chunks = list(scan("f", str(file), format, size))
        whole = list(scan("f", str(file), format, 10_000))
        sample_columns(str(file), format)
    except CatrayError as error:
        assert "\n" not in str(error)
        return
    found = []
    for chunk in chunks:
        rows = list(read(chunk))
        assert len(rows) == chunk.rows <= size
        for row in rows:
            json.loads(row.to_json())
        table = read_table(chunk)
        if table is not None:
            assert all(row.error is None for row in rows)
            assert table.to_pylist() == [row.values for row in rows]
        found += rows
    assert sum(chunk.rows for chunk in whole) == len(found)
    again = [row for chunk in whole for row in read(chunk)]
    assert [(r.line, r.error, r.to_json()) for r in again] == [(r.line, r.error, r.to_json()) for r in found]
    lines = [row.line for row in found]
    assert lines == sorted(set(lines))


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(), st.integers(1, 4))
def test_whatever_the_bytes_scan_and_read_agree(
    tmp_path_factory: pytest.TempPathFactory, feed: tuple[str, bytes], size: int
) -> None:
    check_counts(tmp_path_factory.getbasetemp(), *feed, size)


@settings(max_examples=300)
@given(
    st.sampled_from(["csv", "tsv", "jsonl", "json", "xml", "parquet"]),
    st.binary(max_size=60) | st.lists(st.sampled_from([*NOISE, b"a", b"1", b" "])).map(b"".join),
    st.integers(1, 4),
)
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, format: str, data: bytes, size: int) -> None:
    start = {"csv": b"id,b\n", "tsv": b"id\tb\n", "json": b"[", "xml": b"<rss><item>"}.get(format, b"")
    check_counts(tmp_path_factory.getbasetemp(), format, start + data, size)
    check_counts(tmp_path_factory.getbasetemp(), format, data, size)


# --- whole tables ----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(*[st.text("ab\"',;\n\r \té", max_size=6)] * 3), min_size=1, max_size=9),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_table_is_what_read_gives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], delimiter: str, quoting: Literal[0, 1]
) -> None:
    file = tmp_path_factory.getbasetemp() / "table.csv"
    with open(file, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter, quoting=quoting).writerows([("id", "b", "c"), *rows])
    feed = Feed(files="x", delimiter=delimiter, fields=Fields(product_id="{id}"))
    chunks = list(scan("f", str(file), "csv", 4, feed))
    tables = [read_table(chunk) for chunk in chunks]
    for chunk, table in zip(chunks, tables, strict=True):
        if table is not None:
            assert table.to_pylist() == [row.values for row in read(chunk)]
            assert set(table.schema.types) == {pa.string()}
    if quoting == csv.QUOTE_ALL:  # as well-formed as can be
        assert [tuple(r.values.values()) for c in chunks for r in read(c)] == rows
        assert all(table is not None for table in tables)


def test_parquet_as_a_table(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    table = pa.table({"id": list(range(10)), "image": [b"x"] * 10, "n": [None, *"abcdefghi"]})
    pq.write_table(table, file, row_group_size=4)
    assert pa.concat_tables(read_table(c) for c in scan("f", str(file), "parquet", 3)) == table
    chunk = next(scan("f", str(file), "parquet", 3))
    assert [row.values for row in read(chunk, {"id"})] == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_a_parquet_value_that_is_no_text_rejects_its_row(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xff\xfe"]).buffers())
    pq.write_table(pa.table({"id": [1, 2], "t": broken}), tmp_path / "a.parquet")
    assert [bool(error) for _, _, error in rows_of(tmp_path / "a.parquet", "parquet", 9)] == [False, True]
    assert read_table(next(scan("f", str(tmp_path / "a.parquet"), "parquet", 9))) is None


def test_real_feeds(shared_data: Path) -> None:
    files = sorted([*shared_data.glob("*/*.csv"), *shared_data.glob("*/*.jsonl")])
    for file in files:
        for chunk in islice(scan("f", str(file), file.suffix[1:], 1000), 3):
            rows = list(read(chunk))
            assert len(rows) == chunk.rows and not any(row.error for row in rows), file
            table = read_table(chunk)
            assert (table is None) == (file.suffix == ".jsonl")
            if table is not None:
                assert table.to_pylist() == [row.values for row in rows]
