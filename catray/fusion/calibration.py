"""Calibration: one temperature a head, so that a probability of .9 is right nine times in ten (Guo et al. 2017).

Logits are divided by it before the segment softmax: no answer of greedy decoding changes, only how sure it is. A head
that is stopped at its best validation accuracy is far too sure of itself, and a cascade's threshold would then pass
what it should escalate.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from catray.fusion.hierarchy import Hierarchy

LARGEST = 20.0
"""Temperatures are sought between 1 / LARGEST and LARGEST."""


@torch.inference_mode()
def fit_temperature(hierarchy: Hierarchy, logits: Tensor, target: Tensor) -> float:
    """The temperature under which the products of the validation split are the likeliest.

    logits (B, N), target (B,) int64 nodes; 1.0 where there is no product. The negative log-likelihood is convex in
    1 / temperature, so the bounded search finds its only minimum.
    """
    if not len(target):
        return 1.0

    def loss(log_temperature: float) -> float:
        return float(hierarchy.loss(logits / math.exp(log_temperature), target))

    bounds = (-math.log(LARGEST), math.log(LARGEST))
    return float(math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3}).x))
