"""Embedding through a real local Ray with the `tiny` encoders: each product once, whatever died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from catray import schema
from catray.artifact import MANIFEST, read_manifest
from catray.config import Config
from catray.embedding.embed import embed
from catray.errors import CatrayError
from tests.embedding.conftest import write_catalog

pytestmark = pytest.mark.ray


def embeddings(config: Config) -> pa.Table:
    table = ds.dataset(sorted(config.folder("embeddings").glob("part-*.parquet"))).to_table()
    return table.sort_by("key")


def vectors(table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1).astype(np.float32)


def test_every_product_once_with_masks(ray_session: None, workspace: Config) -> None:
    manifest = embed(workspace)
    table = embeddings(workspace)
    assert manifest["products"] == manifest["embedded"] == table.num_rows == 70 and manifest["resumed"] == 0
    assert sorted(table["key"].to_pylist()) == sorted(f"shop/{i}" for i in range(70))
    expected = schema.embeddings(manifest["dims"], lexical=True)
    assert table.schema.remove_metadata().equals(expected)
    for row, text, image in zip(
        table["key"].to_pylist(), table["has_text"].to_pylist(), table["has_image"].to_pylist(), strict=True
    ):
        i = int(row.split("/")[1])
        assert text == (i % 7 != 6) and image == (i % 5 != 4)
    for name, mask in (("text", "has_text"), ("image", "has_image")):
        norms = np.linalg.norm(vectors(table, name), axis=1)
        there = np.array(table[mask].to_pylist())
        assert np.allclose(norms[there], 1, atol=2e-3) and not norms[~there].any()


def test_a_finished_run_does_nothing_and_a_changed_file_is_embedded_again(ray_session: None, workspace: Config) -> None:
    embed(workspace)
    folder = workspace.folder("embeddings")
    before = {p.name: p.stat().st_mtime_ns for p in folder.glob("part-*")}
    embed(workspace)
    assert before == {p.name: p.stat().st_mtime_ns for p in folder.glob("part-*")}

    write_catalog(workspace.folder("catalog"), products=65, shard=10)  # only the last file differs
    manifest = embed(workspace)
    changed = [p.name for p in folder.glob("part-*") if before[p.name] != p.stat().st_mtime_ns]
    assert changed == ["part-00006.parquet"] and manifest["embedded"] == 5 and manifest["resumed"] == 60
    assert embeddings(workspace).num_rows == 65

    other = workspace.model_copy(update={"embedding": workspace.embedding.model_copy(update={"precision": "bf16"})})
    assert embed(other)["embedded"] == 65


def test_torn_parts_and_leftovers_are_cleared(ray_session: None, workspace: Config) -> None:
    embed(workspace)
    folder = workspace.folder("embeddings")
    whole = embeddings(workspace)
    (folder / MANIFEST).unlink()
    part = folder / "part-00002.parquet"
    part.write_bytes(part.read_bytes()[:100])
    (folder / "part-00003.parquet.77.tmp").write_bytes(b"half")
    manifest = embed(workspace)
    assert manifest["embedded"] == 10 and manifest["resumed"] == 60
    assert not list(folder.glob("*.tmp"))
    again = embeddings(workspace)
    assert again["key"] == whole["key"] and np.allclose(vectors(again, "text"), vectors(whole, "text"), atol=2e-3)


def test_errors_teach(ray_session: None, workspace: Config, tmp_path: Path) -> None:
    with pytest.raises(CatrayError, match="run `catray ingest` first"):
        embed(workspace.model_copy(update={"workspace": str(tmp_path / "other")}))
    hub = workspace.embedding.model_copy(update={"text": "nobody/none"})
    with pytest.raises(CatrayError, match="nobody/none"):
        embed(workspace.model_copy(update={"embedding": hub}))
    cuda = workspace.embedding.model_copy(update={"device": "cuda"})
    with pytest.raises(CatrayError, match="no GPU"):
        embed(workspace.model_copy(update={"embedding": cuda}))


@pytest.mark.slow
def test_kill_9_half_way_then_again(workspace: Config, tmp_path: Path) -> None:
    write_catalog(workspace.folder("catalog"), products=2000, shard=20)
    file = tmp_path / "config.yaml"
    file.write_text(f"workspace: {workspace.workspace}\ntaxonomy: none\nembedding: {{preset: tiny, precision: fp32}}\n")
    command = [sys.executable, "-m", "catray.cli", "embed", "--config", str(file)]
    folder = workspace.folder("embeddings")
    run = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("part-*.parquet"))) < 10:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    done = len(list(folder.glob("part-*.parquet")))
    assert 10 <= done < 100 and read_manifest(folder) is None

    subprocess.run(command, check=True)
    manifest = read_manifest(folder)
    assert (
        manifest is not None and manifest["resumed"] >= done * 20 and manifest["resumed"] + manifest["embedded"] == 2000
    )
    table = embeddings(workspace)
    keys = table["key"].to_pylist()
    assert len(keys) == len(set(keys)) == 2000
    for path in folder.iterdir():
        if path.suffix == ".parquet" or path.name == MANIFEST:
            path.unlink()
    subprocess.run(command, check=True)
    unbroken = embeddings(workspace)
    assert unbroken["key"] == table["key"]
    for name in ("text", "image"):
        assert np.allclose(vectors(unbroken, name), vectors(table, name), atol=2e-3)
