from __future__ import annotations

import hashlib
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from catray.catalog.downloads_cache import Cache
from catray.errors import CatrayError
from tests.catalog.conftest import BODY, HERE, Shop, get


def tagged(shop: Shop, path: str, etag: str = '"1"', body: bytes = BODY, **headers: str) -> str:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.Response(body=body, headers={"ETag": etag, **headers})

    return shop.serves(path, handler)


def cached(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_kept_answer_is_asked_for_by_its_tag(shop: Shop, tmp_path: Path) -> None:
    settings = HERE.model_copy(update={"cache": str(tmp_path / "deep" / "cache")})
    url = tagged(shop, "/a")
    assert get(url, settings) == get(url, settings) == BODY
    assert [request.headers.get("If-None-Match") for request in shop.asked] == [None, '"1"']
    tagged(shop, "/a", '"2"', b"new")
    assert get(url, settings) == get(url, settings) == b"new"
    assert shop.asked[-1].headers["If-None-Match"] == '"2"' and len(cached(tmp_path)) == 1
    assert get(url, settings, max_bytes=2) == "too large: 3 bytes, the limit is 2"  # kept under a larger limit


def test_a_date_serves_as_a_tag_and_without_either_nothing_is_kept(shop: Shop, tmp_path: Path) -> None:
    settings = HERE.model_copy(update={"cache": str(tmp_path)})
    date = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    dated = shop.serves("/a", (200, date, BODY), (304, {}, None))
    assert get(dated, settings) == get(dated, settings) == BODY
    assert shop.asked[-1].headers["If-Modified-Since"] == date["Last-Modified"]
    get(shop.serves("/b", BODY), settings)
    get(tagged(shop, "/c", **{"Cache-Control": "private, no-store"}), settings)
    get(shop.serves("/d", (404, {"ETag": '"1"'}, b"none")), settings)
    assert len(cached(tmp_path)) == 1


def test_a_tag_goes_only_to_the_url_that_gave_it(shop: Shop, tmp_path: Path) -> None:
    settings = HERE.model_copy(update={"cache": str(tmp_path)})
    tagged(shop, "/end")
    first = shop.serves("/first", (302, {"Location": "/end"}, b""))
    assert get(first, settings) == get(first, settings) == BODY
    tags = [(request.path, request.headers.get("If-None-Match")) for request in shop.asked]
    assert tags == [("/first", None), ("/end", None), ("/first", None), ("/end", '"1"')]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, url: data[:-1],
        lambda data, url: data[:-1] + b"!",
        lambda data, url: data + b"!",
        lambda data, url: b"",
        lambda data, url: b"[]\n" + BODY,
        lambda data, url: b"[" * 90_000 + b"\n",
        lambda data, url: b"\xff\xfe" + data,
        lambda data, url: data.replace(b"http:", b"nttp:"),  # of another URL
        lambda data, url: (
            json.dumps({"url": url, "sha256": hashlib.sha256(BODY).hexdigest(), "conditions": []}).encode()
            + b"\n"
            + BODY
        ),
    ],
)
def test_a_damaged_file_is_fetched_again(shop: Shop, tmp_path: Path, damage: Any) -> None:
    settings = HERE.model_copy(update={"cache": str(tmp_path)})
    url = tagged(shop, "/a")
    get(url, settings)
    [file] = cached(tmp_path)
    good = file.read_bytes()
    file.write_bytes(damage(good, url))
    assert get(url, settings) == BODY and "If-None-Match" not in shop.asked[-1].headers
    assert file.read_bytes() == good


def test_a_cache_that_cant_be_written(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CatrayError, match="can't be the folder"):
        get(shop.serves("/a", BODY), cache=str(tmp_path / "file" / "cache"))
    url = tagged(shop, "/b")
    path = Cache(str(tmp_path / "cache"), 1000).path(URL(url))
    path.parent.write_bytes(b"")  # a file where the folder should be
    assert get(url, cache=str(tmp_path / "cache")) == BODY


def _hammer(folder: str, seed: int) -> None:
    cache = Cache(folder, 10**6)
    for i in range(100):
        body = bytes([seed]) * (1000 + i)
        cache.write(URL("http://shop.example/a"), {"ETag": f'"{seed}-{i}"'}, body)
        kept = cache.read(URL("http://shop.example/a"))
        assert kept is not None and len(set(kept.body)) == 1
        assert kept.conditions["If-None-Match"] == f'"{kept.body[0]}-{len(kept.body) - 1000}"'


def test_many_processes_share_a_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_hammer, args=(str(tmp_path), seed)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4 and len(cached(tmp_path)) == 1
