from __future__ import annotations

import torch

from catray.fusion.calibration import LARGEST, fit_temperature
from catray.fusion.decoding import greedy
from catray.fusion.hierarchy import Hierarchy
from catray.taxonomy import Taxonomy

HIERARCHY = Hierarchy(Taxonomy.from_paths([("A", "B"), ("A", "C"), ("D",), ("E", "F", "G"), ("E", "F", "H")]))


def drawn(count: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits `scale` times as large as those that the leaves were drawn with."""
    torch.manual_seed(0)
    logits = torch.randn(count, HIERARCHY.nodes)
    leaves = torch.nonzero(HIERARCHY.leaf)[:, 0]
    joint = HIERARCHY.joint(HIERARCHY.conditional(logits))[:, leaves].exp()
    return scale * logits, leaves[torch.multinomial(joint, 1)[:, 0]]


def test_finds_the_temperature_that_logits_were_spoiled_with() -> None:
    for scale in (0.5, 1.0, 4.0):
        logits, target = drawn(4000, scale)
        assert abs(fit_temperature(HIERARCHY, logits, target) / scale - 1) < 0.1


def test_the_likelihood_improves_and_greedy_answers_stay() -> None:
    logits, target = drawn(500, 5.0)
    temperature = fit_temperature(HIERARCHY, logits, target)
    assert HIERARCHY.loss(logits / temperature, target) < HIERARCHY.loss(logits, target)
    before, after = (greedy(HIERARCHY.conditional(x), HIERARCHY) for x in (logits, logits / temperature))
    assert torch.equal(before, after)


def test_edges() -> None:
    assert fit_temperature(HIERARCHY, torch.zeros(0, HIERARCHY.nodes), torch.zeros(0, dtype=torch.int64)) == 1.0
    logits, _ = drawn(50, 1.0)
    right = greedy(HIERARCHY.conditional(logits), HIERARCHY)  # always right: as sure as can be
    assert 1 / LARGEST <= fit_temperature(HIERARCHY, logits, right) < 0.3
