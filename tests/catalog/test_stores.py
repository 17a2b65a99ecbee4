from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from catray.catalog.stores import Gunzip, ImageStore
from catray.config import ImageLimits
from catray.errors import CatrayError
from tests.catalog.conftest import encoded, mutated, picture

LIMITS = ImageLimits()


def test_stores(tmp_path: Path) -> None:
    data = encoded(picture())
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(data)
    (tmp_path / "secret").write_bytes(b"secret")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("images/a.jpg", data)
    folder, archive_store = ImageStore(str(tmp_path / "pictures")), ImageStore(str(tmp_path / "pictures.zip"))
    assert folder.read("a.jpg", LIMITS) == archive_store.read("images/a.jpg", LIMITS) == data
    with pytest.raises(ValueError, match="outside"):
        folder.read("../secret", LIMITS)
    for store in (folder, archive_store):
        with pytest.raises(ValueError, match=r"no b.jpg in pictures"):
            store.read("b.jpg", LIMITS)
    with pytest.raises(CatrayError, match="no such folder or zip"):
        ImageStore(str(tmp_path / "none"))
    with pytest.raises(CatrayError, match="not a zip"):
        ImageStore(str(tmp_path / "secret"))


def test_names_that_no_system_takes(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    store = ImageStore(str(tmp_path))
    for name in ("", ".", "a" * 5000, "a/" * 5000, "nul\0", "\ud800", "loop", "pipe", "/etc/passwd", "a\\b"):
        with pytest.raises(ValueError):
            store.read(name, LIMITS)
    with pytest.raises(CatrayError, match="no such folder or zip"):
        ImageStore(str(tmp_path / "pipe"))


def test_damaged_zips(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(range(256)) * 40)
    good = path.read_bytes()
    rng = random.Random(0)
    for _ in range(200):
        path.write_bytes(mutated(good, rng))
        with contextlib.suppress(CatrayError, ValueError):
            ImageStore(str(path)).read("a.jpg", LIMITS)


def tar(path: Path, files: dict[str, bytes], mode: str = "w", **options: object) -> None:
    with tarfile.open(path, mode, **options) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


FILES = {f"images/{i}.jpg": random.Random(i).randbytes(1000 * i) for i in range(40)}


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars(tmp_path: Path, name: str, mode: str, format: int) -> None:
    files = FILES | {"./dotted.jpg": b"dotted"}
    if format != tarfile.USTAR_FORMAT:
        files |= {"lang/" * 60 + "ä.jpg": b"long"}
    tar(tmp_path / name, files, mode, format=format)
    store = ImageStore(str(tmp_path / name))
    names = list(files)
    random.Random(1).shuffle(names)
    for wanted in names:  # in any order
        assert store.read(wanted, LIMITS) == files[wanted]
    assert store.read("dotted.jpg", LIMITS) == b"dotted"
    with pytest.raises(ValueError, match=f"no b.jpg in {name}"):
        store.read("b.jpg", LIMITS)
    with pytest.raises(ValueError, match="limit is 100"):
        store.read("images/1.jpg", ImageLimits(max_bytes=100))


def test_links_and_devices_in_a_tar_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo(kind.decode())
            member.type, member.linkname = kind, str(tmp_path / "secret")
            archive.addfile(member)
        sparse = tarfile.TarInfo("sparse")
        sparse.type = tarfile.GNUTYPE_SPARSE
        archive.addfile(sparse)
    store = ImageStore(str(tmp_path / "a.tar"))
    for name in ("1", "2", "3", "5", "6", "sparse"):
        with pytest.raises(ValueError, match="no plain file"):
            store.read(name, LIMITS)


def test_hostile_tars(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"

    def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
        member = tarfile.TarInfo(name)
        member.size, member.type = size, kind
        return member.tobuf(tarfile.GNU_FORMAT)

    for data in (
        header("a", -512) + bytes(2048),  # leads back to itself
        header("a", 0) + header("b", -1024) + bytes(2048),
        header("a", 1 << 40, tarfile.GNUTYPE_LONGNAME) + bytes(2048),
        header("a", 1 << 40, tarfile.XHDTYPE) + bytes(2048),
        header("a", -512, tarfile.XHDTYPE) + bytes(2048),
        header("a", 512, tarfile.XHDTYPE) + b"9" * 512 + bytes(1024),
        header("a", 10_000_000) + bytes(2048),  # cut short
    ):
        path.write_bytes(data)
        with pytest.raises((CatrayError, ValueError), match=r"not a zip or tar|damaged|no|cut short"):
            ImageStore(str(path)).read("a", LIMITS)
    for suffix, mode in (("tar", "w"), ("tgz", "w:gz")):
        tar(tmp_path / f"b.{suffix}", {"a.jpg": b"a" * 3000, "b.jpg": b"b" * 3000}, mode)
        good = (tmp_path / f"b.{suffix}").read_bytes()
        rng = random.Random(0)
        for _ in range(200):
            path.write_bytes(mutated(good, rng))
            with contextlib.suppress(CatrayError, ValueError):
                ImageStore(str(path)).read("b.jpg", LIMITS)


@pytest.mark.parametrize("step", [1, 1000, 300_000, 10**9])
def test_a_gzip_file_is_read_at_any_offset(tmp_path: Path, step: int) -> None:
    rng = random.Random(0)
    data = b"".join(rng.choice([rng.randbytes(1000), bytes(50_000), b"text" * 9000]) for _ in range(200))
    third = len(data) // 3
    members = [data[:third], b"", data[third : 2 * third], data[2 * third :]]
    path = tmp_path / "a.gz"
    path.write_bytes(b"".join(map(gzip.compress, members)) + bytes(100))  # padded, as tapes are
    file = Gunzip(path, step)
    for _ in range(100):
        offset, size = rng.randrange(len(data)), rng.randrange(50_000)
        assert file.seek(offset) == offset and file.read(size) == data[offset : offset + size]
    file.seek(0)
    assert file.read(len(data) + 1) == data and file.read(1) == b"" and len(file.states) <= Gunzip.STATES
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(EOFError):
        Gunzip(path, step).seek(len(data))


def test_a_gzip_bomb(tmp_path: Path) -> None:
    tar(tmp_path / "a.tgz", {"a.jpg": bytes(3_000_000)}, "w:gz")
    file = Gunzip(tmp_path / "a.tgz")
    assert file.most > 1_000_000_000
    file.most = 2_000_000
    with pytest.raises(OSError, match="unpacks to more"):
        file.seek(2_500_000)


def test_many_archives_by_a_pattern(tmp_path: Path) -> None:
    for i in range(3):
        with zipfile.ZipFile(tmp_path / f"images-{i}.zip", "w") as archive:
            archive.writestr(f"{i}.jpg", f"{i}")
            archive.writestr("all.jpg", f"{i}")
    tar(tmp_path / "images-3.tar", {"3.jpg": b"3"})
    store = ImageStore(str(tmp_path / "images-*"))
    assert [store.read(f"{i}.jpg", LIMITS) for i in range(4)] == [b"0", b"1", b"2", b"3"]
    assert store.read("all.jpg", LIMITS) == b"0"  # the first by name
    with pytest.raises(ValueError, match=r"no 4.jpg in images-\*"):
        store.read("4.jpg", LIMITS)
    with pytest.raises(CatrayError, match="pattern"):
        ImageStore(str(tmp_path / "pictures-*.zip"))
    (tmp_path / "[odd]").mkdir()  # a name, not a pattern
    (tmp_path / "[odd]" / "a.jpg").write_bytes(b"a")
    assert ImageStore(str(tmp_path / "[odd]")).read("a.jpg", LIMITS) == b"a"
