"""Calibration, risk and coverage, and the cascade's threshold, against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from catray.evaluation.confidence import (
    area_under_risk,
    calibration_error,
    coverage_at,
    reliability,
    risk_coverage,
    threshold_curve,
)
from catray.evaluation.metrics import evaluate
from catray.taxonomy import Taxonomy


def test_bins_hold_every_product_once() -> None:
    probability = np.array([0.0, 0.05, 0.95, 1.0, 1.0])
    bins = reliability(probability, np.array([False, True, True, True, False]))
    assert [b["n"] for b in bins] == [2, 3]
    assert bins[0] == {"low": 0.0, "high": 0.1, "n": 2, "confidence": pytest.approx(0.025), "accuracy": 0.5}
    expected = (2 * abs(0.5 - 0.025) + 3 * abs(2 / 3 - 2.95 / 3)) / 5
    assert calibration_error(probability, np.array([False, True, True, True, False])) == pytest.approx(expected)


def test_calibrated_probabilities_have_a_small_error() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(50_000)
    assert calibration_error(probability, rng.random(50_000) < probability) < 0.01
    assert calibration_error(probability, rng.random(50_000) < probability**2) > 0.1


def test_risk_and_coverage() -> None:
    probability, right = np.array([0.9, 0.2, 0.9, 0.5]), np.array([True, False, False, True])
    coverage, risk = risk_coverage(probability, right)
    assert coverage.tolist() == [0.5, 0.75, 1.0]  # equal probabilities come together
    assert risk.tolist() == [0.5, pytest.approx(1 / 3), 0.5]
    assert area_under_risk(coverage, risk) == pytest.approx(0.5 * 0.5 + 0.25 / 3 + 0.25 * 0.5)
    assert coverage_at(coverage, risk, 0.4) == 0.75
    assert coverage_at(coverage, risk, 0.1) == 0.0


def test_the_threshold_curve_is_the_cascade_scored() -> None:
    taxonomy = Taxonomy.from_paths([("A", "B"), ("A", "C"), ("D",)])
    rng = np.random.default_rng(0)
    truth, text, full = (rng.integers(len(taxonomy), size=200) for _ in range(3))
    probability, pictured = rng.random(200), rng.random(200) < 0.8
    text[:10], probability[:10] = -1, 0  # no text: the full stage answers, whatever the threshold
    curve = threshold_curve(taxonomy, truth, (text, probability), full, pictured, np.array([0, 0.5, 1.1]))
    assert curve[0]["text_share"] == 0.95
    for point in curve:
        light = (text >= 0) & ((probability >= point["threshold"]) | ~pictured)
        scores = evaluate(taxonomy, truth, np.where(light, text, full))
        assert point["hF"] == pytest.approx(scores["hF"])
        assert point["exact_path"] == pytest.approx(scores["exact_path"])
