"""The demo's platforms: the eight shops, as many made-up ones as are asked for, and how far apart they all lie.

`shift` is one dial for the distance of every shop from a common center, in each way that shops differ: language and
title grammar, spelling, words and brands of their own, pictures, shelves, what they sell, what is missing, how many
labels are wrong. At 0 all are alike but for the format of their feeds, at 1 the shops are as shops.py has them, at 2
they lie twice as far from the center. What can't be more or less, such as a language, is the shop's own from some
shift below 1 on.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, TypeVar

from catray.catalog.assortment import data
from catray.catalog.drawing import Color, Style
from catray.catalog.shops import SHOPS, Shop
from catray.catalog.wording import LANGUAGES, Voice

FARTHEST = 3.0  # beyond, most numbers have reached their limits

CENTER_VOICE = Voice(
    "en", ("{brand}|{model}|{noun}|{subtype}|- {color}", "{brand}|{gender}|{noun}|{model}|{material}"), typos=0.03
)
CENTER_STYLE = Style(
    top=(226, 228, 228), bottom=(222, 217, 211), vignette=0.04, tilt=3.0, flip=0.4, shadow=0.3, noise=2.6, quality=80
)
CENTER = dict(no_title=0.015, no_description=0.21, no_picture=0.025, wrong=0.015, tree="full")
LIMITS = {  # of what is scaled
    "typos": (0.0, 0.3),
    "no_title": (0.0, 0.2),
    "no_description": (0.0, 0.8),
    "no_picture": (0.0, 0.25),
    "wrong": (0.0, 0.12),
    "vignette": (0.0, 0.4),
    "margin": (0.0, 0.25),
    "tilt": (0.0, 15.0),
    "flip": (0.0, 1.0),
    "shadow": (0.0, 0.6),
    "noise": (0.0, 14.0),
    "quality": (40, 95),
}
OWN_BRANDS, OWN_WORDS, OWN_MIX = 0.3, 0.3, 0.4  # what a shop of the eight has of its own a unit of shift beyond 1
MARKS = ("{{{}}}", "- {{{}}}", ", {{{}}}", "/ {{{}}}", "({{{}}})", "'{{{}}}'", "· {{{}}}")

T = TypeVar("T")
Number = TypeVar("Number", int, float)


def shops(platforms: int, seed: int, shift: float = 1.0) -> list[Shop]:
    """The first `platforms` shops. A shop doesn't depend on how many there are."""
    return [_apart(number, seed, shift) for number in range(platforms)]


def _apart(number: int, seed: int, shift: float) -> Shop:
    """Shop `number`, `shift` times as far from the center as it is."""
    rng = random.Random(f"{seed}/shop/{number}/shift")
    shop = SHOPS[number] if number < len(SHOPS) else _another(number, seed)

    def own(value: T, common: T) -> T:
        return value if shift > rng.random() else common

    voice, style = shop.voice, shop.style
    speaker = own(voice, CENTER_VOICE)  # grammars have words of their language
    voice = replace(
        CENTER_VOICE,
        language=speaker.language,
        titles=speaker.titles,
        case=own(voice.case, CENTER_VOICE.case),
        ascii=own(voice.ascii, CENTER_VOICE.ascii),
        typos=_scaled("typos", voice.typos, CENTER_VOICE.typos, shift),
    )
    names = ("vignette", "margin", "tilt", "flip", "shadow", "noise", "quality")
    looks: dict[str, Any] = {n: _scaled(n, getattr(style, n), getattr(CENTER_STYLE, n), shift) for n in names}
    width, height = (_away(a, b, shift) for a, b in zip(style.size, CENTER_STYLE.size, strict=True))
    red, green, blue = (_away(a, b, shift) for a, b in zip(style.tint, CENTER_STYLE.tint, strict=True))
    style = Style(
        size=(max(64, width), max(64, height)),
        top=_color(style.top, CENTER_STYLE.top, shift),
        bottom=_color(style.bottom, CENTER_STYLE.bottom, shift),
        tint=(red, green, blue),
        format=own(style.format, CENTER_STYLE.format),
        **looks,
    )
    rates = ("no_title", "no_description", "no_picture", "wrong")
    shares: dict[str, Any] = {n: _scaled(n, getattr(shop, n), CENTER[n], shift) for n in rates}
    tree = own(shop.tree, str(CENTER["tree"]))
    mix = {name: weight**shift for name, weight in shop.mix.items()}
    return _of_its_own(replace(shop, voice=voice, style=style, mix=mix, tree=tree, **shares), number, seed, shift)


def _of_its_own(shop: Shop, number: int, seed: int, shift: float) -> Shop:
    """With brands and words that no other shop has, and leaves that it sells more of.

    The eight have none of these up to 1, where the demo's difficulty is set; later shops have some from 0 on.
    """
    rng = random.Random(f"{seed}/shop/{number}/own")
    if number < len(SHOPS):
        reach, brand_share, pet_share, spread = max(0.0, shift - 1), OWN_BRANDS, OWN_WORDS, OWN_MIX
    else:
        reach = shift
        brand_share, pet_share, spread = rng.uniform(0.05, 0.35), rng.uniform(0.05, 0.3), rng.uniform(0.1, 0.6)
    if not reach:
        return shop
    vocabulary, names = data("vocabulary"), list(data("assortment")["leaves"])
    syllables: list[str] = vocabulary["syllables"]
    codes = rng.sample(range(len(syllables) ** 2), len(names) + 3)
    stems = [syllables[code // len(syllables)] + syllables[code % len(syllables)] for code in codes]
    endings: list[str] = vocabulary["pet_endings"][shop.voice.language]
    pets = {name: stem + rng.choice(endings) for name, stem in zip(names, stems, strict=False)}
    weights = {name: 2.0 ** (spread * reach * rng.gauss(0, 1.5)) for name in names}
    return replace(
        shop,
        voice=replace(shop.voice, pets=pets, pet_share=min(0.9, pet_share * reach)),
        brands=tuple(f"{stem.capitalize()} {rng.choice(vocabulary['houses'])}" for stem in stems[len(names) :]),
        brand_share=min(0.9, brand_share * reach),
        mix={**shop.mix, **weights},
    )


def _another(number: int, seed: int) -> Shop:
    """A shop with the feed of one of the eight, and all else its own."""
    rng = random.Random(f"{seed}/shop/{number}")
    base, ground = SHOPS[number % len(SHOPS)], rng.choice(SHOPS).style
    shade = rng.randint(-18, 8)
    style = replace(
        base.style,
        top=_shade(ground.top, shade),
        bottom=_shade(ground.bottom, shade),
        margin=rng.uniform(0.02, 0.15),
        tilt=rng.uniform(0.5, 7.0),
        flip=rng.choice((0.0, 0.5, 1.0)),
        noise=rng.uniform(1.0, 6.0),
        quality=rng.randint(65, 92),
    )
    voice = Voice(
        language=LANGUAGES[(number + number // len(SHOPS)) % len(LANGUAGES)],
        titles=_grammars(rng),
        case=rng.choice(("as is", "title", "upper", "lower")),
        typos=rng.uniform(0.0, 0.08),
        ascii=rng.random() < 0.3,
    )
    syllables = rng.sample(data("vocabulary")["syllables"], 3)
    return replace(
        base,
        name=f"{''.join(syllables)}_{number}",
        prefix=f"{''.join(syllables)[:2].upper()}",
        style=style,
        voice=voice,
        tree=rng.choice(("full", "gendered", "flat", "coarse")),
        share=rng.uniform(0.4, 1.6),
        mix={top: rng.uniform(0.5, 2.0) for top in data("vocabulary")["brands"]},
        no_title=rng.uniform(0.0, 0.04),
        no_description=rng.uniform(0.05, 0.5),
        no_picture=rng.uniform(0.0, 0.07),
        wrong=rng.uniform(0.0, 0.05),
    )


def _grammars(rng: random.Random) -> tuple[str, ...]:
    """Two or three. Each names the model; at most the last has no noun."""
    mark = rng.choice(MARKS)
    found = []
    for n in range(rng.randint(2, 3)):
        slots = ["model", *(["noun"] if n < 2 or rng.random() < 0.5 else [])]
        slots += rng.sample(["brand", "color", "subtype", "material", "gender", "extra"], rng.randint(2, 4))
        rng.shuffle(slots)
        marked = rng.randrange(1, len(slots))
        found.append("|".join((mark if i == marked else MARKS[0]).format(slot) for i, slot in enumerate(slots)))
    return tuple(found)


def _away(value: Number, center: Number, shift: float) -> Number:
    if shift == 1:  # the value itself, to the last bit
        return value
    moved = center + shift * (value - center)
    return round(moved) if isinstance(value, int) else moved


def _scaled(name: str, value: Number, center: Number, shift: float) -> Number:
    low, high = LIMITS[name]
    return type(value)(min(high, max(low, _away(value, center, shift))))


def _color(color: Color, center: Color, shift: float) -> Color:
    red, green, blue = (min(255, max(0, _away(a, b, shift))) for a, b in zip(color, center, strict=True))
    return red, green, blue


def _shade(color: Color, amount: int) -> Color:
    red, green, blue = (min(255, max(0, value + amount)) for value in color)
    return red, green, blue
