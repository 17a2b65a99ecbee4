"""One chunk of a feed -> its products in a staging file: mapped, validated, labelled, pictures checked. No Ray."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catray import schema
from catray.catalog import duplicates
from catray.catalog.images import conform, from_base64
from catray.catalog.mapping import PLACEHOLDER, as_text, lookup, render, render_path
from catray.catalog.readers import read
from catray.catalog.rows import Chunk, RawRow
from catray.catalog.stores import image_store
from catray.config import CatalogConfig, Feed
from catray.taxonomy import Taxonomy, format_path

LabelPaths = dict[tuple[str, str], tuple[str, ...]]


def stage_chunk(
    number: int, chunk: Chunk, catalog: CatalogConfig, labels: LabelPaths, taxonomy: Taxonomy, staging: str
) -> dict[str, Any]:
    """Map one chunk and write its good rows to the staging folder; returns keys, tokens, rejects and counts."""
    feed = catalog.feeds[chunk.feed]
    products: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    unknown: Counter[str] = Counter()
    pictures: list[bytes | str | ValueError | None] = []
    lines, titles, hashes = [], [], []
    rows_in = 0
    for row in read(chunk):
        rows_in += 1
        product, reason = _product(chunk.feed, feed, row)
        if reason:
            rejects.append(reject(chunk, row, product.get("key"), reason))
            continue
        pictures.append(_picture(feed, row, catalog))
        path = labels.get((product["platform"], product["product_id"])) or render_path(feed.fields.path, row.values)
        if path and taxonomy.get(path) is None:
            unknown[format_path(path)] += 1
            path = None
        product["path"] = path
        products.append(product)
        lines.append(row.line)
        titles.append(duplicates.title_token(product["title"]))
    for product, picture in zip(products, _downloaded(pictures, catalog), strict=True):
        product["image"], product["image_error"], picture_hash = _conformed(picture, catalog)
        hashes.append(f"i:{picture_hash}" if picture_hash else None)
    staged = [field for field in schema.CATALOG if field.name not in ("group", "split")]
    write_table(pa.Table.from_pylist(products, schema=pa.schema(staged)), Path(staging) / f"{number:05d}.parquet")
    return {
        "number": number,
        "rows_in": rows_in,
        "keys": [p["key"] for p in products],
        "lines": lines,
        "titles": titles,
        "hashes": hashes,
        "rejects": rejects,
        "unknown_paths": dict(unknown),
    }


def _product(name: str, feed: Feed, row: RawRow) -> tuple[dict[str, Any], str | None]:
    """(catalog fields so far, reason to reject)."""
    if row.error:
        return {}, row.error
    fields = feed.fields
    product_id = render(fields.product_id, row.values, strict=True)
    if not product_id:
        return {}, f"no product id ({fields.product_id} is empty)"
    platform = render(fields.platform, row.values, strict=True) if fields.platform else name
    if not platform:
        return {}, f"no platform ({fields.platform} is empty)"
    product = {
        "key": f"{platform}/{product_id}",
        "platform": platform,
        "product_id": product_id,
        "title": render(fields.title, row.values),
        "description": render(fields.description, row.values),
        "native_path": render_path(fields.native_path, row.values),
    }
    return product, None


def _picture(feed: Feed, row: RawRow, catalog: CatalogConfig) -> bytes | str | ValueError | None:
    """The row's picture: its bytes, its URL, why there is none although the row names one, or None."""
    template = feed.fields.image
    if not template:
        return None
    try:
        if feed.images:
            name = render(template, row.values, strict=True)
            return image_store(feed.images).read(name, catalog.images) if name else None
        column = PLACEHOLDER.fullmatch(template)
        value = lookup(row.values, column[1]) if column else render(template, row.values, strict=True)
        if isinstance(value, list):  # several pictures: the first is the product's
            value = next(iter(value), None)
        if isinstance(value, bytes):
            return value or None
        text = value.strip() if isinstance(value, str) else as_text(value)  # a URL's `&copy=` is no entity
        if not text or text.startswith(("http://", "https://")):
            return text or None
        return from_base64(text, catalog.images)
    except ValueError as error:
        return error


def _downloaded(
    pictures: list[bytes | str | ValueError | None], catalog: CatalogConfig
) -> Iterator[bytes | ValueError | None]:
    """The pictures, those that are URLs fetched all at once."""
    urls = [picture for picture in pictures if isinstance(picture, str)]
    answers: Iterator[bytes | str] = iter(())
    if urls:
        from catray.catalog.fetch import fetch_many

        answers = iter(fetch_many(urls, catalog.downloads))
    for picture in pictures:
        if isinstance(picture, str):
            answer = next(answers)
            yield ValueError(answer) if isinstance(answer, str) else answer
        else:
            yield picture


def _conformed(
    picture: bytes | ValueError | None, catalog: CatalogConfig
) -> tuple[bytes | None, str | None, str | None]:
    """(bytes, error, perceptual hash): a broken picture never rejects the product, which becomes text-only."""
    if picture is None:
        return None, None, None
    try:
        if isinstance(picture, ValueError):
            raise picture
        data, picture_hash = conform(picture, catalog.images)
    except ValueError as error:
        return None, str(error), None
    return data, None, picture_hash


def reject(chunk: Chunk, row: RawRow, key: str | None, reason: str) -> dict[str, Any]:
    return {
        "feed": chunk.feed,
        "file": chunk.file,
        "line": row.line,
        "key": key,
        "reason": reason,
        "raw": row.to_json(),
    }


def write_table(table: pa.Table, path: Path) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(table, temporary, compression="zstd")
    os.replace(temporary, path)
