from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from catray.encoders import sources
from catray.encoders.encoders import Encoders
from catray.encoders.prepare import compose_text
from catray.encoders.presets import TextSpec
from catray.encoders.text import TextEncoder
from catray.errors import CatrayError

TEXTS = ["red shoe", "a", "", "soft leather bag with two long handles and a zip", "größe 42 · 靴 👟", "red shoe"]
LONG = "x y " * 50_000
ODD = [
    LONG * 5,
    "\x00\x01\x1f\x7f",
    "\ud800 \udfff",
    "👩‍👩‍👧 🇫🇷 👟",
    "\u202eright to left",
    "a\u0300\u0301\u0302" * 50,
    "\ufeff",
    "",
]


@pytest.fixture(scope="module")
def encoder(tiny: Encoders) -> TextEncoder:
    assert tiny.text is not None
    return tiny.text


def directly(text: str, pooling: str = "mean") -> np.ndarray:
    """The vector of one text, alone, by transformers itself."""
    import transformers

    folder = sources.locate("tiny:text")
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        hidden = transformers.AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0]
    pooled = (hidden.mean(0) if pooling == "mean" else hidden[0]).numpy()
    return pooled / np.linalg.norm(pooled)


def test_vectors_are_the_models_own(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dim) == (6, 32) and vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert np.allclose(vector, directly(text), atol=1e-5)


def test_cls_pooling_takes_the_first_token() -> None:
    vector = TextEncoder(TextSpec("tiny:text", pooling="cls"), "cpu", "fp32").encode(["red shoe"])[0]
    assert np.allclose(vector, directly("red shoe", "cls"), atol=1e-5)
    assert not np.allclose(vector, directly("red shoe"), atol=1e-2)


def test_a_vector_does_not_depend_on_the_batch(encoder: TextEncoder) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    for batch_size in (1, 2, 4, 64):
        assert np.allclose(encoder.encode(TEXTS, batch_size), alone, atol=1e-5)
    assert np.allclose(encoder.encode(TEXTS[::-1], 3)[::-1], alone, atol=1e-5)
    assert np.allclose(encoder.encode([*TEXTS, LONG[:1000]])[:-1], alone, atol=1e-5)


def test_vectors_have_length_one_and_differ(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], vectors[5], atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_no_texts_make_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, 32)


def test_odd_texts(encoder: TextEncoder) -> None:
    texts = [compose_text(text, None) for text in ODD]
    vectors = encoder.encode(texts)
    assert np.isfinite(vectors).all() and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_text_is_cut_at_the_models_length(encoder: TextEncoder) -> None:
    assert encoder.max_length == 128
    cut = encoder.encode([LONG[:1000]])
    assert np.allclose(encoder.encode([LONG]), cut, atol=1e-6)
    longer = TextEncoder(TextSpec("tiny:text", max_length=4096), "cpu", "fp32")
    assert longer.max_length == 128  # the model has no more positions
    assert np.allclose(longer.encode([LONG[:2000]]), cut, atol=1e-6)
    short = TextEncoder(TextSpec("tiny:text", max_length=6), "cpu", "fp32")
    assert np.allclose(short.encode(["red shoe"]), short.encode(["red scarf"]), atol=1e-6)  # <s>, " red", </s>
    assert not np.allclose(short.encode(["red"]), short.encode(["bag"]), atol=1e-3)


def test_the_prefix_is_put_before_every_text(encoder: TextEncoder) -> None:
    prefixed = TextEncoder(TextSpec("tiny:text", prefix="query: "), "cpu", "fp32")
    assert np.allclose(prefixed.encode(["red", "shoe"]), encoder.encode(["query: red", "query: shoe"]), atol=1e-5)
    assert not np.allclose(prefixed.encode(["red"]), encoder.encode(["red"]), atol=1e-2)


def test_half_precision_says_nearly_the_same(encoder: TextEncoder) -> None:
    half = TextEncoder(TextSpec("tiny:text"), "cpu", "bf16")
    assert half.precision == torch.bfloat16 == next(half.model.parameters()).dtype
    vectors = half.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert ((vectors * encoder.encode(TEXTS)).sum(1) > 0.999).all()


def test_what_can_not_be_loaded_says_how_to_mend_it(tmp_path: Path) -> None:
    mend = "use embedding.preset=compact, or name a local directory that holds the model"
    with pytest.raises(CatrayError, match=f"^text encoder {tmp_path} can't be loaded: .*; {mend}$"):
        TextEncoder(TextSpec(str(tmp_path)), "cpu", "fp32")
    with pytest.raises(CatrayError, match=f"^text encoder nobody/nothing can't be loaded: .*; {mend}$"):
        TextEncoder(TextSpec("nobody/nothing"), "cpu", "fp32")


def test_a_damaged_model_of_the_cache_says_what_to_remove(empty_cache: Path) -> None:
    folder = sources.locate("tiny:text")
    assert isinstance(folder, Path)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CatrayError, match=f"text encoder tiny:text can't be loaded: .*; remove {folder} and run again"):
        TextEncoder(TextSpec("tiny:text"), "cpu", "fp32")
