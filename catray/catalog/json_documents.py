"""JSON documents: the items of an array as rows, one bad item a bad row; and what makes a parsed value a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from catray.catalog.dialect import Dialect
from catray.catalog.rows import KEPT, MAX_DEPTH, MAX_LINE, RawRow
from catray.catalog.streams import Buffer
from catray.errors import CatrayError

_OPENING = re.compile(r'\ufeff?\s*(?:\{\s*"(?:[^"\\]|\\.)*+"\s*:\s*)?\[')
_BETWEEN = re.compile(r"[\s,]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+("?)|[\[\]{}]', re.DOTALL)
_SCALAR = re.compile(r"[^,\]\s]+")


def json_rows(buffer: Buffer, dialect: Dialect, file: str) -> Iterator[RawRow]:
    """The items of an array of objects, or of the array that is the one value of an object."""
    buffer.more()
    opening = _OPENING.match(buffer.data)
    if not opening:
        raise CatrayError(
            f"{file}: expected JSON with an array of objects, or an object with one key that holds it: if it has one "
            "object a line, set the feed's format to jsonl"
        )
    buffer.place = opening.end()
    decoder, number = json.JSONDecoder(), 0
    while True:
        buffer.place = _BETWEEN.match(buffer.data, buffer.place).end()  # type: ignore[union-attr]
        if buffer.place == len(buffer.data):
            if buffer.more():
                continue
            yield RawRow(number + 1, {}, buffer.fault or "the array is never closed: what follows is lost")
            return
        number += 1
        text, place, wrong = buffer.data, buffer.place, ""
        if text[place] == "]":
            yield from _json_end(buffer, number)
            return
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as failure:
            value, end = None, _json_extent(text, place)
            wrong = f"not valid JSON: {getattr(failure, 'msg', failure)}"
        if end < 0 or (end == len(text) and text[place] not in '{["'):  # it may go on
            if len(text) - place <= MAX_LINE and buffer.more():
                number -= 1
                continue
            if end < 0:
                reason = buffer.fault or f"{wrong}: the rest of the file can't be read"
                yield RawRow(number, {"text": text[place : place + KEPT]}, reason)
                return
        buffer.place = end
        if wrong:
            yield RawRow(number, {"text": text[place : min(end, place + KEPT)]}, wrong)
        else:
            yield json_row(number, value, text[place:end], dialect)


def _json_end(buffer: Buffer, number: int) -> Iterator[RawRow]:
    """What follows the array: nothing, or a bad row."""
    buffer.place += 1
    rest = buffer.data[buffer.place :].strip().removeprefix("}").strip()
    while not rest and buffer.more():
        buffer.place = len(buffer.data)
        rest = buffer.data.strip().removeprefix("}").strip()
    if rest or buffer.fault:
        yield RawRow(number, {"text": rest[:KEPT]}, buffer.fault or "text after the end of the array")


def _json_extent(text: str, place: int) -> int:
    """Where a value ends that isn't valid, by its brackets and quotes; -1 where the text doesn't hold its end."""
    if text[place] not in '{["':
        match = _SCALAR.match(text, place)
        return match.end() if match else place + 1
    depth = 0
    for match in _TOKEN.finditer(text, place):
        token = match.group()
        if token[0] == '"' and not match.group(1):
            return -1
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token, 0)
        if depth <= 0:
            return match.end()
    return -1


def json_row(number: int, value: Any, text: str, dialect: Dialect, valid: bool = True) -> RawRow:
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(value):
        return RawRow(number, {"text": text[:KEPT]}, f"nested more than {MAX_DEPTH} deep")
    if not isinstance(value, dict):
        return RawRow(number, {"value": value}, f"expected a JSON object, found {type(value).__name__}")
    try:
        if "\\u" in text:  # an escaped half of a character
            json.dumps(value, ensure_ascii=False).encode()
        elif valid:
            text.encode()
    except UnicodeEncodeError:
        valid = False
    return RawRow(number, value, None if valid else f"not valid {dialect.encoding.upper()}")


def _too_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        lists = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level, depth = [item for items in lists for item in items], depth + 1
    return bool(level)
