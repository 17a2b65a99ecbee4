"""A feed file's dialect, told from a sample of the file."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator

from catray.catalog.dialect import Dialect, patterns
from catray.catalog.streams import DamagedError, blocks, open_file

SAMPLE = 1 << 18
DELIMITERS = ",;\t|"
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# Bytes >= 0x80 that texts in cp1252 do hold: typographic signs and the letters of Western Europe.
_PLAUSIBLE = frozenset(range(0xC0, 0xFE)) - {0xD0, 0xDE, 0xF0} | frozenset(
    b"\x80\x85\x91\x92\x93\x94\x95\x96\x97\x99\xa0\xa3\xa9\xaa\xab\xae\xb0\xb2\xb3\xb4\xb5\xb7\xba\xbb\xbc\xbd\xbe\xbf"
)


def detect(file: str, delimiter: str | None = None, encoding: str | None = None) -> Dialect:
    """What a sample of the file says; `delimiter` and `encoding` where they are known.

    Errors: CatrayError where the file can't be opened, ValueError where the encoding doesn't exist.
    """
    with open_file(file) as stream:
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


def _head(pieces: Iterator[bytes]) -> bytes:
    found = b""
    with contextlib.suppress(DamagedError):  # what came before the damage will do; `read` tells of it
        for piece in pieces:
            found += piece
            if len(found) >= SAMPLE:
                break
    return found[:SAMPLE]


def _samples(file: str, compression: str) -> list[bytes]:
    """The file's beginning and, where that costs nothing, whole lines of its middle and end."""
    samples = [_head(blocks(file, Dialect(compression=compression)))]
    if not compression:
        with open_file(file) as stream:
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
