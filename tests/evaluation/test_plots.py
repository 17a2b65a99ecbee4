"""Plots: they draw, with hostile names and with hardly any data, and come out as SVG in the page's colors."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from catray.evaluation import confidence, plots
from catray.evaluation.page import figure_svg

NAN = float("nan")
EVIL = '<b>$x_{$ & "evil" --> </svg><script>'


def figures() -> dict[str, Figure]:
    rng = np.random.default_rng(0)
    p = rng.random(200)
    right = rng.random(200) < p
    curve = confidence.risk_coverage(p, right)
    one = confidence.risk_coverage(p[:1], right[:1])
    points = [{"threshold": t, "hF": 0.9, "text_share": 1 - t} for t in np.linspace(0, 1, 11)]
    scores = {"hF": [(0.9, 0.88, 0.92), (0.8, NAN, NAN)]}
    return {
        "models": plots.models([EVIL, "svm"], scores, "svm"),
        "shops": plots.shops([EVIL, "b" * 80], ("ours", [(0.9, 0.8, 1.0), (0.5, NAN, NAN)]), ("svm", [0.8, 0.7])),
        "one shop": plots.shops(["a"], ("ours", [(1.0, 1.0, 1.0)]), None),
        "many shops": plots.shops(
            [f"s{i}" for i in range(300)], ("ours", [(i / 300, NAN, NAN) for i in range(300)]), None
        ),
        "reliability": plots.reliability(confidence.reliability(p, right)),
        "reliability of one": plots.reliability(confidence.reliability(p[:1], right[:1])),
        "risk": plots.risk({EVIL: curve, "full": curve}),
        "risk of one": plots.risk({"one": one}),
        "threshold": plots.threshold(points, 0.9),
    }


@pytest.mark.parametrize("name", figures())
def test_svg(name: str) -> None:
    markup = str(figure_svg(figures()[name], f"what is seen {EVIL}", EVIL))
    root = ElementTree.fromstring(markup.replace("xlink:href", "href"))
    svg = root.find("svg")
    assert svg is not None and svg.get("role") == "img" and EVIL in str(svg.get("aria-label"))
    assert "http" not in markup and "<script" not in markup and "<style" not in markup
    assert not re.search(r"#(?:0101|0202|0303|000000)", markup)  # every color is the page's
    assert "currentColor" in markup and "var(--series-1)" in markup
    ids = re.findall(r' id="([^"]+)"', markup)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', markup)) == set(ids)


def test_names_are_drawn_as_they_are() -> None:
    root = ElementTree.fromstring(str(figure_svg(figures()["models"], "x")).replace("xlink:href", "href"))
    assert EVIL in [text.text for text in root.iter("text")]


def test_figures_share_no_ids() -> None:
    all_ids = [set(re.findall(r' id="([^"]+)"', str(figure_svg(f, "x")))) for f in figures().values()]
    assert sum(map(len, all_ids)) == len(set().union(*all_ids))


def test_long_names_are_cut_and_few_shops_drawn() -> None:
    texts = "".join(ElementTree.fromstring(str(figure_svg(figures()["shops"], "")).replace("xlink:", "")).itertext())
    assert "b" * 31 + "…" in texts
    many = str(figure_svg(figures()["many shops"], ""))
    assert "s39<" in many and "s40<" not in many
