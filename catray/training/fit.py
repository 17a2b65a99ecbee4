"""Embeddings -> model: `fit(config)` trains both heads with Ray Train and writes models/NAME/.

Each worker reads the catalog's labels and the embeddings by path (workers on several machines need shared storage),
trains the text head and then the full one (loop.py), and worker 0 hands the weights over as a checkpoint. The driver
writes the folder: the model's files, metrics.json, README.md (the model card) and, last,
manifest.json. A model that is already there stays until the new one is ready.

Notable: one worker asks Ray for one CPU, so that training runs on any cluster, and uses the cores that it finds;
the same seed, data and machine with one worker give the same weights.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from catray.artifact import config_hash, require_manifest, write_json, write_manifest
from catray.config import Config
from catray.errors import CatrayError
from catray.fusion.calibration import fit_temperature
from catray.fusion.model import FILES, Model
from catray.fusion.trunk import Inputs, LexicalSize, vocabulary
from catray.progress import progress
from catray.schema import DENSE_MODALITIES
from catray.taxonomy import Taxonomy, read_taxonomy
from catray.training.card import model_card
from catray.training.data import count_labelled, load_labelled
from catray.training.loop import fit_views, sample_logits, score, train_head

log = logging.getLogger(__name__)
STEPS, SMALLEST_BATCH = 64, 32
"""A small catalog takes smaller batches: with the usual ones an epoch is a few steps, and the heads stay unfinished."""


def fit(config: Config) -> dict[str, Any]:
    """Train both heads; returns metrics.json: {"text": {...}, "full": {...}, "history": ..., "rows": ...}.

    Errors: CatrayError where catalog or embeddings are missing, where there is nothing to train or validate on, where
    the cluster is too small for model.workers, and with the first worker's error where training failed.
    """
    started = time.monotonic()
    catalog = require_manifest(config.folder("catalog"), "ingest")
    embeddings = require_manifest(config.folder("embeddings"), "embed")
    taxonomy = read_taxonomy(config.taxonomy)
    modalities = _modalities(config, embeddings)
    rows = count_labelled(config.workspace, taxonomy)
    _check(rows, config)
    folder = config.folder("models", config.model.name)
    storage = config.folder("models", f".ray-{config.model.name}-{os.getpid()}").absolute()
    job = {
        "config": config.model_copy(update={"workspace": str(Path(config.workspace).absolute())}).model_dump(),
        "taxonomy": taxonomy.to_json(),
        "embeddings": {key: embeddings[key] for key in ("encoders", "dims", "lexical_buckets")},
        "modalities": modalities,
        "epochs_file": str(storage / "epochs"),
    }
    try:
        storage.mkdir(parents=True)
        with _epochs(storage / "epochs", 2 * config.model.epochs):
            result = _run(config, job, storage)
        trained = result.return_value
        metrics = {**trained["val"], "history": trained["history"], "rows": rows, "left_out": trained["left_out"]}
        metrics["seconds"] = round(time.monotonic() - started, 1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").unlink(missing_ok=True)
        with result.checkpoint.as_directory() as checkpoint:
            for file in sorted(Path(checkpoint).iterdir()):
                if file.name in FILES:
                    shutil.copyfile(file, folder / file.name)
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    write_json(folder / "metrics.json", metrics)
    card = model_card(config, taxonomy, catalog, embeddings, modalities, metrics)
    (folder / "README.md").write_text(card, encoding="utf-8")
    write_manifest(
        folder,
        config_hash=config_hash(config.model, config.seed),
        catalog_hash=catalog.get("config_hash"),
        embeddings_hash=embeddings.get("config_hash"),
        taxonomy=taxonomy.hash,
        encoders=embeddings["encoders"],
        modalities=modalities,
        rows=rows,
        seconds=metrics["seconds"],
    )
    return metrics


def _modalities(config: Config, embeddings: dict[str, Any]) -> list[str]:
    held = [*(m for m in DENSE_MODALITIES if m in embeddings["dims"])]
    if embeddings.get("lexical_buckets"):
        held.append("lexical")
    wanted = config.model.modalities
    if wanted is None:
        return held
    if absent := [m for m in wanted if m not in held]:
        raise CatrayError(
            f"model.modalities: the embeddings hold no {', '.join(absent)} (they hold {', '.join(held)}); "
            "leave it out, or embed with a preset that has it"
        )
    if not wanted:
        raise CatrayError(f"model.modalities is empty: choose from {', '.join(held)}")
    return [m for m in held if m in wanted]


def _check(rows: dict[str, dict[str, int]], config: Config) -> None:
    for split in ("train", "val"):
        if not rows[split]["labelled"]:
            raise CatrayError(
                f"{config.folder('catalog')}: no labelled product in the {split} split; label more products, or change "
                "catalog.split and ingest again"
            )
    if not rows["train"]["leaf"]:
        raise CatrayError(
            f"{config.folder('catalog')}: no product of the train split is labelled down to a leaf of the taxonomy; "
            "check the path columns of the feeds"
        )


def _run(config: Config, job: dict[str, Any], storage: Path) -> Any:
    # the controller looks at its workers this often, and every report waits for it; the default is 2 s
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")  # a further process, for the dashboard's history
    import ray
    from ray.train import RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchTrainer

    from catray.cluster import connect

    connect()
    logging.getLogger("ray.train").setLevel(logging.WARNING)
    has, workers = ray.cluster_resources(), config.model.workers
    gpu = has.get("GPU", 0) > 0
    for kind in ("CPU", "GPU") if gpu else ("CPU",):
        if workers > has.get(kind, 0):
            raise CatrayError(
                f"model.workers is {workers}, but the cluster has {has.get(kind, 0):g} {kind}s; set it to that or fewer"
            )
    log.info("training with %d worker(s) on %s", workers, "GPU" if gpu else "CPU")
    trainer = TorchTrainer(
        train_worker,
        train_loop_config=job,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(name="run", storage_path=str(storage)),
    )
    try:
        return trainer.fit()
    except TrainingFailedError as error:
        raise CatrayError(f"training failed: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first worker's own error, in one line."""
    failures = getattr(error, "worker_failures", None)
    cause: BaseException = failures[min(failures)] if failures else error
    while True:
        inner = getattr(cause, "cause", None) or getattr(cause, "_base_exc", None) or cause.__cause__
        if not isinstance(inner, BaseException) or inner is cause:
            break
        cause = inner
    lines = [line for line in str(cause).splitlines() if line.strip()]
    text = lines[-1].strip() if lines else type(cause).__name__
    return text if isinstance(cause, CatrayError) else f"{type(cause).__name__}: {text}"


def train_worker(job: dict[str, Any]) -> dict[str, Any]:
    """What every Ray Train worker runs. Returns the validation metrics and histories (the same on all workers)."""
    from ray import train
    from ray.train.torch import get_device, prepare_model

    context = train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    # Ray sets one thread for a worker of one CPU; here the workers of a machine share its cores
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // context.get_local_world_size()))
    config = Config.model_validate(job["config"])
    epochs_file = Path(job["epochs_file"])

    def report(metrics: dict[str, Any]) -> None:
        if rank == 0:
            with epochs_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(metrics) + "\n")
        train.report(metrics)

    model, outcome = train_model(
        config, Taxonomy.from_json(job["taxonomy"]), job["embeddings"], job["modalities"], get_device(),
        report=report, prepare=prepare_model, rank=rank, workers=workers,
    )  # fmt: skip
    if rank == 0:
        with tempfile.TemporaryDirectory() as folder:
            model.save(folder)
            train.report(outcome["val"]["full"], checkpoint=train.Checkpoint.from_directory(folder))
    else:
        train.report(outcome["val"]["full"])
    return outcome


def train_model(
    config: Config,
    taxonomy: Taxonomy,
    embeddings: dict[str, Any],
    modalities: list[str],
    device: torch.device | str = "cpu",
    **loop: Any,
) -> tuple[Model, dict[str, Any]]:
    """Read the data, train both heads on `device`; no Ray.

    `loop`: what train_head takes of report, prepare, rank and workers.
    """
    data = load_labelled(config.workspace, taxonomy, modalities)
    train, val = data.rows("train"), data.rows("val")
    size, words = None, None
    if "lexical" in modalities:
        part = data.batch.select(train[data.batch.mask["lexical"][train]]).lexical
        assert part is not None
        words = vocabulary(*part, buckets=int(embeddings["lexical_buckets"]))
        size = LexicalSize(len(words[0]), len(words[1]))
    dims = {m: int(embeddings["dims"][m]) for m in modalities if m in DENSE_MODALITIES}
    torch.manual_seed(config.seed)
    model = Model(taxonomy, config.model, embeddings["encoders"], Inputs(dims, size)).to(device)
    outcome: dict[str, Any] = {"val": {}, "history": {}, "left_out": {}}
    report = loop.pop("report", lambda metrics: None)
    for stage in ("text", "full"):
        head, reads = model.head(stage), model.reads(stage)
        if head is None:
            continue
        # a product without any of the stage's modalities teaches nothing and is abstained from
        seen = torch.stack([data.batch.mask[m] for m in reads]).any(0)
        rows = {"train": train[seen[train]], "val": val[seen[val]]}
        for split, kept in rows.items():
            if not len(kept):
                raise CatrayError(f"no labelled product of the {split} split has any of {', '.join(reads)}")
        outcome["left_out"][stage] = {"train": len(train) - len(rows["train"]), "val": len(val) - len(rows["val"])}
        fit_views(head, data.batch, rows["train"], words)
        batch_size = max(SMALLEST_BATCH, min(config.model.batch_size, len(rows["train"]) // STEPS))
        settings = config.model.model_copy(update={"batch_size": batch_size})
        parts = {split: (data.batch.select(kept), data.targets[kept]) for split, kept in rows.items()}

        def report_head(metrics: dict[str, Any], stage: str = stage) -> None:
            report({"head": stage, **metrics})

        history = train_head(
            head,
            model.hierarchy,
            parts["train"],
            parts["val"],
            settings,
            config.seed,
            report=report_head,
            **loop,
        )
        final = score(head, model.hierarchy, *parts["val"])
        outcome["history"][stage] = history
        logits, targets = sample_logits(head, model.hierarchy, *parts["val"], seed=config.seed)
        model.temperature[stage] = fit_temperature(model.hierarchy, logits, targets)
        outcome["val"][stage] = {**asdict(final), "epochs": len(history), "temperature": model.temperature[stage]}
    return model, outcome


@contextmanager
def _epochs(file: Path, total: int) -> Iterator[None]:
    """A progress bar that follows the lines which worker 0 appends to `file`."""
    stop = threading.Event()
    with progress("train", total=total, unit="epochs") as bar:

        def follow() -> None:
            seen = 0
            while not stop.wait(0.5):
                lines = file.read_text(encoding="utf-8").count("\n") if file.is_file() else 0
                if lines > seen:
                    bar.update(lines - seen)
                    seen = lines

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
