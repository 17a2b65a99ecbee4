from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catray.config import HiddenLabels
from catray.errors import CatrayError
from catray.recategorization.features import Products, combine, hidden_labels, read_features, read_images, read_products

SHOES = ("Footwear", "Shoes")


def test_products_at_or_below_the_node(make_workspace) -> None:
    config = make_workspace(per_kind=5)
    products = read_products(config.folder("catalog"), SHOES)
    assert len(products) == 15 + 4
    assert products.keys == sorted(products.keys)
    assert {p[:2] for p in products.paths} == {SHOES}
    assert len(read_products(config.folder("catalog"), (*SHOES, "Boots"))) == 5 + 4
    assert len(read_products(config.folder("catalog"), ("Foot",))) == 0  # a name, not a prefix of it


def test_features_follow_the_keys_whatever_the_order_of_the_files(make_workspace) -> None:
    config = make_workspace(per_kind=5)
    keys = read_products(config.folder("catalog"), SHOES).keys
    features, present, space = read_features(config.folder("embeddings"), keys, None)
    assert space == ["text", "image"]
    assert features.shape == (19, 16 + 24)
    assert features.dtype == np.float32
    lost = {key for key, there in zip(keys, present.any(axis=1), strict=True) if not there}
    # the blank one is embedded without text and image; the 0th has neither; the others aren't embedded
    assert lost == {"north/0", "south/a", "south/b", "south/c", "south/blank"}
    backwards, _, _ = read_features(config.folder("embeddings"), keys[::-1], None)
    np.testing.assert_allclose(backwards[::-1], features, atol=1e-5)
    assert not features[keys.index("south/9"), :16].any()  # no text
    assert present[keys.index("south/9")].tolist() == [False, True]
    assert features[keys.index("south/9"), 16:].any()


def test_a_space_that_is_not_embedded(make_workspace) -> None:
    config = make_workspace(per_kind=5)
    with pytest.raises(CatrayError, match="hold text, image, not 'clip_image'"):
        read_features(config.folder("embeddings"), ["north/0"], ["clip_image"])
    assert read_features(config.folder("embeddings"), ["north/0"], ["image"])[2] == ["image"]


def test_distances_are_those_of_the_unit_vectors_and_a_missing_modality_is_the_mean() -> None:
    rng = np.random.default_rng(0)
    text, image = rng.normal(size=(50, 8)).astype("f4") * 7, rng.normal(size=(50, 6)).astype("f4") + 2
    has = np.arange(50) >= 10
    x = combine([text, np.where(has[:, None], image, 0)], [np.ones(50, bool), has])
    unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (text, image)]
    expected = ((unit[0][20] - unit[0][30]) ** 2).sum() + ((unit[1][20] - unit[1][30]) ** 2).sum()
    assert ((x[20] - x[30]) ** 2).sum() == pytest.approx(expected, rel=1e-4)
    assert not x[~has, 8:].any()
    np.testing.assert_allclose(x[has, 8:].mean(axis=0), 0, atol=1e-6)


def test_identical_embeddings_stay_identical() -> None:
    same = np.tile(np.float16([0.3, 0.4, 0.1]), (30, 1)).astype("f4")
    assert len(np.unique(combine([same], [np.ones(30, bool)]), axis=0)) == 1
    assert not combine([same], [np.zeros(30, bool)]).any()


def test_hidden_labels(tmp_path: Path) -> None:
    products = Products(["a", "b", "c"], ["p"] * 3, [""] * 3, [SHOES, (*SHOES, "Boots"), (*SHOES, "Boots", "High")])
    assert hidden_labels(products, SHOES, None) == [None, "Boots", "Boots > High"]
    assert hidden_labels(products.select([0]), SHOES, None) is None
    file = tmp_path / "hidden.csv"
    file.write_text("key,label\na,x\nc,y\nz,w\n")
    assert hidden_labels(products, SHOES, HiddenLabels(file=str(file))) == ["x", None, "y"]
    with pytest.raises(CatrayError, match=r"no column 'lable'.*Did you mean 'label'"):
        hidden_labels(products, SHOES, HiddenLabels(file=str(file), label="lable"))
    with pytest.raises(CatrayError, match="no such file"):
        hidden_labels(products, SHOES, HiddenLabels(file=str(tmp_path / "none.csv")))


def test_pictures_of_those_that_have_one(make_workspace) -> None:
    config = make_workspace(per_kind=5)
    images = read_images(config.folder("catalog"), ["north/0", "south/1", "nowhere/9"])
    assert list(images) == ["south/1"]
    assert images["south/1"].startswith(b"\x89PNG")
