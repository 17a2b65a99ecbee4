"""Manifests: an artifact folder is finished when, and only when, its manifest.json is there.

A manifest is written last and atomically, and carries counts, settings hash and versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from catray import __version__
from catray.errors import CatrayError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"


def config_hash(*settings: BaseModel | str | int | None) -> str:
    """16 hex digits over the settings that decide an artifact's content."""
    texts = [s.model_dump_json() if isinstance(s, BaseModel) else json.dumps(s) for s in settings]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def write_json(path: str | Path, value: Any) -> None:
    """Atomic: a reader sees the old file or the whole new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def write_manifest(folder: str | Path, **fields: Any) -> dict[str, Any]:
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "catray": __version__,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **fields,
    }
    write_json(Path(folder) / MANIFEST, manifest)
    return manifest


def read_manifest(folder: str | Path) -> dict[str, Any] | None:
    """The manifest, or None where the artifact is missing or unfinished."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        return None
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise CatrayError(
            f"{path}: schema version {manifest.get('schema_version')}, this catray reads {SCHEMA_VERSION}: make it anew"
        )
    return manifest


def require_manifest(folder: str | Path, verb: str) -> dict[str, Any]:
    """The manifest of a finished artifact; an error that names the command which makes it otherwise."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise CatrayError(f"{folder}: missing or unfinished (no {MANIFEST}); run `catray {verb}` first")
    return manifest
