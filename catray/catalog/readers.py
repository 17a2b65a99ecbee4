"""Feed files as chunks of raw rows: CSV, TSV, JSONL, JSON, XML (RSS and Atom, as Google Merchant Center's), Parquet.

`scan` walks a file once and says where its chunks begin; `read` parses one chunk by itself, so that chunks are read in
parallel and a row always carries the line it came from. A row that can't be parsed comes back with its reason. Both
walk the same records, so that a chunk has as many rows as `scan` said, whatever the bytes.

A chunk of a CSV or JSONL file is a range of bytes. Where byte offsets don't serve (compressed files, UTF-16, JSON, XML)
it is a range of rows, and reading it reads the file from the start: cheap beside what is done with the rows, but a very
large compressed feed is better split into several files.
"""

from __future__ import annotations

import codecs
import csv
import glob
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from catray.catalog.dialect import KEPT, MAX_LINE, DamagedError, Dialect, Line, Lines, blocks, detect, patterns
from catray.config import Feed
from catray.errors import CatrayError

csv.field_size_limit(MAX_LINE)

FORMATS = {
    **{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    **{".json": "json", ".xml": "xml", ".rss": "xml", ".atom": "xml", ".parquet": "parquet"},
}
COMPRESSED = {".gz", ".zst"}
UTF8 = Dialect()
MAX_DEPTH = 100
"""Nesting of a JSON or XML value."""
MAX_LINES = 10_000
"""Lines of a CSV row: beyond, its quote was never closed."""


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


# --- files -----------------------------------------------------------------------------------------------------------


def feed_files(name: str, feed: Feed) -> list[str]:
    """The feed's files, globs expanded, in order. CatrayError where one is missing."""
    patterns = [feed.files] if isinstance(feed.files, str) else feed.files
    files: list[str] = []
    for pattern in patterns:
        found = (
            [pattern]
            if Path(pattern).is_file()
            else sorted(f for f in glob.glob(pattern, recursive=True) if Path(f).is_file())
        )
        if not found:
            raise CatrayError(f"feed {name}: no such file: {pattern} (catalog.feeds.{name}.files)")
        files += found
    return files


def file_format(name: str, feed: Feed, file: str) -> str:
    """The feed's `format`, or what the file's name says; a .json that holds one object a line is JSONL.

    CatrayError where the name says nothing.
    """
    if feed.format != "auto":
        return feed.format
    suffixes = [suffix.lower() for suffix in Path(file).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    format = FORMATS.get(suffixes[-1]) if suffixes else None
    if format is None:
        raise CatrayError(
            f"feed {name}: can't tell the format of {file}: set catalog.feeds.{name}.format to csv, tsv, jsonl, json, "
            "xml or parquet"
        )
    return "jsonl" if format == "json" and _is_jsonl(file, feed) else format


def _is_jsonl(file: str, feed: Feed) -> bool:
    if not Path(file).is_file():
        return False
    dialect = _dialect(file, "jsonl", feed)
    with closing(blocks(file, dialect)) as pieces:
        lines = (line for line, _, _ in Lines(pieces) if line.strip())
        try:
            first = json.loads(dialect.decode(next(lines, b""))[0])
        except (ValueError, RecursionError):
            return False
    return isinstance(first, dict) and not (len(first) == 1 and isinstance(next(iter(first.values())), list))


def _dialect(file: str, format: str, feed: Feed | None) -> Dialect:
    delimiter = feed.delimiter if feed else None
    try:
        return detect(file, delimiter or ("\t" if format == "tsv" else None), feed.encoding if feed else None)
    except ValueError as error:
        raise CatrayError(f"{file}: {error}") from error


def scan(name: str, file: str, format: str, size: int, feed: Feed | None = None) -> Iterator[Chunk]:
    """Chunks of `size` rows. Blank lines are no rows. `feed` says the delimiter and the encoding where they are known.

    Errors: CatrayError for an empty file, a header that can't be read, or a file that isn't of its format at all.
    """
    dialect = _dialect(file, format, feed)
    if format == "parquet":
        rows = _parquet(name, file, dialect).metadata.num_rows
        for start in range(0, rows, size):
            end = min(start + size, rows)
            yield Chunk(name, file, format, start, end, start + 1, end - start, (), dialect, by_rows=True)
        return
    by_rows = format in ("json", "xml") or not dialect.seekable
    header: tuple[str, ...] = ()
    start = end = rows = place = 0
    plain = True
    with closing(blocks(file, dialect)) as pieces:
        lines = Lines(pieces)
        if format in ("json", "xml"):
            found = (False for _ in _rows(pieces, format, dialect, file))
        else:
            header = _header(name, file, lines, dialect) if format != "jsonl" else ()
            found = (ok for _, _, _, ok in _records(lines, format, dialect))
            start = 0 if by_rows else lines.offset
        line = lines.number + 1
        for ok in found:
            rows, plain, place = rows + 1, plain and ok, place + 1
            end = place if by_rows else lines.offset
            if rows == size:
                yield Chunk(name, file, format, start, end, line, rows, header, dialect, by_rows, plain)
                start, rows, plain = end, 0, True
                line = place + 1 if format in ("json", "xml") else lines.number + 1
        if rows:
            yield Chunk(name, file, format, start, end, line, rows, header, dialect, by_rows, plain)


def read(chunk: Chunk, columns: set[str] | None = None) -> Iterator[RawRow]:
    """The chunk's rows, as many as `chunk.rows`. `columns` limits what is read of a Parquet file."""
    if chunk.format == "parquet":
        yield from _read_parquet(chunk, columns)
        return
    start, end = (0, None) if chunk.by_rows else (chunk.start, chunk.end)
    with closing(blocks(chunk.file, chunk.dialect, start, end)) as pieces:
        if chunk.format in ("json", "xml"):
            yield from islice(_rows(pieces, chunk.format, chunk.dialect, chunk.file), chunk.start, chunk.end)
            return
        lines = Lines(pieces) if chunk.by_rows else Lines(pieces, chunk.start, chunk.line - 1)
        if chunk.by_rows and chunk.format != "jsonl":
            _header(chunk.feed, chunk.file, lines, chunk.dialect)
        records = _records(lines, chunk.format, chunk.dialect)
        for number, data, fault, _ in islice(records, chunk.start, chunk.end) if chunk.by_rows else records:
            yield _row(number, data, fault, chunk)


def sample_columns(file: str, format: str, rows: int = 100, feed: Feed | None = None) -> list[str]:
    """The column names: the header's, or those of the first rows (nested keys as `a.b`, items of lists as `a.0`)."""
    dialect = _dialect(file, format, feed)
    names: dict[str, None] = {}
    if format == "parquet":
        for field in _parquet("", file, dialect).schema_arrow:
            _nested_fields(field.name, field.type, names)
        return list(names)
    if format in ("csv", "tsv"):
        with closing(blocks(file, dialect)) as pieces:
            return list(_header("", file, Lines(pieces), dialect))
    for chunk in islice(scan("", file, format, rows, feed), 1):
        for row in read(chunk):
            _nested_names(row.values, "", names)
    return list(names)


def _nested_names(values: dict[str, Any], prefix: str, names: dict[str, None]) -> None:
    for key, value in values.items():
        names[prefix + key] = None
        if isinstance(value, list):
            value = {str(i): item for i, item in enumerate(value[:20])}
        if isinstance(value, dict):
            _nested_names(value, f"{prefix}{key}.", names)


def _nested_fields(name: str, type: pa.DataType, names: dict[str, None]) -> None:
    names[name] = None
    if pa.types.is_struct(type):
        for field in type:
            _nested_fields(f"{name}.{field.name}", field.type, names)
    elif pa.types.is_list(type) or pa.types.is_large_list(type):
        _nested_fields(f"{name}.0", type.value_type, names)


# --- lines: CSV and JSONL --------------------------------------------------------------------------------------------

Record = tuple[int, bytes, str | None, bool]
"""(line, bytes, what is wrong, is it well-formed CSV beyond doubt)."""
UNCLOSED = "a quote that is never closed"


def _records(lines: Lines, format: str, dialect: Dialect) -> Iterator[Record]:
    """One record a row. A quoted field may span lines; where its quote is never closed, or what closes it is followed
    by other text, the first line is a bad row and the next line begins a new one: no row disappears in another."""
    quote = dialect.quote.encode() if format != "jsonl" else None
    shape = patterns(dialect.delimiter, dialect.quote)
    for line in lines:
        number, (data, _, fault) = lines.number, line
        if fault:
            yield number, data, fault, False
        elif quote is None or quote not in data:
            if data.strip():
                yield number, data, None, True
            elif quote is not None and data.strip(b"\r\n"):
                yield number, data, None, False
        elif shape.closed.match(data):
            yield number, data, None, True
        elif not shape.opened.match(data):
            yield number, data, None, False
        else:
            gathered, complete, plain = _gather(line, lines, dialect)
            if complete:
                yield number, b"".join(piece[0] for piece in gathered), None, plain
            else:
                lines.unread(gathered[1:])
                yield number, data, UNCLOSED, False


def _gather(line: Line, lines: Lines, dialect: Dialect) -> tuple[list[Line], bool, bool]:
    """The lines up to the one that closes the quote; whether one does; and whether all are well-formed."""
    shape, quote = patterns(dialect.delimiter, dialect.quote), dialect.quote.encode()
    after = {b"", b"\r", b"\n", dialect.delimiter.encode()}
    gathered, size, plain = [line], line[1], bool(shape.well_opened.match(line[0]))
    for line in lines:
        gathered.append(line)
        size += line[1]
        if line[2] or size > MAX_LINE or len(gathered) > MAX_LINES:
            break
        if quote not in line[0]:
            continue
        field = quote + line[0]
        place = shape.body.match(field).end()  # type: ignore[union-attr]  # it begins with a quote
        if place == len(field):
            continue
        if field[place + 1 : place + 2] not in after:
            break
        if shape.opened.match(field):
            plain = plain and bool(shape.well_opened.match(field))
            continue
        return gathered, True, plain and bool(shape.closed.match(field))
    return gathered, False, False


def _header(name: str, file: str, lines: Lines, dialect: Dialect) -> tuple[str, ...]:
    for number, data, fault, _ in _records(lines, "csv", dialect):
        fields, error = _fields(data, dialect)
        if fault or error:
            raise CatrayError(f"{file}: line {number}: the header can't be read: {fault or error}")
        columns = [column.strip().encode("utf-8", "replace").decode() for column in fields]
        columns = [column or f"column_{i}" for i, column in enumerate(columns, 1)]
        double = {c for c in columns if columns.count(c) > 1}
        if double:
            raise CatrayError(f"{file}: the header names {', '.join(sorted(double))} more than once: rename one")
        return tuple(columns)
    raise CatrayError(f"{'feed ' + name + ': ' if name else ''}{file} is empty: expected a header line and rows")


def _fields(data: bytes, dialect: Dialect) -> tuple[list[str], str | None]:
    text, valid = dialect.decode(data)
    try:
        fields = next(csv.reader((text,), delimiter=dialect.delimiter, quotechar=dialect.quote), [])
    except csv.Error as error:
        return [text[:KEPT]], f"not a CSV row: {error}"
    return fields, None if valid else f"not valid {dialect.encoding.upper()}"


def _row(number: int, data: bytes, fault: str | None, chunk: Chunk) -> RawRow:
    if fault:
        return RawRow(number, {"text": chunk.dialect.decode(data[:KEPT])[0].rstrip("\r\n")}, fault)
    if chunk.format == "jsonl":
        text, valid = chunk.dialect.decode(data)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as failure:
            return RawRow(number, {"text": text.rstrip("\r\n")}, f"not valid JSON: {failure}")
        return _json_row(number, value, text, chunk.dialect, valid)
    fields, error = _fields(data, chunk.dialect)
    if len(fields) != len(chunk.header):
        return RawRow(number, {"fields": fields}, error or f"{len(fields)} fields, the header has {len(chunk.header)}")
    return RawRow(number, dict(zip(chunk.header, fields, strict=True)), error)


def read_table(chunk: Chunk) -> pa.Table | None:
    """The chunk at once: CSV and TSV in UTF-8 as columns of text (an absent value is ""), Parquet as it is.

    None where anything is unusual, and for other formats: `read` then tells row by row. Where there is a table, its
    rows are those that `read` gives.
    """
    if chunk.format == "parquet":
        return _parquet_table(chunk)
    usual = chunk.plain and not chunk.by_rows and chunk.dialect.encoding == "utf-8"
    if chunk.format not in ("csv", "tsv") or not usual:
        return None
    data = b"".join(blocks(chunk.file, chunk.dialect, chunk.start, chunk.end))
    if b"\0" in data:
        return None
    names = list(chunk.header)
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            pa.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pa.csv.ParseOptions(
                delimiter=chunk.dialect.delimiter, quote_char=chunk.dialect.quote, newlines_in_values=True
            ),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError):  # a number of fields that differs, invalid UTF-8
        return None
    return table if table.num_rows == chunk.rows else None


# --- documents: JSON and XML -----------------------------------------------------------------------------------------


class _Buffer:
    """The unread part of a stream of texts or bytes, from `place` on; `fault` says why it ended too early."""

    def __init__(self, pieces: Iterator[Any], empty: Any) -> None:
        self.pieces, self.data, self.empty = pieces, empty, empty
        self.place, self.ended, self.fault = 0, False, ""

    def more(self) -> bool:
        """Drop what is read and read as much again as is left, so that a long value isn't looked at too often."""
        self.data, self.place = self.data[self.place :], 0
        added, wanted = [], max(len(self.data), 1 << 16)
        while wanted > 0 and not self.ended:
            try:
                piece = next(self.pieces, None)
            except DamagedError as error:
                piece, self.fault = None, str(error)
            self.ended = piece is None
            if piece is not None:
                added.append(piece)
                wanted -= len(piece)
        self.data += self.empty.join(added)
        return bool(added)


def _rows(pieces: Iterator[bytes], format: str, dialect: Dialect, file: str) -> Iterator[RawRow]:
    parts = (block[i : i + (1 << 16)] for block in pieces for i in range(0, len(block), 1 << 16))
    if format == "xml":
        return _xml_rows(_Buffer(parts, b""), dialect, file)
    decoder = codecs.getincrementaldecoder(dialect.line_encoding)("surrogateescape")
    return _json_rows(_Buffer((decoder.decode(part) for part in parts), ""), dialect, file)


_OPENING = re.compile(r'\ufeff?\s*(?:\{\s*"(?:[^"\\]|\\.)*+"\s*:\s*)?\[')
_BETWEEN = re.compile(r"[\s,]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+("?)|[\[\]{}]', re.DOTALL)
_SCALAR = re.compile(r"[^,\]\s]+")


def _json_rows(buffer: _Buffer, dialect: Dialect, file: str) -> Iterator[RawRow]:
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
            yield _json_row(number, value, text[place:end], dialect)


def _json_end(buffer: _Buffer, number: int) -> Iterator[RawRow]:
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


def _json_row(number: int, value: Any, text: str, dialect: Dialect, valid: bool = True) -> RawRow:
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


_LANDMARK = re.compile(rb"<!--|<!\[CDATA\[|<!DOCTYPE|<(?:\w+:)?(?:item|entry)(?=[\s/>])")
_WITHIN = re.compile(rb"<!--|<!\[CDATA\[|</(?:\w+:)?(?:item|entry)\s*>|<(?:\w+:)?(?:item|entry)(?=[\s/>])")
_GOOGLE = "base.google.com/ns/1.0"


def _landmark(buffer: _Buffer, pattern: re.Pattern[bytes], place: int) -> tuple[int, bytes, int]:
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


def _xml_rows(buffer: _Buffer, dialect: Dialect, file: str) -> Iterator[RawRow]:
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


# --- Parquet ---------------------------------------------------------------------------------------------------------


def _parquet(name: str, file: str, dialect: Dialect) -> pq.ParquetFile:
    try:
        source = pa.BufferReader(b"".join(blocks(file, dialect))) if dialect.compression else file
        found = pq.ParquetFile(source)
        rows = [found.metadata.row_group(i).num_rows for i in range(found.num_row_groups)]
        if sum(rows) != found.metadata.num_rows or min(rows, default=0) < 0:
            raise pa.ArrowInvalid("its parts have not as many rows as the whole")
        return found
    except (pa.ArrowException, OSError, DamagedError) as error:
        why = " ".join(str(error).split())
        raise CatrayError(
            f"{'feed ' + name + ': ' if name else ''}{file}: not a readable Parquet file: {why}"
        ) from error


def _groups(file: pq.ParquetFile, chunk: Chunk) -> Iterator[tuple[int, int, int]]:
    """(row group, its first row that is the chunk's, how many)."""
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        low, high = max(chunk.start, first), min(chunk.end, first + rows)
        if low < high:
            yield group, low - first, high - low
        first += rows


def _read_parquet(chunk: Chunk, columns: set[str] | None) -> Iterator[RawRow]:
    file = _parquet(chunk.feed, chunk.file, chunk.dialect)
    names = None if columns is None else [n for n in file.schema_arrow.names if n in columns]
    line = chunk.start
    for group, low, rows in _groups(file, chunk):
        try:
            table = file.read_row_group(group, columns=names, use_threads=False).slice(low, rows)
        except (pa.ArrowException, OSError) as error:
            table, why = None, f"not readable Parquet: {' '.join(str(error).split())}"
        if table is None or table.num_rows != rows:
            reason = why if table is None else "not readable Parquet: a column has too few rows"
            yield from (RawRow(line + i + 1, {}, reason) for i in range(rows))
        else:
            try:
                values = table.to_pylist()
                values = values if table.num_columns else [{}] * rows
                yield from (RawRow(line + i + 1, row) for i, row in enumerate(values))
            except (ValueError, OverflowError, pa.ArrowException):  # one value has no counterpart in Python
                yield from (_parquet_row(line + i + 1, table.slice(i, 1)) for i in range(rows))
        line += rows


def _parquet_row(line: int, row: pa.Table) -> RawRow:
    values: dict[str, Any] = {}
    error = None
    for name in row.column_names:
        try:
            values[name] = row[name][0].as_py()
        except (ValueError, OverflowError, pa.ArrowException) as failure:
            error = error or f"{name} can't be read: {' '.join(str(failure).split())}"
    return RawRow(line, values, error)


def _parquet_table(chunk: Chunk) -> pa.Table | None:
    file = _parquet(chunk.feed, chunk.file, chunk.dialect)
    try:
        tables = [
            file.read_row_group(group, use_threads=False).slice(low, rows) for group, low, rows in _groups(file, chunk)
        ]
        table = pa.concat_tables(tables)
        table.validate(full=True)
    except (pa.ArrowException, OSError):
        return None
    return table if table.num_rows == chunk.rows else None
