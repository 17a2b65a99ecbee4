"""What of a feed file must be known to read it: encoding, delimiter, quote, compression; and a CSV line's patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

BYTEWISE = {"utf-8", "cp1252", "iso8859-1"}
"""Encodings that are read as they are: a line end is one byte, and no other character holds that byte."""


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
