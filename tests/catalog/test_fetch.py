from __future__ import annotations

import asyncio
import contextlib
import email.utils
import gzip
import hashlib
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError
from yarl import URL

from catray import __version__
from catray.catalog import addresses
from catray.catalog.addresses import check_url, is_public
from catray.catalog.fetch import Cache, fetch_many
from catray.config import Downloads
from catray.errors import CatrayError

HERE = Downloads(allow_private=True, backoff_s=0.01, timeout_s=20)
BODY = bytes(range(256)) * 40
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shop:
    """A web server on loopback, in a thread of its own; tests say what its paths do and read what it was asked."""

    def __init__(self) -> None:
        self.paths: dict[str, Handler] = {}
        self.asked: list[web.Request] = []
        self.times: list[float] = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(30)

    async def _start(self) -> int:
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0)
        self.runner = runner
        await runner.setup()
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        await web.SockSite(runner, sock).start()
        return sock.getsockname()[1]

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)  # type: ignore[arg-type]
        self.times.append(time.monotonic())
        handler = self.paths.get(request.path)
        return await handler(request) if handler else web.Response(status=404)  # type: ignore[arg-type]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def serves(self, path: str, *answers: Any) -> str:
        """The path gives these answers one after the other, the last one again and again: bytes, status, headers."""
        left = list(answers)

        async def handler(request: web.Request) -> web.StreamResponse:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if callable(answer):
                return await answer(request)
            status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
            return web.Response(status=status, headers=headers, body=body)

        self.paths[path] = handler
        return self.url(path)

    def count(self, path: str) -> int:
        return sum(request.path == path for request in self.asked)

    async def _stop(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await self.runner.cleanup()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


def get(url: str, settings: Downloads = HERE, **changes: Any) -> bytes | str:
    [answer] = fetch_many([url], settings.model_copy(update=changes))
    return answer


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


# --- the inside is not reached ---------------------------------------------------------------------------------------

STRANGER = Downloads(retries=0, timeout_s=20)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7F000001", "0177.0.0.1", "017700000001", "127.0.0.1."),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("0.0.0.0", "0", "[::]", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "[fe80::1]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[fe80::1%25lo]"),
        *("１２７.0.0.1", "①②⑦.0.0.1", "localhost", "LOCALHOST.", "localhost.localdomain"),
    ],
)
def test_addresses_inside_are_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(addresses, "PORTS", {shop.port})
    shop.serves("/", b"secret")
    answer = get(f"http://{host}:{shop.port}/", STRANGER)
    if host not in ("LOCALHOST.", "localhost.localdomain"):  # not everywhere a name
        assert "not a public address" in str(answer)
    assert isinstance(answer, str) and not shop.asked


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "a.jpg", "//shop.example/a", "ftp://shop.example/a", "file:///etc/passwd", "data:,a", "http://"),
        *("http:///a", "http://a:b@shop.example/", "http://a@shop.example/", "http://:b@shop.example/", "\0"),
        *("http://shop.example:22/", "http://shop.example:65536/", "http://shop.example:x/", "https://shop.example:0/"),
        *("http://[::1/", "http://" + "a" * 70 + ".example/", "http://shop.example\\@127.0.0.1:22/", "javascript:a"),
        *("http://\ud800/", "gopher://shop.example/", "http://\n", "http://a b/", "http://xn--a/", "http://.../"),
    ],
)
def test_urls_that_are_never_asked(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    def lookup(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert isinstance(get(url, STRANGER), str)


def test_usual_urls_pass_the_check() -> None:
    for text in ("http://shop.example/a.jpg", " https://shop.example:8443/ä b.jpg?w=1&h=%2F#top ", "HTTP://1.1.1.1"):
        url = check_url(text)
        assert url.host in ("shop.example", "1.1.1.1") and not url.fragment
    assert str(check_url("http://0x01010101/")) == "http://1.1.1.1/"
    assert str(check_url("http://[2606:4700:4700::1111]/")) == "http://[2606:4700:4700::1111]/"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((a, True) for a in ("1.1.1.1", "93.184.216.34", "2606:4700::1", "64:ff9b::101:101", "::ffff:1.1.1.1")),
        *((a, True) for a in ("2002:101:101::1", "172.32.0.1", "100.128.0.1")),
        *((a, False) for a in ("192.0.2.1", "198.18.0.1", "203.0.113.9", "240.0.0.1", "239.1.1.1", "168.63.129.16")),
        *((a, False) for a in ("2001:db8::1", "2001:0:7f00:1::", "2002:a00:1::1", "64:ff9b::a00:1", "::ffff:10.0.0.1")),
        *((a, False) for a in ("64:ff9b:1::1", "fd00:ec2::254", "::", "::1.1.1.1", "100::1", "fe80::1%eth0", "", "a")),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.fixture
def dns(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and what they lead to, answer by answer. 127.0.0.1, where the shop is, passes for public; nothing else of
    this machine does.
    """
    names: dict[str, list[str]] = {}
    real = is_public

    def lookup(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        answers = names[host]
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in address.split()]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1" or real(address))
    monkeypatch.setattr(addresses, "PORTS", {shop.port})
    return names


def test_a_redirect_leads_nowhere_inside(shop: Shop, dns: dict[str, list[str]]) -> None:
    dns["shop.example"], dns["inside.example"] = ["127.0.0.1"], ["127.0.0.2"]
    shop.serves("/end", BODY)
    assert get(shop.serves("/a", BODY).replace("127.0.0.1", "shop.example"), STRANGER) == BODY
    for place in (
        shop.url("/end", "127.0.0.2"),
        shop.url("/end", "2130706434"),
        shop.url("/end", "inside.example"),
        shop.url("/end", "[::1]"),
        "http://shop.example:22/end",
        f"//user@shop.example:{shop.port}/end",
    ):
        shop.serves("/hop", (302, {"Location": place}, b""))
        answer = get(shop.url("/hop", "shop.example"), STRANGER)
        assert isinstance(answer, str) and ("not a public" in answer or "port" in answer or "credentials" in answer)
    assert shop.count("/end") == 0


def test_a_name_that_changes_its_address_gets_no_further(
    shop: Shop, dns: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dns["shop.example"] = ["127.0.0.1", "127.0.0.2"]

    async def hop(request: web.Request) -> web.StreamResponse:
        answer = web.Response(status=302, headers={"Location": shop.url("/end", "shop.example")})
        answer.force_close()  # the next request connects, and asks the name, anew
        return answer

    shop.serves("/hop", hop)
    shop.serves("/end", BODY)
    monkeypatch.setattr("aiohttp.connector._DNSCacheTable.__contains__", lambda self, key: False)
    assert get(shop.url("/hop", "shop.example"), STRANGER) == "not a public address: shop.example is 127.0.0.2"
    dns["shop.example"] = ["127.0.0.2 127.0.0.1 10.0.0.1"]  # of several addresses the public ones are taken
    assert get(shop.url("/end", "shop.example"), STRANGER) == BODY


def test_the_socket_is_checked_whatever_was_resolved(
    shop: Shop, dns: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(self: Any, host: str, port: int = 0, family: int = 0) -> list[Any]:
        answer = {"hostname": host, "host": "127.0.0.2", "port": port, "family": socket.AF_INET, "proto": 6, "flags": 0}
        return [answer]

    monkeypatch.setattr(addresses.Resolver, "resolve", resolve)
    assert get(shop.url("/", "shop.example"), STRANGER) == "not a public address: 127.0.0.2"


# --- cache -----------------------------------------------------------------------------------------------------------


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


def test_settings_are_checked() -> None:
    for wrong in ({"per_host": 0}, {"total": 0}, {"timeout_s": 0}, {"retries": -1}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            Downloads.model_validate(wrong)
