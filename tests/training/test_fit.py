"""Training through Ray Train on a tiny workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import torch

from catray import schema
from catray.artifact import require_manifest
from catray.config import Config
from catray.errors import CatrayError
from catray.fusion.batch import Batch
from catray.fusion.model import FILES, Model
from catray.taxonomy import read_taxonomy
from catray.training.fit import fit, train_model


def changed(config: Config, **model: object) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=model)})


def train_here(config: Config) -> tuple[Model, dict]:
    """What a worker does, without Ray."""
    manifest = json.loads((Path(config.workspace) / "embeddings" / "manifest.json").read_text())
    return train_model(config, read_taxonomy(config.taxonomy), manifest, ["text", "image", "lexical"])


@pytest.mark.ray
def test_fit_writes_a_model_that_predicts(workspace: Config, ray_session: None) -> None:
    metrics = fit(workspace)
    folder = workspace.folder("models", "main")
    names = {*FILES, "metrics.json", "README.md", "manifest.json"}
    assert {file.name for file in folder.iterdir()} == names
    assert [file.name for file in folder.parent.iterdir()] == ["main"]  # Ray's own files are gone
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert metrics["full"]["hF"] > 0.95 and metrics["text"]["hF"] > 0.8
    assert require_manifest(folder, "train")["rows"]["train"]["labelled"] > 100
    card = (folder / "README.md").read_text()
    assert "hierarchical F1" in card and str(Path(workspace.workspace)) not in card

    model = Model.load(folder)
    table = ds.dataset(sorted(map(str, workspace.folder("embeddings").glob("*.parquet")))).to_table()
    batch = Batch.from_table(table, model.modalities)
    prediction = model.predict(batch, "full")
    nothing = ~(table["has_text"].to_numpy() | table["has_image"].to_numpy())
    assert nothing.sum() >= 1 and ((prediction.nodes == -1) == nothing).all()
    no_text = ~table["has_text"].to_numpy()
    assert ((model.predict(batch, "text").nodes == -1) == no_text).all()

    # without Ray the same loop gives the same weights: so does a second run
    again, _ = train_here(workspace)
    for name, tensor in model.state().items():
        assert torch.equal(tensor, again.state()[name]), name


@pytest.mark.ray
def test_two_workers_give_a_model_as_good(workspace: Config, ray_session: None) -> None:
    metrics = fit(changed(workspace, workers=2))
    assert metrics["full"]["hF"] > 0.95


@pytest.mark.ray
def test_a_worker_error_is_one_line(workspace: Config, ray_session: None) -> None:
    part = workspace.folder("embeddings") / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-50])
    with pytest.raises(CatrayError, match="training failed: ") as caught:
        fit(workspace)
    assert "\n" not in str(caught.value)
    assert not any(workspace.folder("models").iterdir())


@pytest.mark.ray
def test_more_workers_than_the_cluster_holds(workspace: Config, ray_session: None) -> None:
    with pytest.raises(CatrayError, match=r"model.workers is 64, but the cluster has 2 CPUs"):
        fit(changed(workspace, workers=64))


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_same_seed_same_weights(workspace: Config, fusion: str) -> None:
    config = changed(workspace, fusion=fusion, epochs=3)
    first, second = train_here(config)[0].state(), train_here(config)[0].state()
    other = train_here(config.model_copy(update={"seed": 1}))[0].state()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_both_fusions_learn(workspace: Config) -> None:
    for fusion in ("early", "late"):
        _, outcome = train_here(changed(workspace, fusion=fusion))
        assert outcome["val"]["full"]["hF"] > 0.95
        assert outcome["left_out"]["text"]["train"] > 0


def relabel(config: Config, column: str, change) -> None:  # type: ignore[no-untyped-def]
    for file in config.folder("catalog").glob("*.parquet"):
        table = pa.parquet.read_table(file)
        rows = [change(row) for row in table.select(["path", "split"]).to_pylist()]
        index = table.schema.get_field_index(column)
        values = pa.array([row[column] for row in rows], schema.CATALOG.field(column).type)
        pa.parquet.write_table(table.set_column(index, schema.CATALOG.field(column), values), file)


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_split(workspace: Config, split: str) -> None:
    relabel(workspace, "split", lambda row: row | {"split": "test" if row["split"] == split else row["split"]})
    with pytest.raises(CatrayError, match=f"no labelled product in the {split} split"):
        fit(workspace)


def test_no_leaf_label(workspace: Config) -> None:
    relabel(workspace, "path", lambda row: row | {"path": ["Clothes"]})
    with pytest.raises(CatrayError, match="labelled down to a leaf"):
        fit(workspace)


def test_what_is_missing_is_named(workspace: Config, tmp_path: Path) -> None:
    with pytest.raises(CatrayError, match="catray ingest"):
        fit(workspace.model_copy(update={"workspace": str(tmp_path / "nowhere")}))
    with pytest.raises(CatrayError, match=r"model.modalities: the embeddings hold no clip_text"):
        fit(changed(workspace, modalities=["text", "clip_text"]))
    (workspace.folder("embeddings") / "manifest.json").unlink()
    with pytest.raises(CatrayError, match="catray embed"):
        fit(workspace)
