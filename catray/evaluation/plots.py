"""The plots of the evaluation report, as matplotlib figures in the page's colors (page.figure_svg).

Figures are made without pyplot, so nothing global changes and any thread may draw. Names of shops and categories are
drawn as they are: a `$` in them is no formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from catray.evaluation.page import INK, PLOT_STYLE, SERIES

PERCENT = PercentFormatter(1.0, decimals=0)
MOST_SHOPS = 40
"""Shops in the plot; the table holds all."""


def models(
    names: Sequence[str], scores: Mapping[str, Sequence[tuple[float, float, float]]], reference: str | None
) -> Figure:
    """Dots with intervals, a line a model and a panel a score: {score: [(value, low, high), ...]}; NaN: no interval.

    `reference` is the name of the model that has another color.
    """
    with rc_context(PLOT_STYLE):
        figure = Figure((8.4, 0.75 + 0.42 * len(names)))
        panels = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
        for axes, (score, values) in zip(panels, scores.items(), strict=True):
            for y, (value, low, high) in enumerate(values):
                color = SERIES[1] if names[y] == reference else SERIES[0]
                axes.plot([low, high], [y, y], color=color, linewidth=2.5, solid_capstyle="round")
                axes.plot(value, y, "o", color=color, markersize=7)
            axes.set_title(score, loc="left")
            axes.grid(axis="y", visible=False)
            axes.locator_params(axis="x", nbins=4)
            axes.margins(x=0.12)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.4, -0.6)
        return figure


def shops(
    names: Sequence[str],
    ours: tuple[str, Sequence[tuple[float, float, float]]],
    reference: tuple[str, Sequence[float]] | None,
) -> Figure:
    """hF a shop, lowest first: a model (label, [(value, low, high), ...]) beside the reference (label, [hF, ...])."""
    with rc_context(PLOT_STYLE):
        order = np.argsort([value for value, _, _ in ours[1]], kind="stable")[:MOST_SHOPS]
        figure = Figure((8.4, 0.9 + 0.3 * len(order)))
        axes = figure.subplots()
        for y, i in enumerate(order):
            value, low, high = ours[1][i]
            axes.plot([low, high], [y, y], color=SERIES[0], linewidth=2.5, solid_capstyle="round")
            axes.plot(value, y, "o", color=SERIES[0], markersize=7, label=ours[0] if y == 0 else None)
            if reference is not None:
                label = reference[0] if y == 0 else None
                axes.plot(reference[1][i], y, "D", color=SERIES[1], markersize=5.5, fillstyle="none", label=label)
        axes.set_yticks(range(len(order)), [_short(names[i], 32) for i in order])
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("hierarchical F1")
        figure.legend(loc="outside upper left", ncols=2)
        return figure


def reliability(bins: Sequence[Mapping[str, float]]) -> Figure:
    """Accuracy against confidence (confidence.reliability), and below it how many products each bin holds."""
    with rc_context(PLOT_STYLE):
        figure = Figure((5.4, 4.4))
        top, low = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        top.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 4)), alpha=0.5)
        top.text(0.04, 0.11, "perfectly calibrated", fontsize=9, alpha=0.7, rotation=32, rotation_mode="anchor")
        confidence, accuracy = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        top.plot(confidence, accuracy, "o-", color=SERIES[0], markersize=6)
        top.set_ylabel("exactly right")
        top.set_ylim(-0.03, 1.03)
        low.bar(
            [b["low"] for b in bins],
            [b["n"] for b in bins],
            [b["high"] - b["low"] for b in bins],
            align="edge",
            color=SERIES[0],
            alpha=0.75,
            edgecolor="none",
        )
        low.set_xlim(0, 1)
        low.set_ylabel("products")
        low.set_xlabel("probability that the model gives its answer")
        top.yaxis.set_major_formatter(PERCENT)
        low.xaxis.set_major_formatter(PERCENT)
        figure.align_ylabels()
        return figure


def risk(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Errors among the products kept against the share kept, a line a model: {model: (coverage, risk)}."""
    with rc_context(PLOT_STYLE):
        figure = Figure((5.4, 4.4))
        axes = figure.subplots()
        for i, (name, (coverage, wrong)) in enumerate(curves.items()):
            # the first 2 % are the noise of a handful of products; 300 points draw the same line as all
            start = int(np.searchsorted(coverage, 0.02))
            rows = np.unique(np.linspace(start, len(coverage) - 1, 300).astype(int))
            axes.plot(coverage[rows], wrong[rows], label=name, **{**_series(i), "marker": None})
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(PERCENT)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))  # a good model's axis ends below 1 %
        axes.set_xlabel("products answered, the surest first")
        axes.set_ylabel("wrong among them")
        axes.legend()
        return figure


def threshold(curve: Sequence[Mapping[str, float]], chosen: float) -> Figure:
    """hF and the share that the text stage answers, against the threshold (confidence.threshold_curve)."""
    with rc_context(PLOT_STYLE):
        figure = Figure((8.4, 2.9))
        left, right = figure.subplots(1, 2)
        x = [point["threshold"] for point in curve]
        for axes, key, label in ((left, "hF", "hierarchical F1"), (right, "text_share", "answered by text alone")):
            axes.plot(x, [point[key] for point in curve], color=SERIES[0])
            axes.axvline(chosen, color=SERIES[1], linewidth=1.5, linestyle=(0, (4, 3)), label=f"this run: {chosen:g}")
            axes.set_title(label, loc="left")
            axes.set_xlabel("threshold")
            _at_least(axes, 0.02)
        right.yaxis.set_major_formatter(PERCENT)
        right.legend()
        return figure


def _series(i: int) -> dict[str, Any]:
    """Color, and a shape for those who can't tell the colors."""
    style = ("-", (0, (5, 2)), (0, (1, 1.2)), "-.")[i % 4]
    return {"color": SERIES[i % len(SERIES)], "linestyle": style, "marker": "os^D"[i % 4]}


def _at_least(axes: Axes, span: float) -> None:
    """A flat curve looks flat: the y axis spans at least `span`."""
    low, high = axes.get_ylim()
    if high - low < span:
        middle = (low + high) / 2
        axes.set_ylim(middle - span / 2, middle + span / 2)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
