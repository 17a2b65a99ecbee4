"""Pictures named by URL: `fetch_many(urls, Downloads())` gives each URL's bytes, or the reason why there are none.

A feed's URLs are hostile input that this machine would follow. Only http and https on the usual ports are asked; an
address inside (private, loopback, link-local, ...) never is: every redirect is checked as the first URL was, and every
socket's own address just before it connects, so that a name whose DNS answer changes gets no further. No proxy of the
environment is used, as it would connect where these checks can't see. Size and time are limited while bytes come.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import socket
import time
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from yarl import URL

from catray import __version__
from catray.catalog.addresses import Refused, Resolver, check_url, open_socket
from catray.catalog.downloads_cache import Cache
from catray.config import Downloads

REDIRECTS = {301, 302, 303, 307, 308}


class Again(Exception):
    """No picture now, perhaps later."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch_many(urls: Sequence[str], settings: Downloads) -> list[bytes | str]:
    """For each URL its bytes, or a str: the reason why there are none. A URL that comes twice is fetched once.

    Errors: CatrayError for a cache folder that can't be made; never for a URL.
    """
    cache = Cache(settings.cache, settings.max_bytes) if settings.cache else None
    once = list(dict.fromkeys(urls))
    found = dict(zip(once, _run(_fetch_all(once, settings, cache)), strict=True)) if once else {}
    return [found[url] for url in urls]


def _run(work: Coroutine[Any, Any, list[bytes | str]]) -> list[bytes | str]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:  # called from a notebook or an async actor: their loop can't run another
        return pool.submit(asyncio.run, work).result()


async def _fetch_all(urls: list[str], settings: Downloads, cache: Cache | None) -> list[bytes | str]:
    connector = aiohttp.TCPConnector(
        limit=0,  # Fetcher counts, by host whatever the scheme and port
        resolver=Resolver(settings.allow_private),
        socket_factory=lambda info: open_socket(info, settings.allow_private),
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # Fetcher's own, which doesn't count the waiting for a turn
        auto_decompress=False,
        headers={"User-Agent": f"catray/{__version__}", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"},
    ) as session:
        fetcher = Fetcher(session, settings, cache)
        return await asyncio.gather(*(fetcher.get(url) for url in urls))


class Host:
    """What all requests to one host share."""

    def __init__(self, slots: int) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.failures = 0
        self.not_before = 0.0  # monotonic: a host that says Retry-After means all of us

    async def ready(self) -> None:
        while (wait := self.not_before - time.monotonic()) > 0:
            await asyncio.sleep(wait)


class Fetcher:
    def __init__(self, session: aiohttp.ClientSession, settings: Downloads, cache: Cache | None) -> None:
        self.session, self.settings, self.cache = session, settings, cache
        self.turns = asyncio.Semaphore(settings.total)
        self.hosts: defaultdict[str, Host] = defaultdict(lambda: Host(settings.per_host))

    async def get(self, url: str) -> bytes | str:
        try:
            for attempt in range(self.settings.retries + 1):
                try:
                    return await self._follow(url)
                except Again as error:
                    if attempt == self.settings.retries:
                        return str(error)
                    if error.wait is None:
                        wait = min(self.settings.backoff_s * 2.0 ** min(attempt, 60), self.settings.max_wait_s)
                        await asyncio.sleep(wait * random.uniform(0.5, 1))  # else all come back at the same moment
            raise AssertionError("unreachable")
        except Refused as error:
            return str(error)
        except Exception as error:  # whatever a server can make aiohttp raise: one picture is missing, no more
            return f"can't be fetched: {str(error) or type(error).__name__}"

    async def _follow(self, url: str | URL) -> bytes:
        """One attempt: redirects followed, each checked and counted as a request to its own host."""
        left = self.settings.timeout_s
        for _ in range(self.settings.max_redirects + 1):
            target = check_url(url, self.settings.allow_private)
            host = self.hosts[(target.raw_host or "").rstrip(".")]
            async with host.slots:
                await host.ready()
                if host.failures >= self.settings.give_up:
                    raise Refused(f"host given up: {target.host} failed {host.failures} times in a row")
                async with self.turns:
                    started = time.monotonic()
                    answer = await self._within(left, target, host)
                    left -= time.monotonic() - started
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise Refused(f"too many redirects: more than {self.settings.max_redirects}")

    async def _within(self, seconds: float, url: URL, host: Host) -> bytes | URL:
        """`_ask` with its time limited, its errors sorted and the host's failures counted."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                answer = await self._ask(url)
        except Again as error:
            if error.wait is None:
                host.failures = 0
            else:  # counted: a host that never lets anybody in would hold the batch for hours
                host.failures += 1
                host.not_before = time.monotonic() + error.wait
            raise
        except Refused:
            host.failures = 0
            raise
        except TimeoutError:
            host.failures += 1
            raise Refused(f"timed out: {self.settings.timeout_s:g} s") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            cause = getattr(error, "os_error", error)  # aiohttp wraps what resolver and socket raise
            if isinstance(cause, Refused):
                raise cause from None
            host.failures += 1
            if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:  # no better the next time
                raise Refused(f"no such host: {url.host}") from None
            if isinstance(error, aiohttp.ClientSSLError):
                raise Refused(f"no trusted connection: {error}") from None
            raise Again(f"connection failed: {str(error) or type(error).__name__}") from None
        host.failures = 0
        return answer

    async def _ask(self, url: URL) -> bytes | URL:
        """One request: the bytes, or where it is redirected to."""
        kept = self.cache.read(url) if self.cache else None
        async with self.session.get(url, headers=kept.conditions if kept else {}, allow_redirects=False) as answer:
            if answer.status == 304 and kept:
                return kept.body
            if answer.status in REDIRECTS:
                try:
                    return url.join(URL(answer.headers["Location"]))
                except (KeyError, ValueError):
                    raise Refused(f"HTTP {answer.status}: without a place to go") from None
            if answer.status == 429 or answer.status >= 500:
                wait = _retry_after(answer.headers.get("Retry-After", ""))
                raise Again(f"HTTP {answer.status}", None if wait is None else min(wait, self.settings.max_wait_s))
            if answer.status != 200:
                raise Refused(f"HTTP {answer.status}")
            encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
            if encoding not in ("identity", ""):  # not asked for, and its size would say nothing of the picture's
                raise Refused(f"compressed answer: {encoding[:40]}")
            body = await self._body(answer)
            if self.cache:
                self.cache.write(url, answer.headers, body)
            return body

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        limit, body = self.settings.max_bytes, bytearray()
        if (answer.content_length or 0) > limit:
            raise Refused(f"too large: {answer.content_length:,} bytes, the limit is {limit:,}")
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise Refused(f"too large: the limit is {limit:,} bytes")
        return bytes(body)


def _retry_after(value: str) -> float | None:
    """Seconds to wait, of `120` or of a date; None where the server says nothing that can be read."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
