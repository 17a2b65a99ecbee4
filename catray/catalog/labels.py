"""Canonical labels from a file: (platform, product id) -> path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catray.catalog.mapping import PLACEHOLDER, render, render_path
from catray.catalog.readers import read, read_table, sample_columns, scan
from catray.catalog.rows import Chunk
from catray.config import Labels, SplitColumn
from catray.errors import CatrayError, nearest


def read_labels(labels: Labels) -> dict[tuple[str, str], tuple[str, ...]]:
    """The file's paths. CatrayError for a missing file or column, or a row that can't be read."""
    try:
        chunks = list(scan("labels", labels.file, "csv", 100_000))
    except FileNotFoundError:
        raise CatrayError(f"catalog.labels.file: no such file: {labels.file}") from None
    found = sample_columns(labels.file, "csv")
    path_columns = [labels.path.column] if isinstance(labels.path, SplitColumn) else _names(*labels.path)
    for column in [*_names(labels.platform, labels.product_id), *path_columns, *labels.where]:
        if column not in found:
            raise CatrayError(
                f"{labels.file} has no column {column!r}, which catalog.labels names.{nearest(column, found)}"
            )
    paths: dict[tuple[str, str], tuple[str, ...]] = {}
    for chunk in chunks:
        for values in _rows(chunk):
            if any(values[column] not in wanted for column, wanted in labels.where.items()):
                continue
            path = render_path(labels.path, values)
            if path:
                paths[render(labels.platform, values), render(labels.product_id, values)] = tuple(path)
    return paths


def _rows(chunk: Chunk) -> Iterator[dict[str, Any]]:
    table = read_table(chunk)
    if table is not None:
        yield from table.to_pylist()
        return
    for row in read(chunk):  # exact about what is wrong, at a fourth of the speed
        if row.error:
            raise CatrayError(f"{chunk.file}: line {row.line}: {row.error}")
        yield row.values


def _names(*templates: str) -> list[str]:
    return [name for template in templates for name in PLACEHOLDER.findall(template)]
