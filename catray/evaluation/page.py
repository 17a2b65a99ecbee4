"""The frame of every report: one HTML file that needs no network, and follows the reader's light or dark setting.

    section = Section("Results", table(["model", "hF"], [["text", Cell("0.912", sort=.912)]], "Scores", sortable=True))
    html = render_page("Evaluation", [section], lead="1,203 products", foot="catray 0.1.0")

All text is escaped here, by Jinja: titles of products are hostile input. Only Markup passes as it is. Should something
slip through, the page's Content-Security-Policy still forbids every request. Plots are drawn in INK, GRID and SERIES,
which `figure_svg` turns into the page's own colors.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

INK = "#010101"
GRID = "#020202"
SERIES = ("#030301", "#030302", "#030303", "#030304")
"""Stand-ins for the page's colors: text, lines, and the series of a plot (first: ours)."""
_COLORS = {
    INK: "currentColor",
    "#000000": "currentColor",
    GRID: "var(--line)",
    **{c: f"var(--series-{i})" for i, c in enumerate(SERIES, 1)},
}
PLOT_STYLE: dict[str, Any] = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.parse_math": False,
    "figure.constrained_layout.use": True,
}
"""matplotlib's settings, for `rc_context` around the drawing; names in plots may hold a `$`: no formulas."""

MOST_PIXELS = 50_000_000
Text = str | Markup
Tone = Literal["good", "bad", ""]


@dataclass(frozen=True)
class Section:
    """A heading (an anchor of the contents) and what stands below it."""

    heading: str
    body: Markup
    note: Text = ""
    """One or two sentences under the heading: what the reader sees here."""

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.heading.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Cell:
    """A table's cell whose text is not what it sorts by, or that stands out."""

    text: Text
    sort: float | str | None = None
    strong: bool = False
    note: Text = ""
    """Smaller, behind the text: an interval."""


def render_page(
    title: str, sections: Sequence[Section], *, lead: Text = "", kicker: str = "catray", foot: Text = ""
) -> str:
    """The whole page. `kicker` stands small above the title, `lead` below it, `foot` at the end."""
    page = _templates().get_template("page.html")
    return page.render(title=title, sections=sections, lead=lead, kicker=kicker, foot=foot)


def table(headers: Sequence[Text], rows: Sequence[Sequence[Any]], caption: Text, sortable: bool = False) -> Markup:
    """Cells are text, numbers, None (a dash), Markup or Cell; a column of numbers only stands to the right.

    `sortable`: a click on a header sorts by its column (numbers as numbers), a second one the other way round.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    right = [
        bool(cells) and all(isinstance(row[i].sort, int | float) or row[i].text == "–" for row in cells)
        for i in range(len(headers))
    ]
    return _part("table", headers, cells, caption, sortable, right)


def tiles(items: Sequence[tuple[str, Text, Text]]) -> Markup:
    """Headline numbers: (label, value, note)."""
    return _part("tiles", items)


def facts(items: Sequence[tuple[str, Text]]) -> Markup:
    """A list of names and values: settings, counts, versions."""
    return _part("facts", items)


def card(image: Markup, title: Text, lines: Sequence[tuple[str, Text]] = (), tone: Tone = "") -> Markup:
    """A product: its picture, its title and named lines. Tone colors its edge."""
    return _part("card", image, title, lines, tone)


def gallery(cards: Sequence[Markup], label: str) -> Markup:
    """Cards side by side, as many as fit. `label` names the list for screen readers."""
    return _part("gallery", cards, label)


def details(summary: Text, body: Markup, opened: bool = False) -> Markup:
    """A part that folds."""
    return _part("details", summary, body, opened)


def picture(image: bytes | None, alt: str, size: int = 160) -> Markup:
    """An <img> of a thumbnail (WebP, at most `size` pixels a side) as data: URI; a placeholder for no picture.

    Never fails: bytes that are no picture give the placeholder too.
    """
    data = thumbnail(image, size) if image else None
    if data is None:
        return Markup('<div class="nopicture" role="img" aria-label="{}">no picture</div>').format(alt or "no picture")
    uri = "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
    return Markup('<img src="{}" alt="{}" decoding="async">').format(uri, alt)


def thumbnail(image: bytes, size: int) -> bytes | None:
    """WebP of at most `size` x `size` pixels on white, None for bytes that can't be decoded."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(image)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            opened.draft("RGB", (2 * size, 2 * size))  # JPEG: decode at a fraction of the size
            small = ImageOps.exif_transpose(opened).convert("RGBA")
        small.thumbnail((size, size))
        white = Image.new("RGB", small.size, "white")
        white.paste(small, mask=small.getchannel("A"))
    except Exception:  # a decoder raises what it likes on hostile bytes
        return None
    out = io.BytesIO()
    white.save(out, "WEBP", quality=72)
    return out.getvalue()


def figure_svg(figure: Figure, alt: str, caption: Text = "") -> Markup:
    """A matplotlib figure (of `matplotlib.figure.Figure`, not of pyplot) as inline SVG; its texts stay texts."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({**PLOT_STYLE, "svg.fonttype": "none", "svg.hashsalt": "catray"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    width = float(re.findall(r'\bwidth="([\d.]+)pt"', svg)[0]) * 4 / 3
    opening = Markup('<svg role="img" aria-label="{}" style="max-width: {:.0f}px" viewBox="{}">')
    box = re.findall(r'viewBox="([-\d. ]+)"', svg)[0]
    svg = re.sub(r"^<svg[^>]*>", lambda _: str(opening.format(alt, width, box)), svg)
    # Inline, the ids of all figures share one page: drop those that nothing refers to, prefix the others.
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)  # the page's own font
    for stand_in, color in _COLORS.items():
        svg = svg.replace(stand_in, color)
    return _part("figure", Markup(svg.strip()), caption)  # matplotlib escapes the texts


def _cell(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell("–")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int):
        return Cell(f"{value:,}", sort=value)
    if isinstance(value, float):
        return Cell(f"{value:.3f}", sort=value) if value == value else Cell("–")
    return Cell(escape(value))


def _part(name: str, *args: Any) -> Markup:
    return Markup(getattr(_templates().get_template("parts.html").module, name)(*args))


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("catray.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
