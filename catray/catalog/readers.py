"""Feed files as chunks of raw rows: CSV, TSV, JSONL, JSON, XML (RSS and Atom, as Google Merchant Center's), Parquet.

`scan` walks a file once and says where its chunks begin; `read` parses one chunk by itself, so that chunks are read in
parallel and a row always carries the line it came from. A row that can't be parsed comes back with its reason. Both
walk the same records, so that a chunk has as many rows as `scan` said, whatever the bytes.

A chunk of a CSV or JSONL file is a range of bytes. Where byte offsets don't serve (compressed files, UTF-16, JSON, XML)
it is a range of rows, and reading it reads the file from the start: cheap beside what is done with the rows, but a very
large compressed feed is better split into several files.
"""

from __future__ import annotations

import codecs
import glob
import json
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from catray.catalog.detection import detect
from catray.catalog.dialect import Dialect
from catray.catalog.json_documents import json_rows
from catray.catalog.lines import Lines, read_header, record_row, records
from catray.catalog.parquet import open_parquet, parquet_table, read_parquet
from catray.catalog.rows import Chunk, RawRow
from catray.catalog.streams import Buffer, blocks
from catray.catalog.xml_documents import xml_rows
from catray.config import Feed
from catray.errors import CatrayError

FORMATS = {
    **{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    **{".json": "json", ".xml": "xml", ".rss": "xml", ".atom": "xml", ".parquet": "parquet"},
}
COMPRESSED = {".gz", ".zst"}


def feed_files(name: str, feed: Feed) -> list[str]:
    """The feed's files, globs expanded, in order. CatrayError where one is missing."""
    patterns = [feed.files] if isinstance(feed.files, str) else feed.files
    files: list[str] = []
    for pattern in patterns:
        found = (
            [pattern]
            if Path(pattern).is_file()
            else sorted(f for f in glob.glob(pattern, recursive=True) if Path(f).is_file())
        )
        if not found:
            raise CatrayError(f"feed {name}: no such file: {pattern} (catalog.feeds.{name}.files)")
        files += found
    return files


def file_format(name: str, feed: Feed, file: str) -> str:
    """The feed's `format`, or what the file's name says; a .json that holds one object a line is JSONL.

    CatrayError where the name says nothing.
    """
    if feed.format != "auto":
        return feed.format
    suffixes = [suffix.lower() for suffix in Path(file).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    format = FORMATS.get(suffixes[-1]) if suffixes else None
    if format is None:
        raise CatrayError(
            f"feed {name}: can't tell the format of {file}: set catalog.feeds.{name}.format to csv, tsv, jsonl, json, "
            "xml or parquet"
        )
    return "jsonl" if format == "json" and _is_jsonl(file, feed) else format


def _is_jsonl(file: str, feed: Feed) -> bool:
    if not Path(file).is_file():
        return False
    dialect = _dialect(file, "jsonl", feed)
    with closing(blocks(file, dialect)) as pieces:
        lines = (line for line, _, _ in Lines(pieces) if line.strip())
        try:
            first = json.loads(dialect.decode(next(lines, b""))[0])
        except (ValueError, RecursionError):
            return False
    return isinstance(first, dict) and not (len(first) == 1 and isinstance(next(iter(first.values())), list))


def _dialect(file: str, format: str, feed: Feed | None) -> Dialect:
    delimiter = feed.delimiter if feed else None
    try:
        return detect(file, delimiter or ("\t" if format == "tsv" else None), feed.encoding if feed else None)
    except ValueError as error:
        raise CatrayError(f"{file}: {error}") from error


def scan(name: str, file: str, format: str, size: int, feed: Feed | None = None) -> Iterator[Chunk]:
    """Chunks of `size` rows. Blank lines are no rows. `feed` says the delimiter and the encoding where they are known.

    Errors: CatrayError for an empty file, a header that can't be read, or a file that isn't of its format at all.
    """
    dialect = _dialect(file, format, feed)
    if format == "parquet":
        rows = open_parquet(name, file, dialect).metadata.num_rows
        for start in range(0, rows, size):
            end = min(start + size, rows)
            yield Chunk(name, file, format, start, end, start + 1, end - start, (), dialect, by_rows=True)
        return
    by_rows = format in ("json", "xml") or not dialect.seekable
    header: tuple[str, ...] = ()
    start = end = rows = place = 0
    plain = True
    with closing(blocks(file, dialect)) as pieces:
        lines = Lines(pieces)
        if format in ("json", "xml"):
            found = (False for _ in _document_rows(pieces, format, dialect, file))
        else:
            header = read_header(name, file, lines, dialect) if format != "jsonl" else ()
            found = (ok for _, _, _, ok in records(lines, format, dialect))
            start = 0 if by_rows else lines.offset
        line = lines.number + 1
        for ok in found:
            rows, plain, place = rows + 1, plain and ok, place + 1
            end = place if by_rows else lines.offset
            if rows == size:
                yield Chunk(name, file, format, start, end, line, rows, header, dialect, by_rows, plain)
                start, rows, plain = end, 0, True
                line = place + 1 if format in ("json", "xml") else lines.number + 1
        if rows:
            yield Chunk(name, file, format, start, end, line, rows, header, dialect, by_rows, plain)


def read(chunk: Chunk, columns: set[str] | None = None) -> Iterator[RawRow]:
    """The chunk's rows, as many as `chunk.rows`. `columns` limits what is read of a Parquet file."""
    if chunk.format == "parquet":
        yield from read_parquet(chunk, columns)
        return
    start, end = (0, None) if chunk.by_rows else (chunk.start, chunk.end)
    with closing(blocks(chunk.file, chunk.dialect, start, end)) as pieces:
        if chunk.format in ("json", "xml"):
            yield from islice(_document_rows(pieces, chunk.format, chunk.dialect, chunk.file), chunk.start, chunk.end)
            return
        lines = Lines(pieces) if chunk.by_rows else Lines(pieces, chunk.start, chunk.line - 1)
        if chunk.by_rows and chunk.format != "jsonl":
            read_header(chunk.feed, chunk.file, lines, chunk.dialect)
        found = records(lines, chunk.format, chunk.dialect)
        for number, data, fault, _ in islice(found, chunk.start, chunk.end) if chunk.by_rows else found:
            yield record_row(number, data, fault, chunk)


def sample_columns(file: str, format: str, rows: int = 100, feed: Feed | None = None) -> list[str]:
    """The column names: the header's, or those of the first rows (nested keys as `a.b`, items of lists as `a.0`)."""
    dialect = _dialect(file, format, feed)
    names: dict[str, None] = {}
    if format == "parquet":
        for field in open_parquet("", file, dialect).schema_arrow:
            _nested_fields(field.name, field.type, names)
        return list(names)
    if format in ("csv", "tsv"):
        with closing(blocks(file, dialect)) as pieces:
            return list(read_header("", file, Lines(pieces), dialect))
    for chunk in islice(scan("", file, format, rows, feed), 1):
        for row in read(chunk):
            _nested_names(row.values, "", names)
    return list(names)


def _nested_names(values: dict[str, Any], prefix: str, names: dict[str, None]) -> None:
    for key, value in values.items():
        names[prefix + key] = None
        if isinstance(value, list):
            value = {str(i): item for i, item in enumerate(value[:20])}
        if isinstance(value, dict):
            _nested_names(value, f"{prefix}{key}.", names)


def _nested_fields(name: str, type: pa.DataType, names: dict[str, None]) -> None:
    names[name] = None
    if pa.types.is_struct(type):
        for field in type:
            _nested_fields(f"{name}.{field.name}", field.type, names)
    elif pa.types.is_list(type) or pa.types.is_large_list(type):
        _nested_fields(f"{name}.0", type.value_type, names)


def read_table(chunk: Chunk) -> pa.Table | None:
    """The chunk at once: CSV and TSV in UTF-8 as columns of text (an absent value is ""), Parquet as it is.

    None where anything is unusual, and for other formats: `read` then tells row by row. Where there is a table, its
    rows are those that `read` gives.
    """
    if chunk.format == "parquet":
        return parquet_table(chunk)
    usual = chunk.plain and not chunk.by_rows and chunk.dialect.encoding == "utf-8"
    if chunk.format not in ("csv", "tsv") or not usual:
        return None
    data = b"".join(blocks(chunk.file, chunk.dialect, chunk.start, chunk.end))
    if b"\0" in data:
        return None
    names = list(chunk.header)
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            pa.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pa.csv.ParseOptions(
                delimiter=chunk.dialect.delimiter, quote_char=chunk.dialect.quote, newlines_in_values=True
            ),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError):  # a number of fields that differs, invalid UTF-8
        return None
    return table if table.num_rows == chunk.rows else None


def _document_rows(pieces: Iterator[bytes], format: str, dialect: Dialect, file: str) -> Iterator[RawRow]:
    parts = (block[i : i + (1 << 16)] for block in pieces for i in range(0, len(block), 1 << 16))
    if format == "xml":
        return xml_rows(Buffer(parts, b""), dialect, file)
    decoder = codecs.getincrementaldecoder(dialect.line_encoding)("surrogateescape")
    return json_rows(Buffer((decoder.decode(part) for part in parts), ""), dialect, file)
