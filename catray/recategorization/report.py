"""report.html of a recategorization: scores, map, table of clusters, and pictures of each cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from catray import __version__
from catray.evaluation import page
from catray.evaluation.page import Cell, Section
from catray.recategorization.cluster import Clusters
from catray.recategorization.features import Products, read_images
from catray.taxonomy import format_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#6b6ecf",
    "#e7969c", "#637939", "#ce6dbd", "#3182bd", "#e6550d", "#31a354", "#756bb1", "#ad494a", "#5254a3", "#bd9e39",
)  # fmt: skip
"""By rank, then again from the first; each is told apart from its neighbors on light and on dark paper."""
GRAY = "#9aa0a6"
NAMED_LABELS = 8


def write_report(
    file: Path,
    proposal: Mapping[str, Any],
    products: Products,
    clusters: Clusters,
    truth: Sequence[str | None] | None,
    scores: Mapping[str, Any] | None,
    about: Mapping[str, Any],
    catalog: Path,
    gallery: int = 10,
) -> None:
    """`products`, `clusters`, `truth` row by row; `scores` of evaluation.metrics.clustering; pictures of `catalog`."""
    found = bool(proposal["clusters"])
    shown = _examples(proposal, products, clusters, gallery)
    images = read_images(catalog, [products.keys[row] for group in shown.values() for row, _ in group])

    def cards(group: int, label: str) -> Markup:
        return page.gallery([_card(products, row, near, truth, images) for row, near in shown[group]], label)

    sections = [Section("Result", _tiles(proposal, scores), _result_note(scores) if found else "")]
    if found:
        sections.append(Section("Clusters", _table(proposal, clusters, truth)))
    if len(np.unique(clusters.map, axis=0)) > 2:
        sections.append(Section("Map", _maps(proposal, clusters, truth), _MAP_NOTE))
    if truth is not None and found:
        sections.append(Section("Hidden labels", _labels_table(proposal, clusters, truth), _LABELS_NOTE))
    if found and gallery:
        parts = [
            Markup('<h3>{} {} <small>{:,} products</small></h3><p class="note">{}.</p>{}').format(
                _swatch(entry["cluster"]),
                entry["name"],
                entry["size"],
                entry["evidence"],
                cards(entry["cluster"], entry["name"]),
            )
            for entry in proposal["clusters"]
        ]
        sections.append(Section("Products", Markup("").join(parts), _PRODUCTS_NOTE))
    if shown[-1]:
        heading = "Noise" if found else "A sample of the products"
        sections.append(Section(heading, cards(-1, heading), _NOISE_NOTE if found else ""))
    sections.append(Section("How it was made", _facts(proposal, about)))
    name = format_path(proposal["node"])
    html = page.render_page(
        f"Subcategories of {name}",
        sections,
        lead=_lead(proposal, name),
        kicker="catray recategorize",
        foot=f"catray {__version__}",
    )
    file.write_text(html, encoding="utf-8")


_MAP_NOTE = (
    "Each dot is a product; near ones are alike in picture and title. Islands mean something; the distance between far"
    " islands, and their areas, do not."
)
_LABELS_NOTE = (
    "Where the products of each hidden label went: whether a known subcategory was found again, and in one piece."
)
_PRODUCTS_NOTE = (
    "The products nearest to the middle of each cluster, then those on its border, with the cluster that they nearly"
    " belong to. Repeated titles are left out."
)
_NOISE_NOTE = "Products between the clusters, a sample. They stay where they are, in the node itself."


def _lead(proposal: Mapping[str, Any], name: str) -> str:
    products, count = proposal["products"], len(proposal["clusters"])
    if not count:
        return f"No subcategories were found among {products:,} products: {proposal['reason']}."
    names = [entry["name"] for entry in proposal["clusters"]]
    some = "; ".join(names[:4]) + (" ..." if count > 4 else "")
    return f"{products:,} products of {name} fall into {count} groups ({some}). A proposal: nothing changes by itself."


def _result_note(scores: Mapping[str, Any] | None) -> str:
    if scores is None:
        return "There are no hidden labels to score against: judge by the pictures."
    return (
        f"Scored against {scores['labels']} labels of {scores['labelled']:,} products, hidden from all that clusters."
        " Purity grows by itself with the number of clusters and with the noise left out; read it beside completeness"
        " and AMI, which count noise as one more cluster."
    )


def _tiles(proposal: Mapping[str, Any], scores: Mapping[str, Any] | None) -> Markup:
    items = [
        ("Proposed subcategories", f"{len(proposal['clusters'])}", f"of {proposal['products']:,} products"),
        ("Noise", f"{proposal['noise_share']:.1%}", f"{proposal['noise']:,} products left in the node"),
    ]
    if scores is not None:
        items += [
            ("Purity", f"{scores['purity']:.3f}", "products with their cluster's commonest label"),
            ("Completeness", f"{scores['completeness']:.3f}", "1: each label in one cluster"),
            ("AMI", f"{scores['AMI']:.3f}", f"agreement, 0 is chance; by pairs (ARI) {scores['ARI']:.3f}"),
        ]
    return page.tiles(items)


def _table(proposal: Mapping[str, Any], clusters: Clusters, truth: Sequence[str | None] | None) -> Markup:
    headers = ["", "name", "products", "share", "words of its titles"]
    headers += ["commonest hidden label", "its share"] if truth is not None else []
    rows = []
    for entry in proposal["clusters"]:
        k = entry["cluster"]
        terms = [f"{term['text']} {term['inside']:.0%}" for term in entry["terms"]]
        row: list[Any] = [
            Cell(_swatch(k), sort=k + 1),
            Cell(entry["name"], strong=True),
            entry["size"],
            Cell(f"{entry['share']:.1%}", sort=entry["share"]),
            ", ".join(terms),
        ]
        if truth is not None:
            label, share = _commonest([truth[i] for i in np.flatnonzero(clusters.labels == k).tolist()])
            row += [label, Cell(f"{share:.0%}", sort=share)]
        rows.append([*row, _shares(entry["platforms"])])
    caption = "Largest first. The shares behind the words: in how many of the cluster's titles they stand."
    return page.table([*headers, "shops"], rows, caption, sortable=True)


def _labels_table(proposal: Mapping[str, Any], clusters: Clusters, truth: Sequence[str | None]) -> Markup:
    names = {entry["cluster"]: entry["name"] for entry in proposal["clusters"]}
    labels = np.array([label or "" for label in truth])
    rows = []
    for label, count in Counter(label for label in truth if label).most_common():
        homes = clusters.labels[labels == label]
        inside = Counter(homes[homes >= 0].tolist()).most_common(1)
        home, hits = inside[0] if inside else (None, 0)
        noise = float((homes < 0).mean())
        rows.append(
            [
                label,
                count,
                names[home] if home is not None else None,
                Cell(f"{hits / count:.0%}", sort=hits / count),
                Cell(f"{noise:.0%}", sort=noise),
            ]
        )
    headers = ["hidden label", "products", "most of them in", "share there", "in the noise"]
    return page.table(headers, rows, "By number of products.", sortable=True)


def _facts(proposal: Mapping[str, Any], about: Mapping[str, Any]) -> Markup:
    backend, parameters = about["backend"], about["parameters"]
    versions = ", ".join(f"{name} {version}" for name, version in backend["versions"].items())
    return page.facts(
        [
            ("node", f"{format_path(proposal['node'])} ({proposal['node_id']})"),
            ("embeddings", ", ".join(about["space"])),
            ("method", "UMAP, then HDBSCAN; names by class-based TF-IDF over the titles"),
            ("settings", ", ".join(f"{name} {value}" for name, value in parameters.items())),
            ("back end", f"{backend['name']}: {backend['reason']} ({versions})"),
        ]
    )


def _examples(
    proposal: Mapping[str, Any], products: Products, clusters: Clusters, gallery: int
) -> dict[int, list[tuple[int, str | None]]]:
    """{cluster, -1 for noise: [(row, name of the cluster nearby or None)]}; a third of a gallery is borderline."""
    place = {key: row for row, key in enumerate(products.keys)}
    names = {entry["cluster"]: entry["name"] for entry in proposal["clusters"]}
    shown: dict[int, list[tuple[int, str | None]]] = {}
    for entry in proposal["clusters"]:
        border = [(place[item["key"]], names[item["near"]]) for item in entry["borderline"]][: gallery // 3]
        middle = [(place[key], None) for key in entry["typical"]][: gallery - len(border)]
        shown[entry["cluster"]] = [*middle, *border]
    rest = np.flatnonzero(clusters.labels < 0) if names else np.arange(len(products))
    picked = rest[np.linspace(0, len(rest) - 1, min(gallery, len(rest))).astype(int)] if len(rest) else rest
    shown[-1] = [(row, None) for row in picked.tolist()]
    return shown


def _card(
    products: Products, row: int, near: str | None, truth: Sequence[str | None] | None, images: Mapping[str, bytes]
) -> Markup:
    title = products.titles[row] or products.keys[row]
    lines = [("shop", products.platforms[row])]
    if truth is not None and truth[row]:
        lines.append(("hidden label", str(truth[row])))
    if near is not None:
        lines.append(("borderline, close to", near))
    return page.card(page.picture(images.get(products.keys[row]), title), title, lines)


def _maps(proposal: Mapping[str, Any], clusters: Clusters, truth: Sequence[str | None] | None) -> Markup:
    names = [f"{entry['cluster'] + 1} {entry['name']}" for entry in proposal["clusters"]]
    labels = clusters.labels if names else np.full_like(clusters.labels, -1)
    figures = [
        page.figure_svg(
            _scatter(clusters.map, labels, len(names)), "Map of the products by cluster", _legend(names, "noise")
        )
    ]
    if truth is not None:
        common = [label for label, _ in Counter(label for label in truth if label).most_common(NAMED_LABELS)]
        index = {label: i for i, label in enumerate(common)}
        hidden = np.array([index.get(label or "", -1) for label in truth])
        drawn = _scatter(clusters.map, hidden, 0)
        figures.append(page.figure_svg(drawn, "Map of the products by hidden label", _legend(common, "other or none")))
    return Markup('<div class="figures">{}</div>').format(Markup("").join(figures))


def _scatter(points: np.ndarray, labels: np.ndarray, numbered: int) -> Figure:
    """The dots as a picture within the SVG, for thousands of circles would weigh megabytes; numbers on the clusters."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.6), dpi=160)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.set_axis_off()
    colors = np.array([*COLORS, GRAY])[np.where(labels < 0, len(COLORS), labels % len(COLORS))]
    order = np.argsort(labels >= 0, kind="stable")  # noise below
    size = float(np.clip(12000 / max(len(points), 1), 3, 24))
    axes.scatter(points[order, 0], points[order, 1], c=colors[order], s=size, linewidths=0, alpha=0.75, rasterized=True)
    for k in range(numbered):
        x, y = np.median(points[labels == k], axis=0)
        box = {"boxstyle": "round,pad=0.2", "facecolor": "#ffffff", "edgecolor": "none", "alpha": 0.8}
        axes.text(x, y, str(k + 1), ha="center", va="center", fontsize=8, color="#1b1d21", bbox=box)
    return figure


def _legend(names: Sequence[str], rest: str) -> Markup:
    parts = [
        Markup('<span style="white-space: nowrap">{} {}</span>').format(_dot(i), name) for i, name in enumerate(names)
    ]
    return Markup(" &ensp; ").join([*parts, Markup("{} {}").format(_dot(-1), rest)])


def _dot(k: int) -> Markup:
    color = COLORS[k % len(COLORS)] if k >= 0 else GRAY
    return Markup('<span aria-hidden="true" style="color: {}">●</span>').format(color)


def _swatch(k: int) -> Markup:
    return Markup("{} {}").format(_dot(k), k + 1)


def _commonest(labels: Sequence[str | None]) -> tuple[str | None, float]:
    counts = Counter(label for label in labels if label)
    if not counts:
        return None, 0.0
    label, hits = counts.most_common(1)[0]
    return label, hits / counts.total()


def _shares(shares: Mapping[str, float], top: int = 3) -> Markup:
    parts = [f"{name} {share:.0%}" for name, share in list(shares.items())[:top]]
    return escape(", ".join(parts) + (f" and {len(shares) - top} more" if len(shares) > top else ""))
