"""What the demo's shops sell: leaves, hidden subtypes and the made-up products, before a shop words or pictures them.

The data stand in assortment.yaml (the taxonomy, with looks and nouns) and vocabulary.yaml (all other words).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from catray.catalog.drawing import PATTERNS, Color, Look

SEPARATOR = " > "
PATTERN_WEIGHTS = (58, 9, 6, 8, 6, 7, 6)  # of drawing.PATTERNS


@dataclass(frozen=True)
class Item:
    """One made-up product. `path` is its true leaf; `subtype` the hidden one, "" where the leaf has none."""

    path: tuple[str, ...]
    subtype: str
    color: str
    accent: str
    pattern: str
    material: str
    gender: str
    brand: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of the silhouette

    @property
    def leaf(self) -> dict[str, Any]:
        return leaves()[self.path]

    def look(self) -> Look:
        arguments = dict(self.arguments)
        shape, gloss = arguments.pop("shape"), arguments.pop("gloss", False)
        return Look(shape, arguments, rgb(self.color), rgb(self.accent), self.pattern, gloss)


@lru_cache(maxsize=2)
def data(name: str) -> dict[str, Any]:
    """assortment.yaml or vocabulary.yaml."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - the safe loader, in C
    return found


@lru_cache(maxsize=1)
def leaves() -> dict[tuple[str, ...], dict[str, Any]]:
    """{leaf path: its entry}, in the order of the file."""
    return {tuple(path.split(SEPARATOR)): entry for path, entry in data("assortment")["leaves"].items()}


def rgb(color: str) -> Color:
    red, green, blue = data("vocabulary")["colors"][color]["rgb"]
    return red, green, blue


def model_name(number: int, seed: int) -> str:
    """A name that no other number below 262,139 has; from there on it carries a numeral, as models do."""
    syllables: list[str] = data("vocabulary")["syllables"]
    prime = 262_139  # the largest below 64 ** 3
    turn, rest = divmod(number, prime)
    code = (rest * 48_271 + seed * 7_919 + 104_729) % prime
    name = "".join(syllables[code // 64**k % 64] for k in range(3)).capitalize()
    return f"{name} {turn + 1}" if turn else name


def make_item(rng: random.Random, number: int, seed: int, mix: Mapping[str, float]) -> Item:
    """Draw a product. `mix` weighs the top-level nodes and the leaves ("A > B"): what the shop mainly sells."""
    entries = leaves()
    names = data("assortment")["leaves"]
    weights = [
        entry["share"] * mix.get(path[0], 1.0) * mix.get(name, 1.0)
        for name, (path, entry) in zip(names, entries.items(), strict=True)
    ]
    path = rng.choices(list(entries), weights)[0]
    leaf = entries[path]
    arguments = dict(leaf["look"])
    subtype = ""
    if "subtypes" in leaf:
        kinds = leaf["subtypes"]
        subtype = rng.choices(list(kinds), [kind["share"] for kind in kinds.values()])[0]
        arguments |= kinds[subtype]["look"]
    arguments = {name: rng.choice(value) if isinstance(value, list) else value for name, value in arguments.items()}
    vocabulary = data("vocabulary")
    color, accent = rng.sample(vocabulary["palettes"][arguments.pop("palette", "any")], 2)
    if rng.random() < 0.4:
        accent = rng.choice([c for c in ("white", "black", "beige") if c != color])
    pattern = rng.choices(PATTERNS, PATTERN_WEIGHTS)[0]
    sober = path[0] != "Clothing" and rng.random() < 0.75
    if arguments.pop("plain", False) or sober:
        pattern = "plain"
    brands: dict[str, list[str]] = vocabulary["brands"]
    house = path[0] if rng.random() < 0.7 else rng.choice(list(brands))
    return Item(
        path=path,
        subtype=subtype,
        color=color,
        accent=accent,
        pattern=pattern,
        material=rng.choice(leaf["materials"]),
        gender=leaf.get("gender") or rng.choices(("women", "men", "unisex"), (4, 4, 2))[0],
        brand=rng.choice(brands[house]),
        model=model_name(number, seed),
        arguments=arguments,
    )
