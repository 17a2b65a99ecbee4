"""The report as text: all there, escaped, small; the browser's view is in test_report_in_browser.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape


@pytest.fixture(scope="module")
def html(sample: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return sample.write(tmp_path_factory.mktemp("report") / "report.html")


def test_it_says_what_matters(sample: Any, html: str) -> None:
    ours = next(row for row in sample.metrics["rows"] if row["name"] == "cascade")
    low, high = ours["intervals"]["hF"]
    for text in (
        f"{ours['hF']:.3f}",
        f"{low:.3f}–{high:.3f}",
        "n = 600",
        "TF-IDF + linear SVM",
        "level 3",
        "main: late",
    ):
        assert text in html
    assert f"{100 * sample.metrics['gain']['hF']:+.1f}" in html
    for shop in sample.metrics["platforms"]:
        assert str(escape(shop["platform"])) in html
    assert html.count("<svg") == 5 and html.count("<figure") == 5
    assert html.count('class="card bad"') == 8 and html.count('class="card good"') == 8


def test_the_best_of_a_column_is_bold(sample: Any, html: str) -> None:
    best = max(row["hP"] for row in sample.metrics["rows"])
    assert f"<strong>{best:.3f}</strong>" in html


def test_it_is_self_contained_escaped_and_small(html: str, hostile: list[str], outline: Any) -> None:
    tags = outline(html).tags
    refers = [
        value for _, attributes in tags for name, value in attributes.items() if name.split(":")[-1] in ("src", "href")
    ]
    assert refers and all(re.match("#|data:image/webp;base64,", value) for value in refers)
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    for title in hostile:
        assert title not in html
    assert html.count("<script") == 1 and html.count("<style") == 1
    assert len(html) < 3_000_000


@pytest.mark.parametrize("kind", ["no reference", "no intervals", "perfect", "tiny", "no examples"])
def test_poor_input(kind: str, new_sample: Callable[..., Any], tmp_path: Path) -> None:
    sample = {
        "no reference": lambda: new_sample(n=80, reference=False, resamples=20),
        "no intervals": lambda: new_sample(n=80, resamples=0),
        "perfect": lambda: new_sample(n=80, resamples=20, perfect=True),
        "tiny": lambda: new_sample(n=5, resamples=20),
        "no examples": lambda: new_sample(n=80, resamples=20),
    }[kind]()
    html = sample.write(tmp_path / "report.html", examples=0 if kind == "no examples" else 4)
    assert (
        "nan"
        not in re.sub(
            r"<svg.*?</svg>|<style.*?</style>|<script.*?</script>|base64,[^\"]*", "", html, flags=re.S
        ).lower()
    )
    assert ("over the SVM" in html) == (kind != "no reference")
    assert ("every path is exactly right" in html) == (kind == "perfect")
    assert (html.count('class="card') == 0) == (kind == "no examples")


def test_a_worse_model_is_called_worse(sample: Any, tmp_path: Path) -> None:
    gain = {"hF": -0.031, "low": -0.05, "high": 0.01}
    html = replace(sample, metrics={**sample.metrics, "gain": gain}).write(tmp_path / "report.html")
    assert "3.1 points of F1 below a TF-IDF + linear SVM, a difference that may be chance" in html
