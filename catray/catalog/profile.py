"""A feed's sample and what its columns hold: shares of numbers, URLs, texts ..., uniqueness, lengths, category paths.

    table = sample_feed("shop/products.csv", rows=2000)
    table.columns["sku"].unique, table.columns["category"].separator

Plain statistics: what they mean for the mapping is `propose`'s affair.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from catray.catalog.column_names import meaning
from catray.catalog.mapping import as_text, lookup
from catray.catalog.readers import feed_files, file_format, read, sample_columns, scan
from catray.config import Feed, Fields
from catray.errors import CatrayError

PARTS = 20  # places of the feed that the sample comes from: many feeds are sorted by shop or category
SCANNED = 1_000_000  # rows of a file that are walked to find those places

IMAGE_FILE = r"\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif)"
CURRENCY = r"(?:[€$£¥₹]|Rs\.?|EUR|USD|GBP|CHF|INR|JPY|CNY|SEK|NOK|DKK|PLN|CZK|BRL|MXN|CAD|AUD|THB|VND)"
KINDS = {  # the first that fits the whole value
    "number": r"[-+]?\d+",
    "date": r"\d{4}-\d\d?-\d\d?(?:[T ]\d\d?:.*)?|\d{1,2}[./-]\d{1,2}[./-](?:\d\d){1,2}(?: .*)?",
    "decimal": rf"{CURRENCY}?\s*[-+]?\d[\d.,']*\s*(?:{CURRENCY}|%)?",
    "boolean": r"(?i:true|false|yes|no|ja|nein|oui|non|si|sí|y|n)",
    "image_url": rf"(?i:(?:https?:)?//\S+{IMAGE_FILE}(?:[?#]\S*)?|data:image/\S+)",
    "url": r"(?:https?:|s3:|gs:)?//\S+|(?:[\w-]+\.)+[a-zA-Z]{2,6}/\S*",
    "image_file": rf"(?i:[^<>:|?*\n]{{1,200}}{IMAGE_FILE})",
    "host": r"(?:[a-z0-9-]+\.)+(?:com|net|org|shop|store|info|biz|eu|[a-z]{2})",
    "base64": r"[A-Za-z0-9+/\s]{200,}={0,2}",
    "structure": r"[{].*[}]|\[\s*\{.*",
}
PATTERNS = {kind: re.compile(pattern, re.DOTALL) for kind, pattern in KINDS.items()}
SEPARATORS = (">>", ">", "»", "›", "→", "|", "::", "/", "\\", ";")
SENTENCE = re.compile(r"[.!?…。]\s*$|\w{3,}[.!?]\s+\S")  # `no. 12` is none


@dataclass(frozen=True)
class Column:
    """One column of the sample. `values[i]` is None, bytes, a number, a text or a list, as row i has it."""

    name: str
    values: list[Any]

    @cached_property
    def texts(self) -> list[str]:
        return [as_text(value) for value in self.values]

    @cached_property
    def filled(self) -> list[str]:
        return [text for text in self.texts if text]

    @cached_property
    def fill(self) -> float:
        """Share of the rows with a value."""
        return sum(value is not None and value != "" for value in self.values) / max(1, len(self.values))

    @cached_property
    def meaning(self) -> dict[str, float]:
        return meaning(self.name)

    def named(self, *roles: str) -> float:
        return max(self.meaning.get(role, 0.0) for role in roles)

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(self.filled)

    @cached_property
    def unique(self) -> float:
        """Distinct values a filled row."""
        return len(self.counts) / max(1, len(self.filled))

    @cached_property
    def length(self) -> float:
        return sum(map(len, self.filled)) / max(1, len(self.filled))

    @cached_property
    def words(self) -> float:
        return sum(len(text.split()) for text in self.filled) / max(1, len(self.filled))

    @cached_property
    def sentences(self) -> float:
        """Share of values that read like prose."""
        prose = sum(bool(SENTENCE.search(t)) or len(t.split()) > 25 for t in self.filled)
        return prose / max(1, len(self.filled))

    @cached_property
    def kinds(self) -> dict[str, float]:
        """{kind: share of the filled values}; of a list, its first element's kind."""
        found = Counter(_kind(value) for value in self.values if value is not None and value != "")
        return {kind: count / max(1, found.total()) for kind, count in found.items()}

    def share(self, *kinds: str) -> float:
        return sum(self.kinds.get(kind, 0.0) for kind in kinds)

    @property
    def lists(self) -> float:
        """Share of the filled values that are lists, or texts that spell one."""
        return sum(as_list(value) is not None for value in self.values) / max(1.0, self.fill * len(self.values))

    @cached_property
    def separator(self) -> tuple[str, float]:
        """(what most splits the values into levels, share of values that it splits)."""
        parts = [as_list(value) or [value] for value in self.values if value is not None and value != ""][:500]
        best, share = "", 0.0
        for separator in SEPARATORS:
            splits = sum(any(separator in as_text(p).strip(separator + " ") for p in part) for part in parts)
            found = splits / max(1, len(parts))
            if found > share + 0.05 * bool(best):
                best, share = separator, found
        return best, share

    def example(self, width: int = 60) -> str:
        text = next(iter(self.filled), "")
        return text if len(text) <= width else text[: width - 3] + "..."


@dataclass(frozen=True)
class Table:
    """A sample of a feed. `broken`: rows that could not be read; `faults`: why, with counts."""

    files: list[str]
    rows: list[dict[str, Any]]
    columns: dict[str, Column]
    faults: Counter[str]

    @property
    def broken(self) -> int:
        return self.faults.total()


def sample_feed(files: str, rows: int) -> Table:
    """About `rows` rows from all over the feed. CatrayError for a missing, unreadable or empty feed."""
    feed = Feed(files=files, fields=Fields(product_id="?"))
    try:
        paths = feed_files("?", feed)
    except CatrayError:
        raise CatrayError(f"no such file: {files}") from None
    found: list[dict[str, Any]] = []
    faults: Counter[str] = Counter()
    names: dict[str, None] = {}
    for path in paths[:PARTS]:
        format = file_format("?", feed, path)
        share = max(1, rows // min(len(paths), PARTS))
        chunks = list(islice(scan("?", path, format, max(1, share // PARTS)), SCANNED // max(1, share // PARTS)))
        step = max(1.0, len(chunks) / PARTS)
        for chunk in [chunks[int(i * step)] for i in range(min(len(chunks), PARTS))]:
            for row in read(chunk):
                if row.error:
                    faults[row.error.split(":")[0]] += 1
                else:
                    # Of a picture its first bytes are enough: a sample of whole ones would fill the memory.
                    found.append({k: v[:16] if isinstance(v, bytes) else v for k, v in row.values.items()})
        if chunks:
            names |= dict.fromkeys(sample_columns(path, format))
    if not found:
        why = f" that can be read ({faults.most_common(1)[0][0]})" if faults else ""
        raise CatrayError(f"{files}: no rows{why}: there is nothing to propose a mapping from")
    columns = {name: Column(name, [lookup(row, name) for row in found]) for name in names if not set("{}") & set(name)}
    columns = {
        n: c for n, c in columns.items() if not any(isinstance(v, dict) for v in c.values)
    }  # its keys are columns
    return Table(paths, found, columns, faults)


def as_list(value: Any) -> list[Any] | None:
    """A list, or a text that spells one in JSON or Python; else None."""
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str) or not (text := value.strip()).startswith("[") or not text.endswith("]"):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            parsed = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return parsed if isinstance(parsed, list) else None
    return None


def _kind(value: Any) -> str:
    if isinstance(value, bytes):
        return "bytes"
    elements = as_list(value)
    if elements is not None:
        first = elements[0] if elements else ""
        return "structure" if isinstance(first, dict | list) else _kind(first)
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "number" if value.is_integer() else "decimal"
    text = as_text(value)
    return next((kind for kind, pattern in PATTERNS.items() if pattern.fullmatch(text)), "text")


def determined(fine: Column, coarse: Column) -> tuple[float, float]:
    """How well a value of `fine` tells that of `coarse` in the other rows: (share right, share of rows it is seen in).

    The share right is what is gained over always guessing the commonest value (Goodman and Kruskal's lambda), each row
    being guessed from the others, so that columns of unique values tell nothing.
    """
    groups: dict[str, Counter[str]] = {}
    for f, c in zip(fine.texts, coarse.texts, strict=True):
        if f and c:
            groups.setdefault(f, Counter())[c] += 1
    seen = right = 0
    overall: Counter[str] = Counter()
    for counts in groups.values():
        if (size := counts.total()) < 2:
            continue
        seen += size
        overall.update(counts)
        (_, first), second = counts.most_common(1)[0], counts.most_common(2)[-1][1] if len(counts) > 1 else 0
        right += first if first - 1 > second else 0
    if not seen:
        return 0.0, 0.0
    base = max(overall.values()) / seen
    gain = (right / seen - base) / (1 - base) if base < 1 else 0.0
    return gain, seen / max(1, len(fine.filled))
