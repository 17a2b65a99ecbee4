from __future__ import annotations

import gzip
import time
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catray.catalog import lines as lines_module
from catray.catalog import streams
from catray.catalog.detection import canonical, detect
from catray.catalog.dialect import Dialect, patterns
from catray.catalog.lines import Lines
from catray.catalog.streams import DamagedError, blocks


def detected(folder: Path, data: bytes, **known: str) -> Dialect:
    file = folder / "a.csv"
    file.write_bytes(data)
    return detect(str(file), **known)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "title", "price"], ["1", "a b", "3"], ["2", '"x, y; z | w"', "4"], ["3", "a", "b", "c"]]
    data = "\n".join(delimiter.join(row) for row in rows).encode()
    assert detected(tmp_path, data) == Dialect(delimiter=delimiter)
    assert detected(tmp_path, b"id\n1\n2\n").delimiter == ","
    assert detected(tmp_path, b"").delimiter == ","
    assert detected(tmp_path, data, delimiter=";").delimiter == ";"


def test_quotes(tmp_path: Path) -> None:
    assert detected(tmp_path, b"'id';'title'\n'1';'a;b'\n'2';'c'\n") == Dialect(delimiter=";", quote="'")
    assert detected(tmp_path, b"id,title\n1,'n' roll\n2,it's\n3,\"x\"\n").quote == '"'


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("id,title\n1,Größe\n".encode(), "utf-8"),
        ("id,title\n1,Größe\n".encode("utf-8-sig"), "utf-8"),
        ("id,title\n1,Größe\n".encode("utf-16"), "utf-16"),
        ("\ufeffid,title\n1,Größe\n".encode("utf-16-be"), "utf-16"),
        ("id,title\n1,Größe – 5 €\n".encode("cp1252"), "cp1252"),
        (b"id,title\n1,\xff\xfe\n2,ok\n", "utf-8"),  # one broken row
        ("id,title\n1,Größe ä ö\n2,".encode() + b"\xe9\n", "utf-8"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, encoding: str) -> None:
    assert detected(tmp_path, data).encoding == encoding


def test_a_known_encoding(tmp_path: Path) -> None:
    assert detected(tmp_path, b"id\n1\n", encoding="UTF8").encoding == "utf-8"
    found = detected(tmp_path, "id,t\n1,靴\n".encode("shift_jis"), encoding="Shift-JIS")
    assert not found.seekable and b"".join(blocks(str(tmp_path / "a.csv"), found)).decode() == "id,t\n1,靴\n"
    for name in ("utf-9", "rot13", "hex"):
        with pytest.raises(ValueError, match="no such encoding"):
            canonical(name)


def test_letters_far_from_the_beginning_tell_the_encoding(tmp_path: Path) -> None:
    plain = b"1,plain\n" * 120_000
    assert detected(tmp_path, b"id,title\n" + plain + "2,Größe\n".encode("cp1252") * 10).encoding == "cp1252"


def gz(data: bytes) -> bytes:
    return gzip.compress(data)


def zst(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize("pack", [gz, zst])
def test_compression(tmp_path: Path, pack: object) -> None:
    data = b"".join(b"%d;title %d\n" % (i, i * i) for i in range(50_000))
    packed = pack(data)  # type: ignore[operator]
    found = detected(tmp_path, packed)
    assert found.delimiter == ";" and found.compression in ("gzip", "zstd")
    file = str(tmp_path / "a.csv")
    assert b"".join(blocks(file, found)) == data
    Path(file).write_bytes(packed + packed)  # members one after the other
    assert b"".join(blocks(file, found)) == data + data
    broken_files = [packed[: len(packed) // 2], packed[:-3]]
    if pack is gz:  # zstd without a checksum can't tell
        broken_files.append(packed[:100] + b"\x00\xff" * 50 + packed[200:])
    for broken in broken_files:
        Path(file).write_bytes(broken)
        pieces = []
        with pytest.raises(DamagedError, match=r"truncated|damaged"):
            for piece in blocks(file, found):
                pieces.append(piece)
        assert data.startswith(b"".join(pieces)) or broken is broken_files[-1]
        assert b"".join(pieces) or broken is broken_files[-1]
        lines = list(Lines(iter_then_fail(pieces)))
        assert lines[-1][2] == "broken off" and all(line[2] is None for line in lines[:-1])


def iter_then_fail(pieces: list[bytes]) -> object:
    yield from pieces
    raise DamagedError("broken off")


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    monkeypatch.setattr(streams, "FREE", 1 << 20)
    monkeypatch.setattr(streams, "MAX_RATIO", 20)
    file = tmp_path / "bomb"
    data = b"\0" * (200 << 20)
    file.write_bytes(zlib.compress(data, wbits=31) if compression == "gzip" else zst(data))
    given = 0
    with pytest.raises(DamagedError, match="20 times its size"):
        for piece in blocks(str(file), Dialect(compression=compression)):
            given += len(piece)
    assert given < 60 << 20


@given(st.lists(st.binary(max_size=6)), st.binary(max_size=60))
def test_lines_are_the_same_in_any_blocks(cuts: list[bytes], tail: bytes) -> None:
    data = b"".join(cuts) + tail
    lines = Lines(iter([*cuts, tail]), offset=7)
    found = list(lines)
    assert b"".join(line for line, _, _ in found) == data and lines.offset == 7 + len(data)
    assert [line for line, _, _ in found] == data.splitlines(keepends=True) and lines.number == len(found)


def test_a_line_that_is_too_long_has_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE", 20)
    pieces = [b"a\nb" + b"x" * 30, b"y" * 30, b"\r", b"\nc\n", b"z" * 50]
    lines = list(Lines(pieces, offset=1))
    assert [size for _, size, _ in lines] == [2, 63, 2, 50]
    assert [bool(fault) for _, _, fault in lines] == [False, True, False, True]


def test_unreading_lines() -> None:
    lines = Lines([b"a\nbb\nccc\n"], offset=1)
    first, second = next(lines), next(lines)
    lines.unread([first, second])
    assert (lines.offset, lines.number) == (1, 0)
    assert [line for line, _, _ in lines] == [b"a\n", b"bb\n", b"ccc\n"]


def test_patterns_take_linear_time() -> None:
    shape = patterns(",", '"')
    started = time.monotonic()
    for hostile in (b'"' * 200_001, b'a,"' * 100_000, b'"",' * 100_000, b'"a"b,' * 100_000 + b'"', b"," * 300_000):
        for pattern in (shape.closed, shape.opened, shape.well_opened, shape.body, shape.field):
            pattern.match(hostile)
    assert time.monotonic() - started < 5
