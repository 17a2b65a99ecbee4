"""Ingest through a real local Ray: every row ends in products or in rejects, with a reason."""

from __future__ import annotations

import base64
import csv
import functools
import http.server
import io
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from catray import schema
from catray.artifact import read_manifest
from catray.catalog.ingest import ingest
from catray.config import Config, load_config
from catray.errors import CatrayError

pytestmark = pytest.mark.ray


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((60, 60)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    """Settings of one workspace with a CSV, a JSONL and a Parquet feed, dirty as feeds are."""
    (tmp_path / "taxonomy.txt").write_text("Shoes > Boots\nShoes > Sandals\nBags\n")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(1, 8):
        (pictures / f"{i}.jpg").write_bytes(jpeg(i))
    (pictures / "3.jpg").write_bytes(jpeg(3)[:400])
    (pictures / "4.jpg").write_text("just text")
    rows = [
        ["1", "Brown boots", "Shoes > Boots"],
        ["2", "Boots, brown!", "Shoes > Boots"],  # the same title as 1
        ["3", "Sandals", "Shoes > Sandals"],  # truncated JPEG
        ["4", "Bag", "Bags"],  # text named .jpg
        ["5", "Clog", "Shoes > Clogs"],  # a path that the taxonomy lacks
        ["1", "Brown boots again", "Shoes > Boots"],  # duplicate id
        ["", "No id", "Bags"],
        ["6", "too", "many", "fields"],
        ["9", "No picture there", "Bags"],
    ]
    with open(tmp_path / "a.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([["id", "title", "category"], *rows])
    with open(tmp_path / "b.jsonl", "w") as stream:
        stream.write(json.dumps({"sku": "x1", "name": "Red bag", "cats": ["Bags"]}) + "\nnot json\n")
    table = pa.table({"id": [1, 2], "name": ["Sandal <b>", "Boot"], "photo": [jpeg(1), None], "shop": ["c", "c"]})
    pq.write_table(table, tmp_path / "c.parquet")
    path = {"column": "category", "separator": ">"}
    return {
        "workspace": str(tmp_path / "ws"),
        "taxonomy": str(tmp_path / "taxonomy.txt"),
        "catalog": {
            "shard_size": 4,
            "feeds": {
                "a": {
                    "files": str(tmp_path / "a.csv"),
                    "images": str(pictures),
                    "fields": {"product_id": "{id}", "title": "{title}", "image": "{id}.jpg", "path": path},
                },
                "b": {
                    "files": str(tmp_path / "b.jsonl"),
                    "fields": {"product_id": "{sku}", "title": "{name}", "native_path": {"column": "cats"}},
                },
                "c": {
                    "files": str(tmp_path / "c.parquet"),
                    "fields": {"product_id": "{id}", "platform": "{shop}", "title": "{name}", "image": "{photo}"},
                },
            },
        },
    }


def test_nothing_is_lost(ray_session: None, shop: dict[str, Any]) -> None:
    config = Config.model_validate(shop)
    manifest = ingest(config)
    folder = config.folder("catalog")
    assert read_manifest(folder) == manifest
    assert (manifest["rows_in"], manifest["products"], manifest["rejected"]) == (13, 9, 4)
    assert sum(f["rows_in"] for f in manifest["feeds"].values()) == 13
    table = ds.dataset(sorted(folder.glob("products-*.parquet"))).to_table()
    assert table.schema.remove_metadata() == schema.CATALOG
    rows = {row["key"]: row for row in table.to_pylist()}
    assert sorted(rows) == ["a/1", "a/2", "a/3", "a/4", "a/5", "a/9", "b/x1", "c/1", "c/2"]
    rejects = ds.dataset(sorted((folder / "rejects").glob("*.parquet"))).to_table()
    assert rejects.schema.remove_metadata() == schema.REJECTS
    reasons = {(r["feed"], r["line"]): (r["reason"], json.loads(r["raw"])) for r in rejects.to_pylist()}
    assert (
        reasons["a", 7][0].startswith("duplicate id: a/1 came first in")
        and reasons["a", 7][1]["title"] == "Brown boots again"
    )
    assert reasons["a", 8][0].startswith("no product id") and reasons["a", 8][1]["title"] == "No id"
    assert reasons["a", 9][0] == "4 fields, the header has 3"
    assert reasons["b", 2] == (reasons["b", 2][0], {"text": "not json"})

    assert "decoded" in rows["a/3"]["image_error"] and rows["a/3"]["image"] is None
    assert rows["a/4"]["image_error"] == "not a picture that can be read"
    assert rows["a/9"]["image_error"] == "no 9.jpg in pictures"
    assert manifest["image_errors"] == 3 and manifest["images"] == 4
    assert rows["a/5"]["path"] is None and manifest["unknown_paths"] == {"Shoes > Clogs": 1}
    assert rows["a/1"]["path"] == ["Shoes", "Boots"] and rows["b/x1"]["native_path"] == ["Bags"]

    # a/1 and a/2 by title, c/1 by the picture of a/1
    assert rows["a/1"]["group"] == rows["a/2"]["group"] == rows["c/1"]["group"] != rows["a/4"]["group"]
    assert rows["a/1"]["split"] == rows["a/2"]["split"] == rows["c/1"]["split"]


def test_the_same_feeds_give_the_same_catalog(ray_session: None, shop: dict[str, Any]) -> None:
    first = ingest(Config.model_validate(shop))
    second = ingest(Config.model_validate(shop))
    assert first["files"] == second["files"]


def test_pictures_from_urls_and_base64(ray_session: None, tmp_path: Path) -> None:
    (tmp_path / "taxonomy.txt").write_text("Bags\n")
    served = tmp_path / "served"
    served.mkdir()
    (served / "1.jpg").write_bytes(jpeg(1))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        rows = [
            {"id": "url", "picture": f"{address}/1.jpg"},
            {"id": "urls", "picture": [f"{address}/1.jpg", f"{address}/2.jpg"]},
            {"id": "lost", "picture": f"{address}/2.jpg"},
            {"id": "base64", "picture": base64.b64encode(jpeg(2)).decode()},
            {"id": "junk", "picture": "no picture at all"},
            {"id": "none", "picture": None},
        ]
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        fields = {"product_id": "{id}", "title": "bag {id}", "image": "{picture}"}
        feed = {"files": str(tmp_path / "a.jsonl"), "fields": fields}
        settings: dict[str, Any] = {"workspace": str(tmp_path / "ws"), "taxonomy": str(tmp_path / "taxonomy.txt")}
        found = {}
        for private in (True, False):
            downloads = {"allow_private": private, "retries": 0}
            config = Config.model_validate({**settings, "catalog": {"feeds": {"a": feed}, "downloads": downloads}})
            assert ingest(config)["products"] == 6
            table = ds.dataset(sorted(config.folder("catalog").glob("products-*.parquet"))).to_table()
            found[private] = {row["product_id"]: row for row in table.to_pylist()}
        server.shutdown()
    assert {i for i, row in found[True].items() if row["image"]} == {"url", "urls", "base64"}
    assert "404" in found[True]["lost"]["image_error"] and found[True]["junk"]["image_error"]
    assert found[True]["none"]["image_error"] is None
    # a feed must not make us ask this machine, or its network, for anything
    assert {i for i, row in found[False].items() if row["image"]} == {"base64"}
    assert found[False]["url"]["image_error"].startswith(("not a public address", "port not allowed"))


def test_labels_file_wins_over_the_column(ray_session: None, shop: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("platform,id,path\nb,x1,Bags\na,3,Shoes > Boots\n")
    shop["catalog"]["labels"] = {"file": str(tmp_path / "labels.csv")}
    config = Config.model_validate(shop)
    ingest(config)
    table = ds.dataset(sorted(config.folder("catalog").glob("products-*.parquet"))).to_table(columns=["key", "path"])
    paths = dict(zip(table["key"].to_pylist(), table["path"].to_pylist(), strict=True))
    assert paths["b/x1"] == ["Bags"] and paths["a/3"] == ["Shoes", "Boots"] and paths["a/1"] == ["Shoes", "Boots"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c, d: c["feeds"]["a"]["fields"].update(title="{titel}"), "no column 'titel'.*Did you mean 'title'"),
        (lambda c, d: (d / "a.csv").write_text("id,title,category\n"), "feed a: .* has no rows"),
        (lambda c, d: (d / "a.csv").write_text(""), "feed a: .*is empty"),
        (lambda c, d: shutil.rmtree(d / "pictures"), "no such folder or zip of pictures"),
        (lambda c, d: c.update(feeds={}), "no feed to ingest"),
    ],
)
def test_bad_settings_say_so_before_anything_is_written(
    shop: dict[str, Any], tmp_path: Path, spoil: Any, message: str
) -> None:
    spoil(shop["catalog"], tmp_path)
    with pytest.raises(CatrayError, match=message):
        ingest(Config.model_validate(shop))
    assert not (tmp_path / "ws").exists()


@pytest.mark.slow
def test_the_real_feeds_add_up(ray_session: None, shared_data: Path, tmp_path: Path) -> None:
    overrides = [f"data_root={shared_data}", f"root={tmp_path}"]
    overrides += [
        f"catalog.feeds.{feed}.enabled=true" for feed in ("flipkart", "listings", "amazon_in", "multilingual")
    ]
    manifest = ingest(load_config(Path(__file__).parents[2] / "configs" / "fashion.yaml", overrides))
    expected = {
        "myntra": 34_891,
        "luma": 456,
        "flipkart": 1_050,
        "listings": 9_566,
        "amazon_in": 10_635,
        "multilingual": 3_000,
    }
    assert {feed: counts["rows_in"] for feed, counts in manifest["feeds"].items()} == expected
    assert manifest["rows_in"] == manifest["products"] + manifest["rejected"]
    assert manifest["unknown_path_rows"] == 0
