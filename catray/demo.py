"""`catray demo`: draw a catalog, run every stage on it, and end with a table of what each stage did."""

from __future__ import annotations

import base64
import json
import socket
import statistics
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catray import summaries
from catray.config import Config, load_config
from catray.console import note, show
from catray.progress import progress

REQUESTS = 60  # to the service, one after another
FORMS = ("title", "picture", "both")  # what a request holds


def run_demo(out: Path, products: int, platforms: int, seed: int) -> None:
    """Every stage on a drawn catalog under `out`; prints what each did, the headline figures, and where reports lie."""
    from catray.catalog.demo import write_demo
    from catray.catalog.ingest import ingest
    from catray.cluster import connect
    from catray.embedding.embed import embed
    from catray.recategorization.recategorize import recategorize
    from catray.serving.batch import predict
    from catray.training.evaluate import evaluate
    from catray.training.fit import fit

    data, predictions = out / "data", out / "predictions.parquet"
    timings: list[tuple[str, int, float]] = []

    def stage(name: str, run: Callable[[], Any], count: Callable[[Any], int]) -> Any:
        note(f"\n== {name}")
        started = time.monotonic()
        result = run()
        timings.append((name, count(result), time.monotonic() - started))
        return result

    def draw() -> dict[str, Any]:
        with progress("draw", total=products) as bar:
            return write_demo(data, products, platforms, seed, bar.update)

    stage("draw", draw, lambda planted: planted["products"])
    config = load_config(data / "config.yaml", [f"workspace={out}"])
    connect()
    catalog = stage("ingest", lambda: ingest(config), lambda manifest: manifest["rows_in"])
    summaries.ingest(config, catalog)
    summaries.embed(config, stage("embed", lambda: embed(config), lambda manifest: manifest["products"]))
    learned = catalog["splits"]["train"] + catalog["splits"]["val"]
    summaries.train(config, stage("train", lambda: fit(config), lambda _: learned))
    found = stage("evaluate", lambda: evaluate(config), lambda found: found["n"])
    summaries.evaluate(found)
    result = stage("predict", lambda: predict(config, predictions), lambda result: result["products"])
    summaries.predict(result, predictions)
    node = config.recategorization.node
    assert node is not None  # the demo's settings name one
    proposal = stage("recategorize", lambda: recategorize(config, node), lambda manifest: manifest["products"])
    summaries.recategorize(proposal)
    answers = stage("serve", lambda: ask_service(config), lambda answers: len(answers["milliseconds"]))
    stages = ", ".join(f"{name} {count}" for name, count in answers["stages"].items())
    note(f"serve: {len(answers['milliseconds'])} requests one by one, answered by stage: {stages}")

    rows = [[name, f"{count:,}", f"{seconds:.1f}", f"{count / seconds:,.1f}"] for name, count, seconds in timings]
    rows.append(["all", "", f"{sum(seconds for _, _, seconds in timings):.1f}", ""])
    show("stages", ["stage", "products", "seconds", "products/s"], rows)
    show("headline", ["figure", "value"], headline(found, proposal, answers))
    note(f"Reports:\n  {found['report']}\n  {proposal['report']}")
    note(f"Next: catray serve --config {data / 'config.yaml'} --set workspace={out}")


def headline(found: dict[str, Any], proposal: dict[str, Any], answers: dict[str, Any]) -> list[list[str]]:
    """The figures that a newcomer looks for, each with what it is to be compared with."""
    ours, svm = (next(row for row in found["rows"] if row["name"] == name) for name in ("cascade", "tfidf_svm"))
    rows = [
        ["hierarchical F1, test split (TF-IDF + linear SVM)", f"{ours['hF']:.4f} ({svm['hF']:.4f})"],
        ["exact path (TF-IDF + linear SVM)", f"{ours['exact_path']:.1%} ({svm['exact_path']:.1%})"],
        ["answered by the text head alone", f"{found['cascade']['text_share']:.0%}"],
    ]
    if scores := proposal["scores"]:
        value = f"{scores['AMI']:.2f} AMI, {scores['purity']:.2f} purity"
        rows.append([f"{scores['labels']} hidden subtypes, {scores['clusters']} found", value])
    typical = statistics.median(answers["milliseconds"])
    return [*rows, ["service, median milliseconds a request", f"{typical:.0f}"]]


def ask_service(config: Config) -> dict[str, Any]:
    """Start the service, ask it about products of the catalog as a client would, stop it.

    Returns {"stages": how many answers each stage gave, "milliseconds": of every request}.
    """
    from catray.serving.app import serve, stop

    port = free_port(config.serving.host, config.serving.port)
    serving = config.serving.model_copy(update={"port": port})
    address = serve(config.model_copy(update={"serving": serving}), blocking=False)
    stages: Counter[str] = Counter()
    milliseconds: list[float] = []
    try:
        for body in requests(config):
            started = time.monotonic()
            answer = post(f"{address}/v1/categorize", body)
            milliseconds.append(1000 * (time.monotonic() - started))
            stages[answer["stage"]] += 1
    finally:
        stop()
    return {"stages": dict(stages.most_common()), "milliseconds": milliseconds}


def requests(config: Config) -> list[dict[str, str]]:
    """Bodies for /v1/categorize from products of the test split: a title, a picture or both, in turns."""
    import pyarrow.dataset as ds

    files = sorted(str(file) for file in config.folder("catalog").glob("products-*.parquet"))
    wanted = (ds.field("split") == "test") & ds.field("image").is_valid() & (ds.field("title") != "")
    table = ds.dataset(files).scanner(columns=["title", "image"], filter=wanted, batch_size=64).head(REQUESTS)
    bodies = []
    for i, row in enumerate(table.to_pylist()):
        form = FORMS[i % len(FORMS)]
        body = {"title": row["title"]} if form != "picture" else {}
        if form != "title":
            body["image"] = base64.b64encode(row["image"]).decode()
        bodies.append(body)
    return bodies


def post(url: str, body: dict[str, str]) -> dict[str, Any]:
    data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


def free_port(host: str, wanted: int) -> int:
    """`wanted`, or another port that is free: a service that runs here already is no reason to fail."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
