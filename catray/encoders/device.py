"""Device and precision: chosen once, with the reason for the log.

On a GPU, bf16 (fp16 where it has none). On a CPU bf16 may be several times faster than fp32, or slower: it depends on
the processor (AMX, AVX-512 bf16) and on the kind of network, so a short probe of each kind decides.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch.nn import functional

from catray.errors import CatrayError

logger = logging.getLogger(__name__)
Kind = Literal["transformer", "cnn"]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GAIN = 1.15
"""bf16 must be that much faster: a smaller gain is not worth its rounding, nor a choice that flips with the noise."""


def choose_device(choice: str = "auto") -> tuple[torch.device, str]:
    """(device, reason) for `auto`, `cpu` or `cuda`. Errors: CatrayError for `cuda` without a GPU."""
    if choice == "cpu":
        return torch.device("cpu"), "as set"
    if torch.cuda.is_available():
        return torch.device("cuda"), f"{torch.cuda.get_device_name()} is at hand" if choice == "auto" else "as set"
    if choice == "cuda":
        raise CatrayError("embedding.device is cuda, but torch sees no GPU: set it to auto or cpu")
    return torch.device("cpu"), "no GPU is at hand"


def choose_precision(choice: str, device: torch.device, kind: Kind = "transformer") -> tuple[torch.dtype, str]:
    """(dtype, reason) for `auto`, `fp32`, `bf16` or `fp16`, on a device, for a kind of network."""
    if choice != "auto":
        return PRECISIONS[choice], "as set"
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "the GPU has bf16"
        return torch.float16, "the GPU has no bf16"
    gain = cpu_gain(kind)
    what = f"a probe of this processor: bf16 is {gain:.2f} x as fast as fp32 for a {kind}"
    return (torch.bfloat16 if gain >= GAIN else torch.float32), what


@cache
def cpu_gain(kind: Kind) -> float:
    """How many times as fast as fp32 bf16 is on this CPU, in the layers that cost the most; measured once a process."""
    with torch.inference_mode():
        slow, fast = _probe(kind, torch.float32), _probe(kind, torch.bfloat16)
        best = {slow: float("inf"), fast: float("inf")}
        slow()
        fast()  # the first call packs weights and compiles kernels
        deadline, rounds = time.perf_counter() + 0.2, 0
        while rounds < 3 or (rounds < 20 and time.perf_counter() < deadline):
            for run in (slow, fast):  # in turns and by processor time: a busy neighbor disturbs neither
                started = time.process_time()
                run()
                best[run] = min(best[run], time.process_time() - started)
            rounds += 1
    return best[slow] / best[fast]


def _probe(kind: Kind, dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    """One feed-forward layer over 256 tokens, or one inverted residual block over 4 pictures."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    if kind == "transformer":
        x, up, down = random(256, 384), random(1536, 384), random(384, 1536)
        return lambda: functional.linear(functional.gelu(functional.linear(x, up)), down)
    x = random(4, 24, 40, 40).to(memory_format=torch.channels_last)
    expand, depth, project = random(144, 24, 1, 1), random(144, 1, 3, 3), random(24, 144, 1, 1)

    def block() -> torch.Tensor:
        hidden = functional.relu6(functional.conv2d(x, expand))
        hidden = functional.relu6(functional.conv2d(hidden, depth, padding=1, groups=144))
        return functional.conv2d(hidden, project)

    return block


def log_choice(what: str, device: torch.device, dtype: torch.dtype, *reasons: str) -> None:
    logger.info("%s encoder: %s (%s), %s (%s)", what, device, reasons[0], str(dtype).split(".")[1], reasons[1])
