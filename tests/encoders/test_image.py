from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from catray.encoders import sources
from catray.encoders.encoders import Encoders
from catray.encoders.image import ImageEncoder, to_device
from catray.encoders.prepare import prepare_image
from catray.encoders.presets import ImageSpec
from catray.errors import CatrayError


@pytest.fixture(scope="module")
def encoder(tiny: Encoders) -> ImageEncoder:
    assert tiny.image is not None
    return tiny.image


@pytest.fixture(scope="module")
def images(picture: Callable[..., bytes]) -> np.ndarray:
    return np.stack([prepare_image(picture(seed), 32) for seed in range(7)])


def normalized(images: np.ndarray, mean: float = 0.5, std: float = 0.5) -> np.ndarray:
    return ((images / 255.0 - mean) / std).transpose(0, 3, 1, 2)


def test_pixels_are_normalized_channel_by_channel(images: np.ndarray) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    x = to_device(images, torch.device("cpu"), torch.float32, mean, std)
    assert x.shape == (7, 3, 32, 32) and x.dtype == torch.float32
    for channel in range(3):
        expected = normalized(images, mean[channel], std[channel])[:, channel]
        assert np.allclose(x[:, channel].numpy(), expected, atol=1e-5)
    assert to_device(images, torch.device("cpu"), torch.bfloat16, mean, std).dtype == torch.bfloat16


def test_vectors_are_the_models_own(encoder: ImageEncoder, images: np.ndarray) -> None:
    import timm

    model = timm.create_model(f"local-dir:{sources.locate('tiny:image')}", pretrained=True, num_classes=0).eval()
    with torch.inference_mode():
        theirs = model(torch.from_numpy(normalized(images)).float()).numpy()
    ours = encoder.encode(images)
    assert ours.shape == (7, encoder.dim) and ours.dtype == np.float32
    assert np.allclose(ours, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=1e-5)


def test_a_vector_does_not_depend_on_the_batch(encoder: ImageEncoder, images: np.ndarray) -> None:
    alone = np.concatenate([encoder.encode(images[i : i + 1]) for i in range(len(images))])
    for batch_size in (1, 2, 3, 64):
        assert np.allclose(encoder.encode(images, batch_size), alone, atol=1e-5)


def test_vectors_have_length_one_and_differ(encoder: ImageEncoder, images: np.ndarray) -> None:
    vectors = encoder.encode(images)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_no_pictures_make_no_vectors(encoder: ImageEncoder) -> None:
    assert encoder.encode(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, encoder.dim)


@pytest.mark.filterwarnings("error")
def test_pixels_that_can_not_be_written_to(encoder: ImageEncoder, images: np.ndarray) -> None:
    """As they come out of Prepared.unpack."""
    received = np.frombuffer(images.tobytes(), np.uint8).reshape(images.shape)
    assert np.array_equal(encoder.encode(received), encoder.encode(images))
    assert np.array_equal(received, images)


def test_prepare_makes_what_encode_takes(encoder: ImageEncoder, picture: Callable[..., bytes]) -> None:
    pixels = encoder.prepare(picture(1, "JPEG"))
    assert np.array_equal(pixels, prepare_image(picture(1, "JPEG"), 32, "pad"))
    with pytest.raises(ValueError, match=r"decoded|read"):
        encoder.prepare(b"no picture")


def test_half_precision_says_nearly_the_same(encoder: ImageEncoder, images: np.ndarray) -> None:
    half = ImageEncoder(ImageSpec("tiny:image", 32), "cpu", "bf16")
    assert half.precision == torch.bfloat16 == next(half.model.parameters()).dtype
    assert ((half.encode(images) * encoder.encode(images)).sum(1) > 0.999).all()


def test_what_can_not_be_loaded_says_how_to_mend_it(tmp_path: Path) -> None:
    mend = "use embedding.preset=compact, or name a local directory that holds the model"
    for source in (str(tmp_path), "no_such_architecture", "vit_base_patch16_224.augreg2_in21k_ft_in1k"):
        with pytest.raises(CatrayError, match=f"^image encoder {source} can't be loaded: .*; {mend}$"):
            ImageEncoder(ImageSpec(source), "cpu", "fp32")


@pytest.fixture(scope="module")
def fixed_size_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT that takes 96 px and no other size, as most do."""
    import timm
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("vit")
    options = {"img_size": 96, "depth": 1}
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0, **options)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    pretrained = {"input_size": [3, 96, 96], "fixed_input_size": True, "mean": [0.5] * 3, "std": [0.5] * 3}
    config = {"architecture": "vit_tiny_patch16_224", "num_classes": 0, "model_args": options}
    (folder / "config.json").write_text(json.dumps({**config, "pretrained_cfg": pretrained}))
    return folder


@pytest.mark.parametrize("size", [96, 64])
def test_a_vit_of_another_size_is_made_for_the_presets(fixed_size_model: Path, size: int) -> None:
    encoder = ImageEncoder(ImageSpec(str(fixed_size_model), size), "cpu", "fp32")
    images = np.random.default_rng(0).integers(0, 255, (2, size, size, 3), dtype=np.uint8)
    assert encoder.encode(images).shape == (2, 192)
