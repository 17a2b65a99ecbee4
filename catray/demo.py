"""`catray demo`: draw a catalog, run every stage on it, and end with a table of what each stage did."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catray.config import Config, load_config
from catray.console import note, show

REQUESTS = 50  # one by one, to the service


def run_demo(out: Path, products: int, platforms: int, seed: int) -> None:
    """Every stage on a drawn catalog under `out`; prints a table of stages, headline metrics and where the reports lie."""
    from catray import cli
    from catray.catalog.demo import write_demo
    from catray.progress import progress

    data = out / "data"
    timings: list[tuple[str, int, float]] = []

    def stage(name: str, run: Callable[[], tuple[int, Any]]) -> Any:
        note(f"\n== {name}")
        started = time.monotonic()
        count, result = run()
        timings.append((name, count, time.monotonic() - started))
        return result

    def draw() -> tuple[int, Any]:
        with progress("draw", total=products) as bar:
            return products, write_demo(data, products, platforms, seed, bar.update)

    stage("draw", draw)
    config = load_config(data / "config.yaml", [f"workspace={out}"])

    def ingest() -> tuple[int, Any]:
        from catray.catalog.ingest import ingest
        from catray.cluster import connect

        connect()
        manifest = ingest(config)
        cli.show_ingest(config, manifest)
        return manifest["rows_in"], manifest

    def embed() -> tuple[int, Any]:
        from catray.embedding.embed import embed

        manifest = embed(config)
        cli.show_embed(manifest)
        return manifest["products"], manifest

    def train() -> tuple[int, Any]:
        from catray.training.fit import fit

        metrics = fit(config)
        cli.show_train(config, metrics)
        return catalog["splits"]["train"] + catalog["splits"]["val"], metrics

    def evaluate() -> tuple[int, Any]:
        from catray.training.evaluate import evaluate

        result = evaluate(config)
        cli.show_evaluate(config, result)
        return catalog["splits"]["test"], result

    def predict() -> tuple[int, Any]:
        from catray.serving.batch import predict

        output = out / "predictions.parquet"
        result = predict(config, output, None)
        cli.show_predict(result, output)
        return catalog["products"], result

    def recategorize() -> tuple[int, Any]:
        from catray.recategorization.recategorize import recategorize

        assert config.recategorization.node is not None
        result = recategorize(config, config.recategorization.node)
        cli.show_recategorize(config, result)
        return result["products"], result

    catalog = stage("ingest", ingest)
    stage("embed", embed)
    stage("train", train)
    stage("evaluate", evaluate)
    stage("predict", predict)
    stage("recategorize", recategorize)
    stage("serve", lambda: serve(config))

    rows = [[name, f"{count:,}", f"{seconds:.1f}", f"{count / seconds:,.1f}"] for name, count, seconds in timings]
    rows.append(["all", "", f"{sum(seconds for _, _, seconds in timings):.1f}", ""])
    show("stages", ["stage", "products", "seconds", "products/s"], rows)


def serve(config: Config) -> tuple[int, Any]:
    """Start the service, ask it about products of the catalog as a client would, stop it."""
    raise NotImplementedError
