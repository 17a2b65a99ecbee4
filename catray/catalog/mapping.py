"""A feed's raw row becomes catalog fields: templates (`{brand} {title}`), nested keys (`{a.b}`), category paths."""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from typing import Any

from catray.config import Feed, PathField, SplitColumn
from catray.errors import CatrayError, nearest

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def clean(text: str) -> str:
    """Unicode NFC, control characters and runs of white space to one space."""
    text = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def lookup(row: dict[str, Any], name: str) -> Any:
    """`row[name]`, or the nested value that `a.b` names; None where there is none."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def as_text(value: Any) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, list | tuple):
        return " ".join(as_text(v) for v in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # an id that a nullable integer column turned into 12.0
    return clean(str(value))


def render(template: str, row: dict[str, Any], strict: bool = False) -> str:
    """Fill the template. With `strict`, any empty placeholder makes the whole empty (file names, ids)."""
    values = {name: as_text(lookup(row, name)) for name in PLACEHOLDER.findall(template)}
    if strict and not all(values.values()):
        return ""
    return clean(PLACEHOLDER.sub(lambda m: values[m.group(1)], template))


def render_path(field: PathField | None, row: dict[str, Any]) -> list[str] | None:
    """The category path, top first; None where it is empty."""
    if field is None:
        return None
    if isinstance(field, SplitColumn):
        levels = _split(lookup(row, field.column), field.separator)
    else:
        levels = [render(template, row) for template in field]
    levels = [level for level in levels if level]
    return levels or None


def _split(value: Any, separator: str) -> list[str]:
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):  # a name that begins with a bracket
            value = json.loads(value)
    if isinstance(value, list | tuple):
        return [level for part in value for level in _split(part, separator)]
    return [clean(level) for level in as_text(value).split(separator)]


def columns_of(feed: Feed) -> dict[str, str]:
    """{column: the setting that names it} for every column that the mapping uses."""
    columns: dict[str, str] = {}
    for setting in type(feed.fields).model_fields:
        value = getattr(feed.fields, setting)
        if isinstance(value, SplitColumn):
            columns.setdefault(value.column, setting)
            continue
        for template in [value] if isinstance(value, str) else value or []:
            for name in PLACEHOLDER.findall(template):
                columns.setdefault(name, setting)
    return columns


def check_columns(name: str, feed: Feed, file: str, found: list[str]) -> None:
    """CatrayError where the mapping names a column that the file lacks."""
    for column, setting in columns_of(feed).items():
        if column not in found:
            raise CatrayError(
                f"feed {name}: {file} has no column {column!r}, which catalog.feeds.{name}.fields.{setting} names."
                f"{nearest(column, found) or ' It has: ' + ', '.join(found[:20])}"
            )
