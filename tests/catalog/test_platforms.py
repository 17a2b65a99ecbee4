"""The demo's platforms: how each differs, and the dial that sets how far."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catray.catalog.assortment import data, make_item
from catray.catalog.demo import write_demo
from catray.catalog.demo_products import draw_product
from catray.catalog.drawing import Style
from catray.catalog.platforms import FARTHEST, shops
from catray.catalog.shops import SHOPS, Shop
from catray.errors import CatrayError

PRODUCTS = 4000


def look(style: Style) -> list[float]:
    """Numbers of one scale."""
    return [
        *(value / 255 for value in (*style.top, *style.bottom)),
        *(side / 128 for side in style.size),
        *(style.tint, style.vignette, style.margin, style.flip, style.shadow, style.tilt / 10, style.noise / 10)[1:],
        *style.tint,
        style.quality / 100,
    ]


def apart(vectors: np.ndarray) -> float:
    """The mean distance of two rows."""
    return float(np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(vectors, 2)]))


def words_apart(platforms: int, shift: float) -> float:
    """1 - the mean cosine of two shops' counts of words; the models' names, which differ always, left out."""
    sellers = shops(platforms, 0, shift)
    counts: dict[str, Counter[str]] = {shop.name: Counter() for shop in sellers}
    for number in range(PRODUCTS):
        product = draw_product(number, 0, sellers)
        words = product.title.replace(product.item.model, "").lower().split()
        counts[product.shop.name].update(word.strip("()',·-/") for word in words)
    common = {word for word, shared in sum(counts.values(), Counter[str]()).items() if shared >= 5 and word}
    columns = sorted(common)
    table = np.array([[counted[word] for word in columns] for counted in counts.values()], float)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    cosines = (table @ table.T)[np.triu_indices(len(table), 1)]
    return float(1 - cosines.mean())


def mix_apart(sellers: list[Shop]) -> float:
    """The mean distance of two shops' shares of leaves."""
    entries = data("assortment")["leaves"]
    shares = []
    for shop in sellers:
        mix = shop.mix
        weights = [e["share"] * mix.get(name.split(" > ")[0], 1) * mix.get(name, 1) for name, e in entries.items()]
        shares.append(np.array(weights) / sum(weights))
    return apart(np.array(shares))


def test_at_one_the_eight_are_as_they_are_written() -> None:
    assert shops(8, 0) == list(SHOPS) == shops(8, 7, 1.0)
    assert len({shop.wrong for shop in SHOPS}) == 8
    mean = sum(shop.wrong * shop.share for shop in SHOPS) / sum(shop.share for shop in SHOPS)
    assert mean == pytest.approx(0.015, abs=0.001)


def test_at_zero_all_are_alike_but_for_their_feeds() -> None:
    sellers = shops(40, 0, 0.0)
    first = sellers[0]
    for shop in sellers:
        assert (shop.voice, shop.style, shop.tree) == (first.voice, first.style, first.tree)
        assert not shop.brands and set(shop.mix.values()) <= {1.0}
        for name in ("wrong", "no_title", "no_description", "no_picture"):
            assert getattr(shop, name) == getattr(first, name)
    assert {shop.format for shop in sellers} == {"csv", "jsonl", "parquet"}
    assert len({shop.name for shop in sellers}) == 40


@pytest.mark.parametrize("platforms", [8, 20])
def test_the_dial_moves_words_pictures_and_mix(platforms: int) -> None:
    dials = (0.0, 0.5, 1.0, 2.0)
    styles = [apart(np.array([look(shop.style) for shop in shops(platforms, 0, shift)])) for shift in dials]
    mixes = [mix_apart(shops(platforms, 0, shift)) for shift in dials]
    words = [words_apart(platforms, shift) for shift in dials]
    for found in (styles, mixes, words):
        assert found == sorted(found), (styles, mixes, words)
        assert found[3] > 1.05 * found[2] > found[0]
    assert styles[0] == mixes[0] == 0 and words[0] < 0.2  # the rest is chance
    assert styles[3] > 1.5 * styles[2]


def test_every_distance_is_drawn() -> None:
    for shift in (0.0, 0.3, 1.0, FARTHEST):
        sellers = shops(16, 0, shift)
        for number in range(32):
            product = draw_product(number, 0, sellers)
            assert product.title == product.title.strip()
            product.picture()


def test_a_shop_depends_on_no_other() -> None:
    assert shops(40, 3, 1.7)[:11] == shops(11, 3, 1.7)
    assert shops(11, 3, 1.7)[10] != shops(11, 4, 1.7)[10]


def test_later_shops_differ_as_shops_do() -> None:
    later = shops(40, 0)[8:]
    for name in ("wrong", "no_title", "no_description", "no_picture", "brand_share"):
        assert len({getattr(shop, name) for shop in later}) == len(later)
    assert {shop.tree for shop in later} == {"full", "gendered", "flat", "coarse"}
    assert len({shop.voice.titles for shop in later}) == len(later)
    brands = [brand for shop in later for brand in shop.brands]
    assert len(set(brands)) > 0.95 * len(brands)
    for shop in later:
        assert set(shop.voice.pets) == set(data("assortment")["leaves"])
        assert len(set(shop.voice.pets.values())) == len(shop.voice.pets)


def test_own_words_and_brands_are_used_as_often_as_said() -> None:
    shop = replace(shops(9, 0)[8], brand_share=0.5, no_title=0.0)
    shop = replace(shop, voice=replace(shop.voice, pet_share=0.5, typos=0.0, ascii=False, case="as is"))
    found = [draw_product(number, 0, [shop]) for number in range(400)]
    own = sum(product.item.brand in shop.brands for product in found)
    pets = set(shop.voice.pets.values())
    named = sum(bool(pets & set(product.title.lower().replace("·", " ").split())) for product in found)
    assert 150 < own < 250 and 120 < named < 240


def test_labels_are_wrong_as_often_as_the_shop_says() -> None:
    for wrong in (0.0, 0.1):
        shop = replace(SHOPS[0], wrong=wrong)
        found = [draw_product(number, 0, [shop]) for number in range(2000)]
        count = sum(p.label not in (None, p.item.path) for p in found)
        assert abs(count / 2000 - wrong) < 0.025


def test_a_mix_weighs_leaves_too() -> None:
    import random

    leaf = "Bags > Handbags"
    items = [make_item(random.Random(seed), seed, 0, {leaf: 1e9}) for seed in range(20)]
    assert {item.path for item in items} == {tuple(leaf.split(" > "))}


def test_the_dial_is_written_down(tmp_path: Path) -> None:
    summary = write_demo(tmp_path, products=40, platforms=10, seed=2, shift=1.5)
    assert "shift\n# 1.5: " in (tmp_path / "config.yaml").read_text()
    assert summary["shift"] == 1.5 and list(summary["shops"]) == [shop.name for shop in shops(10, 2, 1.5)]
    for shop in shops(10, 2, 1.5):
        habits = summary["shops"][shop.name]
        assert habits["wrong_labels"] == shop.wrong and habits["language"] == shop.voice.language
        assert habits["own_words"] == shop.voice.pets and habits["style"]["noise"] == shop.style.noise


@pytest.mark.parametrize("shift", [-0.1, 3.1, float("nan")])
def test_a_dial_turned_too_far(tmp_path: Path, shift: float) -> None:
    with pytest.raises(CatrayError, match="1 is the usual"):
        write_demo(tmp_path, products=40, platforms=8, shift=shift)
