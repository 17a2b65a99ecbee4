"""Settings: what a file says, what --set changes, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from catray.config import Config, SplitColumn, load_config
from catray.errors import CatrayError

BASE = "workspace: ws\ntaxonomy: t.txt\n"
FEED = """catalog:
  feeds:
    flipkart:
      files: flipkart.csv
      fields:
        product_id: "{id}"
        native_path: {column: tree, separator: ">>"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def load(file: Path, text: str, *overrides: str) -> Config:
    file.write_text(text, encoding="utf-8")
    return load_config(file, overrides)


def message(file: Path, text: str, *overrides: str) -> str:
    with pytest.raises(CatrayError) as caught:
        load(file, text, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_and_folders(file: Path) -> None:
    config = load(file, BASE)
    assert (config.seed, config.model.fusion, config.embedding.preset) == (0, "late", "compact")
    assert config.folder("models", "main") == Path("ws/models/main")


def test_a_section_whose_settings_are_all_commented_out_is_the_default(file: Path) -> None:
    assert load(file, BASE + "model:\n  # epochs: 3\n").model == Config(workspace="w", taxonomy="t").model


def test_settings_are_frozen(file: Path) -> None:
    with pytest.raises(ValidationError):
        load(file, BASE).seed = 3  # type: ignore[misc]


def test_a_category_path_is_a_column_or_templates(file: Path) -> None:
    config = load(file, BASE + FEED)
    assert config.catalog.feeds["flipkart"].fields.native_path == SplitColumn(column="tree", separator=">>")
    text = (BASE + FEED).replace('{column: tree, separator: ">>"}', '["{a}", "{b}"]')
    assert load(file, text).catalog.feeds["flipkart"].fields.native_path == ["{a}", "{b}"]


# --- variables and overrides -----------------------------------------------------------------------------------------


def test_variables_fill_texts_anywhere_and_may_use_those_above(file: Path) -> None:
    text = "variables: {root: data, year: 2024, sub: '${root}/${year}'}\nworkspace: ${sub}/ws\ntaxonomy: ${root}/t\n"
    config = load(file, text)
    assert (config.workspace, config.taxonomy) == ("data/2024/ws", "data/t")
    assert load(file, text, "root=/x").workspace == "/x/2024/ws"


def test_variables_may_be_absent_or_empty(file: Path) -> None:
    assert load(file, "variables:\n" + BASE).workspace == "ws"


def test_variable_mistakes(file: Path) -> None:
    text = "variables: {data_root: }\nworkspace: ws\ntaxonomy: ${%s}/t.txt\n"
    assert "${data_root} has no value: give it with --set data_root=..." in message(file, text % "data_root")
    assert "${data_rot} is not declared under `variables`. Did you mean 'data_root'?" in message(
        file, text % "data_rot"
    )
    assert "variables: expected a mapping, found int" in message(file, BASE + "variables: 3\n")
    late = "variables: {a: '${b}', b: x}\nworkspace: ${a}\ntaxonomy: t\n"
    assert "${b} is not declared" in message(file, late)


def test_overrides_have_the_types_of_yaml(file: Path) -> None:
    overrides = ["model.epochs=3", "model.learning_rate=1e-4", "evaluation.baseline=false", "embedding.text=null"]
    config = load(file, BASE, *overrides, "model.modalities=[text, image]", "catalog.feeds={}", "seed=7")
    assert (config.model.epochs, config.model.learning_rate, config.seed) == (3, 1e-4, 7)
    assert (config.evaluation.baseline, config.embedding.text) == (False, None)
    assert config.model.modalities == ["text", "image"]


def test_overrides_reach_into_a_feed_and_make_missing_sections(file: Path) -> None:
    config = load(file, BASE + FEED, "catalog.feeds.flipkart.enabled=false", "recategorization.hidden.file=h.csv")
    assert not config.catalog.feeds["flipkart"].enabled
    assert config.recategorization.hidden is not None and config.recategorization.hidden.file == "h.csv"


def test_the_last_override_wins(file: Path) -> None:
    assert load(file, BASE, "model.epochs=3", "model.epochs=4").model.epochs == 4


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.epochs", "--set model.epochs: expected key=value"),
        ("model.modalities=[", "--set model.modalities=[: the value is not valid YAML"),
        ("data_rot=x", "--set data_rot=...: neither a setting nor a declared variable. Did you mean 'data_root'?"),
        ("Workspace=x", "Did you mean 'workspace'?"),
        ("modle.epochs=3", "modle: unknown setting. Did you mean 'model'?"),
        ("model.epoch=3", "model.epoch: unknown setting. Did you mean 'epochs'?"),
        ("model.epochs.x=3", "model.epochs: Input should be a valid integer"),
        ("workspace.x=3", "workspace has no settings below it"),
        ("catalog.feeds.flipcart.enabled=true", "the file has no 'flipcart' there. Did you mean 'flipkart'?"),
        ("catalog.feeds.flipkart.fields.titel=x", "fields.titel: unknown setting. Did you mean 'title'?"),
    ],
)
def test_override_mistakes(file: Path, override: str, expected: str) -> None:
    assert expected in message(file, "variables: {data_root: }\n" + BASE + FEED, override)


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("taxonomy: t\n", "workspace: missing"),
        (BASE + "modle: {epochs: 3}\n", "modle: unknown setting. Did you mean 'model'?"),
        (BASE + "model: {epoch: 3}\n", "model.epoch: unknown setting. Did you mean 'epochs'?"),
        (
            BASE + FEED.replace("product_id", "productid"),
            "productid: unknown setting. Did you mean 'product_id'?",
        ),
        (BASE + FEED.replace("column", "colum"), "native_path.colum: unknown setting. Did you mean 'column'?"),
        (BASE + "catalog: {labels: {fil: x}}\n", "catalog.labels.fil: unknown setting. Did you mean 'file'?"),
        (BASE + "model: {epochs: many}\n", "model.epochs: Input should be a valid integer"),
        (BASE + "model: {fusion: middle}\n", "model.fusion: Input should be 'early' or 'late' (found 'middle')"),
        (BASE + "model: 3\n", "model: Input should be a valid dictionary"),
        (BASE + "model: {name: ../x}\n", "model.name: String should match pattern"),
        (
            BASE + "serving: {threshold: 1.5}\n",
            "threshold: Input should be less than or equal to 1 (found 1.5)",
        ),
        (BASE + "catalog: {split: {train: 0.9}}\n", "catalog.split: the shares must sum to 1, they sum to 1.1"),
        (BASE + "5: x\n", "5: Keys should be strings"),
        ("", "expected a mapping of settings, found NoneType"),
        ("- a\n", "expected a mapping of settings, found list"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_mistakes_in_the_file(file: Path, text: str, expected: str) -> None:
    assert message(file, text).startswith(f"{file}: ")
    assert expected in message(file, text)


def test_several_mistakes_are_told_at_once(file: Path) -> None:
    told = message(file, BASE + "model: {epochs: many, fusoin: late}\n")
    assert "model.epochs" in told and "'fusion'" in told


def test_a_long_value_is_cut(file: Path) -> None:
    assert len(message(file, BASE + f"model: {{epochs: {'x' * 5000}}}\n")) < 400


def test_a_missing_file_and_one_that_is_no_text(file: Path) -> None:
    with pytest.raises(CatrayError, match="no such settings file"):
        load_config(file)
    file.write_bytes(b"workspace: \xff\n")
    with pytest.raises(CatrayError, match="byte 11 is not UTF-8"):
        load_config(file)


def test_the_shipped_settings_load() -> None:
    found = 0
    for shipped in (Path(__file__).parents[1] / "configs").glob("*.yaml"):
        text = shipped.read_text(encoding="utf-8")
        if "\nworkspace:" in text:  # the others are of Ray's own schemas
            load_config(shipped, ["data_root=data"] if "data_root:" in text else [])
            found += 1
    assert found
