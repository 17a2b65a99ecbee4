"""Loaded encoders, drawn pictures and other Python processes, shared by the tests of the encoders."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catray.encoders.encoders import Encoders
from catray.encoders.presets import PRESETS


def encode_picture(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def draw(seed: int = 0, kind: str = "PNG", size: tuple[int, int] = (48, 64), mode: str = "RGB") -> bytes:
    """A picture of large soft patches, another one for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return encode_picture(Image.fromarray(pixels).resize(size).convert(mode), kind)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The networks are small: threads that wait for a core, on a busy machine, would cost many times their work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """encoded(image, kind="PNG", **options) -> bytes"""
    return encode_picture


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """picture(seed=0, kind="PNG", size=(48, 64), mode="RGB") -> bytes"""
    return draw


@pytest.fixture(scope="session")
def tiny() -> Encoders:
    return Encoders(PRESETS["tiny"], "cpu", "fp32")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, not there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CATRAY_CACHE", str(folder))
    return folder


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An empty cache of the Hugging Face hub; put(repository, {file: text}, commit) -> the snapshot's folder."""
    hub = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))

    def put(repository: str, files: dict[str, str], commit: str) -> Path:
        folder = hub / f"models--{repository.replace('/', '--')}"
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
        for name, text in files.items():
            (snapshot / name).write_text(text)
        return snapshot

    return put


@pytest.fixture(scope="session")
def python() -> Callable[..., str]:
    """python(code, **environment) -> what the code prints in a process of its own."""

    def run(code: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
