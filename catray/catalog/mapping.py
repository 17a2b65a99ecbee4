"""A feed's raw row becomes catalog fields: templates (`{brand} {title}`), nested keys (`{a.b.0}`), category paths.

Texts are cleaned of HTML without an HTML parser: the standard library's takes quadratic time on malformed markup (60 KB
of `<a ` for half a minute), and would take `<XL>` for a tag. Here only HTML's own elements are tags, found in linear
time.
"""

from __future__ import annotations

import ast
import contextlib
import html
import json
import re
import unicodedata
from html.entities import html5
from typing import Any

from catray.config import Feed, PathField, SplitColumn
from catray.errors import CatrayError, nearest

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_INDEX = re.compile(r"\.\d+(?=\.|$)")
MAX_LIST = 5000
"""Characters of a category path that is written as a list."""

_CONTROL = dict.fromkeys([*range(32), *range(127, 160)], " ")
_ROUNDS = 8
_INLINE = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark meter nobr q s samp small span "
    "strike strong sub sup time tt u var wbr"
)
_BLOCK = (
    "address applet area article aside audio base blockquote body br button canvas caption center col colgroup dd "
    "details dialog dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head "
    "header hr html iframe img input legend li link main map menu meta nav noframes noscript object ol optgroup option "
    "output p param picture pre progress script section select source style summary svg table tbody td template "
    "textarea tfoot th thead title tr track ul video"
)
_INLINE_TAGS, _BLOCK_TAGS = frozenset(_INLINE.split()), frozenset(_BLOCK.split())
_QUOTED = """"[^"]{0,1000}"|'[^']{0,1000}'"""
_TAG = re.compile(rf"</?([a-z][\w:-]{{0,40}})(?:[\s/](?:[^<>\"']++|{_QUOTED})*+)?>|<[!?][a-z[][^<>]*+>", re.IGNORECASE)
_HIDDEN = [
    (re.compile("<!--"), re.compile("-->")),
    (re.compile(r"<script(?=[\s/>])", re.IGNORECASE), re.compile(r"</script\s*+>", re.IGNORECASE)),
    (re.compile(r"<style(?=[\s/>])", re.IGNORECASE), re.compile(r"</style\s*+>", re.IGNORECASE)),
]
_ENTITY = re.compile(
    r"&(?:#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};|([A-Za-z][A-Za-z0-9]{1,31};)|(?:amp|nbsp|lt|gt|quot)(?![A-Za-z0-9;=]))"
)


def clean(text: str) -> str:
    """Without HTML, in Unicode NFC, control characters and runs of white space as one space.

    Entities are decoded, twice-escaped ones too: cleaning clean text changes nothing.
    """
    if text.isascii() and text.isprintable() and "<" not in text and "&" not in text:
        return " ".join(text.split())
    text = _normalized(text)
    for _ in range(_ROUNDS):
        if "<" not in text and "&" not in text:
            return text
        before, text = text, _normalized(_ENTITY.sub(_decoded, _without_tags(text)))
        if text == before:
            return text
    return _normalized(text.replace("<", " ").replace("&", " "))  # escaped over and over: nobody's text


def _normalized(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.translate(_CONTROL)).split())


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    for opening, closing in _HIDDEN:
        kept, place = [], 0
        while start := opening.search(text, place):
            end = closing.search(text, start.end())
            if not end:
                break
            kept.append(text[place : start.start()])
            place = end.end()
        text = " ".join([*kept, text[place:]])
    return _TAG.sub(_instead, text)


def _instead(tag: re.Match[str]) -> str:
    name = (tag.group(1) or "").lower()
    if name in _INLINE_TAGS or ":" in name:  # o:p, which Word leaves
        return ""
    return " " if not name or name in _BLOCK_TAGS else tag.group()


def _decoded(entity: re.Match[str]) -> str:
    name = entity.group(1)
    return entity.group() if name and name not in html5 else html.unescape(entity.group())


def lookup(row: dict[str, Any], name: str) -> Any:
    """`row[name]`, or the nested value that `a.b` or `a.0` names; None where there is none."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if isinstance(value, list) and part.isdecimal():
            value = value[int(part)] if len(part) < 7 and int(part) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def as_text(value: Any) -> str:
    """The value as clean text; a list's items side by side, "" for bytes and nothing."""
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, list | tuple):
        return clean(" ".join(as_text(v) for v in value))
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
        separators = [field.separator] if isinstance(field.separator, str) else field.separator
        levels = _split(lookup(row, field.column), separators)
    else:
        levels = [render(template, row) for template in field]
    levels = [level for level in levels if level]
    return levels or None


def _split(value: Any, separators: list[str]) -> list[str]:
    """Levels by the first separator that the text holds; a list's items one after the other."""
    if isinstance(value, str):
        value = _as_list(value)
    if isinstance(value, list | tuple):
        return [level for part in value for level in _split(part, separators)]
    raw, text = str(value) if value is not None else "", as_text(value)
    for separator in separators:
        if not separator.strip() and separator in raw:  # a line end or tab, which cleaning would take for a space
            return [clean(level) for level in raw.split(separator)]
        if separator in text:
            return [clean(level) for level in text.split(separator)]
    return [text]


def _as_list(text: str) -> Any:
    """The list that the text writes out, in JSON or Python; else the text, for instance a name in brackets."""
    if not text.lstrip().startswith("[") or len(text) > MAX_LIST or text.count("[") > 100:
        return text
    for parse in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value = parse(text.strip())
            if isinstance(value, list):
                return value
    return text


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
        if column not in found and _INDEX.sub(".0", column) not in found:
            raise CatrayError(
                f"feed {name}: {file} has no column {column!r}, which catalog.feeds.{name}.fields.{setting} names."
                f"{nearest(column, found) or ' It has: ' + ', '.join(found[:20])}"
            )
