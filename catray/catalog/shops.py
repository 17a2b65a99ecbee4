"""The demo's eight shops: how each writes, photographs, sorts, and what its feed looks like.

What others there are, and how far apart they all lie: platforms.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from catray.catalog.drawing import Style
from catray.catalog.wording import Voice


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
    mix: Mapping[str, float] = field(default_factory=dict)  # weights of top-level nodes and of leaves
    no_title: float = 0.01  # shares of the products
    no_description: float = 0.15
    no_picture: float = 0.02
    wrong: float = 0.015  # of the labels
    brands: tuple[str, ...] = ()  # the shop's own
    brand_share: float = 0.0  # of its products


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
        wrong=0.008,
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
        wrong=0.01,
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
        wrong=0.006,
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
        wrong=0.02,
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
        wrong=0.012,
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
        wrong=0.014,
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
        wrong=0.03,
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
        wrong=0.035,
        tree="flat",
        no_title=0.03,
        no_description=0.25,
        no_picture=0.05,
    ),
)
