"""Probabilities that mean what they say: temperature scaling, thresholds, reliability.

Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOTTEST, COLDEST = 20.0, 0.05
"""Temperatures that are tried; few clips, all answered right, would ask for 0."""

_STEPS = 60  # of the golden section: the interval shrinks to 1e-12 of its length
_GOLDEN = (5**0.5 - 1) / 2


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return the softmax of logits, (..., classes), divided by a temperature."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(-1, keepdims=True)
    return probabilities


def fit_temperature(logits: Floats, labels: Integers) -> float:
    """Return the temperature at which the mean negative log-likelihood is least.

    Args:
        logits: (n, classes), n at least 1.
        labels: (n,), the true classes.

    Returns:
        A temperature in [0.05, 20]; the likelihood has one minimum in 1 / temperature, which is
        searched by golden section on a logarithmic scale.

    Example:
        >>> logits = np.array([[4.0, 0.0]] * 3 + [[0.0, 4.0]])
        >>> round(fit_temperature(logits, np.array([0, 0, 0, 0])), 2)  # 3 of 4 are right: log 3
        3.64
    """

    def loss(power: float) -> float:
        probabilities = softmax(logits, np.exp(power))
        right = probabilities[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(right, 1e-300)).mean())

    low, high = float(np.log(COLDEST)), float(np.log(HOTTEST))
    for _ in range(_STEPS):
        span = _GOLDEN * (high - low)
        if loss(high - span) <= loss(low + span):
            high = low + span
        else:
            low = high - span
    return float(np.exp((low + high) / 2))


def passing_threshold(probabilities: Floats, labels: Integers, passing: float) -> float:
    """Return the probability that a share of the correct answers reaches.

    Args:
        probabilities: (n, classes).
        labels: (n,), the true classes.
        passing: The share.

    Returns:
        The threshold; the chance of one class in all where no answer is correct.
    """
    correct = np.sort(probabilities.max(1)[probabilities.argmax(1) == labels])
    if not len(correct):
        return 1 / probabilities.shape[1]
    return float(correct[int((1 - passing) * len(correct))])


def reliability(
    probabilities: Floats, labels: Integers, bins: int = 10
) -> list[tuple[int, float, float]]:
    """Return the number, mean probability and accuracy of the answers in each bin of probability.

    Args:
        probabilities: (n, classes).
        labels: (n,), the true classes.
        bins: Of equal width in [0, 1]; those without an answer are left out.
    """
    highest, right = probabilities.max(1), probabilities.argmax(1) == labels
    places = np.minimum((highest * bins).astype(int), bins - 1)
    return [
        (int(there.sum()), float(highest[there].mean()), float(right[there].mean()))
        for there in (places == place for place in range(bins))
        if there.any()
    ]


def expected_calibration_error(probabilities: Floats, labels: Integers) -> float:
    """Return the mean distance of probability and accuracy over the bins of `reliability`."""
    found = reliability(probabilities, labels)
    return sum(n * abs(mean - accuracy) for n, mean, accuracy in found) / len(labels)
