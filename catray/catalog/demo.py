"""The demo catalog: the feeds of made-up shops, each in its own format, language and habits, with drawn pictures.

    write_demo(Path("demo"), products=3000, platforms=8, seed=0)
    catray ingest --config demo/config.yaml

A product is a function of the seed and its number alone (`draw_product`), so that any part of a catalog can be drawn
anywhere, in any order. What is planted in the feeds - near-duplicates, wrong labels, broken pictures, rows that must be
rejected - stands in planted.json, with the counts that an ingest must come to.
"""

from __future__ import annotations

import csv
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catray.artifact import write_json
from catray.catalog.assortment import SEPARATOR, Item, leaves, make_item
from catray.catalog.demo_feeds import CONFIG_START, FeedFile, config_text
from catray.catalog.drawing import Style, draw, encode
from catray.catalog.shops import Shop, shops
from catray.catalog.wording import description, shelf, title
from catray.config import load_config
from catray.errors import CatrayError

NODE = ("Shoes", "Sneakers")  # the leaf that the demo recategorizes: a tenth of the products, of four hidden subtypes
TWINS = 0.012  # share of the products that are another one again
TWIN_KINDS = ("recolored", "reencoded", "relisted")
WRONG_LABELS = 0.015
UNLABELLED = 0.02
UNKNOWN_PATH = ("Clothing", "Ponchos")  # a label that the taxonomy lacks


@dataclass(frozen=True)
class Product:
    """A product as its shop offers it; the picture is drawn when it is asked for. Title and description may be ""."""

    number: int
    shop: Shop
    item: Item
    title: str
    description: str
    native: tuple[str, ...]
    label: tuple[str, ...] | None
    style: Style | None  # None: without a picture
    picture_seed: str
    twin_of: int | None = None
    twin_kind: str = ""

    @property
    def product_id(self) -> str:
        return product_id(self.shop, self.number)

    @property
    def key(self) -> str:
        return f"{self.shop.name}/{self.product_id}"

    def picture(self) -> bytes | None:
        if self.style is None:
            return None
        return encode(draw(self.item.look(), self.style, self.picture_seed), self.style)


def product_id(shop: Shop, number: int) -> str:
    return f"{shop.prefix}{100_000 + number}"


def draw_product(number: int, seed: int, sellers: Sequence[Shop]) -> Product:
    """Product `number` of the catalog, of one of `sellers`; the same whenever and wherever it is drawn."""
    twin, kind = _twin_of(number, seed, len(sellers))
    if twin is None:
        return _original(number, seed, sellers)
    first = _original(twin, seed, sellers)
    product = replace(first, number=number, twin_of=twin, twin_kind=kind, label=first.item.path)
    rng = random.Random(f"{seed}/{number}/twin")
    if kind == "recolored":  # the same model in another color, in words and in the picture
        colors = sorted({"black", "white", "navy", "red", "beige", "green"} - {first.item.color, first.item.accent})
        item = replace(first.item, color=rng.choice(colors))
        words = _words(item, first.shop, twin, seed) if first.title else ""
        return replace(product, item=item, title=words)
    if kind == "reencoded":  # another title for the same picture, saved once more
        style = first.style and replace(first.style, quality=first.style.quality - 22)
        words = f"{first.title} {rng.choice(('II', 'plus', 'XL', 'S', '2.0'))}" if first.title else ""
        return replace(product, title=words, style=style)
    return replace(  # offered again, the title's words in another order, photographed anew
        product, title=" ".join(reversed(first.title.split(" "))), picture_seed=f"{seed}/{number}/picture"
    )


def _twin_of(number: int, seed: int, shops: int) -> tuple[int | None, str]:
    rng = random.Random(f"{seed}/{number}/dirt")
    if number < shops or rng.random() >= TWINS:
        return None, ""
    kind = rng.choice(TWIN_KINDS)
    first = rng.randrange(number)
    while (earlier := _twin_of(first, seed, shops)[0]) is not None:
        first = earlier
    return first, kind


def _original(number: int, seed: int, sellers: Sequence[Shop]) -> Product:
    rng = random.Random(f"{seed}/{number}/item")
    # The first products go to one shop each: no feed is empty.
    shop = sellers[number] if number < len(sellers) else rng.choices(sellers, [s.share for s in sellers])[0]
    item = make_item(rng, number, seed, shop.mix)
    label: tuple[str, ...] | None = item.path
    dice = rng.random()
    if dice < UNLABELLED:
        label = None
    elif dice < UNLABELLED + WRONG_LABELS:
        label = _neighbor(item.path, rng)
    blank, silent, unseen = rng.random(), rng.random(), rng.random()
    text = random.Random(f"{seed}/{number}/text")
    return Product(
        number=number,
        shop=shop,
        item=item,
        title="" if blank < shop.no_title else _words(item, shop, number, seed),
        description="" if silent < shop.no_description else description(item, shop.voice, text),
        native=shelf(item, shop.voice.language, shop.tree, text),
        label=label,
        style=None if unseen < shop.no_picture else shop.style,
        picture_seed=f"{seed}/{number}/picture",
    )


def _words(item: Item, shop: Shop, number: int, seed: int) -> str:
    return title(item, shop.voice, random.Random(f"{seed}/{number}/title"))


def _neighbor(path: tuple[str, ...], rng: random.Random) -> tuple[str, ...]:
    """A wrong leaf nearby."""
    others = [p for p in leaves() if p != path and p[0] == path[0]]
    near = [p for p in others if p[:-1] == path[:-1]]
    return rng.choice(near or others)


# --- broken things ---------------------------------------------------------------------------------------------------

IN_PLACE = ("truncated_picture", "text_as_picture", "missing_picture", "unknown_path")
EXTRA_ROWS = ("duplicate_id", "missing_id", "malformed_row")


def broken(products: int, seed: int, sellers: Sequence[Shop]) -> dict[int, str]:
    """{product number: what is broken there}: each kind at the same few products, whoever draws them.

    Of the last three kinds the product itself is whole; a broken copy of its row follows at the feed's end.
    """
    rng = random.Random(f"{seed}/broken")
    numbers = iter(rng.sample(range(products), min(products, 400)))
    found: dict[int, str] = {}
    for kind in IN_PLACE + EXTRA_ROWS:
        left = max(1, products // 1000)
        while left and (number := next(numbers, None)) is not None:
            product = draw_product(number, seed, sellers)
            if product.twin_of is None and _can_be(kind, product):
                found[number] = kind
                left -= 1
    return found


def _can_be(kind: str, product: Product) -> bool:
    if kind in ("truncated_picture", "text_as_picture"):
        return product.style is not None
    if kind == "missing_picture":
        return product.style is not None and product.shop.pictures != "bytes"
    if kind == "unknown_path":
        return product.label == product.item.path
    return kind != "malformed_row" or product.shop.format != "parquet"


# --- the whole catalog -----------------------------------------------------------------------------------------------


def write_demo(
    out: Path,
    products: int = 3000,
    platforms: int = 8,
    seed: int = 0,
    progress: Callable[[int], Any] | None = None,
) -> dict[str, Any]:
    """Write feeds, pictures, taxonomy.txt, labels.csv, hidden.csv, planted.json and config.yaml to `out`.

    `progress` is called with the number of products drawn since the last call. Returns what planted.json holds.
    A demo catalog that lies there is replaced, other files (a workspace) are left. planted.json is written last.
    Errors: CatrayError where there are fewer products than platforms, or config.yaml is not a demo's.
    """
    if not 1 <= platforms <= products:
        raise CatrayError(
            f"{products:,} products can't fill the feeds of {platforms:,} platforms: ask for more products"
        )
    _clear(out)
    sellers = shops(platforms, seed)
    in_file = any(not shop.columns["path"] for shop in sellers)
    config = config_text(out, sellers, seed, SEPARATOR.join(NODE), in_file)
    (out / "config.yaml").write_text(config, encoding="utf-8")
    (out / "taxonomy.txt").write_text("".join(SEPARATOR.join(path) + "\n" for path in leaves()), encoding="utf-8")
    damage = broken(products, seed, sellers)
    feeds = {shop.name: FeedFile(out / shop.name, shop) for shop in sellers}
    planted = _Planted(sellers)
    hidden: list[tuple[str, str]] = []
    labels: list[tuple[str, str, str]] = []
    for number in range(products):
        product = draw_product(number, seed, sellers)
        fault = damage.get(number, "")
        if fault == "unknown_path":
            product = replace(product, label=UNKNOWN_PATH)
        picture = product.picture()
        feeds[product.shop.name].add(product, picture, fault)
        planted.count(product, picture is not None, fault)
        if product.item.subtype:
            hidden.append((product.key, product.item.subtype))
        if product.label and not product.shop.columns["path"]:
            labels.append((product.shop.name, product.product_id, SEPARATOR.join(product.label)))
        if progress:
            progress(1)
    for feed in feeds.values():
        feed.close()
    _write_csv(out / "hidden.csv", ("key", "label"), hidden)
    if in_file:
        _write_csv(out / "labels.csv", ("shop", "product", "category"), labels)
    summary = planted.summary()
    write_json(out / "planted.json", summary)
    return summary


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
    for name in ("hidden.csv", "labels.csv", "planted.json"):
        (out / name).unlink(missing_ok=True)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


class _Planted:
    """What an ingest must find: counts by feed, and the keys of what was planted."""

    def __init__(self, sellers: Sequence[Shop]) -> None:
        self.feeds: dict[str, Counter[str]] = {shop.name: Counter() for shop in sellers}
        self.faults: dict[str, list[str]] = {kind: [] for kind in IN_PLACE + EXTRA_ROWS}
        self.twins: list[dict[str, str]] = []
        self.wrong: dict[str, str] = {}

    def count(self, product: Product, picture: bool, fault: str) -> None:
        counts = self.feeds[product.shop.name]
        extra, lost = fault in EXTRA_ROWS, fault in IN_PLACE[:3]
        counts.update(rows_in=1 + extra, products=1, rejected=int(extra), image_errors=int(lost))
        counts.update(images=int(picture and not lost), labelled=int(bool(product.label) and fault != "unknown_path"))
        if fault:
            self.faults[fault].append(product.key)
        if product.twin_of is not None:
            first = f"{product.shop.name}/{product_id(product.shop, product.twin_of)}"
            self.twins.append({"first": first, "second": product.key, "kind": product.twin_kind})
        if product.label and product.label != product.item.path and fault != "unknown_path":
            self.wrong[product.key] = SEPARATOR.join(product.item.path)

    def summary(self) -> dict[str, Any]:
        names = ("rows_in", "products", "rejected", "labelled", "images", "image_errors")
        return {
            **{name: sum(counts[name] for counts in self.feeds.values()) for name in names},
            "feeds": {feed: {name: counts[name] for name in names} for feed, counts in self.feeds.items()},
            "faults": {kind: len(keys) for kind, keys in self.faults.items()},
            "fault_keys": self.faults,
            "near_duplicates": self.twins,
            "wrong_labels": self.wrong,  # key -> the true path
        }
