"""Batch prediction through Ray Data: `predict(config, output)` writes one row for every product of the workspace.

    embeddings file -> actor with the model (one file a task) -> part file -> merged, sorted by key -> the output

The format is the output's suffix: .parquet (schema.PREDICTIONS), .csv (paths as `A > B`, lists as JSON) or .jsonl.
The output appears whole or not at all. The merge holds the predictions in memory: about 200 bytes a product.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from catray.artifact import require_manifest
from catray.cluster import connect, quiet_data, user_errors
from catray.config import Config
from catray.errors import CatrayError
from catray.progress import progress
from catray.taxonomy import format_path

CPU_ACTOR = 0.75  # of a core: an actor pool must never take every CPU, or the pipeline waits for ever
CHUNK = 10_000  # rows of JSON Lines at a time


def predict(config: Config, output: str | Path, model_dir: str | Path | None = None) -> dict[str, Any]:
    """Predict every product of W/embeddings with the cascade; returns counts and speed.

    {"products", "accepted", "abstained", "text", "full" (answered by that stage), "threshold", "model", "seconds",
    "products_per_second"}. Errors: CatrayError for an unknown suffix, missing embeddings or model, or embeddings that
    other encoders made than the model's.
    """
    started = time.monotonic()
    output = Path(output)
    write = _writer(output)
    folder = Path(model_dir) if model_dir else config.folder("models", config.model.name)
    require_manifest(folder, "train")
    embeddings = require_manifest(config.folder("embeddings"), "embed")
    _check_encoders(folder, embeddings["encoders"])
    files = sorted(config.folder("embeddings").glob("*.parquet"))
    rows_in = sum(pq.read_metadata(file).num_rows for file in files)
    connect()
    output.parent.mkdir(parents=True, exist_ok=True)
    parts = output.absolute().parent / f".{output.name}.{os.getpid()}.parts"
    parts.mkdir()
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        items = [{"source": str(file.absolute()), "target": str(parts / file.name)} for file in files]
        with progress("predict", total=rows_in) as bar, user_errors():
            for rows in _run(items, folder.absolute(), config.serving.threshold):
                bar.update(rows)
        table = pa.concat_tables([pq.read_table(item["target"]) for item in items]).sort_by("key")
        _check_rows(table["key"], rows_in)
        write(table, temporary)
        os.replace(temporary, output)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
        temporary.unlink(missing_ok=True)
    seconds = time.monotonic() - started
    decisions, stages = (Counter(table[name].to_pylist()) for name in ("decision", "stage"))
    return {
        "products": table.num_rows,
        "accepted": decisions["accepted"],
        "abstained": decisions["abstained"],
        "text": stages["text"],
        "full": stages["full"],
        "threshold": config.serving.threshold,
        "model": folder.name,
        "seconds": round(seconds, 2),
        "products_per_second": round(table.num_rows / seconds, 1),
    }


def _run(items: list[dict[str, Any]], model: Path, threshold: float) -> Iterator[int]:
    """The number of rows of each part, as it is written."""
    import ray
    import ray.data
    from ray.data import ActorPoolStrategy

    quiet_data()
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    actors = max(1, min(len(items), cpus - 1))
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
        Categorize,
        fn_constructor_kwargs={"model": str(model), "threshold": threshold, "threads": max(1, cpus // actors)},
        compute=ActorPoolStrategy(size=actors),
        num_cpus=CPU_ACTOR,
    )
    for row in dataset.iter_rows():
        yield row["rows"]


class Categorize:
    """The actor: holds the model, turns embeddings files into part files."""

    def __init__(self, model: str, threshold: float, threads: int) -> None:
        import torch

        from catray.serving.predictor import Predictor

        torch.set_num_threads(threads)
        self.predictor, self.threshold = Predictor(model, device="cpu"), threshold

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        columns = ["key", "has_text", "has_image", *self.predictor.reads]
        table = self.predictor.categorize(pq.read_table(item["source"], columns=columns), self.threshold)
        temporary = f"{item['target']}.{os.getpid()}.tmp"
        pq.write_table(table, temporary)
        os.replace(temporary, item["target"])  # a task that Ray runs twice writes the same file twice
        return {"rows": table.num_rows}


def _check_encoders(model: Path, theirs: dict[str, Any]) -> None:
    description = json.loads((model / "config.json").read_text(encoding="utf-8"))
    for name in description["modalities"]:
        ours = description["encoders"].get(name)
        if theirs.get(name) != ours:
            raise CatrayError(
                f"{model}: the model was trained on {name} embeddings of {_named(ours)}, the workspace has them of "
                f"{_named(theirs.get(name))}; embed again with the model's encoders, or train again"
            )


def _named(encoder: dict[str, Any] | None) -> str:
    if encoder is None:
        return "no encoder"
    return " ".join(str(encoder[name]) for name in ("source", "revision") if name in encoder) or json.dumps(encoder)


def _check_rows(keys: pa.ChunkedArray, rows_in: int) -> None:
    unique = pc.count_distinct(keys).as_py()
    if not len(keys) == unique == rows_in:
        raise RuntimeError(f"products were lost or doubled: {rows_in} in, {len(keys)} out, {unique} keys")


# --- formats ---------------------------------------------------------------------------------------------------------


def _writer(output: Path) -> Callable[[pa.Table, Path], None]:
    writers = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
    if output.suffix not in writers:
        raise CatrayError(f"{output}: unknown format {output.suffix!r}; give a file that ends in {', '.join(writers)}")
    if output.is_dir():
        raise CatrayError(f"{output}: is a folder; give a file")
    return writers[output.suffix]


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _write_csv(table: pa.Table, path: Path) -> None:
    lists = {
        "path": [format_path(names or []) for names in table["path"].to_pylist()],
        "level_probabilities": [json.dumps([_short(p) for p in ps]) for ps in table["level_probabilities"].to_pylist()],
    }
    for name, values in lists.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    pyarrow.csv.write_csv(table, path)


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, table.num_rows, CHUNK):
            for row in table.slice(start, CHUNK).to_pylist():
                row["probability"] = _short(row["probability"])
                row["level_probabilities"] = [_short(p) for p in row["level_probabilities"]]
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _short(probability: float) -> float:
    """A float32 without the digits that only its double has."""
    return float(f"{probability:.6g}")
