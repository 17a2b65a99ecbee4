from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp import web

from catray.catalog import addresses
from catray.catalog.addresses import check_url, is_public
from catray.config import Downloads
from tests.catalog.conftest import BODY, Shop, get

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
