"""Every leaf and hidden subtype can be drawn, and outlines tell what they are of."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from catray.catalog.assortment import leaves
from catray.catalog.drawing import Look, Pen
from catray.catalog.silhouettes import SHAPES

LOOKS = [
    (path, kind, entry["look"] | entry.get("subtypes", {}).get(kind, {}).get("look", {}))
    for path, entry in leaves().items()
    for kind in entry.get("subtypes", {"": {}})
]


def outline(arguments: dict, seed: int) -> np.ndarray:
    """The silhouette (90, 90), bool."""
    rng = random.Random(seed)
    chosen = {name: rng.choice(value) if isinstance(value, list) else value for name, value in arguments.items()}
    shape = chosen.pop("shape")
    for name in ("plain", "palette", "gloss"):
        chosen.pop(name, None)
    look = Look(shape)
    pen = Pen((90, 90), Image.new("RGB", (90, 90)), look, np.array([[40.0, 0, 45], [0, 40.0, 45]]))
    SHAPES[shape](pen, rng, **chosen)
    return np.asarray(pen.mask) > 127


@pytest.mark.parametrize(
    ("path", "kind", "arguments"), LOOKS, ids=lambda v: "-".join(v) if isinstance(v, tuple) else ""
)
def test_every_look_fills_a_good_part_of_the_picture(path: tuple[str, ...], kind: str, arguments: dict) -> None:
    for seed in range(4):
        mask = outline(arguments, seed)
        assert 0.03 < mask.mean() < 0.7, (path, kind)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) > 40, (path, kind)
        edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert edge.mean() < 0.06, (path, kind)  # a strap may leave the picture


def test_every_shape_is_sold() -> None:
    assert set(SHAPES) == {entry["look"]["shape"] for entry in leaves().values()}


def test_a_high_top_is_higher_than_a_low_top() -> None:
    kinds = leaves()[("Shoes", "Sneakers")]["subtypes"]
    heights = {
        kind: np.ptp(np.flatnonzero(outline({"shape": "sneaker", **entry["look"]}, 0).any(axis=1)))
        for kind, entry in kinds.items()
    }
    assert heights["high-top"] > 1.3 * max(heights["low-top"], heights["slip-on"], heights["runner"])
