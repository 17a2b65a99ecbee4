"""The demo's shops: how each writes, photographs, sorts, and what its feed looks like.

Eight are described by hand. A ninth and later one is one of the eight, changed: another name, language, grammar, mix
and studio.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from catray.catalog.assortment import data
from catray.catalog.drawing import Color, Style
from catray.catalog.wording import LANGUAGES, Voice


@dataclass(frozen=True)
class Shop:
    """columns: of id, title, description, image, native and path; several, joined by commas, where each holds a level.
    A nested one is `a.b`. Without one for `path` its labels stand in labels.csv."""

    name: str
    format: str  # csv | jsonl | parquet
    pictures: str  # folder | zip | bytes (a column of the feed)
    columns: Mapping[str, str]
    voice: Voice
    style: Style
    share: float  # of all products, not normalized
    prefix: str  # of the ids
    tree: str = "full"  # wording.shelf
    separator: str = ">"  # of the native category; "" where it is a list
    mix: Mapping[str, float] = field(default_factory=dict)  # weights of the top-level nodes
    no_title: float = 0.01  # shares of the products
    no_description: float = 0.15
    no_picture: float = 0.02


WHITE: Color = (254, 254, 254)

SHOPS = (
    Shop(
        name="northfold",
        format="csv",
        pictures="zip",
        columns=dict(
            id="sku",
            title="name",
            description="description",
            image="image_file",
            native="category",
            path="canonical_path",
        ),
        voice=Voice(
            "en",
            (
                "{brand}|{gender}|{model}|{subtype}|{noun}|in {color}",
                "{brand}|{model}|{material}|{noun}|- {color}",
                "{extra}|{brand}|{model}|{noun}",
            ),
            "title",
        ),
        style=Style(),
        share=1.5,
        prefix="NF-",
        tree="gendered",
    ),
    Shop(
        name="modehafen",
        format="jsonl",
        pictures="folder",
        columns=dict(
            id="artikelnr",
            title="bezeichnung",
            description="text.lang",
            image="medien.bild",
            native="kategorie",
            path="ziel",
        ),
        voice=Voice(
            "de",
            (
                "{brand}|{noun}|{model}|{subtype}|, {color}",
                "{brand}|{gender}|{noun}|{model}|{material}|{color}",
                "{noun}|'{model}'|{extra}",
            ),
            typos=0.02,
        ),
        style=Style(
            size=(112, 144), top=(236, 237, 240), bottom=(198, 200, 206), vignette=0.1, shadow=0.38, quality=82
        ),
        share=1.5,
        prefix="",
        separator="",
    ),
    Shop(
        name="atelier_lise",
        format="parquet",
        pictures="bytes",
        columns=dict(
            id="ref",
            title="libelle",
            description="descriptif",
            image="photo",
            native="univers,rayon,famille,type",
            path="chemin",
        ),
        voice=Voice(
            "fr",
            (
                "{noun}|{subtype}|{material}|{model}|- {color}",
                "{brand}|- {noun}|{model}|{subtype}",
                "{model}|{color}|{extra}",
            ),
            "lower",
        ),
        style=Style(top=(244, 236, 224), bottom=(228, 215, 194), flip=1.0, noise=2.5, tint=(1.0, 0.985, 0.95)),
        share=1.2,
        prefix="AL",
        mix={"Clothing": 1.4, "Bags": 1.2},
        no_description=0.3,
    ),
    Shop(
        name="ropaviva",
        format="csv",
        pictures="folder",
        columns=dict(
            id="codigo",
            title="titulo",
            description="detalle",
            image="foto",
            native="categoria",
            path="nivel1,nivel2,nivel3,nivel4",
        ),
        voice=Voice(
            "es",
            ("{noun}|{material}|{color}|{model}|{subtype}|{gender}", "{brand}|{noun}|{subtype}|{model}|{color}"),
            typos=0.05,
            ascii=True,
        ),
        style=Style(top=(222, 234, 240), bottom=(240, 244, 246), margin=0.12, tilt=4.0, flip=0.5, quality=75),
        share=1.0,
        prefix="RV",
        separator="/",
        no_title=0.02,
    ),
    Shop(
        name="belpasso",
        format="jsonl",
        pictures="zip",
        columns=dict(
            id="codice",
            title="prodotto.titolo",
            description="prodotto.testo",
            image="immagine",
            native="reparto",
            path="percorso",
        ),
        voice=Voice(
            "it", ("{brand}|{model}|- {noun}|{subtype}|{color}", "{noun}|{gender}|{brand}|{model}|{material}"), "title"
        ),
        style=Style(
            size=(128, 128), top=(250, 244, 240), bottom=(214, 190, 178), shadow=0.45, vignette=0.16, noise=2.0
        ),
        share=1.0,
        prefix="BP.",
        tree="coarse",
        mix={"Shoes": 1.5, "Bags": 1.5, "Clothing": 0.8},
    ),
    Shop(
        name="stridecity",
        format="parquet",
        pictures="bytes",
        columns=dict(
            id="product_id",
            title="product_name",
            description="long_text",
            image="image_bytes",
            native="product_type",
            path="taxonomy_path",
        ),
        voice=Voice(
            "en",
            ("{brand}|{model}|{color}|{noun}|{subtype}", "{brand}|{model}|{gender}", "{gender}|{noun}|{brand}|{model}"),
            "upper",
        ),
        style=Style(size=(144, 112), top=(206, 206, 208), bottom=(236, 236, 234), margin=0.03, flip=1.0, shadow=0.4),
        share=1.0,
        prefix="7",
        tree="flat",
        mix={"Shoes": 2.6, "Clothing": 0.7, "Bags": 0.6},
    ),
    Shop(
        name="stilbude",
        format="csv",
        pictures="zip",
        columns=dict(id="id", title="titel", description="beschreibung", image="bild", native="warengruppe", path=""),
        voice=Voice(
            "de",
            ("{noun}|{color}|{model}|{gender}|{material}|{brand}", "{model}|{noun}|von {brand}|{subtype}"),
            typos=0.06,
            ascii=True,
        ),
        style=Style(
            top=(178, 170, 160), bottom=(206, 198, 188), tilt=5.0, noise=5.0, quality=68, tint=(1.0, 0.97, 0.92)
        ),
        share=0.8,
        prefix="SB",
        tree="coarse",
        separator="|",
        no_title=0.03,
        no_description=0.4,
        no_picture=0.06,
    ),
    Shop(
        name="trouvetout",
        format="jsonl",
        pictures="folder",
        columns=dict(id="id_annonce", title="titre", description="annonce", image="photo", native="rubrique", path=""),
        voice=Voice(
            "fr",
            (
                "{noun}|{brand}|{color}|{model}",
                "{extra}|{brand}|{model}|{subtype}|{color}|{gender}",
                "{noun}|{model}|{gender}",
            ),
            "lower",
            0.08,
            True,
        ),
        style=Style(
            size=(120, 120),
            top=(196, 206, 196),
            bottom=(158, 150, 138),
            tilt=7.0,
            flip=0.5,
            margin=0.14,
            noise=6.0,
            format="WEBP",
            quality=70,
        ),
        share=0.8,
        prefix="",
        tree="flat",
        no_title=0.03,
        no_description=0.25,
        no_picture=0.05,
    ),
)


def shops(platforms: int, seed: int) -> list[Shop]:
    """The first `platforms` shops. A shop doesn't depend on how many there are."""
    return [SHOPS[n] if n < len(SHOPS) else _another(n, seed) for n in range(platforms)]


def _another(number: int, seed: int) -> Shop:
    rng = random.Random(f"{seed}/shop/{number}")
    base, other = SHOPS[number % len(SHOPS)], rng.choice(SHOPS)
    ground = rng.choice(SHOPS).style
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
    voice = replace(
        base.voice,
        language=LANGUAGES[(number + number // len(SHOPS)) % len(LANGUAGES)],
        titles=other.voice.titles,
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
        no_description=rng.uniform(0.05, 0.5),
        no_picture=rng.uniform(0.0, 0.07),
    )


def _shade(color: Color, amount: int) -> Color:
    red, green, blue = (min(255, max(0, value + amount)) for value in color)
    return red, green, blue
