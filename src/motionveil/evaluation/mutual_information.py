"""Lower bounds on mutual information, and the accuracy of the strongest of several attackers.

An attacker's answers for a clip are probabilities over the classes of a label. What is fitted here
(a temperature, or which attacker is best) is fitted on one half of the recordings and scored on
the other, and the other way round, so that nothing is reported on what it was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.statistics import (
    Floats,
    Integers,
    Interval,
    bootstrap_means,
    halves,
    interval_of,
    mean_average_precision,
)

_TEMPERATURES = np.geomspace(0.05, 64, 43)
_SHARES = np.array([0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 1.0])
"""Of the prior that is mixed in: 1 is an attacker that says nothing."""

_LEAST = 1e-12


@dataclass(frozen=True)
class Information:
    """A lower bound on the mutual information of veiled video and a label.

    Attributes:
        bits: The label's entropy less the attacker's cross-entropy. May be below 0, which means
            that nothing was shown.
        interval: Its 95 % interval.
        entropy: The label's entropy over the same clips, in bits: what there is to learn.
    """

    bits: float
    interval: Interval
    entropy: float


def entropy_bits(labels: Integers) -> float:
    """Return the entropy of a label over clips, in bits (the plug-in estimate)."""
    share = np.bincount(labels) / len(labels)
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())


def information_in_bits(
    probabilities: Floats, labels: Integers, recordings: Integers
) -> Information:
    """Bound the mutual information of veiled video and a label from below.

    For any attacker, I(label; video) is at least H(label) less its cross-entropy (Barber and
    Agakov, 2003). A network that is sure of itself and wrong has a cross-entropy above all bounds
    however much it knows, so its answers are first softened by a temperature and mixed with the
    labels' frequencies. Both numbers are fitted on one half of the recordings and used on the
    other, so that the bound stays one.

    Args:
        probabilities: The attacker's answers, (clips, classes); rows sum to 1.
        labels: The true classes, (clips,).
        recordings: Each clip's recording, (clips,), at least two.

    Raises:
        MotionveilError: There are fewer than two recordings.
    """
    logs = np.log(np.maximum(probabilities, _LEAST))
    first = halves(labels, recordings)
    information = np.zeros(len(labels))
    for fitted, scored in ((first, ~first), (~first, first)):
        prior = _frequencies(labels[fitted], probabilities.shape[1])
        temperature, share = _calibrate(logs[fitted], labels[fitted], prior)
        answers = _softened(logs[scored], prior, temperature, share)
        truth = labels[scored]
        information[scored] = np.log2(np.maximum(answers[np.arange(len(truth)), truth], _LEAST))
    # The label's entropy is kept: a draw of recordings misses some people, and would have less.
    entropy = entropy_bits(labels)
    drawn = entropy + bootstrap_means(information[:, None], recordings)[:, 0]
    return Information(float(entropy + information.mean()), interval_of(drawn), entropy)


def _frequencies(labels: Integers, classes: int) -> Floats:
    """Return the labels' frequencies, none of them 0: each class was seen half a time more."""
    counts = np.bincount(labels, minlength=classes) + 0.5
    return np.asarray(counts / counts.sum())


def _softened(logs: Floats, prior: Floats, temperature: float, share: float) -> Floats:
    powered = np.exp((logs - logs.max(axis=1, keepdims=True)) / temperature)
    answers = powered / powered.sum(axis=1, keepdims=True)
    return np.asarray((1 - share) * answers + share * prior)


def _calibrate(logs: Floats, labels: Integers, prior: Floats) -> tuple[float, float]:
    """Return the temperature and the share of the prior with the least cross-entropy."""
    rows = np.arange(len(labels))
    best = (np.inf, 1.0, 1.0)
    for temperature in _TEMPERATURES:
        answers = _softened(logs, prior, temperature, 0.0)[rows, labels]
        for share in _SHARES:
            mixed = (1 - share) * answers + share * prior[labels]
            cost = float(-np.log(np.maximum(mixed, _LEAST)).mean())
            best = min(best, (cost, float(temperature), float(share)))
    return best[1], best[2]


@dataclass(frozen=True)
class Best:
    """The accuracy of the strongest of several attackers, corrected for having chosen it.

    Attributes:
        accuracy: Mean over both halves of what the attacker chosen on the other half scores.
        interval: Its 95 % interval, the choices kept.
        chosen: The places of the attackers chosen, one or two.
        naive: The best attacker's accuracy over all clips, which chance has chosen too.
    """

    accuracy: float
    interval: Interval
    chosen: tuple[int, ...]
    naive: float


def chosen_elsewhere(scores: Sequence[Floats], labels: Integers, recordings: Integers) -> Integers:
    """Return for each clip the attacker that is best on the half of the recordings without it.

    Args:
        scores: For each attacker its score on each clip in [0, 1]: (clips,) each.
        labels: The classes, by which the halves are balanced, (clips,).
        recordings: Each clip's recording, (clips,), at least two.

    Returns:
        (clips,), places in `scores`; one value in each half.

    Raises:
        MotionveilError: There are fewer than two recordings.
    """
    stacked = np.stack(scores)  # (attackers, clips)

    def best(half: NDArray[np.bool_]) -> int:
        return int(stacked[:, half].mean(axis=1).argmax())

    return _best_elsewhere(best, labels, recordings)


def chosen_by_precision(
    answers: Sequence[Floats], labels: Integers, recordings: Integers
) -> Integers:
    """Return for each clip the attacker of several attributes that is best elsewhere, by cMAP.

    As `chosen_elsewhere`, for answers whose average precision is reported.

    Args:
        answers: For each attacker its probabilities, (clips, attributes).
        labels: 1 where an attribute is there, (clips, attributes).
        recordings: Each clip's recording, (clips,), at least two.

    Raises:
        MotionveilError: There are fewer than two recordings.
    """

    def best(half: NDArray[np.bool_]) -> int:
        scores = [mean_average_precision(of_one[half], labels[half]) for of_one in answers]
        return int(np.argmax(scores))

    return _best_elsewhere(best, kinds_of(labels), recordings)


def kinds_of(labels: Integers) -> Integers:
    """Return which combination of attributes each clip has, (clips,) for (clips, attributes)."""
    return np.unique(labels, axis=0, return_inverse=True)[1].ravel()


def _best_elsewhere(
    best: Callable[[NDArray[np.bool_]], int], labels: Integers, recordings: Integers
) -> Integers:
    """Return for each clip of one half of the recordings who is best on the other, (clips,)."""
    first = halves(labels, recordings)
    return np.where(first, best(~first), best(first))


def strongest(scores: Sequence[Floats], labels: Integers, recordings: Integers) -> Best:
    """Choose the best of several attackers on one half of the recordings, score it on the other.

    The best of twenty attackers that know nothing scores above chance by luck alone. An attacker
    that is chosen without looking at the clips it is scored on does not.

    Args:
        scores, labels, recordings: As for `chosen_elsewhere`.

    Raises:
        MotionveilError: There are fewer than two recordings.
    """
    chosen = chosen_elsewhere(scores, labels, recordings)
    stacked = np.stack(scores)
    score = stacked[chosen, np.arange(len(chosen))]
    drawn = bootstrap_means(score[:, None], recordings)[:, 0]
    return Best(
        float(score.mean()),
        interval_of(drawn),
        tuple(dict.fromkeys(chosen.tolist())),
        float(stacked.mean(axis=1).max()),
    )
