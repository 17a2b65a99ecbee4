"""A demo catalog drawn in ranges is the one that is drawn at once: by a loop, by Ray, or twice over."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from catray.catalog import demo
from catray.catalog.demo import Plan, draw_range, write_demo
from catray.catalog.demo_feeds import FeedPart, text_file
from catray.catalog.demo_products import broken, draw_product
from catray.catalog.planted import COUNTS
from catray.catalog.platforms import shops
from catray.config import load_config
from catray.errors import CatrayError

SIZE = dict(products=260, platforms=10, seed=5)
SAME = ("planted.json", "hidden.csv", "labels.csv", "taxonomy.txt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "data"
    write_demo(out, **SIZE)
    return out


def digest(data: Any) -> str:
    return hashlib.sha256(data if isinstance(data, bytes) else str(data).encode()).hexdigest()


def rows(shop: Path) -> list[str]:
    """Every row of a shop's feed, in one order whatever the parts."""
    found: list[str] = []
    for file in sorted(shop.glob("products-*.*")):
        if file.suffix == ".parquet":
            for row in pq.read_table(file).to_pylist():
                found.append(repr({k: digest(v) if isinstance(v, bytes) else v for k, v in row.items()}))
        else:
            lines = file.read_text(encoding="utf-8").splitlines()
            found += lines[file.suffix == ".csv" :]
    return sorted(found)


def pictures(shop: Path) -> dict[str, str]:
    found = {file.name: digest(file.read_bytes()) for file in shop.glob("images/*")}
    for file in shop.glob("images-*.zip"):
        with zipfile.ZipFile(file) as archive:
            found |= {name: digest(archive.read(name)) for name in archive.namelist()}
    return found


def assert_same(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for shop in json.loads((one / "planted.json").read_text())["feeds"]:
        assert rows(one / shop) == rows(other / shop), shop
        assert pictures(one / shop) == pictures(other / shop), shop
    assert not [file for file in other.rglob("*") if file.suffix == ".tmp" or file.name == ".parts"]


def by_a_loop(ranges: list[range], plan: Plan) -> Iterator[dict[str, Any]]:
    """The ranges out of order, results through JSON, the first drawn twice."""
    for number in (0, *reversed(range(len(ranges)))):
        result = draw_range(number, ranges[number], plan)
        if number or len(ranges) == 1:
            yield json.loads(json.dumps(result))
    yield json.loads(json.dumps(result))


@pytest.mark.parametrize("tasks", [2, 7])
def test_ranges_make_the_same_catalog(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: int) -> None:
    monkeypatch.setattr(demo, "_through_ray", by_a_loop)
    counts: list[int] = []
    write_demo(tmp_path / "data", **SIZE, progress=counts.append, tasks=tasks)
    assert len(counts) == tasks and sum(counts) == SIZE["products"]
    assert len(list((tmp_path / "data" / "northfold").glob("images-*.zip"))) == tasks
    assert_same(whole, tmp_path / "data")


@pytest.mark.ray
def test_ray_makes_the_same_catalog(whole: Path, tmp_path: Path, ray_session: None) -> None:
    counts: list[int] = []
    write_demo(tmp_path / "data", **SIZE, progress=counts.append, tasks=3)
    assert sorted(counts) == [86, 87, 87]
    assert_same(whole, tmp_path / "data")


@pytest.mark.ray
def test_an_ingest_of_the_parts_comes_to_the_planted_counts(
    tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From far apart platforms: every kind of feed, picture and fault, in three parts."""
    from catray.catalog.ingest import ingest

    monkeypatch.setattr(demo, "_through_ray", by_a_loop)
    planted = write_demo(tmp_path / "data", **SIZE, shift=2.0, tasks=3)
    manifest = ingest(load_config(tmp_path / "data" / "config.yaml"))
    assert {name: manifest[name] for name in COUNTS} == {name: planted[name] for name in COUNTS}
    for feed, counts in planted["feeds"].items():
        assert {name: manifest["feeds"][feed][name] for name in COUNTS} == counts, feed


@pytest.mark.ray
def test_a_full_disk_is_one_line_also_from_a_task(
    tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(products: int, seed: int, sellers: Any) -> dict[int, str]:
        (tmp_path / "data" / "northfold").write_text("a file where a folder must be")
        return {}

    monkeypatch.setattr(demo, "broken", blocked)
    for tasks in (1, 2):
        with pytest.raises(CatrayError, match="can't be written"):
            write_demo(tmp_path / "data", **SIZE, tasks=tasks)


def test_a_small_catalog_starts_no_ray(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def count(ranges: list[range], plan: Plan) -> Iterator[dict[str, Any]]:
        asked.append(len(ranges))
        return iter([])

    monkeypatch.setattr(demo, "_through_ray", count)
    monkeypatch.setattr(
        demo, "draw_range", lambda *_: {"planted": {"feeds": {}, "faults": {}, "twins": [], "wrong": {}}}
    )
    monkeypatch.setattr(demo, "_join_tables", lambda *_: None)
    for products, platforms in ((3000, 8), (4000, 8), (4001, 8), (271_700, 40)):
        write_demo(tmp_path / "data", products, platforms)
    assert asked == [2, 28]


def test_a_range_drawn_twice_writes_the_same_files(tmp_path: Path) -> None:
    sellers = shops(8, 0)
    plan = Plan(tmp_path, 0, sellers, {})
    (tmp_path / ".parts").mkdir()
    contents = []
    for _ in range(2):
        draw_range(4, range(100, 160), plan)
        files = sorted(file for file in tmp_path.rglob("*") if file.is_file())
        contents.append({file: digest(file.read_bytes()) for file in files})
    assert contents[0] == contents[1]


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    shop = shops(1, 0)[0]
    with pytest.raises(RuntimeError), FeedPart(tmp_path, shop, 0) as part, text_file(tmp_path / "table.csv") as stream:
        part.add(draw_product(0, 0, [shop]), b"...")
        stream.write("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_more_tasks_than_products(tmp_path: Path) -> None:
    with pytest.raises(CatrayError, match="ask for 1 to 8"):
        write_demo(tmp_path, products=8, platforms=8, tasks=9)


def test_a_large_catalog_has_its_share_of_every_fault() -> None:
    damage = list(broken(12_000, 0, shops(8, 0)).values())
    assert {damage.count(kind) for kind in set(damage)} == {12} and len(set(damage)) == 7


@pytest.mark.slow
def test_no_two_of_271_700_are_alike() -> None:
    """No two originals share a title or a text that has one, no two products all their words where there is a title."""
    sellers = shops(40, 0)
    titles: set[str] = set()
    texts: set[tuple[str, str]] = set()
    count = titled = 0
    for number in range(271_700):
        product = draw_product(number, 0, sellers)
        if not product.title:
            assert product.style is not None or product.twin_of is not None
            continue
        texts.add((product.title, product.description))
        titled += 1
        if product.twin_of is None:
            titles.add(" ".join(sorted(product.title.lower().split())))
            count += 1
    assert len(texts) == titled and len(titles) == count


def test_labels_csv_reads_back(whole: Path) -> None:
    with (whole / "labels.csv").open(encoding="utf-8", newline="") as stream:
        labels = list(csv.DictReader(stream))
    assert {row["shop"] for row in labels} == {"stilbude", "trouvetout"}
    with (whole / "hidden.csv").open(encoding="utf-8", newline="") as stream:
        keys = [row["key"] for row in csv.DictReader(stream)]
    assert len(set(keys)) == len(keys) > 30
