from __future__ import annotations

from pathlib import Path

import pytest

from catray.artifact import config_hash, read_manifest, require_manifest, write_json, write_manifest
from catray.config import EmbeddingConfig
from catray.errors import CatrayError


def test_an_artifact_without_manifest_is_unfinished(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    with pytest.raises(CatrayError, match="run `catray embed` first"):
        require_manifest(tmp_path, "embed")
    written = write_manifest(tmp_path, products=3)
    assert read_manifest(tmp_path) == require_manifest(tmp_path, "embed") == written
    assert written["products"] == 3 and written["catray"]


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"schema_version": 0})
    with pytest.raises(CatrayError, match="schema version 0"):
        read_manifest(tmp_path)


def test_config_hash_follows_the_settings() -> None:
    assert config_hash(EmbeddingConfig(), 1) == config_hash(EmbeddingConfig(), 1)
    assert config_hash(EmbeddingConfig(), 1) != config_hash(EmbeddingConfig(batch_size=8), 1)


def test_write_json_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"ü": 1})
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.json"]
