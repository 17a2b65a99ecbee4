"""CSV and JSONL: a stream's lines, the records they make, and the rows of those.

`Lines` splits a stream at LF, CR LF or a lone CR. It doesn't fail on hostile bytes: a line that is too long, or at
which a compressed stream breaks off, comes with its fault, so that it can become a rejected row.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator

from catray.catalog.dialect import Dialect, patterns
from catray.catalog.json_documents import json_row
from catray.catalog.rows import KEPT, MAX_LINE, Chunk, RawRow
from catray.catalog.streams import DamagedError
from catray.errors import CatrayError

csv.field_size_limit(MAX_LINE)

MAX_LINES = 10_000
"""Lines of a CSV row: beyond, its quote was never closed."""

Line = tuple[bytes, int, str | None]
"""(the line with its end, its size in the stream, what is wrong with it)."""


class Lines:
    """The lines of a stream of blocks; `number` and `offset` say how far they have been read."""

    def __init__(self, pieces: Iterable[bytes], offset: int = 0, number: int = 0) -> None:
        self.offset, self.number = offset, number
        self._source = _split(pieces)
        self._back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        line = self._back.popleft() if self._back else next(self._source)
        if self.offset == 0:
            line = (line[0].removeprefix(codecs.BOM_UTF8), line[1], line[2])
        self.offset += line[1]
        self.number += 1
        return line

    def unread(self, lines: list[Line]) -> None:
        self._back.extendleft(reversed(lines))
        self.offset -= sum(line[1] for line in lines)
        self.number -= len(lines)


def _split(pieces: Iterable[bytes]) -> Iterator[Line]:
    too_long = f"a line of more than {MAX_LINE:,} bytes"
    carry, head, size = b"", b"", 0  # size: bytes dropped of a line that is too long
    fault = None
    try:
        for block in pieces:
            lines = (carry + block).splitlines(keepends=True)
            carry = lines.pop() if lines else b""  # it may go on, or its CR be the first half of CR LF
            for line in lines:
                if size or len(line) > MAX_LINE:
                    yield head or line[:KEPT], size + len(line), too_long
                    head, size = b"", 0
                else:
                    yield line, len(line), None
            if len(carry) > MAX_LINE and not carry.endswith((b"\r", b"\n")):
                head, size, carry = head or carry[:KEPT], size + len(carry), b""
    except DamagedError as error:
        fault = str(error)
    if size or len(carry) > MAX_LINE:
        yield head or carry[:KEPT], size + len(carry), fault or too_long
    elif fault and carry.endswith((b"\r", b"\n")):
        yield carry, len(carry), None
        yield b"", 0, fault
    elif fault or carry:
        yield carry, len(carry), fault


Record = tuple[int, bytes, str | None, bool]
"""(line, bytes, what is wrong, is it well-formed CSV beyond doubt)."""
UNCLOSED = "a quote that is never closed"


def records(lines: Lines, format: str, dialect: Dialect) -> Iterator[Record]:
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


def read_header(name: str, file: str, lines: Lines, dialect: Dialect) -> tuple[str, ...]:
    for number, data, fault, _ in records(lines, "csv", dialect):
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


def record_row(number: int, data: bytes, fault: str | None, chunk: Chunk) -> RawRow:
    if fault:
        return RawRow(number, {"text": chunk.dialect.decode(data[:KEPT])[0].rstrip("\r\n")}, fault)
    if chunk.format == "jsonl":
        text, valid = chunk.dialect.decode(data)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as failure:
            return RawRow(number, {"text": text.rstrip("\r\n")}, f"not valid JSON: {failure}")
        return json_row(number, value, text, chunk.dialect, valid)
    fields, error = _fields(data, chunk.dialect)
    if len(fields) != len(chunk.header):
        return RawRow(number, {"fields": fields}, error or f"{len(fields)} fields, the header has {len(chunk.header)}")
    return RawRow(number, dict(zip(chunk.header, fields, strict=True)), error)
