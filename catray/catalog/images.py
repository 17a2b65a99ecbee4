"""Product pictures: where they lie (folder, zip, tar; many of them), whether they can be decoded, a perceptual hash.

Feed pictures are hostile input: bytes, pixels and metadata are limited before anything is decoded, only the formats of
shops are tried, and names can't leave the folder.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import glob
import io
import re
import struct
import tarfile
import threading
import urllib.parse
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageChops, PngImagePlugin, UnidentifiedImageError

from catray.config import ImageLimits
from catray.errors import CatrayError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "TIFF")
KEPT_FORMATS = {"JPEG", "PNG", "WEBP"}
KEPT_MODES = {"RGB", "L"}
HASH_SIDE = 16
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MAX_SCANS = 50  # a progressive JPEG has some ten; each costs the time of a whole picture, and hardly a byte
MAX_SEGMENTS = 2000  # an ICC profile has at most 255, a picture's metadata seldom more than ten others
MAX_EXIF = 65_536  # what a JPEG segment holds
MAX_TEXT = 4_000_000  # PNG: one text or profile after unpacking, and all of them
MAX_HEADER = 1_000_000  # tar: extended headers are read into memory
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


# --- where pictures lie ----------------------------------------------------------------------------------------------


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


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ValueError(f"{size:,} bytes, the limit is {max_bytes:,}")


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
                _check_size(path.stat().st_size, max_bytes)
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
        _check_size(info.file_size, max_bytes)
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
        _check_size(size, max_bytes)
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


def from_base64(text: str, limits: ImageLimits) -> bytes:
    """The bytes of a base64 text or a data: URL. ValueError where it is neither, or too large: before decoding."""
    if len(text) > 2 * limits.max_bytes + 1000:  # line breaks and escapes at their most
        raise ValueError(f"{len(text):,} characters of base64, the limit is {limits.max_bytes:,} bytes")
    text = text.strip()
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma:
            raise ValueError("a data: URL without a comma")
        if not head.lower().endswith(";base64"):
            data = urllib.parse.unquote_to_bytes(text)
            _check_size(len(data), limits.max_bytes)
            return data
        text = urllib.parse.unquote(text) if "%" in text else text
    text = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    _check_size(len(text) * 3 // 4, limits.max_bytes)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


# --- what they are ---------------------------------------------------------------------------------------------------


def conform(data: bytes, limits: ImageLimits) -> tuple[bytes, str | None]:
    """(bytes that any later stage can decode, perceptual hash or None for a picture without structure).

    JPEG, PNG and WebP in RGB or gray are kept as they are; all else is re-encoded once, as JPEG: turned by EXIF, alpha
    on white, first frame. Raises ValueError with the reason where the picture is no picture or over the limits.
    """
    _check_size(len(data), limits.max_bytes)
    if not data:
        raise ValueError("empty file")
    with _only_value_errors():
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT
        if data.startswith(b"\xff\xd8"):
            _check_jpeg(data)
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > limits.max_pixels:
        raise ValueError(f"{image.width} x {image.height} pixels, the limit is {limits.max_pixels:,} in all")
    with _only_value_errors():
        is_jpeg = image.format in ("JPEG", "MPO")  # MPO: a JPEG, and behind it others that nobody reads
        kept = is_jpeg or (image.format in KEPT_FORMATS and getattr(image, "n_frames", 1) == 1)
        kept = kept and image.mode in KEPT_MODES and "transparency" not in image.info
        image.load()  # first: TIFF turns itself then, and PNG may have its EXIF behind the pixels
        orientation = _orientation(image)
        if not (kept and orientation == 1):
            if is_jpeg and image.mode == "CMYK" and "adobe" not in image.info:
                image = ImageChops.invert(image)  # Pillow inverts all, but only Adobe's are stored inverted
            image = on_white(image)
            if orientation in TURNS:
                image = image.transpose(TURNS[orientation])
            image.info = {}  # comments would be written, and may be too long for that
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=95)
            data = buffer.getvalue()
        return data, perceptual_hash(image)


@contextmanager
def _only_value_errors() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful metadata, and of sizes that our own limit is for
            yield
    except UnidentifiedImageError:
        raise ValueError("not a picture that can be read") from None
    except Image.DecompressionBombError:
        raise ValueError("far too many pixels") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others
        raise ValueError(f"can't be decoded: {str(error) or type(error).__name__}") from None


def _check_jpeg(data: bytes) -> None:
    """Raise ValueError for a JPEG that takes minutes: thousands of scans, or of metadata segments."""
    position, scans, segments = 2, 0, 0
    while match := JPEG_MARKER.search(data, position):
        position, marker = match.end(), data[match.end() - 1]
        if marker == 0xD9 and scans:
            return
        if marker in (0x01, 0xD8, 0xD9):  # these have no length
            continue
        segments += 1
        scans += marker == 0xDA
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise ValueError(f"more than {MAX_SCANS} scans" if scans > MAX_SCANS else f"over {MAX_SEGMENTS} segments")
        position += max(2, int.from_bytes(data[position : position + 2], "big"))


def _orientation(image: Image.Image) -> int:
    """How the picture must be turned, as EXIF has it: 1 for not at all, 0 where its EXIF had better not be kept."""
    info, oversized = image.info, False
    for name, limit in (("exif", MAX_EXIF), ("Raw profile type exif", 3 * MAX_EXIF)):  # the latter in hexadecimal
        if len(info.get(name) or "") > limit:
            info[name], oversized = info[name][:limit], True  # the orientation is at its begin; the rest can be a bomb
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # as many kinds as Pillow's decoders raise
        return 0
    return found if found in TURNS else 0 if oversized else 1


def on_white(image: Image.Image) -> Image.Image:
    """RGB, transparency on white; 16-bit gray and fractions scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        array = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
        highest = float(array.max(initial=0))
        most = next((most for most in (1.0, 255.0, 65535.0) if highest <= most), highest)
        most = 65535.0 if image.mode.startswith("I;16") else max(most, 255.0) if image.mode == "I" else most
        return Image.fromarray(np.clip(array * (255.0 / most), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "P", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def perceptual_hash(image: Image.Image) -> str | None:
    """256-bit difference hash (dHash): is each pixel of the 17 x 16 gray thumbnail brighter than its right neighbor?

    None for a picture with hardly any structure (a blank or a flat one), which would be everybody's duplicate.
    """
    small = np.asarray(image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX), dtype=np.int16)
    bits = small[:, 1:] < small[:, :-1]
    if bits.sum() < 8:
        return None
    return np.packbits(bits).tobytes().hex()
