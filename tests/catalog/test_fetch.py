from __future__ import annotations

import asyncio
import contextlib
import email.utils
import gzip
import socket
import time
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from catray import __version__
from catray.catalog.fetch import fetch_many
from catray.config import Downloads
from tests.catalog.conftest import BODY, HERE, Shop, get

# --- the usual -------------------------------------------------------------------------------------------------------


def test_bytes_or_the_reason_in_the_order_of_the_urls(shop: Shop) -> None:
    urls = [shop.serves("/a", b"a"), shop.url("/none"), shop.serves("/b", b"b"), "not a url"]
    answers = fetch_many(urls, HERE)
    assert answers[:3] == [b"a", "HTTP 404", b"b"] and "URL" in str(answers[3])
    headers = shop.asked[0].headers
    assert headers["User-Agent"] == f"catray/{__version__}" and headers["Accept-Encoding"] == "identity"
    assert fetch_many([], HERE) == []


def test_a_url_that_comes_twice_is_fetched_once(shop: Shop) -> None:
    url = shop.serves("/a", BODY)
    assert fetch_many([url, shop.url("/none"), url, url], HERE) == [BODY, "HTTP 404", BODY, BODY]
    assert shop.count("/a") == 1


def test_called_inside_a_running_loop(shop: Shop) -> None:
    url = shop.serves("/a", BODY)

    async def inside() -> bytes | str:
        return get(url)

    assert asyncio.run(inside()) == BODY


def test_redirects_are_followed_and_counted(shop: Shop) -> None:
    shop.serves("/end", BODY)
    first = shop.serves("/first", (302, {"Location": "/second"}, b""))
    shop.serves("/second", (301, {"Location": shop.url("/end#part", "localhost")}, b""))
    assert get(first) == BODY and get(first, max_redirects=2) == BODY
    assert get(first, max_redirects=1) == "too many redirects: more than 1"
    loop = shop.serves("/loop", (307, {"Location": "/loop"}, b""))
    assert get(loop) == "too many redirects: more than 5" and shop.count("/loop") == 6
    assert "HTTP 302" in str(get(shop.serves("/nowhere", (302, {}, b""))))
    for place in ("ftp://a/b", "file:///etc/passwd", f"http://user:pw@127.0.0.1:{shop.port}/end", "http://["):
        assert isinstance(get(shop.serves("/bad", (302, {"Location": place}, b""))), str)


def test_no_cookies_are_kept(shop: Shop) -> None:
    shop.serves("/end", BODY)
    assert get(shop.serves("/a", (302, {"Location": "/end", "Set-Cookie": "a=b"}, b""))) == BODY
    assert "Cookie" not in shop.asked[-1].headers


# --- retries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_faults_are_retried(shop: Shop, status: int) -> None:
    url = shop.serves("/a", (status, {}, b""), (status, {}, b""), BODY)
    assert get(url) == BODY and shop.count("/a") == 3
    always = shop.serves("/always", (status, {}, b""))
    assert get(always, retries=2) == f"HTTP {status}" and shop.count("/always") == 3


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 418])
def test_lasting_faults_are_not(shop: Shop, status: int) -> None:
    assert get(shop.serves("/a", (status, {}, None))) == f"HTTP {status}" and shop.count("/a") == 1


def test_broken_connections_are_retried(shop: Shop) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport
        request.transport.close()
        return answer

    assert get(shop.serves("/a", hang_up, hang_up, hang_up, BODY)) == BODY
    assert get(shop.serves("/b", half, half, BODY)) == BODY
    assert str(get(shop.serves("/c", half))).startswith("connection failed: ")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # taken, but nobody listens
        answer = get(f"http://127.0.0.1:{sock.getsockname()[1]}/")
    assert str(answer).startswith("connection failed: ")


def test_retry_after_is_waited_for_by_all_requests_to_the_host(shop: Shop) -> None:
    first = shop.serves("/a", (429, {"Retry-After": "1"}, b""), b"a")
    second = shop.serves("/b", b"b")
    assert fetch_many([first, second], HERE.model_copy(update={"per_host": 1})) == [b"a", b"b"]
    assert shop.times[1] - shop.times[0] >= 0.95 and shop.count("/a") == 2


def test_retry_after_has_a_cap_and_may_be_a_date(shop: Shop) -> None:
    date = email.utils.formatdate(time.time() + 3600, usegmt=True)
    for i, value in enumerate(["3600", "9" * 4000, date, "soon", "-1", "Fri, 99 Foo 20 25:61:61"]):
        url = shop.serves(f"/{i}", (503, {"Retry-After": value}, b""), BODY)
        assert get(url, max_wait_s=0.05) == BODY


def test_a_dead_host_is_given_up_and_holds_up_no_other(shop: Shop) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        dead = [f"http://localhost:{sock.getsockname()[1]}/{i}" for i in range(30)]
        answers = fetch_many([*dead, shop.serves("/a", b"a")], HERE.model_copy(update={"give_up": 5}))
    assert answers[-1] == b"a"
    assert any(str(answer).startswith("host given up: localhost failed") for answer in answers)
    throttled = [shop.serves(f"/{i}", (429, {"Retry-After": "3600"}, b"")) for i in range(30)]
    answers = fetch_many(throttled, HERE.model_copy(update={"give_up": 5, "per_host": 1, "max_wait_s": 0.01}))
    assert "host given up: 127.0.0.1 failed 5 times in a row" in answers and len(shop.times) == 6


def test_a_name_that_is_none_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def lookup(host: str, *args: Any, **kwargs: Any) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME if host == "none.example" else socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert get("http://none.example/a") == "no such host: none.example" and len(asked) == 1
    assert str(get("http://later.example/a")).startswith("connection failed: ") and len(asked) == 5


# --- limits ----------------------------------------------------------------------------------------------------------


def test_size_with_and_without_a_length(shop: Shop) -> None:
    sent = []

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"x" * 10_000)
                sent.append(10_000)
        return answer

    announced = shop.serves("/a", b"x" * 1001)
    assert get(announced, max_bytes=1001) == b"x" * 1001
    assert get(announced, max_bytes=1000) == "too large: 1,001 bytes, the limit is 1,000"
    assert get(shop.serves("/b", endless), max_bytes=50_000) == "too large: the limit is 50,000 bytes"
    assert shop.count("/b") == 1 and sum(sent) < 50_000_000


def test_a_compressed_answer_is_refused(shop: Shop) -> None:
    bomb = gzip.compress(bytes(1_000_000))
    assert get(shop.serves("/a", (200, {"Content-Encoding": "gzip"}, bomb))) == "compressed answer: gzip"
    assert get(shop.serves("/b", (200, {"Content-Encoding": "identity"}, BODY))) == BODY


def test_time_is_limited(shop: Shop) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                await answer.write(b"x")
                await asyncio.sleep(0.05)
        return answer

    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(600)
        return web.Response()

    async def around(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.15)
        return web.Response(status=302, headers={"Location": "/around"})

    for handler in (drip, silent, around):
        assert get(shop.serves(f"/{handler.__name__}", handler), timeout_s=0.5, max_redirects=100) == "timed out: 0.5 s"
    assert shop.count("/drip") == shop.count("/silent") == 1  # not retried


def test_waiting_for_a_turn_is_not_limited(shop: Shop) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return web.Response(body=b"a")

    urls = [shop.serves(f"/{i}", slow) for i in range(6)]
    assert fetch_many(urls, HERE.model_copy(update={"per_host": 1, "timeout_s": 1.0})) == [b"a"] * 6


def test_requests_at_once(shop: Shop) -> None:
    now = {"127.0.0.1": 0, "localhost": 0}
    most = {"127.0.0.1": 0, "localhost": 0, "all": 0}

    async def count(request: web.Request) -> web.StreamResponse:
        host = request.url.host or ""
        now[host] += 1
        most[host] = max(most[host], now[host])
        most["all"] = max(most["all"], sum(now.values()))
        await asyncio.sleep(0.05)
        now[host] -= 1
        return web.Response(body=b"a")

    for i in range(12):
        shop.serves(f"/{i}", count)
    urls = [shop.url(f"/{i}", host) for i in range(12) for host in ("127.0.0.1", "localhost")]
    assert fetch_many(urls, HERE.model_copy(update={"per_host": 3, "total": 4})) == [b"a"] * 24
    assert most["127.0.0.1"] <= 3 and most["localhost"] <= 3 and most["all"] <= 4
    assert most["all"] > 1  # and yet together


def test_settings_are_checked() -> None:
    for wrong in ({"per_host": 0}, {"total": 0}, {"timeout_s": 0}, {"retries": -1}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            Downloads.model_validate(wrong)
