"""Titles, descriptions and shelves in five languages."""

from __future__ import annotations

import random

import pytest

from catray.catalog.assortment import Item, data, leaves, make_item, model_name
from catray.catalog.shops import SHOPS
from catray.catalog.wording import (
    LANGUAGES,
    Voice,
    description,
    fill,
    hint,
    noun,
    shelf,
    slip,
    spell,
    subtype_word,
    title,
)


def item(path: tuple[str, ...] = ("Shoes", "Sneakers"), subtype: str = "high-top") -> Item:
    return Item(path, subtype, "white", "red", "plain", "leather", "women", "Corsa", "Zelvoren")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_leaf_has_words_in_every_language(language: str) -> None:
    rng = random.Random(0)
    for path, entry in leaves().items():
        assert all(isinstance(word, str) and word for word in entry[language])
        for subtype in entry.get("subtypes", {"": None}):
            thing = Item(path, subtype, "red", "white", "plain", entry["materials"][0], "men", "Corsa", "Zelvoren")
            assert noun(thing, language, rng) in entry[language]
            assert hint(thing, language, rng)
            assert bool(subtype_word(thing, language)) == bool(subtype)
            for tree in ("full", "gendered", "flat", "coarse"):
                assert all(shelf(thing, language, tree, rng))
            text = description(thing, Voice(language, ()), rng)
            assert text and "{" not in text and text[0] == text[0].upper()


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.name)
def test_titles(shop) -> None:  # type: ignore[no-untyped-def]
    found = [title(item(), shop.voice, random.Random(seed)) for seed in range(200)]
    assert all(t and "{" not in t and "|" not in t and "  " not in t and t == t.strip(" ,-") for t in found)
    assert len(set(found)) > 10
    if shop.voice.ascii:
        assert all(t.isascii() for t in found)


def test_some_titles_tell_the_leaf_and_some_do_not() -> None:
    voice = Voice("en", ("{brand}|{model}|{noun}",))
    found = [title(item(), voice, random.Random(seed)) for seed in range(400)]
    tells = sum(any(word in t for word in ("sneakers", "trainers", "kicks")) for t in found)
    assert 0.8 < tells / 400 < 0.97
    assert any(t == "Corsa Zelvoren" for t in found)
    assert any(t == "Corsa Zelvoren shoes" for t in found)


def test_an_empty_slot_takes_its_piece_with_it() -> None:
    words = {"brand": "Corsa", "noun": "", "color": "red"}
    assert fill("{brand}|- {noun}|, {color}", words) == "Corsa, red"
    assert fill("- {noun}|in {color}", words) == "In red"


def test_spelling() -> None:
    assert spell("weiße Bäckermütze", Voice("de", (), ascii=True)) == "weisse Baeckermuetze"
    assert spell("été doux", Voice("fr", (), "upper", ascii=True)) == "ETE DOUX"
    assert spell("T-shirt d'été", Voice("fr", (), "title")) == "T-shirt D'été"
    slips = {slip("sneakers", random.Random(seed)) for seed in range(40)}
    assert len(slips) > 5 and all(7 <= len(s) <= 9 for s in slips)
    assert slip("abc", random.Random(0)) == "abc"


def test_model_names_are_unique() -> None:
    names = {model_name(number, 0) for number in range(271_700)}
    assert len(names) == 271_700
    syllables = data("vocabulary")["syllables"]
    assert len(set(syllables)) == 64
    assert not [(a, b) for a in syllables for b in syllables if a != b and b.startswith(a)]  # so no two spell the same


def test_an_item_is_consistent() -> None:
    for seed in range(300):
        thing = make_item(random.Random(seed), seed, 0, {})
        leaf = thing.leaf
        assert thing.material in leaf["materials"] and thing.color != thing.accent
        assert thing.subtype in leaf.get("subtypes", {"": None})
        assert leaf.get("gender", thing.gender) == thing.gender
        look = thing.look()
        assert look.shape == leaf["look"]["shape"] and not {"plain", "palette", "gloss"} & set(look.arguments)
    shoes = [make_item(random.Random(seed), seed, 0, {"Shoes": 1e9}).path[0] for seed in range(20)]
    assert set(shoes) == {"Shoes"}
