from __future__ import annotations

import base64
import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from catray.catalog.demo import write_demo
from catray.catalog.mapping import check_columns, render, render_path
from catray.catalog.profile import sample_feed
from catray.catalog.propose import Proposal, propose, to_yaml
from catray.config import Feed, SplitColumn, load_config
from catray.errors import CatrayError

FIELDS = ("product_id", "platform", "title", "description", "image", "native_path")


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def parsed(proposal: Proposal, name: str = "shop") -> Feed:
    """The YAML as ingest reads it: it validates, and the feed has the columns that it names."""
    feed = Feed.model_validate(yaml.safe_load(to_yaml(proposal, name))[name])
    table = sample_feed(proposal.files, 50)
    check_columns(name, feed, table.files[0], [*table.columns])
    return feed


def shirts(count: int = 60) -> list[dict[str, Any]]:
    """Rows whose columns say by their values alone what they are."""
    kinds = [("Apparel", "Tops", "Shirt"), ("Apparel", "Tops", "Polo"), ("Apparel", "Bottoms", "Jeans"), ("Shoes",) * 3]
    rows = []
    for i in range(count):
        top, middle, leaf = kinds[i % 4]
        rows.append(
            {
                "c1": f"K-{7000 + i}",
                "c2": f"Classic {leaf} in {('red', 'navy', 'white')[i % 3]}, model {i}",
                "c3": f"A {leaf} that is made for long days. It is light, and washes at {30 + i} degrees.",
                "c4": top,
                "c5": middle,
                "c6": leaf if leaf != "Shoes" else ("Boots", "Clogs")[i // 4 % 2],
                "c7": ("red", "navy", "white")[i % 3],
                "c8": f"{i}.99",
                "c9": f"https://cdn.example.com/{i}.jpg",
            }
        )
    return rows


def test_names_without_meaning(tmp_path: Path) -> None:
    fields = parsed(propose(write(tmp_path / "feed.csv", shirts()))).fields
    assert (fields.product_id, fields.title, fields.description) == ("{c1}", "{c2}", "{c3}")
    assert (fields.image, fields.native_path, fields.platform) == ("{c9}", ["{c4}", "{c5}", "{c6}"], None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Artikelnummer", "Bezeichnung", "Langtext", "Bereich", "Warengruppe", "Art", "Farbe", "Preis", "Bild"], "de"),
        (["ref", "libelle", "descriptif", "univers", "rayon", "famille", "couleur", "prix", "photo"], "fr"),
        (["código", "nombre", "descripción", "sección", "familia", "grupo", "color", "precio", "imagen"], "es"),
        (["codice", "nome", "descrizione", "reparto", "famiglia", "gruppo", "colore", "prezzo", "immagine"], "it"),
        (["sku", "name", "body", "department", "category", "type", "color", "price", "image_url"], "en"),
    ],
)
def test_languages(names: list[str], expected: str, tmp_path: Path) -> None:
    rows = [dict(zip(names, row.values(), strict=True)) for row in shirts()]
    proposal = propose(write(tmp_path / f"{expected}.csv", rows))
    fields = parsed(proposal).fields
    one, two, three, top, middle, leaf, _, _, image = (f"{{{name}}}" for name in names)
    assert (fields.product_id, fields.title, fields.description, fields.image) == (one, two, three, image)
    assert fields.native_path == [top, middle, leaf]
    assert proposal.fields["title"].confidence >= 0.8


# --- ids -------------------------------------------------------------------------------------------------------------


def test_no_id(tmp_path: Path) -> None:
    rows = [{"title": row["c2"].split(",")[0], "price": row["c8"], "color": row["c7"]} for row in shirts()]
    proposal = propose(write(tmp_path / "feed.csv", rows))
    assert proposal.fields["product_id"].setting is None
    assert any("No product_id" in hint and "row numbers" in hint for hint in proposal.hints)
    assert "! No product_id" in to_yaml(proposal, "shop")
    assert parsed(proposal).fields.product_id == ""


def test_an_address_is_better_than_no_id(tmp_path: Path) -> None:
    rows = [{"link": f"https://shop.example/p/{i}", "title": row["c2"]} for i, row in enumerate(shirts())]
    proposal = propose(write(tmp_path / "feed.csv", rows))
    assert proposal.fields["product_id"].setting == "{link}"
    assert any("doubtful" in hint for hint in proposal.hints)


def test_two_columns_together(tmp_path: Path) -> None:
    rows = [{"sku": f"S{i // 3}", "size": "SML"[i % 3], "title": f"A shirt of model {i // 3}"} for i in range(60)]
    assert propose(write(tmp_path / "feed.csv", rows)).fields["product_id"].setting == "{sku}-{size}"


def test_two_equally_good_ids(tmp_path: Path) -> None:
    rows = [{"sku": f"S{i}", "product_id": f"P{i}", "title": row["c2"]} for i, row in enumerate(shirts())]
    guess = propose(write(tmp_path / "feed.csv", rows)).fields["product_id"]
    assert guess.setting == "{sku}"
    assert guess.others == ("{product_id}",)
    assert "is as good" in guess.reason
    assert guess.confidence < 0.8


def test_ids_need_only_be_unique_within_their_shop(tmp_path: Path) -> None:
    rows = [{"shop": "ab"[i % 2] * 3, "id": i // 2, "title": row["c2"]} for i, row in enumerate(shirts())]
    fields = propose(write(tmp_path / "feed.csv", rows)).fields
    assert (fields["platform"].setting, fields["product_id"].setting) == ("{shop}", "{id}")


# --- platforms, texts, paths -----------------------------------------------------------------------------------------


def test_web_hosts_tell_the_shops(tmp_path: Path) -> None:
    rows = [row | {"x": "ab"[i % 2] * 2, "y": f"https://{'ab'[i % 2]}.example/{i}"} for i, row in enumerate(shirts())]
    guess = propose(write(tmp_path / "feed.csv", rows)).fields["platform"]
    assert guess.setting in ("{x}", None)  # by values alone it is a guess at the most
    rows = [{("source" if name == "x" else name): value for name, value in row.items()} for row in rows]
    assert propose(write(tmp_path / "feed.csv", rows)).fields["platform"].setting == "{source}"


@pytest.mark.parametrize(("start", "expected"), [("", "{brand} {c2}"), ("Acme ", "{c2}")])
def test_a_brand_that_the_title_lacks(start: str, expected: str, tmp_path: Path) -> None:
    rows = [row | {"brand": "ACME", "c2": start + row["c2"]} for row in shirts()]
    assert propose(write(tmp_path / "feed.csv", rows)).fields["title"].setting == expected


@pytest.mark.parametrize("separator", [">", ">>", "/", "|"])
def test_separators(separator: str, tmp_path: Path) -> None:
    rows = [{"id": row["c1"], "p": f"{row['c4']} {separator} {row['c5']} {separator} {row['c6']}"} for row in shirts()]
    assert propose(write(tmp_path / "feed.csv", rows)).fields["native_path"].setting == SplitColumn(
        column="p", separator=separator
    )


def test_lists_and_nested_keys(tmp_path: Path) -> None:
    rows = [
        {
            "id": row["c1"],
            "text": {"name": row["c2"], "more": row["c3"]},
            "categories": [row["c4"], row["c5"], row["c6"]],
        }
        for row in shirts()
    ]
    path = tmp_path / "feed.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    fields = parsed(propose(str(path))).fields
    assert (fields.title, fields.description) == ("{text.name}", "{text.more}")
    assert fields.native_path == SplitColumn(column="categories")


def test_the_common_taxonomy_is_left_to_the_person(tmp_path: Path) -> None:
    rows = [row | {"product_type": row["c6"], "canonical_path": f"{row['c4']} > {row['c5']}"} for row in shirts()]
    rows = [{name: value for name, value in row.items() if name not in ("c4", "c5", "c6")} for row in rows]
    proposal = propose(write(tmp_path / "feed.csv", rows))
    assert proposal.fields["native_path"].setting == ["{product_type}"]
    assert '# path: {column: "canonical_path", separator: ">"}' in to_yaml(proposal, "shop")
    assert parsed(proposal).fields.path is None


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "column", "expected"),
    [
        ("images/{}.jpg", "{}", "images/{c0}.jpg"),
        ("{}.webp", "{}.webp", "{c0}"),
        ("a/b/{}.png", "{}.png", "a/b/{c0}"),
        ("{}_main.jpg", "{}", "{c0}_main.jpg"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar", "folder"])
def test_picture_names(stored: str, column: str, expected: str, kind: str, tmp_path: Path) -> None:
    rows = [{"c0": column.format(f"p{i}")} | row for i, row in enumerate(shirts())]
    names = [stored.format(f"p{i}") for i in range(50)]
    for name in names:
        (tmp_path / "media" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "media" / name).touch()
    place = tmp_path / "media"
    if kind != "folder":
        place = Path(shutil.make_archive(str(tmp_path / "media"), kind, place))
        shutil.rmtree(tmp_path / "media")
    proposal = propose(write(tmp_path / "feed.csv", rows))
    assert (proposal.fields["image"].setting, proposal.images) == (expected, str(place))
    assert "83%" in proposal.fields["image"].reason


@pytest.mark.parametrize("column", ["foto", "c0"])
def test_base64(column: str, tmp_path: Path) -> None:
    data = base64.b64encode(b"\xff\xd8\xff" + b"\0" * 300).decode()
    rows = [{column: data} | {k: v for k, v in row.items() if k != "c9"} for row in shirts()]
    assert propose(write(tmp_path / "feed.csv", rows)).fields["image"].setting == f"{{{column}}}"


def test_names_that_hold_their_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for i in range(60):
        (tmp_path / "images" / f"{i}.jpg").touch()
    rows = [{"pic": f"images/{i}.jpg"} | row for i, row in enumerate(shirts())]
    proposal = propose(write(tmp_path / "feed.csv", rows))
    assert (proposal.fields["image"].setting, proposal.images) == ("{pic}", str(tmp_path))


def test_picture_names_without_pictures(tmp_path: Path) -> None:
    rows = [{"id": row["c1"], "title": row["c2"], "file": f"{i}.jpg"} for i, row in enumerate(shirts())]
    proposal = propose(write(tmp_path / "feed.csv", rows))
    assert proposal.fields["image"].setting is None
    assert '# image: "{file}"' in to_yaml(proposal, "shop")
    with pytest.raises(CatrayError, match="no such"):
        propose(proposal.files, images=str(tmp_path / "none"))


# --- poor feeds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", ""), ("a.csv", "id,title\n"), ("a.jsonl", "\n"), ("a.jsonl", "{\n")]
)
def test_nothing_to_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CatrayError, match=r"empty|no rows"):
        propose(str(tmp_path / name))
    with pytest.raises(CatrayError, match="no such file"):
        propose(str(tmp_path / "other.csv"))


def test_constant_columns(tmp_path: Path) -> None:
    proposal = propose(write(tmp_path / "feed.csv", [{"id": 1, "shop": "acme", "title": "A shirt"}] * 30))
    assert proposal.fields["product_id"].setting is None
    assert proposal.fields["platform"].setting is None
    assert "its values repeat" in proposal.fields["product_id"].reason
    parsed(proposal)


def test_one_row(tmp_path: Path) -> None:
    proposal = propose(
        write(tmp_path / "feed.csv", [{"sku": "a1", "name": "A red shirt", "category": "Tops > Shirts"}])
    )
    fields = parsed(proposal).fields
    assert (fields.product_id, fields.title) == ("{sku}", "{name}")
    assert fields.native_path == SplitColumn(column="category")
    assert all(guess.certainty != "sure" for guess in proposal.fields.values())
    assert any("Only 1 row" in hint for hint in proposal.hints)


def test_values_stay_in_their_comment(tmp_path: Path) -> None:
    rows = [{"id: #1": f"a{i}", "ti'tl\"e": f"Shirt\n  title: x {i}\x85: y", "{odd}": 1} for i in range(30)]
    proposal = propose(write(tmp_path / "feed.csv", rows))
    assert parsed(proposal, "no").fields.product_id == "{id: #1}"
    for line in to_yaml(proposal, "no").splitlines():
        assert len(line) <= 120


# --- whole feeds -----------------------------------------------------------------------------------------------------


def wrong(name: str, truth: Feed) -> list[str]:
    """The fields whose proposal gives other values than the truth."""
    assert isinstance(truth.files, str)
    proposal = propose(truth.files)
    feed = parsed(proposal, name)
    rows = sample_feed(truth.files, 200).rows
    faults = []
    for field in FIELDS:
        ours, theirs = getattr(feed.fields, field), getattr(truth.fields, field)
        if field == "image" and not truth.images and not theirs:
            same = not ours or "image" in ours  # a column of picture URLs is better than none
        elif field == "native_path":
            same = all(render_path(ours, row) == render_path(theirs, row) for row in rows)
        else:
            same = all(render(ours or "", row) == render(theirs or "", row) for row in rows)
        if not same or (field == "image" and feed.images != truth.images):
            faults.append(f"{name}.{field}: {ours} is not {theirs}")
    return faults


@pytest.mark.parametrize(("seed", "platforms", "products"), [(0, 8, 600), (2, 16, 1000)])
def test_demo_feeds(seed: int, platforms: int, products: int, tmp_path: Path) -> None:
    write_demo(tmp_path, products, platforms, seed)
    feeds = load_config(tmp_path / "config.yaml").catalog.feeds
    faults = [wrong(name, feed) for name, feed in feeds.items()]
    assert sum(map(bool, faults)) <= platforms // 8, faults


def test_real_feeds(shared_data: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "fashion.yaml"
    feeds = load_config(config, [f"data_root={shared_data}"]).catalog.feeds
    faults = [wrong(name, feed) for name, feed in feeds.items()]
    assert sum(map(bool, faults)) <= 1, faults
