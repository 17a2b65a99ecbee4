from __future__ import annotations

import logging

import pytest
import torch

from catray.encoders.device import GAIN, PRECISIONS, choose_device, choose_precision, cpu_gain, log_choice
from catray.errors import CatrayError

CPU = torch.device("cpu")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")


def test_cpu_is_taken_as_set() -> None:
    assert choose_device("cpu") == (CPU, "as set")


@without_gpu
def test_auto_falls_back_to_the_cpu() -> None:
    assert choose_device() == choose_device("auto") == (CPU, "no GPU is at hand")


@without_gpu
def test_cuda_without_a_gpu_is_refused() -> None:
    with pytest.raises(CatrayError, match=r"embedding\.device is cuda, but torch sees no GPU: set it to auto or cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("choice", PRECISIONS)
def test_a_set_precision_is_kept_without_a_probe(choice: str) -> None:
    cpu_gain.cache_clear()
    assert choose_precision(choice, CPU) == (PRECISIONS[choice], "as set")
    assert cpu_gain.cache_info().misses == 0


@pytest.mark.parametrize("kind", ["transformer", "cnn"])
def test_on_a_cpu_one_probe_a_kind_decides(kind: str) -> None:
    cpu_gain.cache_clear()
    dtype, reason = choose_precision("auto", CPU, kind)
    assert choose_precision("auto", CPU, kind) == (dtype, reason)
    assert cpu_gain.cache_info().misses == 1
    gain = cpu_gain(kind)
    assert gain > 0
    assert dtype == (torch.bfloat16 if gain >= GAIN else torch.float32)
    assert f"bf16 is {gain:.2f} x as fast as fp32 for a {kind}" in reason


def test_the_probe_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    cpu_gain.cache_clear()
    cpu_gain("cnn")
    assert torch.equal(torch.rand(4), expected)


def test_the_choice_is_logged_with_its_reasons(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "catray"):
        log_choice("text", CPU, torch.bfloat16, "as set", "it is fast")
    assert caplog.messages == ["text encoder: cpu (as set), bfloat16 (it is fast)"]
