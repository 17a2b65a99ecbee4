"""Fetched pictures kept in a folder, by URL, with the ETag or date to ask by whether they still hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from yarl import URL

from catray.errors import CatrayError

log = logging.getLogger(__name__)


class Kept(NamedTuple):
    body: bytes
    conditions: dict[str, str]  # the headers that ask whether it still holds


class Cache:
    """A file a URL: a line of JSON, then the bytes. Written whole and moved into place, so that any number of processes
    may share the folder; read only where URL and hash are right, so that a damaged file is one that isn't there.
    """

    def __init__(self, folder: str, max_bytes: int) -> None:
        self.folder, self.max_bytes = Path(folder), max_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatrayError(f"{folder}: can't be the folder of fetched pictures: {error.strerror}") from error

    def path(self, url: URL) -> Path:
        name = hashlib.sha256(str(url).encode()).hexdigest()
        return self.folder / name[:2] / name

    def read(self, url: URL) -> Kept | None:
        try:
            with self.path(url).open("rb") as file:
                head = json.loads(file.readline(100_000))
                body = file.read(self.max_bytes + 1)
            good = head["url"] == str(url) and head["sha256"] == hashlib.sha256(body).hexdigest()
            conditions = {str(name): str(value) for name, value in head["conditions"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None
        return Kept(body, conditions) if good and len(body) <= self.max_bytes else None

    def write(self, url: URL, headers: Any, body: bytes) -> None:
        answers = {"If-None-Match": headers.get("ETag"), "If-Modified-Since": headers.get("Last-Modified")}
        conditions = {name: value for name, value in answers.items() if value and value.isascii()}
        if not conditions or "no-store" in headers.get("Cache-Control", "").lower():
            return
        head = {"url": str(url), "sha256": hashlib.sha256(body).hexdigest(), "conditions": conditions}
        path = self.path(url)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(exist_ok=True)
            temporary.write_bytes(json.dumps(head).encode() + b"\n" + body)
            os.replace(temporary, path)
        except OSError as error:  # a full disk costs the next run some traffic, not this one its picture
            log.warning("%s: can't keep a fetched picture: %s", self.folder, error)
            with contextlib.suppress(OSError):
                temporary.unlink()
