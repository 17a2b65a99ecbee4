"""The command line: `catray VERB --config FILE --set dotted.key=value`. Thin: each verb calls one function.

Heavy libraries load inside the verbs, so that `catray --help` answers at once. An error of the user's is one line
and exit code 2; --debug shows the traceback.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from catray import __version__, summaries
from catray.config import Config, load_config
from catray.console import note, show
from catray.errors import CatrayError

app = typer.Typer(
    help="Product feeds of many shops in, a valid path of one taxonomy for every product out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The workspace's YAML file.")]
SetOption = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting or a variable.")]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"catray {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the workers' logs.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    if debug:
        os.environ["CATRAY_DEBUG"] = "1"
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("catray").setLevel(logging.INFO)


@app.command()
def doctor() -> None:
    """Say what is at hand here: Ray, torch, CUDA, cuML, cores, memory, and which presets can load."""
    from catray.doctor import examine

    show("doctor", ["part", "ok", "found", "how to mend"], examine())


@app.command("demo-catalog")
def demo_catalog(
    out: Annotated[Path, typer.Option(help="The folder to write feeds, taxonomy and config.yaml to.")],
    products: Annotated[int, typer.Option(min=1)] = 3000,
    platforms: Annotated[int, typer.Option(min=1)] = 8,
    seed: int = 0,
    shift: Annotated[
        float, typer.Option(min=0, max=3, help="How far apart the platforms lie: 0 all alike, 1 as usual, 2 far.")
    ] = 1.0,
    tasks: Annotated[
        int | None, typer.Option(min=1, help="Ray tasks that draw, each a range of products; default: by size.")
    ] = None,
) -> None:
    """Draw the demo catalog: the feeds of made-up shops, with pictures; a large one in parallel, through Ray Data."""
    from catray.catalog.demo import write_demo
    from catray.progress import progress

    with progress("draw", total=products) as bar:
        write_demo(out, products, platforms, seed, bar.update, shift, tasks)
    note(f"{products:,} products of {platforms} platforms in {out}; next: catray ingest --config {out / 'config.yaml'}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the demo's data and workspace go.")] = Path("workspaces/demo"),
    products: Annotated[int, typer.Option(min=200)] = 3000,
    platforms: Annotated[int, typer.Option(min=2)] = 8,
    seed: int = 0,
) -> None:
    """Draw a catalog and run every stage on it: ingest, embed, train, evaluate, predict, recategorize, serve."""
    from catray.demo import run_demo

    run_demo(out, products, platforms, seed)


@app.command()
def ingest(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="The workspace's YAML file.")] = None,
    set: SetOption = [],  # noqa: B006
    propose: Annotated[
        str | None, typer.Option(metavar="FEED", help="Print the YAML that maps an unknown feed, and do no more.")
    ] = None,
    images: Annotated[str | None, typer.Option(help="With --propose: where its pictures are.")] = None,
) -> None:
    """Feeds -> catalog: map, validate, label, group near-duplicates, split."""
    if propose is not None:
        from catray.catalog.propose import propose as guess
        from catray.catalog.propose import to_yaml

        print(to_yaml(guess(propose, images), Path(propose).absolute().parent.name), end="")
        return
    if config is None:
        raise CatrayError("which workspace? Give --config FILE (--propose FEED writes the settings of a new feed)")
    from catray.catalog.ingest import ingest as run

    settings = _start(config, set)
    summaries.ingest(settings, run(settings))


@app.command()
def embed(config: ConfigOption, set: SetOption = []) -> None:  # noqa: B006
    """Catalog -> embeddings; a run that was killed is taken up where it stopped."""
    from catray.embedding.embed import embed as run

    settings = _start(config, set)
    summaries.embed(settings, run(settings))


@app.command()
def train(config: ConfigOption, set: SetOption = []) -> None:  # noqa: B006
    """Embeddings -> model: fit the text head and the full head."""
    from catray.training.fit import fit

    settings = _start(config, set)
    summaries.train(settings, fit(settings))


@app.command()
def evaluate(config: ConfigOption, set: SetOption = []) -> None:  # noqa: B006
    """Model -> metrics and report, beside TF-IDF + linear SVM on the same split."""
    from catray.training.evaluate import evaluate as run

    summaries.evaluate(run(_start(config, set)))


@app.command()
def predict(
    config: ConfigOption,
    output: Annotated[Path, typer.Option(help="What to write: .parquet, .csv or .jsonl")],
    model: Annotated[Path | None, typer.Option(help="The model's folder; default: the workspace's own.")] = None,
    set: SetOption = [],  # noqa: B006
) -> None:
    """Predict every product of the workspace; ingests and embeds first what isn't yet."""
    from catray.artifact import read_manifest
    from catray.serving.batch import predict as run

    settings = _start(config, set)
    if read_manifest(settings.folder("catalog")) is None:
        from catray.catalog.ingest import ingest as run_ingest

        summaries.ingest(settings, run_ingest(settings))
    from catray.embedding.embed import embed as run_embed

    summaries.embed(settings, run_embed(settings))
    summaries.predict(run(settings, output, model), output)


@app.command()
def recategorize(
    config: ConfigOption,
    node: Annotated[str | None, typer.Option(help="A path of the taxonomy, 'A > B'.")] = None,
    set: SetOption = [],  # noqa: B006
) -> None:
    """Cluster one node's products and propose subcategories."""
    from catray.recategorization.recategorize import recategorize as run

    settings = _start(config, set, ray=False)
    node = node or settings.recategorization.node
    if not node:
        raise CatrayError("which node? Give --node 'A > B', or recategorization.node in the settings")
    summaries.recategorize(run(settings, node))


@app.command()
def serve(
    config: ConfigOption,
    model: Annotated[Path | None, typer.Option(help="The model's folder; default: the workspace's own.")] = None,
    set: SetOption = [],  # noqa: B006
) -> None:
    """Serve the model over HTTP in two stages: POST /v1/categorize."""
    from catray.serving.app import serve as run

    run(_start(config, set), model)


def _start(path: Path, overrides: list[str], ray: bool = True) -> Config:
    config = load_config(path, overrides)
    if ray:
        from catray.cluster import connect

        connect()
    return config


def main() -> None:
    """Entry point: a CatrayError becomes one line and exit code 2."""
    try:
        app()
    except CatrayError as error:
        if os.environ.get("CATRAY_DEBUG"):
            raise
        print(f"catray: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
