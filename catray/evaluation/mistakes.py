"""The parts of the evaluation report that show products: what is mixed up, the weakest paths, cards right and wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from catray.evaluation import page
from catray.evaluation.examples import Confusion, Evaluated, worst_paths
from catray.evaluation.page import Cell, Text
from catray.taxonomy import Taxonomy, format_path

MIXED_NOTE = "True category, what it was taken for, and how often; the part of the path that is right is gray."


def mix_ups(
    taxonomy: Taxonomy, evaluated: Evaluated, mixed: Sequence[Confusion], images: Mapping[str, bytes | None]
) -> Markup:
    if not mixed:
        return Markup("<p>Nothing: every path is exactly right.</p>")
    cells = []
    for pair in mixed:
        title = evaluated.titles[pair.example] or evaluated.keys[pair.example]
        thumb = page.picture(images.get(evaluated.keys[pair.example]), "", 96)
        cells.append(
            [
                _path(taxonomy, pair.truth, pair.predicted),
                _path(taxonomy, pair.predicted, pair.truth),
                pair.count,
                Cell(f"{pair.count / pair.of:.1%}", pair.count / pair.of, note=f"of {pair.of:,}"),
                Markup('<div class="thumb">{}<span dir="auto">{}</span></div>').format(thumb, title),
            ]
        )
    headers = ["true path", "taken for", "products", "share of the path", "for example"]
    wrong = int((evaluated.truth != evaluated.predicted).sum())
    caption = f"The {len(cells)} commonest mistakes, {sum(p.count for p in mixed):,} of all {wrong:,}"
    return page.table(headers, cells, caption, sortable=True)


def weakest(taxonomy: Taxonomy, evaluated: Evaluated) -> Markup:
    found, least = worst_paths(evaluated.truth, evaluated.predicted)
    cells = [
        [
            format_path(taxonomy.path(worst.node)),
            worst.n,
            int(evaluated.train_counts[worst.node]),
            worst.f1,
            worst.precision,
            worst.recall,
            format_path(taxonomy.path(worst.mostly)) if worst.mostly >= 0 else None,
        ]
        for worst in found
    ]
    headers = ["path", "n", "in training", "F1", "precision", "recall", "mostly taken for"]
    few = f" with at least {least} products here" if least > 1 else ""
    return page.table(headers, cells, f"The {len(cells)} lowest F1 among the paths{few}", sortable=True)


def card(taxonomy: Taxonomy, evaluated: Evaluated, row: int, images: Mapping[str, bytes | None]) -> Markup:
    truth, predicted = int(evaluated.truth[row]), int(evaluated.predicted[row])
    title = evaluated.titles[row] or "(no title)"
    lines: list[tuple[str, Text]] = [("Path", format_path(taxonomy.path(truth)))]
    if truth != predicted:
        lines = [("True", _path(taxonomy, truth, predicted)), ("Answered", _path(taxonomy, predicted, truth))]
    lines.append(("Probability", f"{evaluated.probability[row]:.3f}, {evaluated.stages[row] or 'no'} stage"))
    lines.append(("Platform", evaluated.platforms[row]))
    image = page.picture(images.get(evaluated.keys[row]), f"Picture of {title}")
    return page.card(image, title, lines, "good" if truth == predicted else "bad")


def _path(taxonomy: Taxonomy, node: int, other: int) -> Markup:
    """The path, gray as far as both agree."""
    if node < 0:
        return Markup("<em>no answer</em>")
    names, others = taxonomy.path(node), taxonomy.path(other) if other >= 0 else ()
    same = next(
        (i for i, (a, b) in enumerate(zip(names, others, strict=False)) if a != b), min(len(names), len(others))
    )
    same = min(same, len(names) - 1)
    shared = Markup('<span class="shared">{} &gt;</span> ').format(format_path(names[:same])) if same else Markup("")
    return shared + format_path(names[same:])
