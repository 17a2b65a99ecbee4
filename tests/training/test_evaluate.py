"""Evaluation of a small trained model: figures recomputed from what was written, and every precondition."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from catray import schema
from catray.artifact import read_manifest, write_manifest
from catray.config import Config
from catray.errors import CatrayError
from catray.evaluation import metrics
from catray.fusion.batch import Batch
from catray.serving.cascade import answers
from catray.taxonomy import read_taxonomy
from catray.training.evaluate import evaluate
from catray.training.fit import train_model

HOSTILE = "<script>document.title='taken'</script>"


def rewrite(config: Config, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> None:
    for file in sorted(config.folder("catalog").glob("*.parquet")):
        rows = [change(i, row) for i, row in enumerate(pq.read_table(file).to_pylist())]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema.CATALOG), file)


def dress(i: int, row: dict[str, Any]) -> dict[str, Any]:
    """A title that mostly tells the path, a description for some, a picture for some, a broken one."""
    name = (row["path"] or ["thing"])[-1] if i % 9 else "thing"
    out = io.BytesIO()
    Image.new("RGB", (200, 100), (i % 256, 80, 80)).save(out, "JPEG")
    image = None if i % 5 == 4 else b"broken" if i % 31 == 0 else out.getvalue()
    description = f"a fine {name.lower()}" if i % 2 else ""
    split = ("train", "test", "train", "val", "train")[i // 5 % 5]  # not by i % 5: that decides who has a picture
    return row | {
        "split": split,
        "title": HOSTILE if i % 17 == 0 else f"{name} {i}",
        "description": description,
        "image": image,
    }


def change(config: Config, section: str, **values: Any) -> Config:
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})


def with_model(config: Config, modalities: list[str]) -> Config:
    embeddings = read_manifest(config.folder("embeddings"))
    assert embeddings is not None
    model, _ = train_model(change(config, "model", epochs=3), read_taxonomy(config.taxonomy), embeddings, modalities)
    folder = config.folder("models", "main")
    model.save(folder)
    write_manifest(folder, rows={})
    return change(config, "evaluation", bootstrap=50, examples=4)


@pytest.fixture
def trained(workspace: Config) -> Config:
    rewrite(workspace, dress)
    return with_model(workspace, ["text", "image", "lexical"])


def catalog(config: Config) -> pa.Table:
    return ds.dataset([str(file) for file in config.folder("catalog").glob("*.parquet")]).to_table()


def test_what_is_written_agrees(trained: Config) -> None:
    result = evaluate(trained)
    folder = trained.folder("evaluation", "main")
    assert {file.name for file in folder.iterdir()} == {
        "metrics.json",
        "predictions.parquet",
        "report.html",
        "manifest.json",
    }
    written = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in written["rows"]] == ["text", "full", "cascade", "tfidf_svm"]

    predictions = pq.read_table(folder / "predictions.parquet")
    assert predictions.schema == schema.PREDICTIONS
    truth = {row["key"]: row["path"] for row in catalog(trained).to_pylist() if row["split"] == "test" and row["path"]}
    assert set(predictions["key"].to_pylist()) == set(truth) and predictions.num_rows == len(truth) == written["n"]

    taxonomy = read_taxonomy(trained.taxonomy)
    rows = predictions.to_pylist()
    nodes = np.array([taxonomy.index(row["path"]) if row["path"] else -1 for row in rows])
    scores = metrics.evaluate(taxonomy, np.array([taxonomy.index(truth[row["key"]]) for row in rows]), nodes)
    cascade = written["rows"][2]
    for score in ("hF", "hP", "hR", "exact_path", "leaf_macro_f1"):
        assert cascade[score] == pytest.approx(scores[score])
    low, high = cascade["intervals"]["hF"]
    assert 0 <= low <= cascade["hF"] <= high <= 1
    assert cascade["hF"] > 0.7
    for row in rows:
        assert (row["decision"] == "abstained") == (row["path"] is None) == (row["stage"] is None)
        assert row["probability"] == pytest.approx(np.prod(row["level_probabilities"]), rel=1e-3) or not row["path"]
        assert row["node_id"] is None or taxonomy.path(taxonomy.ids.index(row["node_id"])) == tuple(row["path"])
    assert sum(shop["n"] for shop in written["platforms"]) == written["n"] and len(written["platforms"]) == 3
    share = np.mean([row["stage"] == "text" for row in rows])
    assert written["cascade"]["text_share"] == pytest.approx(share)

    assert result["summary"]["headers"][:2] == ["model", "hF"] and len(result["summary"]["rows"]) == 4
    assert all(isinstance(cell, str) for row in result["summary"]["rows"] for cell in row)
    assert result["summary"]["rows"][2][1] == f"{cascade['hF']:.4f}"
    manifest = read_manifest(folder)
    assert manifest is not None and manifest["products"] == written["n"]

    html = (folder / "report.html").read_text(encoding="utf-8")
    assert HOSTILE not in html and "data:image/webp;base64," in html
    assert trained.workspace not in html


def test_the_cascade_is_that_of_the_service(trained: Config) -> None:
    from catray.fusion.model import Model

    config = change(trained, "serving", threshold=0.8)
    evaluate(config)
    rows = pq.read_table(config.folder("evaluation", "main") / "predictions.parquet").to_pylist()
    embeddings = ds.dataset([str(file) for file in config.folder("embeddings").glob("*.parquet")]).to_table()
    place = {key: i for i, key in enumerate(embeddings["key"].to_pylist())}
    table = embeddings.take([place[row["key"]] for row in rows])
    model = Model.load(config.folder("models", "main"))
    text = model.predict(Batch.from_table(table, model.modalities), "text")
    stages = set()
    for i, row in enumerate(rows):
        has_text, has_image = table["has_text"][i].as_py(), table["has_image"][i].as_py()
        stage = answers(
            has_text=has_text,
            has_image=has_image,
            probability=float(text.probability[i]) if text.nodes[i] >= 0 else None,
            threshold=0.8,
        )
        assert row["stage"] == stage
        stages.add((stage, has_text, has_image))
    assert len(stages) >= 4  # each way through the cascade was there


def test_the_same_twice_and_without_extras(trained: Config) -> None:
    plain = change(trained, "evaluation", baseline=False, bootstrap=0, examples=0, split="val")
    first, second = evaluate(plain), evaluate(plain)
    assert first == second
    assert [row["name"] for row in first["rows"]] == ["text", "full", "cascade"] and first["gain"] is None
    assert first["split"] == "val" and not first["rows"][0]["intervals"]


@pytest.mark.parametrize(("modalities", "stages"), [(["image"], {"full", None}), (["text", "lexical"], {"text", None})])
def test_a_model_of_one_side_only(workspace: Config, modalities: list[str], stages: set[str | None]) -> None:
    rewrite(workspace, dress)
    config = with_model(workspace, modalities)
    evaluate(config)
    found = pq.read_table(config.folder("evaluation", "main") / "predictions.parquet")["stage"].to_pylist()
    assert set(found) == stages


def test_what_is_missing_is_named(workspace: Config) -> None:
    with pytest.raises(CatrayError, match=r"models/main.*catray train"):
        evaluate(workspace)
    (workspace.folder("embeddings") / "manifest.json").unlink()
    with pytest.raises(CatrayError, match=r"embeddings.*catray embed"):
        evaluate(workspace)


def test_an_empty_split(trained: Config) -> None:
    rewrite(trained, lambda i, row: row | {"split": "val" if row["split"] == "test" else row["split"]})
    with pytest.raises(CatrayError, match="no labelled product in the test split"):
        evaluate(trained)


def test_other_encoders(trained: Config) -> None:
    folder = trained.folder("embeddings")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["encoders"]["text"]["source"] = "another"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CatrayError, match=r"other encoders than the model's \(text\)"):
        evaluate(trained)


def test_another_taxonomy(trained: Config) -> None:
    with open(trained.taxonomy, "a", encoding="utf-8") as file:
        file.write("Hats\n")
    with pytest.raises(CatrayError, match="trained on another taxonomy"):
        evaluate(trained)


def test_an_unfinished_evaluation_has_no_manifest(trained: Config) -> None:
    evaluate(trained)
    manifest = trained.folder("evaluation", "main") / "manifest.json"
    assert manifest.is_file()
    blocked = trained.folder("evaluation", "main") / "metrics.json"
    blocked.unlink()
    blocked.mkdir()  # the write fails half-way
    with pytest.raises(OSError):
        evaluate(trained)
    assert not manifest.exists()
