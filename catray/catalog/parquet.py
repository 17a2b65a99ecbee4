"""Parquet files: their row groups as rows or as a table; a part that can't be read becomes bad rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catray.catalog.dialect import Dialect
from catray.catalog.rows import Chunk, RawRow
from catray.catalog.streams import DamagedError, blocks
from catray.errors import CatrayError


def open_parquet(name: str, file: str, dialect: Dialect) -> pq.ParquetFile:
    try:
        source = pa.BufferReader(b"".join(blocks(file, dialect))) if dialect.compression else file
        found = pq.ParquetFile(source)
        rows = [found.metadata.row_group(i).num_rows for i in range(found.num_row_groups)]
        if sum(rows) != found.metadata.num_rows or min(rows, default=0) < 0:
            raise pa.ArrowInvalid("its parts have not as many rows as the whole")
        return found
    except (pa.ArrowException, OSError, DamagedError) as error:
        why = " ".join(str(error).split())
        raise CatrayError(
            f"{'feed ' + name + ': ' if name else ''}{file}: not a readable Parquet file: {why}"
        ) from error


def _groups(file: pq.ParquetFile, chunk: Chunk) -> Iterator[tuple[int, int, int]]:
    """(row group, its first row that is the chunk's, how many)."""
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        low, high = max(chunk.start, first), min(chunk.end, first + rows)
        if low < high:
            yield group, low - first, high - low
        first += rows


def read_parquet(chunk: Chunk, columns: set[str] | None) -> Iterator[RawRow]:
    file = open_parquet(chunk.feed, chunk.file, chunk.dialect)
    names = None if columns is None else [n for n in file.schema_arrow.names if n in columns]
    line = chunk.start
    for group, low, rows in _groups(file, chunk):
        try:
            table = file.read_row_group(group, columns=names, use_threads=False).slice(low, rows)
        except (pa.ArrowException, OSError) as error:
            table, why = None, f"not readable Parquet: {' '.join(str(error).split())}"
        if table is None or table.num_rows != rows:
            reason = why if table is None else "not readable Parquet: a column has too few rows"
            yield from (RawRow(line + i + 1, {}, reason) for i in range(rows))
        else:
            try:
                values = table.to_pylist()
                values = values if table.num_columns else [{}] * rows
                yield from (RawRow(line + i + 1, row) for i, row in enumerate(values))
            except (ValueError, OverflowError, pa.ArrowException):  # one value has no counterpart in Python
                yield from (_row(line + i + 1, table.slice(i, 1)) for i in range(rows))
        line += rows


def _row(line: int, row: pa.Table) -> RawRow:
    values: dict[str, Any] = {}
    error = None
    for name in row.column_names:
        try:
            values[name] = row[name][0].as_py()
        except (ValueError, OverflowError, pa.ArrowException) as failure:
            error = error or f"{name} can't be read: {' '.join(str(failure).split())}"
    return RawRow(line, values, error)


def parquet_table(chunk: Chunk) -> pa.Table | None:
    file = open_parquet(chunk.feed, chunk.file, chunk.dialect)
    try:
        tables = [
            file.read_row_group(group, use_threads=False).slice(low, rows) for group, low, rows in _groups(file, chunk)
        ]
        table = pa.concat_tables(tables)
        table.validate(full=True)
    except (pa.ArrowException, OSError):
        return None
    return table if table.num_rows == chunk.rows else None
