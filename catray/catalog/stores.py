"""Where product pictures lie: a folder, a zip, a tar, or many of them under one pattern.

Archives are hostile input: sizes are limited before anything is unpacked, and names can't leave the folder.
"""

from __future__ import annotations

import bisect
import glob
import io
import struct
import tarfile
import threading
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from catray.catalog.images import check_size
from catray.config import ImageLimits
from catray.errors import CatrayError

MAX_HEADER = 1_000_000  # tar: extended headers are read into memory


class Source(Protocol):
    def read(self, name: str, max_bytes: int) -> bytes | None:
        """The picture's bytes, None where there is none of that name. ValueError where it can't be had."""


class ImageStore:
    """Named pictures of a folder, a zip, a tar (also gzipped), or of all that match a pattern, `shop/images-*.zip`."""

    def __init__(self, location: str) -> None:
        self.location = location
        found = [location] if Path(location).exists() else sorted(glob.glob(location, recursive=True))
        if not found:
            raise CatrayError(f"{location}: no such folder or zip of pictures, nor a tar, nor a pattern of some")
        self.sources = [_source(Path(path)) for path in found]

    def read(self, name: str, limits: ImageLimits) -> bytes:
        """The picture's bytes, of the first archive that has it. ValueError with a reason where none has, or it is too
        large.
        """
        for source in self.sources:
            data = source.read(name, limits.max_bytes)
            if data is not None:
                return data
        raise ValueError(f"no {name} in {Path(self.location).name}")


@lru_cache(maxsize=8)
def image_store(location: str) -> ImageStore:
    """One open store a process."""
    return ImageStore(location)


def _source(path: Path) -> Source:
    if path.is_dir():
        return Folder(path)
    if not path.is_file():  # a pipe would be waited for
        raise CatrayError(f"{path}: no such folder or zip of pictures, but a device")
    try:
        with path.open("rb") as file:
            head = file.read(512)
        is_tar = head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar"  # asked first: a tar may end with a zip
        return Tar(path) if is_tar or not zipfile.is_zipfile(path) else Zip(path)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, OSError, ValueError, EOFError) as error:
        reason = f"{path}: not a zip or tar file that can be read: {error}: give a folder, a zip or a tar of pictures"
        raise CatrayError(reason) from error
    except (NotImplementedError, RecursionError, OverflowError, struct.error) as error:
        raise CatrayError(f"{path}: a damaged archive: {error}") from error


class Folder:
    def __init__(self, path: Path) -> None:
        self.folder = path.resolve()

    def read(self, name: str, max_bytes: int) -> bytes | None:
        try:
            path = (self.folder / name).resolve()
            if not path.is_relative_to(self.folder):
                raise ValueError(f"{name} points outside the picture folder")
            if not path.is_file():
                return None
            with path.open("rb") as file:
                check_size(path.stat().st_size, max_bytes)
                return file.read(max_bytes + 1)
        except (OSError, RuntimeError) as error:  # a name too long, a loop of links, no permission
            raise ValueError(f"{name[:100]} can't be read: {getattr(error, 'strerror', None) or error}") from None


class Zip:
    def __init__(self, path: Path) -> None:
        self.zip = zipfile.ZipFile(path)

    def read(self, name: str, max_bytes: int) -> bytes | None:
        try:
            info = self.zip.getinfo(name)
        except KeyError:
            return None
        check_size(info.file_size, max_bytes)
        try:
            with self.zip.open(info) as stream:
                return stream.read(max_bytes + 1)
        except Exception as error:  # BadZipFile, zlib.error, LZMAError, RuntimeError (encrypted), EOFError and others
            raise ValueError(f"{name} can't be read from the zip: {error}") from None


class Tar:
    """A tar file: its headers are read once, its files by where they lie. What is no plain file is never followed."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        self.file = Gunzip(path) if is_gzip else path.open("rb")
        self.lock = threading.Lock()  # a seek and its read belong together
        self.members: dict[str, tuple[int, int] | None] = {}
        with tarfile.open(fileobj=_HeadersOnly(self.file), mode="r:") as archive:  # type: ignore[call-overload]
            before = -1
            while (member := archive.next()) is not None:
                archive.members.clear()  # a kilobyte each
                if member.size < 0 or archive.offset <= before:
                    raise tarfile.ReadError("a header that leads back")
                before = archive.offset
                plain = member.isreg() and not member.issparse()
                self.members[member.name.removeprefix("./")] = (member.offset_data, member.size) if plain else None

    def read(self, name: str, max_bytes: int) -> bytes | None:
        name = name.removeprefix("./")
        if name not in self.members:
            return None
        place = self.members[name]
        if place is None:
            raise ValueError(f"{name} is no plain file in the tar")
        offset, size = place
        check_size(size, max_bytes)
        try:
            with self.lock:
                self.file.seek(offset)
                data = self.file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{name} can't be read from the tar: {error}") from None
        if len(data) != size:
            raise ValueError(f"{name} can't be read from the tar: it is cut short")
        return data


class _HeadersOnly:
    """The file that `tarfile` walks: no header makes it read a gigabyte, or, with a negative size, all there is."""

    def __init__(self, file: io.BufferedReader | Gunzip) -> None:
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.file.read(size)


class Gunzip:
    """A gzip file that can be read at any offset: copies of the unpacker's state, some megabytes apart, are kept on the
    way, and the nearest one is taken up again. At most 512 of them, of some 50 kB.
    """

    STATES = 512

    def __init__(self, path: Path, step: int = 1 << 20) -> None:
        self.file = path.open("rb")
        self.most = 1_000_000_000 + 100 * path.stat().st_size  # pictures don't shrink much: more is a bomb
        self.step = step
        self.states = [(0, 0, zlib.decompressobj(31))]
        self._take_up(0)

    def _take_up(self, number: int) -> None:
        self.at, self.source, state = self.states[number]  # offset unpacked, of the buffer's begin; offset packed
        self.state, self.buffer, self.ended = state.copy(), b"", False

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        number = bisect.bisect_right(self.states, offset, key=lambda state: state[0]) - 1
        if offset < self.at or self.states[number][0] > self.at + len(self.buffer):
            self._take_up(number)
        while self.at < offset and self._fill():
            self._drop(offset - self.at)
        return self.at

    def read(self, size: int) -> bytes:
        parts = []
        while size > 0 and self._fill():
            parts.append(self._drop(size))
            size -= len(parts[-1])
        return b"".join(parts)

    def _drop(self, size: int) -> bytes:
        head, self.buffer = self.buffer[:size], self.buffer[size:]
        self.at += len(head)
        return head

    def _fill(self) -> bool:
        """Have something in the buffer, unless all is read."""
        if not self.buffer and not self.ended and self.at >= self.states[-1][0] + self.step:
            self.states.append((self.at, self.source, self.state.copy()))
            if len(self.states) > self.STATES:
                self.states, self.step = self.states[::2], self.step * 2
        while not self.buffer and not self.ended:
            self.file.seek(self.source)
            packed = self.file.read(1 << 16)
            self.buffer = self.state.decompress(packed, 1 << 18)
            rest = (
                self.state.unused_data if self.state.eof else self.state.unconsumed_tail
            )  # at the end both may be set
            self.source += len(packed) - len(rest)
            if self.state.eof:  # of this member; another may follow, or padding
                self.file.seek(self.source)
                self.ended = self.file.read(2) != b"\x1f\x8b"
                self.state = zlib.decompressobj(31)
            elif not packed and not self.buffer:
                raise EOFError("the gzip file is cut short")
        if self.at + len(self.buffer) > self.most:
            raise OSError(f"it unpacks to more than {self.most:,} bytes")
        return bool(self.buffer)
