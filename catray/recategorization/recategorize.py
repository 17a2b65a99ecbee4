"""One node's products -> clusters -> proposed subcategories, and a report.

    recategorize(config, "Footwear > Shoes")    writes recategorization/footwear-shoes/

assignments.parquet (key, cluster, strength, x, y), proposal.json, report.html, and the manifest last. One process;
where cuML is at hand, its GPU is used from here.
"""

from __future__ import annotations

import logging
import re
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catray.artifact import MANIFEST, config_hash, require_manifest, write_json, write_manifest
from catray.config import Config
from catray.errors import CatrayError
from catray.evaluation.metrics import clustering
from catray.progress import progress
from catray.recategorization.backend import load_backend
from catray.recategorization.cluster import Clusters, cluster, smallest_cluster
from catray.recategorization.features import hidden_labels, read_features, read_products
from catray.recategorization.proposal import propose
from catray.recategorization.report import write_report
from catray.taxonomy import NodePath, format_path, parse_path, read_taxonomy

logger = logging.getLogger(__name__)

ASSIGNMENTS = pa.schema(
    [
        ("key", pa.string()),
        ("cluster", pa.int32()),  # -1: noise, or without an embedding
        ("strength", pa.float32()),  # 0..1
        ("x", pa.float32()),  # the map; null without an embedding
        ("y", pa.float32()),
    ]
)


def recategorize(config: Config, node: str | Sequence[str]) -> dict[str, Any]:
    """Cluster the products at or below `node` (`"A > B"` or ("A", "B")) and propose subcategories.

    Returns the manifest (counts, `outcome` "subcategories" | "none", `names`, `sizes`, `scores` against hidden labels,
    None without them or without clusters, `backend`, `seconds`) with `folder` and `report`. Errors: CatrayError for an
    unknown node (with the nearest one), missing artifacts, or too few products.
    """
    started = time.monotonic()
    settings = config.recategorization
    taxonomy = read_taxonomy(config.taxonomy)
    path = _parse(node)
    node_id = taxonomy.ids[taxonomy.index(path)]
    require_manifest(config.folder("catalog"), "ingest")
    encoders = require_manifest(config.folder("embeddings"), "embed").get("encoders")
    folder = config.folder("recategorization", settings.name or slug(path))

    with progress("recategorize", total=6, unit="steps") as bar:
        everything = read_products(config.folder("catalog"), path)
        features, present, space = read_features(config.folder("embeddings"), everything.keys, settings.space)
        known = np.asarray(present.any(axis=1))
        complete = np.asarray(present[known].all(axis=1))
        products, features = everything.select(np.flatnonzero(known)), np.ascontiguousarray(features[known])
        least = smallest_cluster(len(products), settings.min_cluster_size)
        _check_enough(path, len(everything), len(products), least)
        truth = hidden_labels(products, path, settings.hidden)
        bar.update()
        backend = load_backend(settings.backend)
        clusters = cluster(
            features,
            backend,
            config.seed,
            neighbors=settings.neighbors,
            components=settings.components,
            min_cluster_size=least,
            largest=settings.largest,
            step=bar.update,
        )
        proposal = propose(path, node_id, products, features, clusters, complete)
        scores = _score(truth, clusters) if proposal["clusters"] else None
        bar.update()

        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)  # from here until the end the artifact is unfinished
        _write_assignments(folder / "assignments.parquet", everything.keys, known, clusters)
        write_json(folder / "proposal.json", proposal)
        about = {
            "backend": {"name": backend.name, "reason": backend.reason, "versions": backend.versions},
            "space": space,
            "parameters": clusters.parameters,
        }
        write_report(
            folder / "report.html",
            proposal,
            products,
            clusters,
            truth,
            scores,
            about,
            catalog=config.folder("catalog"),
            gallery=settings.gallery,
        )
        bar.update()
    manifest = write_manifest(
        folder,
        settings=config_hash(settings, config.seed, format_path(path)),
        node=list(path),
        node_id=node_id,
        products=len(everything),
        clustered=len(products),
        without_embedding=len(everything) - len(products),
        outcome=proposal["outcome"],
        reason=proposal["reason"],
        clusters=len(proposal["clusters"]),
        names=[entry["name"] for entry in proposal["clusters"]],
        sizes=[entry["size"] for entry in proposal["clusters"]],
        noise_share=proposal["noise_share"],
        scores=scores,
        encoders=encoders,
        **about,
        seconds=round(time.monotonic() - started, 1),
    )
    return {**manifest, "folder": str(folder), "report": str(folder / "report.html")}


def slug(path: Sequence[str]) -> str:
    """`("Footwear", "Shoes")` -> `footwear-shoes`: letters and digits of any script."""
    text = unicodedata.normalize("NFKC", "-".join(path)).casefold()
    return re.sub(r"[\W_]+", "-", text).strip("-") or "node"


def _parse(node: str | Sequence[str]) -> NodePath:
    if not isinstance(node, str):
        return tuple(node)
    try:
        return parse_path(node)
    except ValueError as error:
        raise CatrayError(f"node {node!r}: {error}; a node is a path, 'A > B'") from error


def _check_enough(path: NodePath, products: int, embedded: int, least: int) -> None:
    if embedded >= 2 * least:
        return
    counted = f"{format_path(path)} has {products:,} product{'' if products == 1 else 's'}"
    if embedded < products:
        counted += f", {embedded:,} of them with an embedding"
    raise CatrayError(
        f"{counted}; looking for subcategories takes at least {2 * least} (two of {least}): choose a node above it, or"
        " set recategorization.min_cluster_size lower"
    )


def _score(truth: list[str | None] | None, clusters: Clusters) -> dict[str, Any] | None:
    """Agreement with the hidden labels, over the products that have one."""
    if truth is None:
        return None
    rows = [i for i, label in enumerate(truth) if label is not None]
    labels = [label for label in truth if label is not None]
    if len(set(labels)) < 2:
        return None
    return {**clustering(labels, clusters.labels[rows]), "labelled": len(rows), "labels": len(set(labels))}


def _write_assignments(file: Path, keys: list[str], known: np.ndarray, clusters: Clusters) -> None:
    labels = np.full(len(keys), -1, dtype=np.int32)
    strength = np.zeros(len(keys), dtype=np.float32)
    spot = np.full((len(keys), 2), np.nan, dtype=np.float32)
    labels[known], strength[known], spot[known] = clusters.labels, clusters.strength, clusters.map
    columns = [pa.array(keys, pa.string()), pa.array(labels), pa.array(strength)]
    columns += [pa.array(spot[:, i], mask=~known) for i in range(2)]
    pq.write_table(pa.Table.from_arrays(columns, schema=ASSIGNMENTS), file, compression="zstd")
