from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from catray.encoders import tiny
from catray.encoders.sources import content_hash
from catray.errors import CatrayError

BUILDERS = {"text": tiny.build_text, "image": tiny.build_image, "clip": tiny.build_clip}


@pytest.mark.parametrize("part", BUILDERS)
def test_a_model_is_the_same_wherever_it_is_made(part: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        BUILDERS[part](tmp_path / name)
    assert content_hash(tmp_path / "one") == content_hash(tmp_path / "two")
    assert torch.equal(torch.rand(4), expected)  # the caller's random numbers are not disturbed


def test_made_once_in_the_cache_under_its_revision(empty_cache: Path) -> None:
    folder = tiny.directory("image")
    assert folder.parent == empty_cache and folder.name == "tiny-1-image"
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert tiny.directory("image") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made


def test_an_unknown_part_names_those_there_are() -> None:
    with pytest.raises(CatrayError, match="tiny:audio: no such model \\(there are: text, image, clip\\)"):
        tiny.directory("audio")


def test_the_families_own_loaders_take_them() -> None:
    import open_clip
    import timm
    import transformers

    text = tiny.directory("text")
    tokens = transformers.AutoTokenizer.from_pretrained(text)(["ab", "longer"], padding=True, return_tensors="pt")
    assert transformers.AutoModel.from_pretrained(text)(**tokens).last_hidden_state.shape[::2] == (2, 32)
    image = timm.create_model(f"local-dir:{tiny.directory('image')}", pretrained=True).eval()
    assert image(torch.zeros(1, 3, tiny.SIZE, tiny.SIZE)).shape == (1, 64)
    clip = open_clip.create_model(f"local-dir:{tiny.directory('clip')}", require_pretrained=True)
    assert clip.encode_image(torch.zeros(1, 3, tiny.SIZE, tiny.SIZE)).shape == (1, 32)


def test_the_tokenizer_loses_nothing() -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny.directory("text"))
    text = " red shoe, größe 42 · 靴 👟"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text.strip()
    assert np.diff([ids[0], ids[-1]]) == [2]  # <s> ... </s>
