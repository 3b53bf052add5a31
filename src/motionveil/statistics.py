"""Intervals and tests for accuracies over clips that are no independent trials.

Clips of one recording share a person, a room and a light: whatever is drawn here, whole recordings
are drawn. All functions are deterministic: their random draws have a seed of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError

DRAWS = 2000
Interval = tuple[float, float]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Measure = Callable[[Floats, Integers, Floats], Floats]
"""From answers (n,), labels (n,) and weights (draws, n) to a figure for each draw, (draws,)."""
_NUMBERS = 4_000_000  # weights held at once
Name = TypeVar("Name", str, tuple[str, str])


def recording_of(clip: str) -> str:
    """Return the recording that a clip is cut from: its key without the frame range.

    Examples:
        >>> recording_of("person00/session03.mkv#0-20")
        'person00/session03.mkv'
    """
    return clip.partition("#")[0]


def numbered(names: Sequence[Name]) -> Integers:
    """Return each name's place, from 0, in the sorted list of the distinct names.

    Examples:
        >>> numbered(["b", "a", "b"])
        array([1, 0, 1])
    """
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.array([places[name] for name in names], np.int64)


def wilson_interval(accuracy: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (Wilson, JASA 22, 1927).

    Args:
        accuracy: Observed proportion in [0, 1]; need not be a multiple of 1 / n.
        n: Number of independent trials, at least 1.

    Raises:
        ValueError: `n` is below 1 or `accuracy` is outside [0, 1].

    Examples:
        >>> low, high = wilson_interval(79 / 94, 94)
        >>> round(low, 3), round(high, 3)
        (0.753, 0.901)
    """
    if n < 1 or not 0 <= accuracy <= 1:
        raise ValueError(f"no interval for accuracy {accuracy} of {n} trials")
    z = 1.959963984540054  # the 97.5th percentile of the normal distribution
    centre = accuracy + z * z / (2 * n)
    spread = z * math.sqrt(accuracy * (1 - accuracy) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def interval_of(samples: Floats) -> Interval:
    """Return the 2.5th and 97.5th percentile of samples, (draws,); NaNs are left out."""
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_means(
    values: Floats, recordings: Integers, *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """Return the means over clips in each draw of recordings with replacement.

    All columns are scored on the same draws, so that their differences are paired. A recording's
    clips come and go together; a draw's mean is over the clips that it holds, which differ in
    number (the ratio estimator).

    Args:
        values: A row per clip, a column per quantity: (clips, quantities).
        recordings: Each clip's recording, (clips,), as from `numbered`.
        draws: Number of draws, at least 1.
        seed: Of the draws.

    Returns:
        (draws, quantities).

    Raises:
        MotionveilError: There are fewer than two recordings: then nothing is known of how they
            differ.
    """
    times = _draw_recordings(recordings, draws, seed)
    count = times.shape[1]
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, recordings, values)
    sizes = np.bincount(recordings, minlength=count)
    return np.asarray(times @ sums / (times @ sizes)[:, None])


def _draw_recordings(recordings: Integers, draws: int, seed: int) -> Integers:
    """Return how often each recording is in each draw with replacement: (draws, recordings)."""
    count = int(recordings.max()) + 1 if len(recordings) else 0
    if count < 2:
        raise MotionveilError("no bootstrap: all clips come from one recording")
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=draws)


def over_draws(
    measure: Measure,
    answers: Floats,
    labels: Integers,
    recordings: Integers,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Floats:
    """Return a figure of all answers, and after it of each draw of recordings with replacement.

    Args:
        answers, labels, recordings: As for `measure`; (n,) each.

    Returns:
        (1 + draws,).

    Raises:
        MotionveilError: There are fewer than two recordings.
    """
    times = _draw_recordings(recordings, draws, seed)
    times = np.concatenate([np.ones_like(times[:1]), times])
    parts = np.array_split(times, math.ceil(times.shape[0] * len(labels) / _NUMBERS))
    return np.concatenate(
        [measure(answers, labels, part[:, recordings].astype(np.float64)) for part in parts]
    )


def average_precision(answers: Floats, labels: Integers, weights: Floats) -> Floats:
    """Return the average precision of a ranking: the sum of precision times the step in recall.

    Equal answers are one step, so that their order does not matter; nothing is interpolated, as in
    scikit-learn.

    Args:
        answers: The higher, the likelier, (n,).
        labels: 1 or 0, (n,).
        weights: How often each counts, (draws, n).

    Returns:
        (draws,) in [0, 1]; not a number where no positive one counts.
    """
    order = np.argsort(-answers, kind="stable")
    steps = np.append(np.flatnonzero(np.diff(answers[order])), len(order) - 1)
    ranked = weights[:, order]
    hits = np.cumsum(ranked * labels[order], axis=1)[:, steps]
    seen = np.cumsum(ranked, axis=1)[:, steps]
    gained = np.diff(hits, axis=1, prepend=0)
    with np.errstate(invalid="ignore"):
        return np.asarray((gained * hits / np.maximum(seen, 1)).sum(axis=1) / hits[:, -1])


def f1_score(answers: Floats, labels: Integers, weights: Floats) -> Floats:
    """Return the harmonic mean of precision and recall of answers of 1/2 and more.

    Args:
        answers, labels, weights: As for `average_precision`, the answers probabilities.

    Returns:
        (draws,) in [0, 1]; 0 where there is neither a positive one nor a positive answer.
    """
    predictions = answers >= 0.5
    right = weights @ (predictions * labels)
    return np.asarray(2 * right / np.maximum(weights @ (predictions + labels), 1))


def mean_average_precision(answers: Floats, labels: Integers) -> float:
    """Return the mean average precision over attributes (cMAP); one without positives is left out.

    Args:
        answers: Probability of each, (n, attributes).
        labels: 1 where the attribute is there, else 0, (n, attributes).
    """
    once = np.ones((1, len(labels)))
    found = [average_precision(*column, once) for column in zip(answers.T, labels.T, strict=True)]
    return float(np.nan_to_num(mean_of_known(np.array(found)))[0])


def mean_of_known(values: Floats) -> Floats:
    """Return means over the first axis without NaNs, (n, ...) to (...); NaN where all are."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis=0) / known.sum(axis=0))


def permutation_test(
    predictions: Integers,
    labels: Integers,
    recordings: Integers,
    *,
    strata: Integers | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Return the p-value of a permutation test of a classifier's accuracy.

    The null hypothesis is that predictions and labels are independent, which is what "no better
    than the chance level" means: an attacker that always predicts the commonest class has p = 1,
    and one whose predictions follow the labels' frequencies only is not taken for a leak.

    Args:
        predictions: The attacker's class for each clip, (clips,).
        labels, recordings, strata, draws, seed: As for `permutation_p`.

    Returns:
        As `permutation_p`.
    """

    def right(permuted: Integers) -> float:
        return float((predictions == permuted).sum())

    return permutation_p(right, labels, recordings, strata=strata, draws=draws, seed=seed)


def permutation_p(
    score: Callable[[Integers], float],
    labels: Integers,
    recordings: Integers,
    *,
    strata: Integers | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Return the p-value of a permutation test: how often permuted labels score as the true ones.

    Where all clips of each recording have one label, as people have, labels are permuted over
    recordings, since ten clips of a person are not ten independent observations; else over the
    clips within each recording.

    Args:
        score: How well answers fit labels, (clips,).
        labels: The true class, (clips,).
        recordings: Each clip's recording, (clips,).
        strata: Groups of clips within which labels are permuted, (clips,): where a prediction
            cannot be a label of another group, permuting across groups would make chance
            predictions look significant.
        draws: Number of permutations.
        seed: Of the permutations.

    Returns:
        In [1 / (draws + 1), 1]: the true labels count as one permutation, so that p is never 0
        (Phipson and Smyth, 2010).
    """
    rng = np.random.default_rng(seed)
    observed = score(labels)
    groups = np.zeros_like(labels) if strata is None else strata
    # A recording with clips of several groups counts as one in each.
    parts = np.unique(np.column_stack([groups, recordings]), axis=0, return_inverse=True)[1]
    parts = parts.ravel()
    whole = _labels_of_recordings(labels, parts)
    reached = 0
    for _ in range(draws):
        if whole is None:
            permuted = _shuffled_within(labels, parts, rng)
        else:
            group = np.zeros_like(whole)
            group[parts] = groups
            permuted = _shuffled_within(whole, group, rng)[parts]
        reached += score(permuted) >= observed
    return float((1 + reached) / (draws + 1))


def _shuffled_within(values: Integers, groups: Integers, rng: np.random.Generator) -> Integers:
    """Return values in a random order within each group."""
    permuted = np.empty_like(values)
    # By group, and at random within each, onto the places of the groups in their order.
    permuted[np.argsort(groups, kind="stable")] = values[
        np.lexsort((rng.random(len(values)), groups))
    ]
    return permuted


def _labels_of_recordings(labels: Integers, recordings: Integers) -> Integers | None:
    """Return each recording's label; None where one of them has several."""
    found = np.full(int(recordings.max()) + 1, -1, np.int64)
    found[recordings] = labels
    return found if (found[recordings] == labels).all() else None


def halves(labels: Integers, recordings: Integers, *, seed: int = 0) -> NDArray[np.bool_]:
    """Split clips into two halves, whole recordings each, every label's as evenly as can be.

    Args:
        labels: The class of each clip, (clips,).
        recordings: Each clip's recording, (clips,).
        seed: Of the draw.

    Returns:
        (clips,): whether a clip is in the first half.

    Raises:
        MotionveilError: There are fewer than two recordings.
    """
    count = int(recordings.max()) + 1
    if count < 2:
        raise MotionveilError("no halves: all clips come from one recording")
    rng = np.random.default_rng(seed)
    label = np.zeros(count, np.int64)
    label[recordings] = labels  # where a recording has several, any one will do
    order = np.lexsort((rng.random(count), label))
    first = np.zeros(count, bool)
    first[order[::2]] = True  # neighbours have the same label: one goes here, one there
    return np.asarray(first[recordings])


def p_value(p: float) -> str:
    """Return a p-value as in a table, such as `0.031` or `<0.001`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
