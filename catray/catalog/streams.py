"""A feed file's bytes, decompressed and in an encoding whose line ends are single bytes.

`blocks` gives them piece by piece; `Buffer` holds the part of them that isn't read yet. A compressed stream that breaks
off, or grows beyond all measure, ends in DamagedError, after all that could be read of it.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from catray.catalog.dialect import BYTEWISE, Dialect
from catray.errors import CatrayError

MAX_RATIO = 200
"""How many times its size a compressed file may grow to, once it gave more than FREE bytes."""
FREE = 64 << 20
BLOCK = 1 << 20


class DamagedError(Exception):
    """A compressed stream that breaks off, or grows beyond all measure."""


def open_file(file: str) -> BinaryIO:
    try:
        return open(file, "rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CatrayError(
            f"{file} can't be opened: {error.strerror or error}: check the file and its rights"
        ) from error


def blocks(file: str, dialect: Dialect, start: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
    """The file's bytes from `start` to `end`, decompressed, and as UTF-8 where its encoding isn't bytewise.

    Raises DamagedError where a compressed stream breaks off, after all that could be read of it.
    """
    with open_file(file) as stream:
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


class Buffer:
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
