"""The demo catalog: the feeds of made-up shops, each in its own format, language and habits, with drawn pictures.

    write_demo(Path("demo"), products=3000, platforms=8, seed=0)
    catray ingest --config demo/config.yaml

Ranges of product numbers are drawn apart, and each writes its own part of every shop's feed: a small catalog is one
range, drawn here; a large one is many, drawn by Ray tasks. What comes out - products, labels, what is planted - doesn't
depend on how many. planted.json holds what an ingest must come to: near-duplicates, wrong labels, broken pictures, rows
that must be rejected.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from catray.artifact import write_json
from catray.catalog.assortment import SEPARATOR, leaves
from catray.catalog.demo_feeds import CONFIG_START, FeedPart, config_text, text_file
from catray.catalog.demo_products import broken, draw_product
from catray.catalog.planted import Planted, merge
from catray.catalog.platforms import FARTHEST, shops
from catray.catalog.shops import Shop
from catray.config import load_config
from catray.errors import CatrayError

NODE = ("Shoes", "Sneakers")  # the leaf that the demo recategorizes: a tenth of the products, of four hidden subtypes
UNKNOWN_PATH = ("Clothing", "Ponchos")  # a label that the taxonomy lacks
RANGE = 4000  # products that are drawn at once; a smaller catalog isn't worth starting Ray
ROWS = 250  # of a shop's part, on average: many shops make longer ranges
TABLES = {"hidden": ("key", "label"), "labels": ("shop", "product", "category")}
PARTS = ".parts"  # the tables' parts, until they are joined

Progress = Callable[[int], Any]


@dataclass(frozen=True)
class Plan:
    """What every range needs to know."""

    out: Path
    seed: int
    sellers: Sequence[Shop]
    damage: dict[int, str]  # demo_products.broken


def write_demo(
    out: Path,
    products: int = 3000,
    platforms: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
    shift: float = 1.0,
    tasks: int | None = None,
) -> dict[str, Any]:
    """Write feeds, pictures, taxonomy.txt, labels.csv, hidden.csv, planted.json and config.yaml to `out`.

    `progress` is called with the number of products drawn since the last call; `shift`: see platforms.shops. More than
    one of `tasks` (default: by size) go through Ray. Returns what planted.json holds. A demo catalog that lies there is
    replaced, other files (a workspace) are left. planted.json is written last. Errors: CatrayError where there are
    fewer products than platforms or tasks, config.yaml is not a demo's, or the disk is full.
    """
    if not 1 <= platforms <= products:
        raise CatrayError(
            f"{products:,} products can't fill the feeds of {platforms:,} platforms: ask for more products"
        )
    if not 0 <= shift <= FARTHEST:
        raise CatrayError(f"shift {shift:g}: the platforms lie 0 (all alike) to {FARTHEST:g} apart; 1 is the usual")
    tasks = math.ceil(products / max(RANGE, ROWS * platforms)) if tasks is None else tasks
    if not 1 <= tasks <= products:
        raise CatrayError(f"{products:,} products can't be drawn by {tasks:,} tasks: ask for 1 to {products:,}")
    with _disk_errors(out):
        return _write(out, products, platforms, seed, progress, shift, tasks)


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """A full disk is the user's matter, in a task too."""
    try:
        yield
    except OSError as error:
        raise CatrayError(f"{out}: can't be written: {error}") from error


def _write(
    out: Path, products: int, platforms: int, seed: int, progress: Progress | None, shift: float, tasks: int
) -> dict[str, Any]:
    _clear(out)
    sellers = shops(platforms, seed, shift)
    labelled_apart = any(not shop.columns["path"] for shop in sellers)
    config = config_text(out, sellers, seed, shift, SEPARATOR.join(NODE), labelled_apart)
    (out / "config.yaml").write_text(config, encoding="utf-8")
    (out / "taxonomy.txt").write_text("".join(SEPARATOR.join(path) + "\n" for path in leaves()), encoding="utf-8")
    (out / PARTS).mkdir(exist_ok=True)
    plan = Plan(out.resolve(), seed, sellers, broken(products, seed, sellers))
    ends = [products * n // tasks for n in range(tasks + 1)]
    ranges = [range(start, end) for start, end in pairwise(ends)]
    if tasks == 1:
        results = [draw_range(0, ranges[0], plan, progress)]
    else:
        results = []
        for result in _through_ray(ranges, plan):
            results.append(result)
            if progress:
                progress(result["drawn"])
        results.sort(key=lambda result: result["number"])
    _join_tables(out, list(TABLES) if labelled_apart else ["hidden"], tasks)
    for shop in sellers:  # of tasks that were killed and run again
        for left in (out / shop.name).rglob("*.tmp"):
            left.unlink(missing_ok=True)
    summary: dict[str, Any] = merge([result["planted"] for result in results], sellers, shift)
    write_json(out / "planted.json", summary)
    return summary


def _through_ray(ranges: list[range], plan: Plan) -> Iterator[dict[str, Any]]:
    """draw_range of each, as Ray Data tasks; the results as they come."""
    import ray
    import ray.data

    from catray.cluster import connect, quiet_data, user_errors

    connect()
    quiet_data()
    shared = ray.put((ranges, plan))

    def run(row: dict[str, Any]) -> dict[str, Any]:
        ranges, plan = ray.get(shared)
        # As JSON: nested results would have to share one Arrow schema.
        return {"result": json.dumps(draw_range(int(row["id"]), ranges[row["id"]], plan))}

    with user_errors():
        for row in ray.data.range(len(ranges), override_num_blocks=len(ranges)).map(run, num_cpus=1).iter_rows():
            yield json.loads(row["result"])


def draw_range(number: int, numbers: range, plan: Plan, progress: Progress | None = None) -> dict[str, Any]:
    """Draw products and write part `number` of every feed and table; returns what is planted there.

    Each file appears when it is whole: a range that is drawn twice writes the same files twice.
    """
    planted = Planted()
    feeds: dict[str, FeedPart] = {}
    with _disk_errors(plan.out), ExitStack() as files:
        hidden, labels = (
            csv.writer(files.enter_context(text_file(plan.out / PARTS / _part(name, number)))) for name in TABLES
        )
        for n in numbers:
            product = draw_product(n, plan.seed, plan.sellers)
            shop, fault = product.shop, plan.damage.get(n, "")
            if fault == "unknown_path":
                product = replace(product, label=UNKNOWN_PATH)
            picture = product.picture()
            if shop.name not in feeds:
                feeds[shop.name] = files.enter_context(FeedPart(plan.out / shop.name, shop, number))
            feeds[shop.name].add(product, picture, fault)
            planted.count(product, picture is not None, fault)
            if product.item.subtype:
                hidden.writerow((product.key, product.item.subtype))
            if product.label and not shop.columns["path"]:
                labels.writerow((shop.name, product.product_id, SEPARATOR.join(product.label)))
            if progress:
                progress(1)
    return {"number": number, "drawn": len(numbers), "planted": planted.found()}


def _part(table: str, number: int) -> str:
    return f"{table}-{number:05d}.csv"


def _join_tables(out: Path, tables: Sequence[str], tasks: int) -> None:
    """hidden.csv and labels.csv from their parts, in order: the driver holds none of it."""
    for table in tables:
        with (out / f"{table}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerow(TABLES[table])
            for number in range(tasks):
                with (out / PARTS / _part(table, number)).open(encoding="utf-8", newline="") as rows:
                    shutil.copyfileobj(rows, stream)
    shutil.rmtree(out / PARTS)


def _clear(out: Path) -> None:
    """Make `out`; remove the feeds of an earlier demo catalog there, whole or half written."""
    out.mkdir(parents=True, exist_ok=True)
    config = out / "config.yaml"
    if not config.exists():
        return
    text = config.read_text(encoding="utf-8", errors="replace")
    if not text.startswith(CONFIG_START):
        raise CatrayError(f"{config}: not of a demo catalog, and would be overwritten: name another folder")
    for feed in load_config(config).catalog.feeds:
        shutil.rmtree(out / Path(feed).name, ignore_errors=True)
    shutil.rmtree(out / PARTS, ignore_errors=True)
    for name in ("hidden.csv", "labels.csv", "planted.json"):
        (out / name).unlink(missing_ok=True)
