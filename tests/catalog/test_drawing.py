"""Drawn pictures: repeatable, in the shop's size and format, recognizable by their outlines."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from catray.catalog.drawing import PATTERNS, Look, Pen, Style, draw, encode, flatten, mirrored, oval


def pixels(look: Look, style: Style, seed: str = "0") -> np.ndarray:
    return np.asarray(draw(look, style, seed), np.int16)


def test_the_same_seed_draws_the_same_picture() -> None:
    look, style = Look("sneaker", {"shaft": 0.5, "laces": True}), Style(tilt=4.0)
    assert encode(draw(look, style, "a"), style) == encode(draw(look, style, "a"), style)
    assert encode(draw(look, style, "a"), style) != encode(draw(look, style, "b"), style)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_size_and_format(format: str) -> None:
    style = Style(size=(96, 144), format=format)
    image = Image.open(io.BytesIO(encode(draw(Look("tie"), style, "0"), style)))
    assert (image.format, image.size, image.mode) == (format, (96, 144), "RGB")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_differ_from_plain(pattern: str) -> None:
    style = Style(noise=0.0, tilt=0.0)
    color, accent = (190, 40, 40), (250, 250, 250)
    plain = pixels(Look("top", {}, color, accent), style)
    patterned = pixels(Look("top", {}, color, accent, pattern), style)
    assert (np.abs(plain - patterned).max() > 12) == (pattern != "plain")


def test_the_product_is_in_the_middle_on_the_shops_background() -> None:
    image = pixels(Look("backpack", color=(20, 60, 140)), Style(top=(250, 250, 250), bottom=(250, 250, 250), noise=1.0))
    border = np.concatenate([image[:3].reshape(-1, 3), image[-3:].reshape(-1, 3)])
    assert border.min() > 225
    middle = image[54:74, 54:74].mean(axis=(0, 1))
    assert middle[2] > middle[0] + 40  # blue


def test_flip_mirrors() -> None:
    look = Look("sneaker", {"laces": True}, (30, 30, 30))
    style = Style(noise=0.0, tilt=0.0, shadow=0.0)
    straight, mirror = pixels(look, style), pixels(look, Style(noise=0.0, tilt=0.0, shadow=0.0, flip=1.0))
    dark = [(image.sum(axis=2) < 500).astype(float) for image in (straight, mirror)]
    same = (dark[0] * dark[1]).sum()
    assert (dark[0] * dark[1][:, ::-1]).sum() > same


def test_flatten() -> None:
    assert flatten([(0, 0), (1, 0)]) == [(0, 0), (1, 0)]
    curve = flatten([(0, 0), (1, 0, 1), (1, 1)])
    assert curve[0] == (0, 0) and curve[-1] == pytest.approx((1, 1)) and len(curve) == 8
    with pytest.raises(ValueError, match="control point"):
        flatten([(0, 0, 1), (1, 0)])


def test_outlines() -> None:
    assert mirrored([(1, 0), (2, 5, 1)]) == [(1, 0), (2, 5, 1), (-2, 5, 1), (-1, 0)]
    for x, y in oval(1, 2, 3, 3):
        assert (x - 1) ** 2 + (y - 2) ** 2 == pytest.approx(9)


def test_a_hole_shows_the_background() -> None:
    look = Look("top", color=(10, 10, 10))
    pen = Pen((60, 60), Image.new("RGB", (60, 60), look.color), look, np.array([[25.0, 0, 30], [0, 25.0, 30]]))
    pen.fill([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    pen.cut(oval(0, 0, 0.4, 0.4))
    assert pen.mask.getpixel((30, 30)) == 0
    assert pen.mask.getpixel((10, 10)) == 255


def test_an_unknown_shape() -> None:
    with pytest.raises(KeyError):
        draw(Look("spaceship"), Style(), "0")
