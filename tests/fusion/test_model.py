"""Both heads together: predicting, abstaining, and a folder on disk that is right or says what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from catray.config import ModelConfig
from catray.errors import CatrayError
from catray.fusion.batch import Batch
from catray.fusion.early import Early
from catray.fusion.late import Late
from catray.fusion.model import FILES, FORMAT, Model, Prediction
from catray.fusion.trunk import DenseView, Inputs, LexicalSize, LexicalView
from catray.taxonomy import Taxonomy, read_taxonomy

TREE = Taxonomy.from_paths(
    [
        ("Shoes", "Boots", "Rain"),
        ("Shoes", "Boots", "Snow"),
        ("Shoes", "Sandals"),
        ("Bags",),
        ("Tops", "Knits"),
        ("Tops", "Shirts"),
    ]
)
BUCKETS = 50
INPUTS = Inputs({"text": 6, "image": 5, "clip_text": 4, "clip_image": 4}, LexicalSize(BUCKETS, 21))
ENCODERS = {"preset": "tiny", "text": {"source": "e5", "revision": None, "dim": 6}}
STAGES = ("text", "full")
FUSIONS = ("early", "late")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These sums are tiny: on a busy machine several threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(fusion: str = "late", inputs: Inputs = INPUTS, seed: int = 0, tree: Taxonomy = TREE) -> Model:
    """A model with nothing left at its initial value, as after training."""
    torch.manual_seed(seed)
    config = ModelConfig(fusion=fusion, hidden=12, modality_dropout=0.3, dropout=0.2)
    model = Model(tree, config, ENCODERS, inputs)
    model.temperature = {"text": 1.25, "full": 0.8}
    with torch.no_grad():
        for head in (model.text, model.full):
            if head is None:
                continue
            for parameter in head.parameters():
                parameter.add_((0.5 if parameter.ndim > 1 else 0.1) * torch.randn_like(parameter))
            for view in head.views.views.values():
                if isinstance(view, DenseView):
                    view.fit(torch.randn(20, len(view.mean)) + 1)
                elif isinstance(view, LexicalView):
                    view.fit(torch.arange(BUCKETS) % 21, torch.linspace(0, 2, 21))
    return model


def products(count: int, inputs: Inputs = INPUTS, seed: int = 0) -> Batch:
    """Texts and pictures are there or not as a whole; of the first four one has both, text, picture, nothing."""
    generator = torch.Generator().manual_seed(seed)
    has_text, has_image = torch.rand(2, count, generator=generator) < 0.7
    has_text[:4], has_image[:4] = torch.tensor([1, 1, 0, 0]).bool(), torch.tensor([1, 0, 1, 0]).bool()
    dense = {name: torch.randn(count, dim, generator=generator) for name, dim in inputs.dims.items()}
    mask = {name: has_image if "image" in name else has_text for name in inputs.modalities}
    lexical = None
    if inputs.lexical:
        ids = torch.randint(BUCKETS, (3 * count,), generator=generator)
        lexical = (ids, 3 * torch.arange(count))
    return Batch(dense, mask, lexical)


def assert_same(one: Prediction, other: Prediction, exact: bool = True) -> None:
    close = np.array_equal if exact else lambda a, b: np.allclose(a, b, atol=1e-5)
    assert np.array_equal(one.nodes, other.nodes) and close(one.probability, other.probability)
    assert [len(levels) for levels in one.level_probabilities] == [len(levels) for levels in other.level_probabilities]
    assert close(np.concatenate(one.level_probabilities), np.concatenate(other.level_probabilities))


# --- predicting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("decoding", ["joint", "greedy"])
def test_a_prediction_is_a_leaf_with_its_probabilities(fusion: str, stage: str, decoding: str) -> None:
    batch = products(200)
    found = make(fusion).predict(batch, stage, decoding=decoding, log_joint=True)
    said = batch.mask["text"].numpy() | ((stage == "full") & batch.mask["image"].numpy())
    assert 0 < said.sum() < 200 and found.nodes.dtype == np.int64 and found.probability.dtype == np.float32
    assert np.array_equal(found.nodes >= 0, said)
    assert len(np.unique(found.nodes[said])) > 2  # not one answer for all
    assert found.log_joint is not None and found.log_joint.shape == (200, len(TREE))
    for i in np.flatnonzero(said).tolist():
        node, levels = int(found.nodes[i]), found.level_probabilities[i]
        assert TREE.is_leaf[node] and len(levels) == TREE.level[node]
        assert all(0 < p <= 1 + 1e-6 for p in levels)
        assert np.prod(levels) == pytest.approx(found.probability[i], rel=1e-4)
        assert np.exp(found.log_joint[i, node]) == pytest.approx(found.probability[i], rel=1e-4)
        for level, above in enumerate(TREE.ancestors(node), 1):
            assert np.prod(levels[:level]) == pytest.approx(np.exp(found.log_joint[i, above]), rel=1e-4)
        best = np.exp(found.log_joint[i, TREE.is_leaf].max())
        assert found.probability[i] == pytest.approx(best, rel=1e-5) or (decoding == "greedy" and levels)
    assert np.exp(found.log_joint[:, TREE.is_leaf]).sum(1) == pytest.approx(np.ones(200), abs=1e-4)


def test_the_two_decodings_are_two() -> None:
    batch, model = products(300), make()
    joint, greedy = (model.predict(batch, "full", decoding=way) for way in ("joint", "greedy"))
    differ = joint.nodes != greedy.nodes
    assert differ.any() and (joint.probability >= greedy.probability).all()


@pytest.mark.parametrize("stage", STAGES)
def test_abstains_where_there_is_nothing_that_the_stage_reads(stage: str) -> None:
    found = make().predict(products(4), stage)
    there = [True, True, stage == "full", False]
    assert (found.nodes >= 0).tolist() == there
    assert (found.probability > 0).tolist() == there
    assert [bool(levels) for levels in found.level_probabilities] == there
    assert found.nodes[3] == -1 and found.probability[3] == 0 and found.level_probabilities[3] == []
    assert found.log_joint is None


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_batch_size_does_not_matter(fusion: str) -> None:
    batch, model = products(50), make(fusion)
    for stage in STAGES:
        whole = model.predict(batch, stage)
        for size in (1, 7, 50):
            assert_same(model.predict(batch, stage, batch_size=size), whole, exact=False)
        reverse = model.predict(batch.select(torch.arange(49, -1, -1)), stage)
        assert np.array_equal(reverse.nodes[::-1], whole.nodes)


def test_predicting_leaves_no_trace_in_the_next() -> None:
    """Also after training: dropout is off in predict, whatever mode the heads are in."""
    batch, model = products(50), make()
    first = model.predict(batch, "full")
    assert model.full is not None
    model.full.train()
    assert_same(model.predict(batch, "full"), first)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_text_stage_never_reads_pictures(fusion: str) -> None:
    model, batch = make(fusion), products(60)
    assert model.reads("text") == ["text", "clip_text", "lexical"] and model.reads("full") == INPUTS.modalities
    before = model.predict(batch, "text")
    pictures = {name: torch.full_like(batch.dense[name], torch.nan) for name in ("image", "clip_image")}
    masks = {name: torch.ones(60, dtype=torch.bool) for name in pictures}
    other = Batch(batch.dense | pictures, batch.mask | masks, batch.lexical)
    assert_same(model.predict(other, "text"), before)
    # it needs no picture columns at all
    bare = Batch(
        {name: batch.dense[name] for name in ("text", "clip_text")},
        {name: batch.mask[name] for name in model.reads("text")},
        batch.lexical,
    )
    assert_same(model.predict(bare, "text"), before)
    with pytest.raises(CatrayError, match="the model reads image, clip_image, which the batch doesn't hold"):
        model.predict(bare, "full")


def test_a_model_of_pictures_has_no_text_head(tmp_path: Path) -> None:
    inputs = Inputs({"image": 5, "clip_image": 4})
    model, batch = make(inputs=inputs), products(20, inputs)
    assert model.text is None and model.head("text") is None and model.reads("text") == []
    found = model.predict(batch, "text")
    assert (found.nodes == -1).all() and (found.probability == 0).all() and found.level_probabilities == [[]] * 20
    full = model.predict(batch, "full")
    assert np.array_equal(full.nodes >= 0, batch.mask["image"].numpy())
    assert not [name for name in model.state() if name.startswith("text.")]
    model.save(tmp_path)
    loaded = Model.load(tmp_path)
    assert loaded.text is None
    assert_same(loaded.predict(batch, "full"), full)


def test_no_products() -> None:
    batch = products(5).select(torch.zeros(0, dtype=torch.int64))
    found = make().predict(batch, "full", log_joint=True)
    assert found.nodes.shape == found.probability.shape == (0,) and found.level_probabilities == []
    assert found.log_joint is not None and found.log_joint.shape == (0, len(TREE))


def test_an_unknown_stage() -> None:
    with pytest.raises(CatrayError, match="stage 'image': expected 'text' or 'full'"):
        make().predict(products(5), "image")  # type: ignore[arg-type]


def test_a_temperature_changes_its_heads_probabilities() -> None:
    model, batch = make(), products(60)
    sharp = {stage: model.predict(batch, stage, decoding="greedy", log_joint=True) for stage in STAGES}
    model.temperature["full"] *= 3
    flat = {stage: model.predict(batch, stage, decoding="greedy", log_joint=True) for stage in STAGES}
    assert_same(flat["text"], sharp["text"])
    # the best child stays the best; its lead shrinks
    assert np.array_equal(flat["full"].nodes, sharp["full"].nodes)
    said = flat["full"].nodes >= 0
    assert (flat["full"].probability[said] < sharp["full"].probability[said]).all()
    # log-odds of two siblings are divided by it
    one, other = TREE.index(("Bags",)), TREE.index(("Shoes",))
    odds = [p["full"].log_joint[:, one] - p["full"].log_joint[:, other] for p in (flat, sharp)]  # type: ignore[index]
    assert odds[0] * 3 == pytest.approx(odds[1], rel=1e-3, abs=1e-4)


def test_the_kind_of_fusion_is_the_settings() -> None:
    assert isinstance(make("early").full, Early) and isinstance(make("late").full, Late)
    assert str(make().to("cpu").device) == "cpu"


def test_half_precision_batches_are_read_as_they_are() -> None:
    model, batch = make(), products(30)
    half = Batch({name: x.half() for name, x in batch.dense.items()}, batch.mask, batch.lexical)
    rounded = Batch({name: x.float() for name, x in half.dense.items()}, batch.mask, batch.lexical)
    assert_same(model.predict(half, "full"), model.predict(rounded, "full"))


# --- on disk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("inputs", [INPUTS, Inputs({"text": 6}), Inputs({"image": 5}, LexicalSize(BUCKETS, 21))])
def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path, fusion: str, inputs: Inputs) -> None:
    model, batch = make(fusion, inputs), products(80, inputs)
    model.save(tmp_path / "deep" / "model")
    loaded = Model.load(tmp_path / "deep" / "model")
    assert (loaded.taxonomy, loaded.config, loaded.encoders) == (model.taxonomy, model.config, model.encoders)
    assert loaded.inputs == model.inputs and loaded.modalities == model.modalities
    assert loaded.temperature == model.temperature
    before, after = model.state(), loaded.state()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    for stage in STAGES:
        one, other = (m.predict(batch, stage, log_joint=True) for m in (model, loaded))
        assert_same(one, other)
        assert np.array_equal(one.log_joint, other.log_joint)  # type: ignore[arg-type]


def test_the_two_heads_are_kept_apart(tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"text", "full"}
    assert not [name for name in tensors if name.startswith("text.views.views.image")]
    assert {file.name for file in tmp_path.iterdir()} == set(FILES)
    assert read_taxonomy(tmp_path / "taxonomy.json") == TREE
    assert json.loads((tmp_path / "config.json").read_text())["format"] == FORMAT


def test_saving_again_replaces(tmp_path: Path) -> None:
    make(seed=1).save(tmp_path)
    model = make(seed=2)
    model.save(tmp_path)
    assert_same(Model.load(tmp_path).predict(products(20), "full"), model.predict(products(20), "full"))


def rewrite(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def truncate(name: str, keep: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(keep * len(data))])

    return change


def without_tensor(folder: Path) -> None:
    tensors: dict[str, Tensor] = safetensors.torch.load_file(folder / "model.safetensors")
    safetensors.torch.save_file(dict(list(tensors.items())[1:]), folder / "model.safetensors")


def without(*keys: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k not in keys}))

    return change


SETTINGS = ModelConfig(fusion="late", hidden=12, modality_dropout=0.3, dropout=0.2).model_dump(mode="json")
BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config.json": (lambda folder: (folder / "config.json").unlink(), r"no config\.json there.*catray train"),
    "no taxonomy.json": (lambda folder: (folder / "taxonomy.json").unlink(), r"no taxonomy\.json there.*catray train"),
    "no tensors": (
        lambda folder: (folder / "model.safetensors").unlink(),
        r"no model\.safetensors there.*catray train",
    ),
    "config cut off": (truncate("config.json", 0.5), "is damaged .*train again"),
    "config empty": (write("config.json", b""), "is damaged .*train again"),
    "config a list": (write("config.json", b"[]"), f"model format None, this catray reads {FORMAT}; train again"),
    "taxonomy cut off": (truncate("taxonomy.json", 0.5), "is damaged .*train again"),
    "no calibration": (
        lambda folder: (folder / "calibration.json").unlink(),
        r"no calibration\.json there.*catray train",
    ),
    "calibration cut off": (truncate("calibration.json", 0.5), "is damaged .*train again"),
    "calibration of one head": (write("calibration.json", b'{"text": {"temperature": 1}}'), "is damaged .*train again"),
    "calibration without numbers": (
        write("calibration.json", b'{"text": {"temperature": null}, "full": {"temperature": 1}}'),
        "is damaged .*train again",
    ),
    "bytes that are no text": (write("config.json", b"\xff\xfe\x00"), "is damaged .*train again"),
    "another format": (rewrite(format=FORMAT + 1), f"model format {FORMAT + 1}, this catray reads {FORMAT}"),
    "no format": (rewrite(format=None), f"model format None, this catray reads {FORMAT}"),
    "another taxonomy": (
        lambda folder: Taxonomy.from_paths([("Shoes",), ("Hats",)]).write(folder / "taxonomy.json"),
        "taxonomy.json is not the taxonomy that the model was trained on; train again",
    ),
    "a setting of another version": (
        rewrite(settings=SETTINGS | {"attention": True}),
        r"config\.json doesn't fit this catray \(settings\.attention\); train again",
    ),
    "a value of another version": (
        rewrite(settings=SETTINGS | {"fusion": "middle"}),
        r"config\.json doesn't fit this catray \(settings\.fusion\); train again",
    ),
    "modalities": (rewrite(modalities=["text"]), r"config\.json contradicts itself about the modalities; train again"),
    "other sizes": (
        rewrite(settings=SETTINGS | {"hidden": 24}),
        r"model\.safetensors doesn't fit config\.json .*train again",
    ),
    "a tensor less": (without_tensor, r"model\.safetensors doesn't fit config\.json .*train again"),
    "tensors cut off": (
        truncate("model.safetensors", 0.9),
        r"model\.safetensors doesn't fit config\.json .*train again",
    ),
    "hardly any tensors": (truncate("model.safetensors", 0.001), r"model\.safetensors doesn't fit .*train again"),
    "tensors empty": (write("model.safetensors", b""), r"model\.safetensors doesn't fit .*train again"),
    "tensors are something else": (write("model.safetensors", b"PK" * 500), r"model\.safetensors doesn't fit .*again"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, fault: str) -> None:
    change, message = BROKEN[fault]
    make().save(tmp_path)
    change(tmp_path)
    with pytest.raises(CatrayError, match=message) as caught:
        Model.load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ") and "\n" not in str(caught.value)


UNREADABLE: dict[str, Callable[[Path], None]] = {
    "no taxonomy hash": without("taxonomy"),
    "no settings": without("settings"),
    "no sizes": without("dims", "lexical"),
    "no encoders": without("encoders"),
    "lexical without rows": rewrite(lexical={"buckets": 3}),
    "sizes that are no numbers": rewrite(dims=dict.fromkeys(INPUTS.dims, "6")),
    "sizes in a list": rewrite(dims=list(INPUTS.dims)),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_config_that_lacks_something_is_damaged(tmp_path: Path, fault: str) -> None:
    make().save(tmp_path)
    UNREADABLE[fault](tmp_path)
    with pytest.raises(CatrayError, match="train again"):
        Model.load(tmp_path)


def test_a_model_of_the_last_format_says_so(tmp_path: Path) -> None:
    """Format 1 had no calibration.json."""
    make().save(tmp_path)
    rewrite(format=1)(tmp_path)
    (tmp_path / "calibration.json").unlink()
    with pytest.raises(CatrayError, match=f"model format 1, this catray reads {FORMAT}"):
        Model.load(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CatrayError, match=re.escape(f"{tmp_path / 'nowhere'}: no config.json there")):
        Model.load(tmp_path / "nowhere")
