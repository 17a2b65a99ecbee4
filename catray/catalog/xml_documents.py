"""XML documents: the items of RSS and the entries of Atom, as Google Merchant Center's, as rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from catray.catalog.dialect import Dialect
from catray.catalog.rows import KEPT, MAX_DEPTH, MAX_LINE, RawRow
from catray.catalog.streams import Buffer
from catray.errors import CatrayError

_LANDMARK = re.compile(rb"<!--|<!\[CDATA\[|<!DOCTYPE|<(?:\w+:)?(?:item|entry)(?=[\s/>])")
_WITHIN = re.compile(rb"<!--|<!\[CDATA\[|</(?:\w+:)?(?:item|entry)\s*>|<(?:\w+:)?(?:item|entry)(?=[\s/>])")
_GOOGLE = "base.google.com/ns/1.0"


def _landmark(buffer: Buffer, pattern: re.Pattern[bytes], place: int) -> tuple[int, bytes, int]:
    """(start, what, end) of the next match outside comments and CDATA, relative to `buffer.place`; what is b"" at the
    end of the stream or after MAX_LINE bytes."""
    while True:
        match = pattern.search(buffer.data, buffer.place + place)
        if match and match.group() in (b"<!--", b"<![CDATA["):
            close = b"-->" if match.group() == b"<!--" else b"]]>"
            stop = buffer.data.find(close, match.end())
            if stop >= 0:
                place = stop + 3 - buffer.place
                continue
            place = match.start() - buffer.place
        elif match and match.end() < len(buffer.data):
            return match.start() - buffer.place, match.group(), match.end() - buffer.place
        else:
            place = max(place, len(buffer.data) - buffer.place - 64)  # a tag may be cut in two
        if len(buffer.data) - buffer.place > MAX_LINE or not buffer.more():
            if match and match.group() not in (b"<!--", b"<![CDATA["):
                return match.start() - buffer.place, match.group(), match.end() - buffer.place
            rest = len(buffer.data) - buffer.place
            return rest, b"", rest


def xml_rows(buffer: Buffer, dialect: Dialect, file: str) -> Iterator[RawRow]:
    """The items of RSS, the entries of Atom. Each is parsed by itself, so that a bad one takes no other with it.

    Without a DTD there are no entities to expand and nothing to fetch: a document that has one is refused.
    """
    start, what, _ = _landmark(buffer, _LANDMARK, 0)
    if what == b"<!DOCTYPE":
        raise CatrayError(f"{file}: the XML has a DTD (<!DOCTYPE), which a feed can do without: remove it")
    if not what:
        why = f" ({buffer.fault})" if buffer.fault else ""
        raise CatrayError(f"{file}: no <item> and no <entry>{why}: expected a product feed in RSS or Atom")
    root, name = _xml_root(buffer.data[buffer.place : buffer.place + start], dialect, file)
    buffer.place += start
    number, tail = 0, b""
    while what:
        number += 1
        if what == b"<!DOCTYPE":
            raise CatrayError(f"{file}: the XML has a DTD (<!DOCTYPE), which a feed can do without: remove it")
        tag = buffer.data[buffer.place : buffer.place + MAX_LINE].partition(b">")[0]
        if tag.endswith(b"/"):
            end, closed = len(tag) + 1, True
        else:
            end, mark, after = _landmark(buffer, _WITHIN, 1)
            closed = mark.startswith(b"</")
            end = after if closed else end
        item = buffer.data[buffer.place : buffer.place + end]
        if closed:
            yield _xml_row(number, item, root)
        else:
            reason = buffer.fault or (
                "an item of more than 10 MB" if end > MAX_LINE else "an item that is never closed"
            )
            if buffer.ended and not mark:
                name = b""  # this row says that the document breaks off
            yield RawRow(number, {"text": item[:KEPT].decode("utf-8", "replace")}, reason)
        buffer.place += end
        start, what, _ = _landmark(buffer, _LANDMARK, 0)
        while not what and not buffer.ended:  # megabytes without an item
            buffer.place = max(buffer.place, len(buffer.data) - 64)
            start, what, _ = _landmark(buffer, _LANDMARK, 0)
        tail = buffer.data[buffer.place : buffer.place + start]
        buffer.place += start
    if name and (buffer.fault or (b"</" + name) not in tail):
        reason = buffer.fault or f"the document ends before </{name.decode('utf-8', 'replace')}>: what follows is lost"
        yield RawRow(number + 1, {}, reason)


def _xml_root(prolog: bytes, dialect: Dialect, file: str) -> tuple[bytes, bytes]:
    """A root tag with the document's declaration and namespaces, to parse each item in; the root's name."""
    spaces: dict[str | None, str] = {}
    names: list[str] = []
    declared = ["utf-8"]
    parser = expat.ParserCreate("utf-8" if dialect.line_encoding != dialect.encoding else None, " ")
    parser.StartNamespaceDeclHandler = lambda prefix, uri: spaces.setdefault(prefix, uri)
    parser.StartElementHandler = lambda name, _: names.append(name)
    parser.XmlDeclHandler = lambda version, encoding, _: declared.append(encoding or "utf-8")
    try:
        parser.Parse(prolog.lstrip())
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise CatrayError(f"{file}: not valid XML before its first item: {error}") from error
    if dialect.line_encoding != dialect.encoding or "<".encode(declared[-1]) != b"<":
        declared = ["utf-8"]
    quoted = "".join(
        f" xmlns{':' + prefix if prefix else ''}={json.dumps(uri)}"
        for prefix, uri in spaces.items()
        if uri and not set(uri) & set('<&"\\')
    )
    encoding = declared[-1]
    root = f"<?xml version='1.0' encoding='{encoding}'?><root{quoted}>".encode(encoding, "xmlcharrefreplace")
    name = re.search(rb"<([^\s/>!?][^\s/>]*)", re.sub(rb"<!--.*?-->", b"", prolog, flags=re.DOTALL))
    if not names or not name or len(root) > 1 << 16:
        raise CatrayError(f"{file}: not valid XML before its first item: no element holds the items")
    return root, name.group(1)


class _Element:
    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes, self.children = attributes, dict[str, Any]()
        self.texts: list[str] = []
        self.mixed = False

    def add(self, name: str, value: Any) -> None:
        """Repeated children become a list. Google's own (g:title) win over the feed's (title)."""
        space, _, local = name.rpartition(" ")
        key = f"g:{local}" if _GOOGLE in space else local
        if key in self.children:
            before = self.children[key]
            value = [*before, value] if isinstance(before, list) else [before, value]
        self.children[key] = value

    def value(self) -> Any:
        """The children, or the text where there is any beside them; the address of an empty link."""
        if self.children and not self.mixed:
            named = {key: value for key, value in self.children.items() if not key.startswith("g:")}
            return named | {key[2:]: value for key, value in self.children.items() if key.startswith("g:")}
        addresses = (self.attributes.get(key) for key in ("href", "url", "term"))
        return "".join(self.texts).strip() or next(filter(None, addresses), "")


def _xml_row(number: int, item: bytes, root: bytes) -> RawRow:
    """The item's elements, by their names without namespace."""
    stack: list[_Element] = []

    def start(_: str, attributes: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        stack.append(_Element(attributes))

    def text(data: str) -> None:
        stack[-1].texts.append(data)
        stack[-1].mixed = stack[-1].mixed or bool(data.strip())

    def end(name: str) -> None:
        if len(stack) > 1:
            element = stack.pop()
            stack[-1].add(name, element.value())
            stack[-1].texts += [" ", *element.texts, " "]

    parser = expat.ParserCreate(None, " ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(root + item + b"</root>", True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        return RawRow(number, {"text": item[:KEPT].decode("utf-8", "replace")}, f"not valid XML: {error}")
    value = next(iter(stack[0].children.values()))
    return RawRow(number, value if isinstance(value, dict) else {"text": value} if value else {})
