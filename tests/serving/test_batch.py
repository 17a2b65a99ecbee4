import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catray import schema
from catray.artifact import write_manifest
from catray.config import Config
from catray.errors import CatrayError
from catray.serving import batch
from catray.serving.batch import predict
from catray.serving.predictor import Predictor


@pytest.fixture(scope="module")
def written(ray_session: None, workspace: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    folder = tmp_path_factory.mktemp("predictions")
    yield folder, predict(workspace, folder / "deep" / "all.parquet")


@pytest.mark.ray
def test_every_product_once_in_the_order_of_the_keys(written, workspace, products, model_folder) -> None:
    folder, counts = written
    table = pq.read_table(folder / "deep" / "all.parquet")
    assert table.schema.equals(schema.PREDICTIONS)
    assert table["key"].to_pylist() == sorted(row["key"] for row in products)
    assert counts["products"] == len(products) == counts["accepted"] + counts["abstained"]
    assert counts["text"] + counts["full"] == counts["accepted"] and counts["text"] and counts["full"]
    assert counts["abstained"] == 1
    assert [file.name for file in (folder / "deep").iterdir()] == ["all.parquet"]  # no part, no temporary file
    # the predictor says the same of the raw products
    predictor = Predictor(model_folder, "cpu", "fp32")
    embedded = predictor.embed(products).add_column(0, "key", pa.array([row["key"] for row in products]))
    fresh = {row["key"]: row for row in predictor.categorize(embedded, 0.5).to_pylist()}
    for row in table.to_pylist():
        assert row["path"] == fresh[row["key"]]["path"]
        assert row["probability"] == pytest.approx(fresh[row["key"]]["probability"], abs=1e-3)


def test_csv_and_json_lines_say_the_same(tmp_path) -> None:
    rows = [
        {"key": "a/1", "path": ["Größe", 'A "b", c'], "node_id": "n", "probability": 0.123456789, "stage": "text"},
        {"key": "a/2", "path": None, "node_id": None, "probability": 0.0, "stage": None},
    ]
    rows[0] |= {"level_probabilities": [0.5, 1 / 3], "decision": "accepted"}
    rows[1] |= {"level_probabilities": [], "decision": "abstained"}
    table = pa.Table.from_pylist(rows, schema=schema.PREDICTIONS)
    for suffix in (".csv", ".jsonl"):
        path = tmp_path / f"p{suffix}"
        batch._writer(path)(table, path)
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        as_csv = list(csv.DictReader(file))
    as_json = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()]
    for row, c, j in zip(rows, as_csv, as_json, strict=True):
        assert c["key"] == j["key"] == row["key"]
        assert c["path"] == " > ".join(row["path"] or []) and j["path"] == row["path"]
        assert c["decision"] == j["decision"] == row["decision"] and j["stage"] == row["stage"]
        assert float(c["probability"]) == pytest.approx(row["probability"], rel=1e-5)
        assert json.loads(c["level_probabilities"]) == j["level_probabilities"]
        assert j["level_probabilities"] == pytest.approx(row["level_probabilities"], rel=1e-5)


def test_wrong_outputs_and_missing_artifacts(workspace, tmp_path) -> None:
    with pytest.raises(CatrayError, match=r"\.parquet, \.csv, \.jsonl"):
        predict(workspace, tmp_path / "p.xlsx")
    with pytest.raises(CatrayError, match="run `catray train` first"):
        predict(workspace, tmp_path / "p.csv", tmp_path / "none")
    empty = workspace.model_copy(update={"workspace": str(tmp_path)})
    with pytest.raises(CatrayError, match="run `catray embed` first"):
        predict(empty, tmp_path / "p.csv", workspace.folder("models", "main"))
    assert not list(tmp_path.iterdir())


def test_embeddings_of_other_encoders(workspace: Config, tmp_path: Path) -> None:
    shutil.copytree(workspace.workspace, tmp_path / "w")
    path = tmp_path / "w" / "embeddings" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["encoders"]["text"]["revision"] = "another"
    write_manifest(path.parent, **{k: v for k, v in manifest.items() if k in ("products", "encoders", "dims")})
    with pytest.raises(CatrayError, match=r"text embeddings of tiny:text .*tiny:text another; embed again"):
        predict(workspace.model_copy(update={"workspace": str(tmp_path / "w")}), tmp_path / "p.csv")


def test_lost_and_doubled_products_are_noticed() -> None:
    batch._check_rows(pa.chunked_array([["a"], ["b"]]), 2)
    for keys, rows_in in ((["a", "a"], 2), (["a"], 2), (["a", "b"], 1)):
        with pytest.raises(RuntimeError, match="lost or doubled"):
            batch._check_rows(pa.chunked_array([keys]), rows_in)
