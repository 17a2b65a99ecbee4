"""How a feed file's bytes are to be read: compression, encoding, delimiter and quote, told from a sample of the file.

`blocks` gives a file's bytes, decompressed and in an encoding whose line ends are single bytes; `Lines` splits them at
LF, CR LF or a lone CR. Neither fails on hostile bytes: a line that is too long, or at which a compressed stream breaks
off, comes with its fault, so that it can become a rejected row.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import pyarrow as pa

from catray.errors import CatrayError

MAX_LINE = 10_000_000
"""Bytes of a line, and of a row that spans lines."""
MAX_RATIO = 200
"""How many times its size a compressed file may grow to, once it gave more than FREE bytes."""
FREE = 64 << 20
KEPT = 1000
"""Bytes that a rejected row keeps of what can't be parsed."""
BLOCK = 1 << 20
SAMPLE = 1 << 18
DELIMITERS = ",;\t|"
BYTEWISE = {"utf-8", "cp1252", "iso8859-1"}
"""Encodings that are read as they are: a line end is one byte, and no other character holds that byte."""
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# Bytes >= 0x80 that texts in cp1252 do hold: typographic signs and the letters of Western Europe.
_PLAUSIBLE = frozenset(range(0xC0, 0xFE)) - {0xD0, 0xDE, 0xF0} | frozenset(
    b"\x80\x85\x91\x92\x93\x94\x95\x96\x97\x99\xa0\xa3\xa9\xaa\xab\xae\xb0\xb2\xb3\xb4\xb5\xb7\xba\xbb\xbc\xbd\xbe\xbf"
)


@dataclass(frozen=True)
class Dialect:
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    compression: str = ""  # or gzip, zstd

    @property
    def seekable(self) -> bool:
        """Do byte offsets of the file serve as places to begin reading?"""
        return not self.compression and self.encoding in BYTEWISE

    @property
    def line_encoding(self) -> str:
        """The encoding of what `blocks` gives."""
        return self.encoding if self.encoding in BYTEWISE else "utf-8"

    def decode(self, data: bytes) -> tuple[str, bool]:
        """The text and whether the bytes were valid; those that weren't become lone surrogates."""
        try:
            return data.decode(self.line_encoding), True
        except UnicodeDecodeError:
            if self.encoding == "cp1252":  # five bytes have no meaning there
                return data.decode("iso8859-1"), True
            return data.decode("utf-8", "surrogateescape"), False


class DamagedError(Exception):
    """A compressed stream that breaks off, or grows beyond all measure."""


# --- detection -------------------------------------------------------------------------------------------------------


def detect(file: str, delimiter: str | None = None, encoding: str | None = None) -> Dialect:
    """What a sample of the file says; `delimiter` and `encoding` where they are known.

    Errors: CatrayError where the file can't be opened, ValueError where the encoding doesn't exist.
    """
    with _open(file) as stream:
        head = stream.read(4)
    compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
    encoding = canonical(encoding) if encoding else _encoding(_samples(file, compression))
    dialect = Dialect(encoding, compression=compression)
    sample = _head(blocks(file, dialect)).removeprefix(codecs.BOM_UTF8)
    lines = [line for line in sample.splitlines(keepends=True) if line.strip()]
    if len(sample) >= SAMPLE:
        lines = lines[:-1] or lines
    quote = _quote(lines, delimiter)
    return Dialect(encoding, delimiter or _delimiter(lines, quote), quote, compression)


def canonical(encoding: str) -> str:
    """Python's name of the encoding. ValueError where there is none, or it is none of texts."""
    try:
        name = codecs.lookup(encoding).name
        "x".encode(name)
        codecs.getincrementaldecoder(name)()
    except (LookupError, UnicodeError):
        raise ValueError(f"no such encoding: {encoding} (for instance utf-8, cp1252, utf-16)") from None
    return "utf-8" if name in ("ascii", "utf-8-sig") else name


def _open(file: str) -> BinaryIO:
    try:
        return open(file, "rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CatrayError(
            f"{file} can't be opened: {error.strerror or error}: check the file and its rights"
        ) from error


def _head(pieces: Iterator[bytes]) -> bytes:
    found = b""
    try:
        for piece in pieces:
            found += piece
            if len(found) >= SAMPLE:
                break
    except DamagedError:
        pass
    return found[:SAMPLE]


def _samples(file: str, compression: str) -> list[bytes]:
    """The file's beginning and, where that costs nothing, whole lines of its middle and end."""
    samples = [_head(blocks(file, Dialect(compression=compression)))]
    if not compression:
        with _open(file) as stream:
            size = stream.seek(0, 2)
            for start in (size // 2, size - SAMPLE):
                if start > SAMPLE:
                    stream.seek(start)
                    samples.append(stream.read(SAMPLE).partition(b"\n")[2])
    return samples


def _encoding(samples: list[bytes]) -> str:
    if samples[0].startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    odd, valid = 0, 0
    plausible = 0
    for sample in samples:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(sample)
            continue
        except UnicodeDecodeError:
            text = sample.decode("utf-8", "surrogateescape")
        bad = [ord(c) - 0xDC00 for c in re.findall("[\udc80-\udcff]", text)]
        odd += len(bad)
        plausible += sum(byte in _PLAUSIBLE for byte in bad)
        valid += len(re.findall("[^\x00-\x7f\udc80-\udcff]", text))
    return "cp1252" if odd > valid and plausible >= 0.9 * odd else "utf-8"


def _quote(lines: list[bytes], delimiter: str | None) -> str:
    """A single quote only where no field begins with a double one, and most lines have fields in single ones."""
    ends = re.escape((delimiter or DELIMITERS).encode())
    if any(re.search(rb'(?:^|[%b])"' % ends, line) for line in lines[:100]):
        return '"'
    single = [bool(re.search(rb"(?:^|[%b])'[^']*'(?:[%b\r\n]|$)" % (ends, ends), line)) for line in lines[:100]]
    return "'" if sum(single) >= max(2, len(single) / 2) else '"'


def _delimiter(lines: list[bytes], quote: str) -> str:
    """The one that gives the most lines as many fields as the header; among equals, the most fields."""
    scores: dict[str, tuple[float, int]] = {}
    for delimiter in DELIMITERS:
        field = patterns(delimiter, quote).field
        counts = [_fields(line, field) for line in lines[:100]]
        wide = counts[0] if counts else 1
        rows = counts[1:] or counts
        scores[delimiter] = (round(sum(c == wide for c in rows) / len(rows), 1), wide) if wide > 1 else (0.0, 1)
    return max(scores, key=lambda delimiter: scores[delimiter])


def _fields(line: bytes, field: re.Pattern[bytes]) -> int:
    place, count = 0, 1
    while True:
        place = field.match(line, place).end()  # type: ignore[union-attr]  # it matches the empty text
        if place >= len(line):
            return count
        place, count = place + 1, count + 1


@dataclass(frozen=True)
class Patterns:
    """Of one delimiter and quote. All of them run in linear time: nothing is ever tried twice."""

    field: re.Pattern[bytes]  # one field, whatever follows its closing quote
    body: re.Pattern[bytes]  # a quoted field up to its closing quote or the end
    closed: re.Pattern[bytes]  # a line of well-formed fields
    opened: re.Pattern[bytes]  # a line that ends within quotes
    well_opened: re.Pattern[bytes]  # such a line, well-formed up to there


@lru_cache(maxsize=32)
def patterns(delimiter: str, quote: str) -> Patterns:
    d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
    body = rb"%b(?:[^%b]++|%b%b)*+" % (q, q, q, q)
    field = rb"(?:%b(?:%b[^%b]*+|\Z)|(?!%b)[^%b]*+)" % (body, q, d, q, d)
    closed = rb"(?:%b%b|(?!%b)[^%b\r\n]*+)" % (body, q, q, d)
    return Patterns(
        re.compile(field),
        re.compile(body),
        re.compile(rb"(?:%b%b)*+%b[\r\n]*\Z" % (closed, d, closed)),
        re.compile(rb"(?:%b%b)*+%b\Z" % (field, d, body)),
        re.compile(rb"(?:%b%b)*+%b\Z" % (closed, d, body)),
    )


# --- bytes and lines -------------------------------------------------------------------------------------------------


def blocks(file: str, dialect: Dialect, start: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
    """The file's bytes from `start` to `end`, decompressed, and as UTF-8 where its encoding isn't bytewise.

    Raises DamagedError where a compressed stream breaks off, after all that could be read of it.
    """
    with _open(file) as stream:
        stream.seek(start)
        raw = _plain(stream, None if end is None else end - start)
        if dialect.compression:
            raw = _gunzip(stream) if dialect.compression == "gzip" else _unzstd(stream)
        yield from raw if dialect.encoding in BYTEWISE else _as_utf8(raw, dialect.encoding)


def _plain(stream: BinaryIO, size: int | None) -> Iterator[bytes]:
    left = size
    while block := stream.read(BLOCK if left is None else min(BLOCK, left)):
        if left is not None:
            left -= len(block)
        yield block


def _gunzip(stream: BinaryIO) -> Iterator[bytes]:
    decoder: Any = None
    data, taken, given = b"", 0, 0
    while True:
        ended = False
        if not data:
            data = stream.read(BLOCK // 4)
            taken += len(data)
            ended = not data
        if decoder is None:
            data = data.lstrip(b"\0")  # padding between members
            if ended:
                return
            if not data:
                continue
            decoder = zlib.decompressobj(31)
        try:
            block = decoder.decompress(data, BLOCK)
        except zlib.error as error:
            raise DamagedError(f"the gzip stream is damaged: {error}") from None
        given += len(block)
        _no_bomb(taken, given)
        if block:
            yield block
        if decoder.eof:
            decoder, data = None, decoder.unused_data
        elif ended and not block:
            raise DamagedError("the gzip stream is truncated: what follows is lost")
        else:
            data = decoder.unconsumed_tail


def _unzstd(stream: BinaryIO) -> Iterator[bytes]:
    sources = [_zstd(stream)]  # all kept: one that is dropped closes the file
    given, size = 0, 1 << 16
    while True:
        try:
            block = sources[-1].read(size)
        except OSError as error:
            if size == 1:
                raise DamagedError(f"the zstd stream is damaged or truncated: {error}") from None
            size = 1  # what the failed call had is lost: once more, up to the very place
            sources.append(_zstd(stream))
            for start in range(0, given, BLOCK):
                sources[-1].read(min(BLOCK, given - start))
            continue
        if not block:
            return
        given += len(block)
        _no_bomb(stream.tell(), given)
        yield block


def _zstd(stream: BinaryIO) -> Any:
    stream.seek(0)
    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")


def _no_bomb(taken: int, given: int) -> None:
    if given > FREE and given > MAX_RATIO * taken:
        raise DamagedError(f"the compressed stream grows to more than {MAX_RATIO} times its size: reading stopped")


def _as_utf8(raw: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """What isn't valid becomes a lone surrogate, which isn't valid UTF-8 either: its row can be told."""
    codecs.register_error("catray-escape", lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]
    decoder = codecs.getincrementaldecoder(encoding)("catray-escape")
    try:
        for block in raw:
            yield decoder.decode(block).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")
    except UnicodeError:  # UTF-16 without a byte order mark, and others that give up
        raise DamagedError(f"not valid {encoding}") from None


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
