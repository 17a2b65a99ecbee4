"""What the verbs print: notes and tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def note(text: str) -> None:
    print(text, flush=True)


def show(title: str, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A plain aligned table: numbers to the right, text to the left."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(headers, *cells, strict=True)]
    right = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()

    print(f"\n{title}\n{line(list(headers))}\n{line(['-' * w for w in widths])}")
    for row in cells:
        print(line(row))
    print(flush=True)


def _is_number(text: str) -> bool:
    return text == "" or text.replace(",", "").replace(".", "").replace("%", "").strip("-+ ").isdigit()
