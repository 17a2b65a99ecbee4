"""Outlines of what the demo's shops sell: what `drawing.draw` draws, by name.

A silhouette is a function (pen, rng, **arguments); the arguments come from assortment.yaml, where one given as a list
is one of its values a product. Units and paths: drawing.Pen.
"""

from __future__ import annotations

from collections.abc import Callable

from catray.catalog.silhouettes import accessories, bags, footwear, garments
from catray.catalog.silhouettes.tops import top

SHAPES: dict[str, Callable[..., None]] = {
    shape.__name__: shape
    for shape in (
        *(top, garments.trousers, garments.dress, garments.skirt, garments.jumpsuit),
        *(garments.swimsuit, garments.bikini, garments.socks),
        *(footwear.sneaker, footwear.boot, footwear.pump, footwear.sandal),
        *(footwear.flipflops, footwear.flat, footwear.slipper),
        *(bags.bag, bags.crossbody, bags.backpack, bags.suitcase, bags.duffel, bags.wallet),
        *(accessories.cap, accessories.beanie, accessories.hat, accessories.necklace, accessories.earrings),
        *(accessories.ring, accessories.watch, accessories.sunglasses, accessories.belt),
        *(accessories.scarf, accessories.tie, accessories.gloves),
    )
}
