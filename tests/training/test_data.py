"""Labelled rows joined by key with their embeddings, in whatever order both lie, and errors that tell what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import torch

from catray import schema
from catray.config import Config
from catray.errors import CatrayError
from catray.taxonomy import Taxonomy, read_taxonomy
from catray.training.data import Labelled, count_labelled, load_labelled

MODALITIES = ["text", "image", "lexical"]


def table(config: Config, part: str) -> pa.Table:
    return ds.dataset(sorted(map(str, config.folder(part).glob("*.parquet")))).to_table()


def taxonomy(config: Config) -> Taxonomy:
    return read_taxonomy(config.taxonomy)


def load(config: Config, **settings: Any) -> Labelled:
    return load_labelled(config.workspace, taxonomy(config), settings.pop("modalities", MODALITIES), **settings)


def rewrite(config: Config, part: str, change: Callable[[pa.Table], pa.Table], files: int = 2) -> None:
    """All rows of an artifact changed, and divided among so many files anew."""
    changed = change(table(config, part))
    for file in config.folder(part).glob("*.parquet"):
        file.unlink()
    edges = np.linspace(0, changed.num_rows, files + 1).astype(int).tolist()
    for i, (start, stop) in enumerate(pairwise(edges)):
        pq.write_table(changed.slice(start, stop - start), config.folder(part) / f"rows-{i:05d}.parquet")


def set_value(row: int, column: str, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(old: pa.Table) -> pa.Table:
        rows = old.to_pylist()
        rows[row][column] = value
        return pa.Table.from_pylist(rows, schema=old.schema)

    return change


def bags(data: Labelled) -> list[list[int]]:
    assert data.batch.lexical is not None
    ids, offsets = data.batch.lexical
    return [ids[a:b].tolist() for a, b in pairwise([*offsets.tolist(), len(ids)])]


def as_rows(data: Labelled) -> dict[str, list[Any]]:
    """{key: everything known of the product}."""
    dense = [data.batch.dense[name].tolist() for name in data.batch.dense]
    masks = [data.batch.mask[name].tolist() for name in data.batch.mask]
    columns = [data.platforms, data.groups, data.splits.tolist(), data.targets.tolist(), *dense, *masks, bags(data)]
    return dict(zip(data.keys, map(list, zip(*columns, strict=True)), strict=True))


def test_every_row_has_its_own_label_and_embeddings(workspace: Config) -> None:
    data, tree = load(workspace), taxonomy(workspace)
    products = {row["key"]: row for row in table(workspace, "catalog").to_pylist()}
    vectors = {row["key"]: row for row in table(workspace, "embeddings").to_pylist()}
    wanted = [key for key, row in products.items() if row["path"] and row["split"] in ("train", "val")]
    assert data.keys == sorted(wanted) and len(data.keys) > 150
    for i, (key, ids) in enumerate(zip(data.keys, bags(data), strict=True)):
        product, vector = products[key], vectors[key]
        assert tree.path(int(data.targets[i])) == tuple(product["path"])
        assert (data.platforms[i], data.groups[i], data.splits[i]) == tuple(
            product[column] for column in ("platform", "group", "split")
        )
        assert data.batch.dense["text"][i].tolist() == vector["text"]
        assert data.batch.dense["image"][i].tolist() == vector["image"]
        assert ids == vector["lexical"]
        masks = [bool(data.batch.mask[name][i]) for name in MODALITIES]
        assert masks == [vector["has_text"], vector["has_image"], vector["has_text"]]
    assert not tree.is_leaf[data.targets.numpy()].all()  # the label that stops at an inner node is there


def test_dense_modalities_stay_as_stored(workspace: Config) -> None:
    data = load(workspace)
    assert {x.dtype for x in data.batch.dense.values()} == {torch.float16}
    assert data.targets.dtype == torch.int64


def test_the_order_of_files_and_rows_does_not_matter(workspace: Config) -> None:
    before = load(workspace)
    rng = np.random.default_rng(1)
    for part, files in (("catalog", 5), ("embeddings", 3)):
        rewrite(workspace, part, lambda old: old.take(rng.permutation(old.num_rows)), files)
    after = load(workspace)
    assert after.keys == before.keys and as_rows(after) == as_rows(before)
    assert torch.equal(after.targets, before.targets)


def test_embeddings_of_other_products_do_no_harm(workspace: Config) -> None:
    before = load(workspace)
    keys = set(before.keys[::2])

    def fewer(old: pa.Table) -> pa.Table:
        return old.filter(pa.array([key in keys for key in old["key"].to_pylist()]))

    rewrite(workspace, "catalog", fewer)
    after = load(workspace)
    assert after.keys == before.keys[::2]
    assert as_rows(after) == {key: row for key, row in as_rows(before).items() if key in keys}


def test_unlabelled_rows_and_other_splits_are_left_out(workspace: Config) -> None:
    products = table(workspace, "catalog").to_pylist()
    assert any(row["path"] is None for row in products)
    by_split = {
        split: sorted(row["key"] for row in products if row["path"] and row["split"] == split)
        for split in schema.SPLITS
    }
    data = load(workspace)
    for split in ("train", "val"):
        rows = data.rows(split)
        assert rows.dtype == torch.int64 and [data.keys[row] for row in rows.tolist()] == by_split[split]
    assert len(data.rows("test")) == 0
    test = load(workspace, splits=("test",))
    assert test.keys == by_split["test"] and set(test.splits) == {"test"}
    assert len(load(workspace, splits=schema.SPLITS).keys) == sum(map(len, by_split.values()))


def test_only_the_modalities_asked_for(workspace: Config) -> None:
    data = load(workspace, modalities=["image"])
    assert list(data.batch.dense) == list(data.batch.mask) == ["image"] and data.batch.lexical is None
    data = load(workspace, modalities=["lexical"])
    assert data.batch.dense == {} and list(data.batch.mask) == ["lexical"]
    assert bags(data) == bags(load(workspace))


def test_nothing_labelled(workspace: Config) -> None:
    def strip(old: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([row | {"path": None} for row in old.to_pylist()], schema=old.schema)

    rewrite(workspace, "catalog", strip)
    data = load(workspace)
    assert data.keys == [] and len(data.batch) == len(data.targets) == len(data.rows("train")) == 0
    none = {"labelled": 0, "leaf": 0, "leaves": 0}
    assert count_labelled(workspace.workspace, taxonomy(workspace)) == {"train": none, "val": none}


def test_count_labelled(workspace: Config) -> None:
    tree = taxonomy(workspace)
    found = count_labelled(workspace.workspace, tree, schema.SPLITS)
    assert list(found) == list(schema.SPLITS)
    for split, counts in found.items():
        paths = [
            tuple(row["path"])
            for row in table(workspace, "catalog").to_pylist()
            if row["split"] == split and row["path"]
        ]
        leaves = [path for path in paths if tree.is_leaf[tree.index(path)]]
        assert counts == {"labelled": len(paths), "leaf": len(leaves), "leaves": len(set(leaves))}
    assert found["train"]["leaf"] == found["train"]["labelled"] - 1  # one label stops at an inner node
    assert list(count_labelled(workspace.workspace, tree)) == ["train", "val"]


def test_rejects_are_not_read(workspace: Config) -> None:
    """They lie below the catalog's folder: a labelled row among them, and a file that can't be read at all."""
    before = load(workspace)
    counts = count_labelled(workspace.workspace, taxonomy(workspace))
    folder = workspace.folder("catalog") / "rejects"
    folder.mkdir()
    reject = set_value(0, "key", "shop0/rejected")(table(workspace, "catalog").slice(1, 1))
    assert reject["path"][0].as_py() and reject["split"][0].as_py() in ("train", "val")
    pq.write_table(reject, folder / "rejects-00000.parquet")
    (folder / "rejects-00001.parquet").write_bytes(b"no Parquet")
    assert as_rows(load(workspace)) == as_rows(before)
    assert count_labelled(workspace.workspace, taxonomy(workspace)) == counts


# --- errors ----------------------------------------------------------------------------------------------------------


def test_a_key_without_embeddings(workspace: Config) -> None:
    missing = load(workspace).keys[3:5]

    def fewer(old: pa.Table) -> pa.Table:
        return old.filter(pa.array([key not in missing for key in old["key"].to_pylist()]))

    rewrite(workspace, "embeddings", fewer)
    message = rf"embeddings: 2 of the catalog's products are missing \(first: {missing[0]}\); run `catray embed` again"
    with pytest.raises(CatrayError, match=message):
        load(workspace)


def test_an_unlabelled_product_may_lack_embeddings(workspace: Config) -> None:
    labelled = set(load(workspace, splits=schema.SPLITS).keys)

    def fewer(old: pa.Table) -> pa.Table:
        return old.filter(pa.array([key in labelled for key in old["key"].to_pylist()]))

    rewrite(workspace, "embeddings", fewer)
    assert len(load(workspace).keys) > 150


def test_a_modality_that_was_not_embedded(workspace: Config) -> None:
    message = (
        r"embeddings: no clip_text, clip_image there; choose model\.modalities from text, image, lexical, or embed"
    )
    with pytest.raises(CatrayError, match=message):
        load(workspace, modalities=["text", "clip_text", "clip_image"])


def test_a_label_that_the_taxonomy_lacks(workspace: Config) -> None:
    products = table(workspace, "catalog").to_pylist()
    row = next(i for i, product in enumerate(products) if product["split"] == "train" and i > 10)
    rewrite(workspace, "catalog", set_value(row, "path", ["Shoes", "Clogs"]))
    message = f"^{products[row]['key']}: its label 'Shoes > Clogs' is not in the taxonomy.*`catray ingest` again"
    with pytest.raises(CatrayError, match=message):
        load(workspace)
    with pytest.raises(CatrayError, match=message):
        count_labelled(workspace.workspace, taxonomy(workspace))
    # the same names elsewhere in the tree are another node
    rewrite(workspace, "catalog", set_value(row, "path", ["Clothes", "Boots"]))
    with pytest.raises(CatrayError, match="'Clothes > Boots' is not in the taxonomy"):
        load(workspace)


@pytest.mark.parametrize(("part", "verb"), [("catalog", "ingest"), ("embeddings", "embed")])
def test_no_folder_and_no_file(workspace: Config, part: str, verb: str) -> None:
    folder = workspace.folder(part)
    for file in folder.glob("*.parquet"):
        file.unlink()
    assert json.loads((folder / "manifest.json").read_text())  # the folder is there, and empty of rows
    message = f"{part}: no Parquet file there; run `catray {verb}` first"
    with pytest.raises(CatrayError, match=message):
        load(workspace)
    (folder / "manifest.json").unlink()
    folder.rmdir()
    with pytest.raises(CatrayError, match=message):
        load(workspace)


def test_no_workspace(tmp_path: Path) -> None:
    tree = Taxonomy.from_paths([("Bags",)])
    with pytest.raises(CatrayError, match=r"nowhere/catalog: no Parquet file there; run `catray ingest` first"):
        load_labelled(tmp_path / "nowhere", tree, ["text"])
    with pytest.raises(CatrayError, match=r"nowhere/catalog: no Parquet file there; run `catray ingest` first"):
        count_labelled(tmp_path / "nowhere", tree)
