from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catray import schema
from catray.config import Config
from catray.encoders.encoders import prepare_rows
from catray.encoders.presets import PRESETS
from catray.errors import CatrayError
from catray.serving.predictor import Predictor, merge


@pytest.fixture(scope="module")
def predictor(model_folder: Path) -> Predictor:
    return Predictor(model_folder, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def embedded(workspace: Config) -> pa.Table:
    files = sorted(workspace.folder("embeddings").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(file) for file in files])


def test_embeds_as_the_workspace_has_it(predictor, embedded, products) -> None:
    table = predictor.embed(products)
    for name in ("text", "image", "clip_text", "clip_image"):
        ours, stored = (np.stack(t[name].to_pylist()) for t in (table, embedded))
        assert np.allclose(ours, stored, atol=2e-3)
    assert table["lexical"].to_pylist() == embedded["lexical"].to_pylist()


def test_the_text_stage_loads_no_image_encoder_and_sees_no_image(model_folder, predictor, embedded) -> None:
    light = Predictor(model_folder, device="cpu", precision="fp32", stages=("text",))
    assert "image" not in light.reads and "clip_image" not in light.reads
    assert light.encoders.image is None and light.encoders.text is not None
    answers = light.predict(embedded, "text")
    assert [a.node if a else None for a in answers] == [
        a.node if a else None for a in predictor.predict(embedded, "text")
    ]
    assert [a is None for a in answers] == [not there for there in embedded["has_text"].to_pylist()]
    with pytest.raises(CatrayError, match="without the full stage"):
        light.predict(embedded, "full")


def test_alternatives_are_the_next_leaves(predictor, embedded) -> None:
    taxonomy = predictor.model.taxonomy
    for answer in predictor.predict(embedded, "full", top_k=99):
        if answer is None:
            continue
        nodes = [answer.node, *(node for node, _ in answer.alternatives)]
        assert sorted(nodes) == np.flatnonzero(taxonomy.is_leaf).tolist()
        chances = [answer.probability, *(p for _, p in answer.alternatives)]
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) == pytest.approx(1, abs=1e-4)
        assert np.prod(answer.levels) == pytest.approx(answer.probability, abs=1e-5)
    assert all(len(a.alternatives) == 2 for a in predictor.predict(embedded, "full", top_k=2) if a)


def test_the_cascade_as_a_table(predictor, embedded) -> None:
    text, full = (predictor.predict(embedded, stage) for stage in ("text", "full"))
    table = predictor.categorize(embedded, threshold=0.5)
    assert table.schema == schema.PREDICTIONS
    assert table["key"].to_pylist() == embedded["key"].to_pylist()
    seen = set()
    for row, t, f, image in zip(table.to_pylist(), text, full, embedded["has_image"].to_pylist(), strict=True):
        seen.add(row["stage"])
        if t is None and not image:
            assert row["decision"] == "abstained" and row["path"] is row["node_id"] is row["stage"] is None
            assert row["probability"] == 0 and row["level_probabilities"] == []
            continue
        stage, answer = ("text", t) if t and (t.probability >= 0.5 or not image) else ("full", f)
        assert row["decision"] == "accepted" and row["stage"] == stage
        assert row["path"] == list(predictor.model.taxonomy.path(answer.node))
        assert row["node_id"] == predictor.model.taxonomy.ids[answer.node]
        assert row["probability"] == pytest.approx(answer.probability, abs=1e-5)
        assert len(row["level_probabilities"]) == len(row["path"])
    assert seen == {"text", "full", None}
    assert predictor.categorize(embedded.slice(0, 0), 0.5).num_rows == 0


def test_an_answer_does_not_depend_on_its_batch(predictor, products) -> None:
    together = predictor.predict(predictor.embed(products), "full")
    prepared = [prepare_rows([row], PRESETS["tiny"]) for row in products]
    shuffled = [7, 31, 0, 12, 33]
    few = predictor.predict(predictor.embed(merge([prepared[i] for i in shuffled])), "full")
    for i, some in zip(shuffled, few, strict=True):
        (alone,) = predictor.predict(predictor.embed(merge([prepared[i]])), "full")
        for other in (some, alone):
            assert other.node == together[i].node
            assert other.probability == pytest.approx(together[i].probability, abs=1e-3)


def test_a_folder_without_a_model(tmp_path) -> None:
    with pytest.raises(CatrayError, match="no model"):
        Predictor(tmp_path)
