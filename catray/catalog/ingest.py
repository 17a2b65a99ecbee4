"""Feeds -> catalog, through Ray Data: `ingest(config)` writes catalog/{products-*.parquet, rejects/, manifest.json}.

1. The driver scans the feed files for chunks of `shard_size` rows.
2. Ray tasks map, validate and label a chunk, check its pictures, and write it to a staging file.
3. The driver sees every key, title token and picture hash: duplicate ids, near-duplicate groups, splits.
4. Ray tasks rewrite each staged chunk with group and split as products-NNNNN.parquet.

The chunk's number names its files, so a task that runs twice writes the same file twice, and the same feeds give the
same catalog. Every row ends in products or in rejects.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catray import schema
from catray.artifact import config_hash, write_manifest
from catray.catalog import duplicates
from catray.catalog.labels import read_labels
from catray.catalog.mapping import check_columns
from catray.catalog.readers import feed_files, file_format, read, sample_columns, scan
from catray.catalog.rows import Chunk
from catray.catalog.stage import reject, stage_chunk, write_table
from catray.catalog.stores import image_store
from catray.cluster import quiet_data, user_errors
from catray.config import CatalogConfig, Config
from catray.errors import CatrayError
from catray.progress import progress
from catray.taxonomy import read_taxonomy


def ingest(config: Config) -> dict[str, Any]:
    """Read every enabled feed; returns the manifest.

    Errors: CatrayError for a missing or empty file, a missing column, unreadable labels or taxonomy - before anything
    is written.
    """
    started = time.monotonic()
    taxonomy = read_taxonomy(config.taxonomy)
    labels = read_labels(config.catalog.labels) if config.catalog.labels else {}
    chunks = _chunks(config.catalog)
    folder = config.folder("catalog")
    staging = folder / ".staging"
    if folder.exists():
        shutil.rmtree(folder)
    staging.mkdir(parents=True)
    (folder / "rejects").mkdir()

    staged: list[dict[str, Any]] = []
    settings = {"catalog": config.catalog, "labels": labels, "taxonomy": taxonomy, "staging": str(staging)}
    with progress("ingest", total=sum(c.rows for c in chunks), unit="rows") as bar:
        for result in _map(chunks, stage_chunk, **settings):
            staged.append(result)
            bar.update(result["rows_in"])
    staged.sort(key=lambda result: result["number"])
    plans, shares = _plan(chunks, staged, config)
    finished: list[dict[str, Any]] = []
    with progress("ingest: groups and splits", total=sum(len(plan["group"]) for plan in plans)) as bar:
        for result in _map(plans, finish_chunk, staging=str(staging), folder=str(folder)):
            finished.append(result)
            bar.update(result["counts"]["products"])
    finished.sort(key=lambda result: result["name"])
    shutil.rmtree(staging)
    manifest = {
        "config_hash": config_hash(config.catalog, config.taxonomy, config.seed),
        "seed": config.seed,
        "taxonomy": taxonomy.hash,
        **_counts(staged, finished),
        **shares,
        "files": {
            f["name"]: {"products": f["counts"]["products"], "sha256": f["sha256"]} for f in finished if f["sha256"]
        },
        "seconds": round(time.monotonic() - started, 2),
    }
    if manifest["rows_in"] != manifest["products"] + manifest["rejected"]:
        raise RuntimeError(
            f"rows were lost: {manifest['rows_in']} in, "
            f"{manifest['products']} products + {manifest['rejected']} rejected out"
        )
    return write_manifest(folder, **manifest)


def _chunks(catalog: CatalogConfig) -> list[Chunk]:
    chunks: list[Chunk] = []
    feeds = {name: feed for name, feed in catalog.feeds.items() if feed.enabled}
    if not feeds:
        raise CatrayError("no feed to ingest: describe one under catalog.feeds")
    for name, feed in feeds.items():
        if feed.images:
            image_store(feed.images)
        before = len(chunks)
        files = feed_files(name, feed)
        for file in files:
            format = file_format(name, feed, file)
            found = list(scan(name, file, format, catalog.shard_size, feed))
            if found:
                check_columns(name, feed, file, sample_columns(file, format, feed=feed))
            chunks += found
        if len(chunks) == before:
            raise CatrayError(f"feed {name}: {', '.join(files)} has no rows")
    return chunks


def _map(items: list[Any], task: Any, **kwargs: Any) -> Iterator[dict[str, Any]]:
    """task(number, item, **kwargs) for each item as a Ray Data task; its results as they come."""
    import ray
    import ray.data

    quiet_data()
    shared = ray.put((items, kwargs))

    def run(row: dict[str, Any]) -> dict[str, Any]:
        items, kwargs = ray.get(shared)
        # As JSON: nested results would have to share one Arrow schema.
        return {"result": json.dumps(task(row["id"], items[row["id"]], **kwargs))}

    with user_errors():
        for row in ray.data.range(len(items), override_num_blocks=len(items)).map(run, num_cpus=1).iter_rows():
            yield json.loads(row["result"])


def _plan(
    chunks: list[Chunk], staged: list[dict[str, Any]], config: Config
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What each chunk keeps, with group and split; and how large groups and splits are."""
    first: dict[str, str] = {}
    plans: list[dict[str, Any]] = []
    for chunk, result in zip(chunks, staged, strict=True):
        reasons: list[str | None] = []
        for key, line in zip(result["keys"], result["lines"], strict=True):
            where = first.setdefault(key, f"{chunk.file} line {line}")
            again = where != f"{chunk.file} line {line}"
            reasons.append(f"duplicate id: {key} came first in {where}" if again else None)
        plans.append({"chunk": chunk, "lines": result["lines"], "reasons": reasons, "rejects": result["rejects"]})
    kept = [(r, i) for r, plan in zip(staged, plans, strict=True) for i, x in enumerate(plan["reasons"]) if x is None]
    groups = duplicates.groups(
        [r["keys"][i] for r, i in kept], [[r["titles"][i] for r, i in kept], [r["hashes"][i] for r, i in kept]]
    )
    splits = [duplicates.split_of(group, config.catalog.split, config.seed) for group in groups]
    start = 0
    for plan in plans:
        end = start + plan["reasons"].count(None)
        plan["group"], plan["split"] = groups[start:end], splits[start:end]
        start = end
    sizes = Counter(groups)
    shares = {
        "groups": len(sizes),
        "largest_group": max(sizes.values(), default=0),
        "splits": {split: splits.count(split) for split in schema.SPLITS},
    }
    return plans, shares


def finish_chunk(number: int, plan: dict[str, Any], staging: str, folder: str) -> dict[str, Any]:
    """products-NNNNN.parquet and its rejects from one staged chunk; its counts."""
    chunk, rejects = plan["chunk"], list(plan["rejects"])
    table = pq.read_table(Path(staging) / f"{number:05d}.parquet")
    again = {line: i for i, (line, reason) in enumerate(zip(plan["lines"], plan["reasons"], strict=True)) if reason}
    if again:
        for row in read(chunk):
            if row.line in again:
                i = again[row.line]
                rejects.append(reject(chunk, row, table["key"][i].as_py(), plan["reasons"][i]))
    table = table.filter(pa.array([reason is None for reason in plan["reasons"]], pa.bool_()))
    table = table.append_column("group", pa.array(plan["group"], pa.string()))
    table = table.append_column("split", pa.array(plan["split"], pa.string()))
    name = f"products-{number:05d}.parquet"
    digest = ""
    if table.num_rows:
        path = Path(folder) / name
        write_table(table.cast(schema.CATALOG), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if rejects:
        rejects.sort(key=lambda r: r["line"])
        path = Path(folder) / "rejects" / f"rejects-{number:05d}.parquet"
        write_table(pa.Table.from_pylist(rejects, schema=schema.REJECTS), path)
    errors = [error for error in table["image_error"].to_pylist() if error]
    blank = pc.and_(pc.equal(table["title"], ""), pc.equal(table["description"], ""))
    counts = {
        "products": table.num_rows,
        "rejected": len(rejects),
        "labelled": table.num_rows - table["path"].null_count,
        "images": table.num_rows - table["image"].null_count,
        "image_errors": len(errors),
        "no_text": pc.sum(blank).as_py() or 0,
    }
    return {
        "name": name,
        "feed": chunk.feed,
        "sha256": digest,
        "counts": counts,
        "platforms": dict(Counter(table["platform"].to_pylist())),
        "reject_reasons": dict(Counter(_kind(r["reason"]) for r in rejects)),
        "image_error_reasons": dict(Counter(_kind(error) for error in errors)),
    }


def _counts(staged: list[dict[str, Any]], finished: list[dict[str, Any]]) -> dict[str, Any]:
    """The manifest's sums over all chunks: in all, by feed, by platform, by reason."""
    feeds: dict[str, Counter[str]] = {}
    sums: dict[str, Counter[str]] = {name: Counter() for name in ("platforms", "reject_reasons", "image_error_reasons")}
    for before, after in zip(staged, finished, strict=True):
        feeds.setdefault(after["feed"], Counter()).update({"rows_in": before["rows_in"], **after["counts"]})
        for name, counter in sums.items():
            counter.update(after[name])
    unknown: Counter[str] = Counter()
    for before in staged:
        unknown.update(before["unknown_paths"])
    total = sum(feeds.values(), Counter[str]())
    names = ("rows_in", "products", "rejected", "labelled", "images", "image_errors", "no_text")
    return {
        **{name: total[name] for name in names},
        "feeds": {feed: {name: counts[name] for name in names} for feed, counts in feeds.items()},
        **{name: dict(counter.most_common()) for name, counter in sums.items()},
        "unknown_path_rows": unknown.total(),
        "unknown_paths": dict(unknown.most_common(20)),
    }


def _kind(reason: str) -> str:
    """A reason without its particulars, to count by."""
    return "no such picture" if reason.startswith("no ") and " in " in reason else reason.split(":")[0].split(" (")[0]
