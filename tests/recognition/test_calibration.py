"""Temperatures, thresholds and reliability against what is known of the data."""

from __future__ import annotations

import numpy as np
import pytest

from motionveil.recognition.recogniser import (
    expected_calibration_error,
    fit_temperature,
    passing_threshold,
    reliability,
    softmax,
)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_finds_the_temperature_that_drew_the_labels(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (20_000, 5))
    chances = softmax(logits, true).cumsum(1)
    labels = (rng.random((len(logits), 1)) > chances).sum(1)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(true, rel=0.05)
    cooled = softmax(logits, found)
    assert expected_calibration_error(cooled, labels) < 0.02
    if true > 1:
        assert expected_calibration_error(softmax(logits), labels) > 0.05


def test_few_clips_answered_right_ask_for_the_coldest() -> None:
    assert fit_temperature(np.array([[3.0, 0.0]]), np.array([0])) == pytest.approx(0.05, rel=1e-3)
    assert fit_temperature(np.array([[3.0, 0.0]]), np.array([1])) == pytest.approx(20, rel=1e-3)


def test_the_threshold_lets_a_share_of_the_correct_answers_pass() -> None:
    rng = np.random.default_rng(1)
    probabilities = softmax(rng.normal(0, 2, (400, 3)))
    labels = rng.integers(0, 3, 400)
    threshold = passing_threshold(probabilities, labels, 0.95)
    correct = probabilities.argmax(1) == labels
    passing = (probabilities.max(1)[correct] >= threshold).mean()
    assert passing == pytest.approx(0.95, abs=1 / correct.sum())


def test_no_correct_answer() -> None:
    assert passing_threshold(np.array([[0.9, 0.1]]), np.array([1]), 0.95) == 0.5


def test_reliability_counts_every_answer_once() -> None:
    probabilities = np.array([[0.55, 0.45], [0.05, 0.95], [0.98, 0.02], [1.0, 0.0]])
    found = reliability(probabilities, np.array([1, 1, 0, 1]))
    assert [n for n, _, _ in found] == [1, 3]
    assert found[0][1:] == pytest.approx((0.55, 0.0))
    assert found[1][1:] == pytest.approx((2.93 / 3, 2 / 3))
    error = expected_calibration_error(probabilities, np.array([1, 1, 0, 1]))
    assert error == pytest.approx((0.55 + 2.93 - 2) / 4)
