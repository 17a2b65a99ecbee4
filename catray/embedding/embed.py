"""Catalog -> embeddings, through Ray Data: `embed(config)` writes embeddings/{part-*.parquet, manifest.json}.

    catalog file -> decode and resize (CPU tasks) -> encoder actors (GPU, or one a core) -> part file

The unit of work and of resuming is a catalog file: products-00007.parquet becomes part-00007.parquet, written
whole or not at all. A run that was killed leaves finished parts, and the next run makes only the others; a part made
from another catalog file or by other encoders is made again. So each product is there once, whatever died.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catray import schema
from catray.artifact import MANIFEST, config_hash, read_manifest, require_manifest, write_manifest
from catray.cluster import quiet_data, user_errors
from catray.config import Config
from catray.encoders.presets import Preset, preset_for
from catray.errors import CatrayError
from catray.progress import progress

CPU_ACTOR = 0.75  # of a core: what is left runs the decoding tasks, so that neither can starve the other


def embed(config: Config) -> dict[str, Any]:
    """Embed every product of the catalog that has no embedding yet; returns the manifest.

    Errors: CatrayError without a catalog, or where the encoders can't be loaded here.
    """
    started = time.monotonic()
    catalog = require_manifest(config.folder("catalog"), "ingest")
    preset = preset_for(config.embedding)
    folder = config.folder("embeddings")
    folder.mkdir(parents=True, exist_ok=True)
    made_by = config_hash(json.dumps(asdict(preset), sort_keys=True), config.embedding.precision)
    wanted = {_part(name): (name, file["sha256"]) for name, file in catalog["files"].items()}
    done = {part for part, (_, sha) in wanted.items() if _source(folder / part) == (sha, made_by)}
    manifest = read_manifest(folder)
    if manifest and len(done) == len(wanted) == manifest["parts"] and manifest["made_by"] == made_by:
        return manifest
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.suffix == ".tmp" or (path.suffix == ".parquet" and path.name not in done):
            path.unlink()

    pending = [
        {
            "source": str(config.folder("catalog") / name),
            "target": str(folder / part),
            "sha256": sha,
            "made_by": made_by,
        }
        for part, (name, sha) in sorted(wanted.items())
        if part not in done
    ]
    resumed = sum(catalog["files"][wanted[part][0]]["products"] for part in done)
    encoded = 0
    with progress("embed", total=catalog["products"] - resumed) as bar, user_errors():
        for rows in _run(pending, preset, config):
            encoded += rows
            bar.update(rows)
    seconds = time.monotonic() - started
    encoders = _encoders(folder, list(wanted))
    dims = {name: encoders[name]["dim"] for name in schema.DENSE_MODALITIES if name in encoders}
    if encoded + resumed != catalog["products"]:
        raise RuntimeError(f"products were lost: {catalog['products']} in, {encoded} embedded, {resumed} resumed")
    return write_manifest(
        folder,
        config_hash=config_hash(config.embedding),
        made_by=made_by,
        catalog_hash=catalog["config_hash"],
        products=catalog["products"],
        embedded=encoded,
        resumed=resumed,
        parts=len(wanted),
        encoders=encoders,
        dims=dims,
        lexical_buckets=encoders.get("lexical", {}).get("buckets"),
        seconds=round(seconds, 2),
        products_per_second=round(encoded / seconds, 1),
    )


def _run(pending: list[dict[str, Any]], preset: Preset, config: Config) -> Any:
    """The pipeline over the pending files: yields the number of rows of each part as it is written."""
    import ray
    import ray.data
    from ray.data import ActorPoolStrategy

    if not pending:
        return
    quiet_data()
    resources = ray.cluster_resources()
    gpus, cpus = int(resources.get("GPU", 0)), max(1, int(resources.get("CPU", 1)))
    on_gpu = gpus > 0 and config.embedding.device != "cpu"
    if config.embedding.device == "cuda" and not gpus:
        raise CatrayError("embedding.device is cuda, but the cluster has no GPU: set it to auto or cpu")
    actors = min(len(pending), gpus if on_gpu else cpus)
    settings = {
        "preset": preset,
        "device": "cuda" if on_gpu else "cpu",
        "precision": config.embedding.precision,
        "batch_size": config.embedding.batch_size,
        "threads": max(1, cpus // actors),
    }
    dataset = (
        ray.data.from_items(pending, override_num_blocks=len(pending))
        .map(prepare_file, fn_kwargs={"preset": preset}, num_cpus=1 if on_gpu else 1 - CPU_ACTOR)
        .map(
            Encode,
            fn_constructor_kwargs=settings,
            compute=ActorPoolStrategy(size=actors),
            **({"num_gpus": 1} if on_gpu else {"num_cpus": CPU_ACTOR}),
        )
    )
    for row in dataset.iter_rows():
        yield row["rows"]


def prepare_file(item: dict[str, Any], preset: Preset) -> dict[str, Any]:
    """Read one catalog file, decode and resize its pictures; needs no weights. The result is one row of bytes."""
    from catray.encoders.encoders import prepare_rows

    table = pq.read_table(item["source"], columns=["key", "title", "description", "image"])
    prepared = prepare_rows(table.select(["title", "description", "image"]).to_pylist(), preset)
    return {**item, "keys": _pack(table.select(["key"])), **prepared.pack()}


class Encode:
    """The actor: holds the encoders, turns prepared files into part files."""

    def __init__(self, preset: Preset, device: str, precision: str, batch_size: int, threads: int) -> None:
        import torch

        from catray.encoders.encoders import Encoders

        if device == "cpu":
            torch.set_num_threads(threads)
        self.encoders = Encoders(preset, device=device, precision=precision)
        self.batch_size = batch_size

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from catray.encoders.encoders import Prepared

        vectors = self.encoders.encode(Prepared.unpack(row), batch_size=self.batch_size)
        table = vectors.add_column(0, "key", _unpack(row["keys"])["key"])
        metadata = {
            "sha256": row["sha256"],
            "made_by": row["made_by"],
            "encoders": json.dumps(self.encoders.describe(), sort_keys=True),
        }
        target = Path(row["target"])
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")
        os.replace(temporary, target)
        return {"rows": table.num_rows}


def _pack(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _unpack(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def _part(name: str) -> str:
    return name.replace("products-", "part-")


def _source(path: Path) -> tuple[str, str] | None:
    """(sha256 of the catalog file, hash of the encoder settings) that a part was made from; None without a part."""
    if not path.is_file():
        return None
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return None  # not a whole Parquet file: made again
    return metadata.get(b"sha256", b"").decode(), metadata.get(b"made_by", b"").decode()


def _encoders(folder: Path, parts: list[str]) -> dict[str, Any]:
    """What the encoders say of themselves, the same in every part."""
    found = {(pq.read_schema(folder / part).metadata or {})[b"encoders"].decode() for part in parts}
    if len(found) != 1:
        raise CatrayError(
            f"{folder}: the parts were made by {len(found)} revisions of the encoders: remove it and embed again"
        )
    encoders: dict[str, Any] = json.loads(found.pop())
    return encoders
