"""What is planted in a demo catalog: the counts that an ingest must come to, and the keys of what is wrong.

Each range of products counts its own (`Planted.found`, plain JSON); `merge` adds the ranges up, in their order, so that
planted.json is the same from however many.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from catray.catalog.assortment import SEPARATOR
from catray.catalog.demo_products import EXTRA_ROWS, IN_PLACE, Product, product_id
from catray.catalog.shops import Shop

COUNTS = ("rows_in", "products", "rejected", "labelled", "images", "image_errors")


class Planted:
    """Of one range."""

    def __init__(self) -> None:
        self.feeds: dict[str, Counter[str]] = {}
        self.faults: dict[str, list[str]] = {}
        self.twins: list[dict[str, str]] = []
        self.wrong: dict[str, str] = {}

    def count(self, product: Product, picture: bool, fault: str) -> None:
        counts = self.feeds.setdefault(product.shop.name, Counter())
        extra, lost = fault in EXTRA_ROWS, fault in IN_PLACE[:3]
        counts.update(rows_in=1 + extra, products=1, rejected=int(extra), image_errors=int(lost))
        counts.update(images=int(picture and not lost), labelled=int(bool(product.label) and fault != "unknown_path"))
        if fault:
            self.faults.setdefault(fault, []).append(product.key)
        if product.twin_of is not None:
            first = f"{product.shop.name}/{product_id(product.shop, product.twin_of)}"
            self.twins.append({"first": first, "second": product.key, "kind": product.twin_kind})
        if product.label and product.label != product.item.path and fault != "unknown_path":
            self.wrong[product.key] = SEPARATOR.join(product.item.path)

    def found(self) -> dict[str, Any]:
        return {"feeds": self.feeds, "faults": self.faults, "twins": self.twins, "wrong": self.wrong}


def merge(found: Sequence[dict[str, Any]], sellers: Sequence[Shop], shift: float) -> dict[str, Any]:
    """planted.json, from the ranges in order."""
    feeds: dict[str, Counter[str]] = {shop.name: Counter() for shop in sellers}
    faults: dict[str, list[str]] = {kind: [] for kind in IN_PLACE + EXTRA_ROWS}
    for part in found:
        for feed, counts in part["feeds"].items():
            feeds[feed].update(counts)
        for kind, keys in part["faults"].items():
            faults[kind] += keys
    return {
        **{name: sum(counts[name] for counts in feeds.values()) for name in COUNTS},
        "feeds": {feed: {name: counts[name] for name in COUNTS} for feed, counts in feeds.items()},
        "faults": {kind: len(keys) for kind, keys in faults.items()},
        "fault_keys": faults,
        "near_duplicates": [twin for part in found for twin in part["twins"]],
        "wrong_labels": {key: truth for part in found for key, truth in part["wrong"].items()},  # key -> the true path
        "shift": shift,
        "shops": {shop.name: habits(shop) for shop in sellers},
    }


def habits(shop: Shop) -> dict[str, Any]:
    """How a shop differs from the others, in numbers and words."""
    voice = asdict(shop.voice)
    described = {
        "own_words": voice.pop("pets"),
        "own_word_share": voice.pop("pet_share"),
        **voice,
        "own_brands": shop.brands,
        "own_brand_share": shop.brand_share,
        "tree": shop.tree,
        "share": shop.share,
        "mix": shop.mix,
        "wrong_labels": shop.wrong,
        "no_title": shop.no_title,
        "no_description": shop.no_description,
        "no_picture": shop.no_picture,
        "style": asdict(shop.style),
    }
    plain: dict[str, Any] = json.loads(json.dumps(described))  # lists for tuples, as planted.json has them
    return plain
