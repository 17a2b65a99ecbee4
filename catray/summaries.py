"""What the verbs print when they are done: a table or a few lines of the manifest that the stage returned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catray.config import Config
from catray.console import note, show


def ingest(config: Config, manifest: Mapping[str, Any]) -> None:
    columns = ["rows_in", "products", "rejected", "labelled", "images", "image_errors"]
    rows = [[feed, *(f"{counts[c]:,}" for c in columns)] for feed, counts in manifest["feeds"].items()]
    rows.append(["all", *(f"{manifest[c]:,}" for c in columns)])
    show("ingest", ["feed", "rows", "products", "rejected", "labelled", "pictures", "broken pictures"], rows)
    folder = config.folder("catalog")
    for reason, count in manifest["reject_reasons"].items():
        note(f"  rejected: {count:,} x {reason} (kept in {folder / 'rejects'})")
    for reason, count in manifest["image_error_reasons"].items():
        note(f"  picture left out: {count:,} x {reason} (column image_error)")
    if manifest["unknown_path_rows"]:
        path, count = next(iter(manifest["unknown_paths"].items()))
        note(
            f"  {manifest['unknown_path_rows']:,} labels name {len(manifest['unknown_paths'])} paths that "
            f"{config.taxonomy} lacks (kept, unlabelled), most often {path!r} ({count:,})"
        )
    splits = ", ".join(f"{split} {count:,}" for split, count in manifest["splits"].items())
    note(f"  {manifest['groups']:,} near-duplicate groups, the largest of {manifest['largest_group']:,}; {splits}")
    note(f"  {manifest['rows_in'] / manifest['seconds']:,.0f} rows/s -> {folder}")


def embed(config: Config, manifest: Mapping[str, Any]) -> None:
    dims = ", ".join(f"{name} {dim}" for name, dim in manifest["dims"].items())
    note(
        f"embed: {manifest['products']:,} products ({manifest['embedded']:,} in the last run, {manifest['resumed']:,}"
        f" before it), {manifest['products_per_second']:,.0f} products/s; {dims} -> {config.folder('embeddings')}"
    )


def train(config: Config, metrics: Mapping[str, Any]) -> None:
    heads = [head for head in ("text", "full") if head in metrics]
    names = {"hF": "hF", "exact_path": "exact path", "leaf_macro_f1": "leaf macro-F1", "loss": "loss"}
    rows = [
        [f"{head} head", *(f"{metrics[head][name]:.4f}" for name in names), str(metrics[head]["epochs"])]
        for head in heads
    ]
    show("train: the validation split", ["head", *names.values(), "epochs"], rows)
    note(f"  {metrics['seconds']:.0f} s -> {config.folder('models', config.model.name)} (README.md is the model card)")


def evaluate(found: Mapping[str, Any]) -> None:
    title = f"evaluate: the {found['split']} split, {found['n']:,} products of {len(found['platforms'])} platforms"
    show(title, found["summary"]["headers"], found["summary"]["rows"])
    cascade = found["cascade"]
    note(
        f"  cascade: at threshold {cascade['threshold']:g} the text head answers {cascade['text_share']:.1%} of the"
        " products, the full head the rest"
    )
    note(f"  report: {found['report']}")


def predict(result: Mapping[str, Any], output: Path) -> None:
    note(
        f"predict: {result['products']:,} products, {result['abstained']:,} of them abstained (no text, no picture);"
        f" the text head answered {result['text']:,}, the full head {result['full']:,};"
        f" {result['products_per_second']:,.0f} products/s -> {output}"
    )


def recategorize(manifest: Mapping[str, Any]) -> None:
    node = " > ".join(manifest["node"])
    if manifest["outcome"] == "none":
        note(f"recategorize {node}: no subcategory proposed: {manifest['reason']}")
    else:
        shares = [f"{name} ({size:,})" for name, size in zip(manifest["names"], manifest["sizes"], strict=True)]
        note(
            f"recategorize {node}: {manifest['products']:,} products, {manifest['clusters']} subcategories proposed,"
            f" noise {manifest['noise_share']:.1%}: {', '.join(shares)}"
        )
    if scores := manifest["scores"]:
        names = ("purity", "completeness", "AMI", "ARI", "noise_share")
        row = [f"{scores[name]:.3f}" for name in names]
        row += [str(scores["clusters"]), str(scores["labels"]), f"{scores['labelled']:,}"]
        headers = ["purity", "completeness", "AMI", "ARI", "noise", "clusters", "hidden labels", "products with one"]
        show("against the hidden labels", headers, [row])
    note(f"  report: {manifest['report']}")
