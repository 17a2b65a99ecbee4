"""Feed files as chunks of raw rows: CSV, JSONL, Parquet.

`scan` walks a file once and says where its chunks begin; `read` parses one chunk by itself, so that chunks are read in
parallel and a row always carries the line it came from. A row that can't be parsed comes back with its reason.
"""

from __future__ import annotations

import csv
import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from catray.config import Feed
from catray.errors import CatrayError

csv.field_size_limit(10_000_000)

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


@dataclass(frozen=True)
class Chunk:
    """A part of a feed file: bytes `start` to `end` (CSV, JSONL) or rows `start` to `end` (Parquet)."""

    feed: str
    file: str
    format: str
    start: int
    end: int
    line: int  # 1-based line or row of the first row
    rows: int
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawRow:
    """One row as the feed has it. `error` says why it could not be parsed; `values` then holds what is known of it."""

    line: int
    values: dict[str, Any]
    error: str | None = None

    def to_json(self) -> str:
        """The row for rejects: bytes are named by their size."""
        text = json.dumps(
            self.values, ensure_ascii=False, default=lambda v: f"<{len(v):,} bytes>" if isinstance(v, bytes) else str(v)
        )
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
    if feed.format != "auto":
        return feed.format
    suffix = Path(file).suffix.lower()
    if suffix not in FORMATS:
        raise CatrayError(
            f"feed {name}: can't tell the format of {file}: set catalog.feeds.{name}.format to csv, jsonl or parquet"
        )
    return FORMATS[suffix]


def scan(name: str, file: str, format: str, size: int) -> Iterator[Chunk]:
    """Chunks of `size` rows. Blank lines are no rows."""
    if format == "parquet":
        rows = _parquet(name, file).metadata.num_rows
        for start in range(0, rows, size):
            end = min(start + size, rows)
            yield Chunk(name, file, format, start, end, start + 1, end - start)
        return
    with open(file, "rb") as stream:
        lines = _Lines(stream)
        header = _header(name, file, lines) if format == "csv" else ()
        records: Iterator[Any] = _csv_records(lines) if format == "csv" else (line.strip() for line in lines)
        start, line, rows = lines.offset, lines.number + 1, 0
        for record in records:
            rows += bool(record)
            if rows == size:
                yield Chunk(name, file, format, start, lines.offset, line, rows, header)
                start, line, rows = lines.offset, lines.number + 1, 0
        if rows:
            yield Chunk(name, file, format, start, lines.offset, line, rows, header)


def read(chunk: Chunk, columns: set[str] | None = None) -> Iterator[RawRow]:
    """The chunk's rows. `columns` limits what is read of a Parquet file."""
    if chunk.format == "parquet":
        yield from _read_parquet(chunk)
        return
    with open(chunk.file, "rb") as stream:
        stream.seek(chunk.start)
        lines = _Lines(stream, end=chunk.end, number=chunk.line - 1, offset=chunk.start)
        yield from _read_csv(lines, chunk.header) if chunk.format == "csv" else _read_jsonl(lines)


def sample_columns(file: str, format: str, rows: int = 100) -> list[str]:
    """The column names: the header's, or those of the first rows (nested keys as `a.b`)."""
    if format == "parquet":
        return [str(n) for n in _parquet("", file).schema_arrow.names]
    with open(file, "rb") as stream:
        lines = _Lines(stream)
        if format == "csv":
            return list(_header("", file, lines))
        names: dict[str, None] = {}
        for _, row in zip(range(rows), _read_jsonl(lines), strict=False):
            _nested_names(row.values, "", names)
    return list(names)


def _nested_names(values: dict[str, Any], prefix: str, names: dict[str, None]) -> None:
    for key, value in values.items():
        names[prefix + key] = None
        if isinstance(value, dict):
            _nested_names(value, f"{prefix}{key}.", names)


class _Lines:
    """Decoded lines of a binary stream, with the byte offset and line number reached.

    Bytes that aren't UTF-8 become lone surrogates, so that the row that holds them can be told from the others.
    """

    def __init__(self, stream: BinaryIO, end: int | None = None, number: int = 0, offset: int = 0) -> None:
        self.stream, self.end, self.number, self.offset = stream, end, number, offset

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.end is not None and self.offset >= self.end:
            raise StopIteration
        line = self.stream.readline()
        if not line:
            raise StopIteration
        if self.offset == 0:
            text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        else:
            text = line.decode("utf-8", "surrogateescape")
        self.offset += len(line)
        self.number += 1
        return text


def _csv_records(lines: _Lines) -> Iterator[list[str] | csv.Error]:
    reader = csv.reader(lines)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield error


def _header(name: str, file: str, lines: _Lines) -> tuple[str, ...]:
    for record in _csv_records(lines):
        if isinstance(record, csv.Error):
            raise CatrayError(f"{file}: line {lines.number}: the header can't be read: {record}")
        if record:
            header = tuple(column.strip() for column in record)
            double = {c for c in header if header.count(c) > 1}
            if double:
                raise CatrayError(f"{file}: the header names {', '.join(sorted(double))} more than once: rename one")
            return header
    raise CatrayError(f"{'feed ' + name + ': ' if name else ''}{file} is empty: expected a header line and rows")


def _decodable(values: dict[str, Any]) -> bool:
    try:
        json.dumps(values, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _read_csv(lines: _Lines, header: tuple[str, ...]) -> Iterator[RawRow]:
    records = _csv_records(lines)
    while True:
        line = lines.number + 1
        record = next(records, None)
        if record is None:
            return
        if isinstance(record, csv.Error):
            yield RawRow(line, {}, f"not a CSV row: {record}")
            continue
        if not record:
            continue
        values: dict[str, Any] = dict(zip(header, record, strict=False))
        error = None
        if len(record) != len(header):
            error = f"{len(record)} fields, the header has {len(header)}"
            values = {"fields": record}
        elif not _decodable(values):
            error = "not valid UTF-8"
        yield RawRow(line, values, error)


def _read_jsonl(lines: _Lines) -> Iterator[RawRow]:
    for text in lines:
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield RawRow(lines.number, {"text": text.rstrip("\r\n")}, f"not valid JSON: {error}")
            continue
        if not isinstance(values, dict):
            yield RawRow(lines.number, {"value": values}, f"expected a JSON object, found {type(values).__name__}")
        elif not _decodable(values):
            yield RawRow(lines.number, values, "not valid UTF-8")
        else:
            yield RawRow(lines.number, values)


def _parquet(name: str, file: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise CatrayError(
            f"{'feed ' + name + ': ' if name else ''}{file}: not a readable Parquet file: {error}"
        ) from error


def _read_parquet(chunk: Chunk) -> Iterator[RawRow]:
    file = _parquet(chunk.feed, chunk.file)
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        low, high = max(chunk.start, first), min(chunk.end, first + rows)
        if low < high:
            table = file.read_row_group(group).slice(low - first, high - low)
            for i, values in enumerate(table.to_pylist()):
                yield RawRow(low + i + 1, values)
        first += rows
