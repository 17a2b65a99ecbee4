"""What tests of pictures and of fetching share: pictures, damage to them, and a web shop on loopback."""

from __future__ import annotations

import asyncio
import io
import random
import socket
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from catray.catalog.fetch import fetch_many
from catray.config import Downloads

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


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 5, size[0] // 5, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size).convert(mode)


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """The pixels that a later stage sees."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata
        image = Image.open(io.BytesIO(data))
        assert image.format in ("JPEG", "PNG", "WEBP", "MPO") and image.mode in ("RGB", "L")
        return np.asarray(image, dtype=np.int16)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Some bytes or bits changed, or a part missing, doubled or cut off; mostly near the begin, where headers are."""
    changed = bytearray(data)
    kind = rng.random()
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(min(len(data), rng.choice([64, 600, len(data)])))
        if kind < 0.4:
            changed[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        else:
            changed[at] ^= 1 << rng.randrange(8)
    if kind > 0.7:
        a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        changed = rng.choice([changed[:a], changed[:a] + changed[b:], changed[:b] + changed[a:]])
    return bytes(changed)
