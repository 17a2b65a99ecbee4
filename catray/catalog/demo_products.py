"""One product of the demo: a function of the seed and its number alone, with what is wrong with it.

    draw_product(17, seed=0, sellers=shops(8, 0)).title

So any part of a catalog can be drawn anywhere, in any order. A few products are near-duplicates of earlier ones, some
labels are wrong or missing, and `broken` says where pictures and rows are damaged.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from catray.catalog.assortment import Item, leaves, make_item
from catray.catalog.drawing import Style, draw, encode
from catray.catalog.shops import Shop
from catray.catalog.wording import description, shelf, title

NODE = ("Shoes", "Sneakers")  # the leaf that the demo recategorizes: a tenth of the products, of four hidden subtypes
TWINS = 0.012  # share of the products that are another one again
TWIN_KINDS = ("recolored", "reencoded", "relisted")
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
    # A number of its own: two twins of one product may get the same color, and some have no picture.
    product = replace(product, description=f"{first.description} Ref. {product.product_id}".strip())
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


def _twin_of(number: int, seed: int, sellers: int) -> tuple[int | None, str]:
    rng = random.Random(f"{seed}/{number}/dirt")
    if number < sellers or rng.random() >= TWINS:
        return None, ""
    kind = rng.choice(TWIN_KINDS)
    first = rng.randrange(number)
    while (earlier := _twin_of(first, seed, sellers)[0]) is not None:
        first = earlier
    return first, kind


def _original(number: int, seed: int, sellers: Sequence[Shop]) -> Product:
    rng = random.Random(f"{seed}/{number}/item")
    # The first products go to one shop each: no feed is empty.
    shop = sellers[number] if number < len(sellers) else rng.choices(sellers, [s.share for s in sellers])[0]
    item = make_item(rng, number, seed, shop.mix)
    if shop.brands and rng.random() < shop.brand_share:
        item = replace(item, brand=rng.choice(shop.brands))
    label: tuple[str, ...] | None = item.path
    dice = rng.random()
    if dice < UNLABELLED:
        label = None
    elif dice < UNLABELLED + shop.wrong:
        label = _neighbor(item.path, rng)
    blank, silent, unseen = rng.random(), rng.random(), rng.random()
    text = random.Random(f"{seed}/{number}/text")
    named = blank >= shop.no_title
    return Product(
        number=number,
        shop=shop,
        item=item,
        title=_words(item, shop, number, seed) if named else "",
        description="" if silent < shop.no_description else description(item, shop.voice, text),
        native=shelf(item, shop.voice.language, shop.tree, text),
        label=label,
        # Without a title there is always a picture: few words would be another product's too.
        style=None if named and unseen < shop.no_picture else shop.style,
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
    numbers = iter(rng.sample(range(products), min(products, max(400, products // 20))))
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
