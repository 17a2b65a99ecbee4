"""What reading a feed file gives: chunks of it, and raw rows; and the limits that every format's rows have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from catray.catalog.dialect import Dialect

MAX_LINE = 10_000_000
"""Bytes of a line, and of a row that spans lines."""
MAX_DEPTH = 100
"""Nesting of a JSON or XML value."""
KEPT = 1000
"""Bytes that a rejected row keeps of what can't be parsed."""
UTF8 = Dialect()


@dataclass(frozen=True)
class Chunk:
    """A part of a feed file: bytes `start` to `end`, or rows `start` to `end` where `by_rows`."""

    feed: str
    file: str
    format: str
    start: int
    end: int
    line: int  # 1-based line or row at which it begins
    rows: int
    header: tuple[str, ...] = ()
    dialect: Dialect = UTF8
    by_rows: bool = False
    plain: bool = False  # CSV without a fault of quoting: `read_table` may try it


@dataclass(frozen=True)
class RawRow:
    """One row as the feed has it. `error` says why it could not be parsed; `values` then holds what is known of it."""

    line: int
    values: dict[str, Any]
    error: str | None = None

    def to_json(self) -> str:
        """The row for rejects: bytes are named by their size."""
        text = json.dumps(
            self.values, ensure_ascii=False, default=lambda v: f"<{len(v):,} bytes>" if isinstance(v, bytes) else str(v)
        )
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
