"""report.html of an evaluation: what was scored, how well, where it goes wrong, and products to look at.

Arrays in, one self-contained file out (page.py). What the figures are stands beside them, so that somebody who has
never heard of hierarchical F1 can read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from catray import __version__
from catray.evaluation import confidence, page, plots
from catray.evaluation.examples import Evaluated, choose_right, choose_wrong, confusions
from catray.evaluation.mistakes import MIXED_NOTE, card, mix_ups, weakest
from catray.evaluation.page import Section, Text
from catray.evaluation.scores import COMPARISON_NOTE, LEVELS_NOTE, between, comparison, levels, platforms, row
from catray.taxonomy import Taxonomy

Pictures = Callable[[list[str]], Mapping[str, bytes | None]]


def write_report(
    file: Path,
    taxonomy: Taxonomy,
    evaluated: Evaluated,
    metrics: Mapping[str, Any],
    about: Sequence[tuple[str, str]],
    settings: str,
    pictures: Pictures,
    examples: int = 12,
    seed: int = 0,
) -> None:
    """`metrics` as in metrics.json (training.evaluate), `about` names and values, `settings` a text (YAML).

    `pictures` gives the encoded pictures of the keys that the report chose to show; it is asked once.
    """
    mixed = confusions(evaluated.truth, evaluated.predicted)[:15]
    wrong = choose_wrong(evaluated, examples)
    right = choose_right(evaluated, examples, seed)
    shown = [*wrong, *right, *(pair.example for pair in mixed)]
    images = pictures(sorted({evaluated.keys[i] for i in shown}))
    sections = [
        Section("Result", _tiles(metrics), _result_note(metrics)),
        Section("Models compared", comparison(metrics), COMPARISON_NOTE),
        Section("By level of the tree", levels(metrics), LEVELS_NOTE),
        Section("By platform", platforms(metrics)),
        Section("Can the probabilities be trusted?", _confidence(evaluated, metrics), _CONFIDENCE_NOTE),
        Section("What is mixed up", mix_ups(taxonomy, evaluated, mixed, images), MIXED_NOTE),
        Section("Weakest categories", weakest(taxonomy, evaluated)),
    ]
    for heading, rows, note in (("Mistakes to look at", wrong, _WRONG_NOTE), ("Right answers", right, _RIGHT_NOTE)):
        if rows:
            cards = [card(taxonomy, evaluated, i, images) for i in rows]
            sections.append(Section(heading, page.gallery(cards, heading), note))
    made = page.facts(about) + page.details("All settings", Markup("<pre>{}</pre>").format(settings))
    sections.append(Section("How it was made", made))
    html = page.render_page(
        f"Evaluation of model {metrics['model']}",
        sections,
        lead=_lead(metrics),
        kicker="catray evaluate",
        foot=f"catray {__version__}",
    )
    file.write_text(html, encoding="utf-8")


_CONFIDENCE_NOTE = (
    "Calibration: of the answers given with 80% probability, 80% should be exactly right; below the diagonal the"
    " model is too sure of itself. Risk: how many answers are wrong if only the surest are taken and the rest goes to a"
    " person."
)
_WRONG_NOTE = (
    "The surest mistakes, one of each kind. Look for labels that are wrong themselves, and for categories that overlap."
)
_RIGHT_NOTE = "A sample of the exactly right answers, from as many categories as possible."


def _lead(metrics: Mapping[str, Any]) -> str:
    ours, shops = row(metrics, metrics["headline"]), len(metrics["platforms"])
    text = (
        f"Of {metrics['n']:,} products of {shops} platform{'s' * (shops != 1)} in the {metrics['split']} split, none"
        f" seen in training, {ours['exact_path']:.1%} get exactly the right path (hierarchical F1 {ours['hF']:.3f})."
    )
    if gain := metrics["gain"]:
        points = 100 * gain["hF"]
        chance = gain["low"] is not None and gain["low"] <= 0 <= gain["high"]
        side = "above" if points >= 0 else "below"
        text += f" That is {abs(points):.1f} points of F1 {side} a TF-IDF + linear SVM" + (
            ", a difference that may be chance." if chance else "."
        )
    return text


def _result_note(metrics: Mapping[str, Any]) -> str:
    note = (
        "The cascade's answers: the light text stage where it is sure or has no picture to look at, the full model"
        " elsewhere."
    )
    if metrics["resamples"]:
        note += (
            f" Intervals are 95%, from {metrics['resamples']:,} resamples of the {metrics['groups']:,} groups of near"
            " duplicates."
        )
    if metrics["split"] == "val":
        note += " The validation split chose the epoch, so these figures flatter a little."
    return note + " Expect less from a shop that the model has never seen."


def _tiles(metrics: Mapping[str, Any]) -> Markup:
    ours, cascade = row(metrics, metrics["headline"]), metrics["cascade"]
    items: list[tuple[str, Text, Text]] = [
        ("Hierarchical F1", f"{ours['hF']:.3f}", between(ours, "hF", "n = {:,}".format(metrics["n"]))),
        ("Exact path", f"{ours['exact_path']:.1%}", between(ours, "exact_path", "", percent=True)),
        (
            "Leaf macro-F1",
            f"{ours['leaf_macro_f1']:.3f}",
            between(ours, "leaf_macro_f1", f"{metrics['paths']:,} paths"),
        ),
        ("Answered by text alone", f"{cascade['text_share']:.0%}", f"threshold {cascade['threshold']:g}"),
    ]
    if gain := metrics["gain"]:
        interval = f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}" if gain["low"] is not None else ""
        items.insert(3, ("Points of F1 over the SVM", f"{100 * gain['hF']:+.1f}", interval))
    return page.tiles(items)


def _confidence(evaluated: Evaluated, metrics: Mapping[str, Any]) -> Markup:
    ours = metrics["confidence"][metrics["headline"]]
    curves = {
        label: confidence.risk_coverage(p, nodes == evaluated.truth)
        for label, (nodes, p) in evaluated.probabilities.items()
    }
    gap = f"Mean distance from the diagonal (ECE): {ours['ece']:.3f}."
    kept = (
        f"With at most 5% errors, {ours['coverage_at_5']:.0%} of the products can be answered; with at most 1%,"
        f" {ours['coverage_at_1']:.0%}. Area under the curve (AURC): {ours['aurc']:.4f}."
    )
    figures = page.figure_svg(
        plots.reliability(ours["bins"]),
        "Reliability: " + "; ".join(f"{b['confidence']:.2f} → {b['accuracy']:.2f} (n {b['n']})" for b in ours["bins"]),
        gap,
    ) + page.figure_svg(plots.risk(curves), kept, kept)
    curve, cascade = metrics["threshold_curve"], metrics["cascade"]
    alt = "; ".join(f"threshold {p['threshold']:.2f}: hF {p['hF']:.3f}, text {p['text_share']:.0%}" for p in curve[::4])
    buys = (
        "What serving.threshold buys. At 0 the text stage answers wherever there is text: fast. At 1 nearly every"
        " product with a picture goes to the full model."
    )
    return Markup('<div class="figures">{}</div>{}').format(
        figures, page.figure_svg(plots.threshold(curve, cascade["threshold"]), alt, buys)
    )
