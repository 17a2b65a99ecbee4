"""The model card: what went in, what came out, and what it should not be used for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from catray import __version__
from catray.config import Config, ModelConfig
from catray.taxonomy import Taxonomy
from catray.training.card import model_card

TREE = Taxonomy.from_paths([("Shoes", "Boots"), ("Shoes", "Sandals"), ("Bags",), ("Tops", "Knits", "Wool")])
MODEL = ModelConfig(
    name="winter", fusion="early", hidden=48, dropout=0.15, modality_dropout=0.25, epochs=17, patience=4, batch_size=96,
    learning_rate=0.00234, weight_decay=0.0321, modalities=["text", "clip_image"],
)  # fmt: skip
CONFIG = Config(workspace="/secret/place", taxonomy="/secret/tree.txt", seed=77, model=MODEL)
EMBEDDINGS = {
    "encoders": {
        "preset": "tiny",
        "text": {"source": "intfloat/e5", "revision": "abc123", "dim": 384},
        "clip": {"source": "openclip/b32", "dim": 512},
        "lexical": {"buckets": 4096},
        "image": "drawn by hand",
    }
}
METRICS: dict[str, Any] = {
    "rows": {
        "train": {"labelled": 12_345, "leaf": 12_000, "leaves": 3},
        "val": {"labelled": 678, "leaf": 600, "leaves": 2},
    },
    "text": {"hF": 0.81234, "exact_path": 0.71111, "leaf_macro_f1": 0.60606, "loss": 1.23456, "epochs": 9,
             "temperature": 1.87},
    "full": {"hF": 0.91234, "exact_path": 0.85555, "leaf_macro_f1": 0.77777, "loss": 0.65432, "epochs": 12,
             "temperature": 2.34},
    "seconds": 61.7,
}  # fmt: skip


def card(metrics: dict[str, Any] = METRICS, modalities: tuple[str, ...] = ("text", "clip_image"), **other: Any) -> str:
    catalog = other.pop("catalog", {"products": 23_456})
    return model_card(CONFIG, TREE, catalog, EMBEDDINGS, list(modalities), metrics)


def tables(text: str) -> list[list[list[str]]]:
    """[tables][rows][cells], the line of dashes kept."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_the_tables_are_whole() -> None:
    assert len(tables(card())) == 4
    for table in tables(card()):
        assert {len(row) for row in table} == {len(table[0])} and set("".join(table[1])) <= {"-"}


def test_what_it_was_trained_on() -> None:
    text = card()
    assert text.startswith("# Model `winter`\n")
    assert "a taxonomy of 7 nodes (4 leaves, 3 levels" in text and TREE.hash in text
    assert f"catray {__version__} in 62 s" in text and "The catalog holds 23,456 products." in text
    data = tables(text)[0]
    assert data[2:] == [["train", "12,345", "12,000", "3"], ["val", "678", "600", "2"]]


def test_the_encoders_of_the_modalities() -> None:
    assert tables(card(modalities=("text", "clip_image", "lexical", "image")))[1][2:] == [
        ["text", "source intfloat/e5, revision abc123, dim 384"],
        ["clip_image", "source openclip/b32, dim 512"],  # one encoder makes both of clip's
        ["lexical", "buckets 4096"],
        ["image", "drawn by hand"],
    ]
    unknown = model_card(CONFIG, TREE, {}, {"encoders": {}}, ["text"], METRICS)
    assert tables(unknown)[1][2:] == [["text", "unknown"]]


def test_every_setting_is_there() -> None:
    settings = dict(tables(card())[2][2:])  # type: ignore[arg-type]
    assert settings.pop("seed") == "77"
    assert settings == {key: str(value) for key, value in MODEL.model_dump().items()}
    assert "/secret" not in card()  # places on somebody's disk are no settings of the model


def test_the_figures_of_both_heads() -> None:
    header, _, *rows = tables(card())[3]
    assert header[1:] == ["text", "full"]
    assert rows == [
        ["hierarchical F1", "0.8123", "0.9123"],
        ["exact path", "0.7111", "0.8556"],
        ["leaf macro-F1", "0.6061", "0.7778"],
        ["loss (nats)", "1.2346", "0.6543"],
        ["epochs", "9", "12"],
    ]


def test_a_model_of_one_head() -> None:
    metrics = {key: value for key, value in METRICS.items() if key != "text"}
    header, dashes, *rows = tables(card(metrics, ("image",)))[3]
    assert header[1:] == ["full"] and len(dashes) == 2
    assert [row[1] for row in rows] == ["0.9123", "0.8556", "0.7778", "0.6543", "12"]


@pytest.mark.parametrize("said", ["whose texts or pictures differ", "no place in the taxonomy", "calibrated"])
def test_it_says_its_limits(said: str) -> None:
    limits = card().split("## Limits")[1]
    assert said in limits


def test_the_limits_count_leaves_without_products() -> None:
    assert re.search(r"- 1 leaves of the taxonomy have no training product", card())
    rows = {"train": {"labelled": 9, "leaf": 9, "leaves": 1}, "val": METRICS["rows"]["val"]}
    assert re.search(r"- 3 leaves of the taxonomy have no training product", card(METRICS | {"rows": rows}))


def test_the_validation_figures_are_not_sold_as_more() -> None:
    assert "these figures flatter" in card() and "catray evaluate" in card()
