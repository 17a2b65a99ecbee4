from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from catray.encoders import sources
from catray.encoders.clip import ClipEncoder
from catray.encoders.encoders import Encoders
from catray.encoders.prepare import compose_text, prepare_image
from catray.encoders.presets import ClipSpec
from catray.errors import CatrayError

TEXTS = ["red shoe", "", "soft leather bag with two long handles and a zip", "größe 42 靴 👟", "a"]


@pytest.fixture(scope="module")
def encoder(tiny: Encoders) -> ClipEncoder:
    assert tiny.clip is not None
    return tiny.clip


@pytest.fixture(scope="module")
def theirs() -> tuple[Any, Any, Any]:
    """(model, picture transform, tokenizer) as open_clip itself makes them."""
    import open_clip

    name = f"local-dir:{sources.locate('tiny:clip')}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    return model.eval(), transform, open_clip.get_tokenizer(name)


@pytest.fixture(scope="module")
def images(picture: Callable[..., bytes]) -> np.ndarray:
    return np.stack([prepare_image(picture(seed), 32) for seed in range(5)])


def test_texts_are_encoded_as_open_clip_does(encoder: ClipEncoder, theirs: tuple[Any, Any, Any]) -> None:
    model, _, tokenizer = theirs
    with torch.inference_mode():
        expected = model.encode_text(tokenizer(TEXTS), normalize=True).numpy()
    vectors = encoder.encode_text(TEXTS)
    assert vectors.shape == (5, encoder.dim) and vectors.dtype == np.float32
    assert ((vectors * expected).sum(1) >= 0.999).all() and np.allclose(vectors, expected, atol=1e-4)


def test_pictures_are_encoded_as_open_clip_does(
    encoder: ClipEncoder, theirs: tuple[Any, Any, Any], images: np.ndarray
) -> None:
    model, transform, _ = theirs
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(pixels)) for pixels in images])
        expected = model.encode_image(batch, normalize=True).numpy()
    vectors = encoder.encode_image(images)
    assert vectors.shape == (5, encoder.dim) and vectors.dtype == np.float32
    assert ((vectors * expected).sum(1) >= 0.999).all() and np.allclose(vectors, expected, atol=1e-4)


def test_vectors_do_not_depend_on_the_batch(encoder: ClipEncoder, images: np.ndarray) -> None:
    texts = np.concatenate([encoder.encode_text([text]) for text in TEXTS])
    pictures = np.concatenate([encoder.encode_image(images[i : i + 1]) for i in range(5)])
    for batch_size in (1, 2, 64):
        assert np.allclose(encoder.encode_text(TEXTS, batch_size), texts, atol=1e-5)
        assert np.allclose(encoder.encode_image(images, batch_size), pictures, atol=1e-5)


def test_vectors_have_length_one_and_differ(encoder: ClipEncoder, images: np.ndarray) -> None:
    for vectors in (encoder.encode_text(TEXTS), encoder.encode_image(images)):
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert np.abs(vectors[0] - vectors[2]).max() > 1e-3


def test_nothing_makes_no_vectors(encoder: ClipEncoder) -> None:
    assert encoder.encode_text([]).shape == (0, 32)
    assert encoder.encode_image(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 32)


def test_odd_texts(encoder: ClipEncoder) -> None:
    odd = ["x y " * 250_000, "\x00\x01\x1f", "\ud800", "👩‍👩‍👧 🇫🇷", "<start_of_text> <end_of_text>", "&amp;lt;b&gt;"]
    vectors = encoder.encode_text([compose_text(text, None) for text in odd])
    assert np.isfinite(vectors).all() and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # A text beyond the model's context is cut, not refused.
    assert np.allclose(encoder.encode_text([odd[0]]), encoder.encode_text(["x y " * 100]), atol=1e-5)


def test_half_precision_says_nearly_the_same(encoder: ClipEncoder, images: np.ndarray) -> None:
    half = ClipEncoder(ClipSpec("tiny:clip", 32), "cpu", "bf16")
    assert half.precision == torch.bfloat16
    assert ((half.encode_text(TEXTS) * encoder.encode_text(TEXTS)).sum(1) > 0.999).all()
    assert ((half.encode_image(images) * encoder.encode_image(images)).sum(1) > 0.999).all()


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(CatrayError, match="clip encoder tiny:clip takes pictures of 32 px, the preset makes 64"):
        ClipEncoder(ClipSpec("tiny:clip", 64), "cpu", "fp32")


def test_an_architecture_alone_is_not_enough() -> None:
    with pytest.raises(CatrayError, match="clip encoder ViT-B-32: name its weights too, as in ViT-B-32/laion2b"):
        ClipEncoder(ClipSpec("ViT-B-32"), "cpu", "fp32")


def test_what_can_not_be_loaded_says_how_to_mend_it(tmp_path: Path) -> None:
    mend = "use embedding.preset=compact, or name a local directory that holds the model"
    for source in (str(tmp_path), "ViT-B-32/no_such_weights", "ViT-B-32/laion2b_s34b_b79k", "hf-hub:nobody/nothing"):
        with pytest.raises(CatrayError, match=f"^clip encoder {source} can't be loaded: .*; {mend}$"):
            ClipEncoder(ClipSpec(source), "cpu", "fp32")
