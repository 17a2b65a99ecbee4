from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from catray import schema
from catray.encoders.encoders import Encoders, Prepared, preset_of
from catray.encoders.presets import PRESETS, ClipSpec, LexicalSpec, TextSpec
from catray.errors import CatrayError

TINY = PRESETS["tiny"]
DIMS = {"text": 32, "image": 64, "clip_text": 32, "clip_image": 32}


@pytest.fixture(scope="module")
def rows(picture: Callable[..., bytes]) -> list[dict[str, Any]]:
    """0: both, 1: no picture, 2: no text, 3: neither, 4: a broken picture, 5: as 0."""
    return [
        {"title": "Red shoe", "description": "soft", "image": picture(1)},
        {"title": "Blue bag", "description": "", "image": None},
        {"title": "", "description": None, "image": picture(2, "JPEG")},
        {"title": None, "description": " \x00", "image": b""},
        {"title": "👟 \ud800 " + "x" * 1_000_000, "image": b"broken"},
        {"title": "Red shoe", "description": "soft", "image": picture(1)},
    ]


@pytest.fixture(scope="module")
def table(tiny: Encoders, rows: list[dict[str, Any]]) -> pa.Table:
    return tiny.encode(tiny.prepare(rows))


def vectors(table: pa.Table, name: str) -> np.ndarray:
    return np.stack(table[name].to_numpy()).astype(np.float32)


def test_the_table_is_as_the_schema_says(tiny: Encoders, table: pa.Table) -> None:
    assert tiny.dims == DIMS and list(tiny.dims) == list(schema.DENSE_MODALITIES)
    keyed = table.add_column(0, "key", pa.array([f"shop/{i}" for i in range(table.num_rows)]))
    assert keyed.schema.equals(schema.embeddings(tiny.dims, lexical=True))
    keyed.validate(full=True)
    assert table.num_rows == 6 and all(column.null_count == 0 for column in table.columns)


def test_a_missing_modality_is_zeros_and_a_false_mask(table: pa.Table) -> None:
    assert table["has_text"].to_pylist() == [True, True, False, False, True, True]
    assert table["has_image"].to_pylist() == [True, False, True, False, False, True]
    for name in schema.DENSE_MODALITIES:
        mask = table[schema.MASK_OF[name]].to_numpy()
        lengths = np.linalg.norm(vectors(table, name), axis=1)
        assert np.allclose(lengths[mask], 1, atol=2e-3)  # as float16
        assert not vectors(table, name)[~mask].any()
    assert [len(ids) > 0 for ids in table["lexical"].to_pylist()] == table["has_text"].to_pylist()


def test_every_row_gets_its_own_vectors(tiny: Encoders, rows: list[dict[str, Any]], table: pa.Table) -> None:
    assert tiny.text is not None and tiny.image is not None and tiny.clip is not None
    prepared = tiny.prepare(rows)
    pixels = prepared.images["32-pad"]
    for i, text in ((0, "Red shoe. soft"), (1, "Blue bag"), (5, "Red shoe. soft")):
        assert np.allclose(vectors(table, "text")[i], tiny.text.encode([text])[0], atol=1e-3)
        assert np.allclose(vectors(table, "clip_text")[i], tiny.clip.encode_text([text])[0], atol=1e-3)
    for i, nth in ((0, 0), (2, 1), (5, 2)):
        assert np.allclose(vectors(table, "image")[i], tiny.image.encode(pixels[nth : nth + 1])[0], atol=1e-3)
        assert np.allclose(vectors(table, "clip_image")[i], tiny.clip.encode_image(pixels[nth : nth + 1])[0], atol=1e-3)
    assert table.slice(0, 1).to_pylist() == table.slice(5, 1).to_pylist()


def test_batch_size_and_packing_change_nothing(tiny: Encoders, rows: list[dict[str, Any]], table: pa.Table) -> None:
    received = tiny.encode(Prepared.unpack(tiny.prepare(rows).pack()), batch_size=2)
    assert received.schema == table.schema and received["lexical"] == table["lexical"]
    for name in schema.DENSE_MODALITIES:
        assert np.allclose(vectors(received, name), vectors(table, name), atol=1e-3)


def test_no_rows_make_an_empty_table(tiny: Encoders, table: pa.Table) -> None:
    empty = tiny.encode(tiny.prepare([]))
    assert empty.num_rows == 0 and empty.schema == table.schema
    nothing = tiny.encode(tiny.prepare([{}, {}]))
    assert nothing.num_rows == 2 and nothing.schema == table.schema and not nothing["has_text"].to_numpy().any()


def test_parts_load_only_what_is_named(rows: list[dict[str, Any]], table: pa.Table) -> None:
    light = Encoders(TINY, "cpu", "fp32", parts=("text",))
    assert light.image is None and light.clip is None and light.dims == {"text": 32}
    some = light.encode(light.prepare(rows))
    assert some.column_names == ["has_text", "has_image", "text", "lexical"]
    assert some["text"] == table["text"]
    assert set(light.describe()) == {"preset", "text", "lexical"}


def test_presets_without_a_part(rows: list[dict[str, Any]]) -> None:
    encoders = Encoders(replace(TINY, text=None, clip=None, lexical=None), "cpu", "fp32")
    found = encoders.encode(encoders.prepare(rows))
    assert found.column_names == ["has_text", "has_image", "image"] and encoders.dims == {"image": 64}
    assert set(encoders.describe()) == {"preset", "image"}


def test_preparing_needs_no_torch(python: Callable[..., str]) -> None:
    code = """
import sys
from catray.encoders.encoders import Prepared, prepare_rows
from catray.encoders.presets import PRESETS
prepared = Prepared.unpack(prepare_rows([{"title": "shoe", "image": None}], PRESETS["tiny"]).pack())
print(prepared.texts, [name for name in ("torch", "transformers", "timm", "open_clip") if name in sys.modules])
"""
    assert python(code) == "['shoe'] []\n"


# --- descriptions ----------------------------------------------------------------------------------------------------


def test_a_description_tells_what_made_the_vectors(tiny: Encoders) -> None:
    described = tiny.describe()
    assert described["preset"] == "tiny" and set(described) == {"preset", *schema.MODALITIES}
    assert described["text"] == {
        **{"source": "tiny:text", "pooling": "mean", "prefix": "", "max_length": 128},
        **{"revision": "tiny 1", "dim": 32},
    }
    assert described["image"] == {"source": "tiny:image", "size": 32, "fit": "pad", "revision": "tiny 1", "dim": 64}
    assert described["clip_text"] == described["clip_image"]
    assert described["lexical"] == {"buckets": 2**16, "words": 2, "characters": (3, 5)}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_from_a_description_in_json(name: str) -> None:
    preset = PRESETS[name]
    parts = {"text": preset.text, "image": preset.image, "clip_text": preset.clip, "clip_image": preset.clip}
    described = {"preset": name, "lexical": vars(preset.lexical)}
    for part, spec in parts.items():
        if spec is not None:
            described[part] = {**vars(spec), "revision": "any", "dim": 3}
    assert preset_of(json.loads(json.dumps(described))) == preset


def test_encoders_come_back_from_their_description(tiny: Encoders, rows: list[dict[str, Any]], table: pa.Table) -> None:
    again = Encoders.from_description(json.loads(json.dumps(tiny.describe())), "cpu", "fp32")
    assert again.preset == tiny.preset and again.describe() == tiny.describe()
    assert again.encode(again.prepare(rows)).equals(table)


def test_changed_settings_come_back_too() -> None:
    preset = replace(
        TINY,
        text=TextSpec("tiny:text", "cls", "query: ", 20),
        image=None,
        clip=ClipSpec("tiny:clip", 32, "crop"),
        lexical=LexicalSpec(100, 3, (2, 4)),
    )
    described = json.loads(json.dumps(Encoders(preset, "cpu", "fp32").describe()))
    assert Encoders.from_description(described, "cpu", "fp32").preset == preset
    assert preset_of({"preset": "mine", "text": described["text"]}).lexical is None


@pytest.mark.parametrize("name", schema.DENSE_MODALITIES)
def test_another_revision_is_refused(tiny: Encoders, name: str) -> None:
    described = json.loads(json.dumps(tiny.describe()))
    described[name]["revision"] = "tiny 0"
    part = name.split("_")[0]
    message = (
        f"{name} encoder tiny:{part}: this was made with tiny 0, here is tiny 1; "
        "install that revision, or embed and train again"
    )
    with pytest.raises(CatrayError, match=f"^{message}$"):
        Encoders.from_description(described, "cpu", "fp32", parts=(part,))
    other = "image" if part == "text" else "text"
    Encoders.from_description(described, "cpu", "fp32", parts=(other,))  # which is not the one that changed
