"""Model + embeddings + catalog -> evaluation/NAME/: metrics.json, predictions.parquet, report.html.

    evaluate(config)      scores config.evaluation.split, which the model has not seen

Four rows in one table: the text head, the full head, the cascade of both as the service runs it, and TF-IDF + linear
SVM fitted on the train split. One process, no Ray: the heads are small, and the embeddings are there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import yaml

from catray import __version__, schema
from catray.artifact import MANIFEST, config_hash, require_manifest, write_json, write_manifest
from catray.config import Config
from catray.errors import CatrayError
from catray.evaluation import confidence
from catray.evaluation.baseline import tfidf_svm
from catray.evaluation.compare import compare, summary, trust
from catray.evaluation.examples import Evaluated
from catray.evaluation.report import write_report
from catray.fusion.model import Model, Prediction
from catray.progress import progress
from catray.taxonomy import Taxonomy, read_taxonomy
from catray.training.data import Labelled, count_labelled, load_labelled

LABELS = {"text": "text head", "full": "full head", "cascade": "cascade", "tfidf_svm": "TF-IDF + linear SVM"}
HEADLINE = "cascade"


def evaluate(config: Config) -> dict[str, Any]:
    """Score the model on the labelled products of one split; writes the folder, its manifest last.

    Returns what metrics.json holds (as `compare` does, with model, split, `cascade` {threshold, text_share},
    `confidence` {model: as `trust`}, `threshold_curve`), and `summary`, a table for the console, `folder` and `report`.
    Errors: CatrayError where catalog, embeddings or model are missing or don't belong together, or the split is empty.
    """
    started = time.monotonic()
    settings, split = config.evaluation, config.evaluation.split
    catalog = require_manifest(config.folder("catalog"), "ingest")
    embeddings = require_manifest(config.folder("embeddings"), "embed")
    model = _model(config, embeddings)
    taxonomy = model.taxonomy
    counts = count_labelled(config.workspace, taxonomy, schema.SPLITS)
    if not counts[split]["labelled"]:
        raise CatrayError(
            f"{config.folder('catalog')}: no labelled product in the {split} split; label more products, or set "
            "evaluation.split or catalog.split otherwise"
        )
    if settings.baseline and not counts["train"]["labelled"]:
        raise CatrayError(
            f"{config.folder('catalog')}: no labelled product in the train split to fit TF-IDF + linear SVM on; set "
            "evaluation.baseline=false to do without"
        )
    with progress("evaluate", total=8, unit="steps") as bar:
        data = load_labelled(config.workspace, taxonomy, model.modalities, splits=(split,))
        truth = data.targets.numpy()
        bar.update()
        text, full = model.predict(data.batch, "text"), model.predict(data.batch, "full")
        pictured = _pictured(data)
        by_text = (text.nodes >= 0) & ((text.probability.astype(float) >= config.serving.threshold) | ~pictured)
        nodes = {"text": text.nodes, "full": full.nodes, HEADLINE: np.where(by_text, text.nodes, full.nodes)}
        probability = np.where(by_text, text.probability, full.probability)
        bar.update()
        train_texts, train_nodes, titles, texts = _texts(config, taxonomy, data, split)
        if settings.baseline:
            nodes["tfidf_svm"] = tfidf_svm(train_texts, train_nodes, texts, config.seed)
        bar.update()
        found = compare(
            taxonomy,
            truth,
            nodes,
            LABELS,
            data.groups,
            data.platforms,
            HEADLINE,
            "tfidf_svm" if settings.baseline else None,
            settings.bootstrap,
            config.seed,
        )
        bar.update()
        sure = {"text": (text.nodes, text.probability), "full": (full.nodes, full.probability)}
        sure[HEADLINE] = (nodes[HEADLINE], probability)
        found |= {
            "model": config.model.name,
            "split": split,
            "cascade": {"threshold": config.serving.threshold, "text_share": float(by_text.mean())},
            "confidence": {name: trust(p, answers == truth) for name, (answers, p) in sure.items()},
            "threshold_curve": confidence.threshold_curve(
                taxonomy, truth, sure["text"], full.nodes, pictured, np.linspace(0, 1, 41)
            ),
        }
        bar.update()

        folder = config.folder("evaluation", settings.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)  # from here until the end the artifact is unfinished
        _write_predictions(folder / "predictions.parquet", taxonomy, data.keys, by_text, text, full)
        bar.update()
        write_json(folder / "metrics.json", found)
        write_report(
            folder / "report.html",
            taxonomy,
            Evaluated(
                keys=data.keys,
                titles=titles,
                platforms=data.platforms,
                truth=truth,
                predicted=nodes[HEADLINE],
                probability=probability,
                stages=_stages(by_text, nodes[HEADLINE]),
                probabilities={LABELS[name]: pair for name, pair in sure.items()},
                train_counts=np.bincount(train_nodes, minlength=len(taxonomy)),
            ),
            found,
            _about(config, model, catalog, counts, found),
            yaml.safe_dump(
                config.model_dump(mode="json", include={"seed", "embedding", "model", "evaluation", "serving"}),
                sort_keys=False,
            ),
            lambda keys: _pictures(config, keys),
            examples=settings.examples,
            seed=config.seed,
        )
        bar.update()
    write_manifest(
        folder,
        config_hash=config_hash(settings, config.seed, str(config.serving.threshold)),
        model=config.model.name,
        taxonomy=taxonomy.hash,
        encoders=model.encoders,
        split=split,
        products=len(truth),
        seconds=round(time.monotonic() - started, 1),
    )
    return {**found, "summary": summary(found), "folder": str(folder), "report": str(folder / "report.html")}


def _model(config: Config, embeddings: Mapping[str, Any]) -> Model:
    folder = config.folder("models", config.model.name)
    require_manifest(folder, "train")
    model = Model.load(folder)
    wrong = [m for m in model.modalities if model.encoders.get(m) != embeddings["encoders"].get(m)]
    if wrong:
        raise CatrayError(
            f"{config.folder('embeddings')}: made by other encoders than the model's ({', '.join(wrong)}); run "
            "`catray train` again, or `catray embed` with the settings of the model"
        )
    if read_taxonomy(config.taxonomy).hash != model.taxonomy.hash:
        raise CatrayError(f"{folder}: trained on another taxonomy than {config.taxonomy}; run `catray train` again")
    return model


def _pictured(data: Labelled) -> np.ndarray:
    """(n,) bool: there is a picture, and the model reads pictures; else the cascade stays with the text stage."""
    masks = [mask.numpy() for name, mask in data.batch.mask.items() if schema.MASK_OF[name] == "has_image"]
    return np.logical_or.reduce(masks) if masks else np.zeros(len(data.keys), dtype=bool)


def _stages(by_text: np.ndarray, nodes: np.ndarray) -> list[str | None]:
    return [None if node < 0 else "text" if light else "full" for light, node in zip(by_text, nodes, strict=True)]


def _catalog(config: Config) -> ds.Dataset:
    # the files of this folder only: catalog/rejects lies below it
    return ds.dataset(sorted(str(file) for file in config.folder("catalog").glob("*.parquet")), format="parquet")


def _texts(
    config: Config, taxonomy: Taxonomy, data: Labelled, split: str
) -> tuple[list[str], np.ndarray, list[str], list[str]]:
    """Texts and nodes of the train split, and titles and texts of the products of `data`, in its order."""
    columns = ["key", "title", "description", "path", "split"]
    wanted = pc.is_valid(pc.field("path")) & pc.is_in(pc.field("split"), pa.array(["train", split]))
    table = _catalog(config).to_table(columns=columns, filter=wanted)
    train = table.filter(pc.equal(table["split"], "train")).sort_by("key")
    nodes = np.array([taxonomy.index(path) for path in train["path"].to_pylist()], dtype=np.int64)
    rows = table.take(pc.index_in(pa.array(data.keys, pa.string()), table["key"].combine_chunks()))
    return _text(train), nodes, rows["title"].to_pylist(), _text(rows)


def _text(table: pa.Table) -> list[str]:
    pairs = zip(table["title"].to_pylist(), table["description"].to_pylist(), strict=True)
    return [f"{title}. {description}" if description else title for title, description in pairs]


def _pictures(config: Config, keys: Sequence[str]) -> dict[str, bytes | None]:
    there = pc.is_in(pc.field("key"), pa.array(keys, pa.string()))
    # small batches: pictures of a whole file at a time would take gigabytes
    table = _catalog(config).scanner(columns=["key", "image"], filter=there, batch_size=64).to_table()
    return dict(zip(table["key"].to_pylist(), table["image"].to_pylist(), strict=True))


def _write_predictions(
    file: Path, taxonomy: Taxonomy, keys: Sequence[str], by_text: np.ndarray, text: Prediction, full: Prediction
) -> None:
    """The cascade's answers; an abstained product has no path, node_id and stage, as in serving."""
    rows = []
    for i, key in enumerate(keys):
        chosen = text if by_text[i] else full
        node = int(chosen.nodes[i])
        rows.append(
            {
                "key": key,
                "path": taxonomy.path(node) if node >= 0 else None,
                "node_id": taxonomy.ids[node] if node >= 0 else None,
                "probability": float(chosen.probability[i]),
                "level_probabilities": chosen.level_probabilities[i],
                "decision": "accepted" if node >= 0 else "abstained",
                "stage": ("text" if by_text[i] else "full") if node >= 0 else None,
            }
        )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.PREDICTIONS), file, compression="zstd")


def _about(
    config: Config, model: Model, catalog: Mapping[str, Any], counts: Mapping[str, Any], found: Mapping[str, Any]
) -> list[tuple[str, str]]:
    taxonomy, train = model.taxonomy, counts["train"]
    facts = [
        ("Model", f"{config.model.name}: {model.config.fusion} fusion of {', '.join(model.modalities)}"),
        (
            "Taxonomy",
            f"{len(taxonomy):,} nodes, {int(taxonomy.is_leaf.sum()):,} leaves, {int(taxonomy.level.max())} levels"
            f" ({taxonomy.hash})",
        ),
        ("Catalog", f"{catalog.get('products', 0):,} products, labelled or not"),
        ("Trained on", f"{train['labelled']:,} labelled products, {train['leaves']:,} leaves"),
        (
            "Scored on",
            f"{found['n']:,} labelled products of the {found['split']} split, {found['paths']:,} paths, "
            f"{found['groups']:,} groups of near duplicates; a group is never divided between splits",
        ),
    ]
    for name in model.modalities:
        facts.append((f"Encoder, {name}", _encoder(model.encoders.get(name))))
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "numpy"))
    written = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return [*facts, ("Seed", str(config.seed)), ("Made", f"{written} by catray {__version__} ({packages})")]


def _encoder(description: Any) -> str:
    if not isinstance(description, Mapping):
        return str(description or "unknown")
    shown = [f"{key} {value}" for key, value in description.items() if value not in (None, "") and key != "source"]
    return " · ".join([str(description["source"]), *shown] if "source" in description else shown)
