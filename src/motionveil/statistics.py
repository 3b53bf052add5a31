"""Intervals and tests for accuracies over clips that are no independent trials.

Clips of one recording share a person, a room and a light: whatever is drawn here, whole recordings
are drawn. All functions are deterministic: their random draws have a seed of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError

DRAWS = 2000
Interval = tuple[float, float]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
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


def interval_of(samples: Floats) -> Interval:
    """Return the 2.5th and 97.5th percentile of samples, (draws,)."""
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_means(
    values: Floats, recordings: Integers, *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """Return the means over clips in each draw of recordings with replacement.

    All columns are scored on the same draws, so that their differences are paired. A recording's
    clips come and go together; a draw's mean is over the clips that it holds, which differ in
    number (the ratio estimator).

    Args:
        values: A row a clip, a column a quantity: (clips, quantities).
        recordings: Each clip's recording, (clips,), as from `numbered`.
        draws: Number of draws, at least 1.
        seed: Of the draws.

    Returns:
        (draws, quantities).

    Raises:
        MotionveilError: There are fewer than two recordings: then nothing is known of how they
            differ.
    """
    count = int(recordings.max()) + 1 if len(recordings) else 0
    if count < 2:
        raise MotionveilError("no bootstrap: all clips come from one recording")
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, recordings, values)
    sizes = np.bincount(recordings, minlength=count)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1 / count), size=draws)  # (draws, recordings)
    return np.asarray(times @ sums / (times @ sizes)[:, None])


def permutation_test(
    guesses: Integers,
    labels: Integers,
    recordings: Integers,
    *,
    strata: Integers | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Return how often labels dealt anew are guessed as well as the true ones (a p-value).

    The hypothesis is that the guesses have nothing to do with the labels. It is what "no better
    than the floor" means: an attacker that always says the commonest class has p = 1, and one
    whose guesses follow the labels' frequencies only is not taken for a leak. Where all clips of
    each recording have one label, as people have, labels are dealt to recordings, for ten clips
    of a person are not ten proofs; else to the clips within each recording.

    Args:
        guesses: The attacker's class for each clip, (clips,).
        labels: The true class, (clips,).
        recordings: Each clip's recording, (clips,).
        strata: Groups of clips within which labels are dealt, (clips,): where a guess cannot be a
            label of another group, dealing across groups would make any guesser look knowing.
        seed: Of the draws.

    Returns:
        In [1 / (draws + 1), 1]: the true labels count as one draw, so that p is never 0
        (Phipson and Smyth, 2010).
    """
    rng = np.random.default_rng(seed)
    observed = int((guesses == labels).sum())
    groups = np.zeros_like(labels) if strata is None else strata
    # A recording with clips of several groups counts as one in each.
    parts = np.unique(np.column_stack([groups, recordings]), axis=0, return_inverse=True)[1]
    parts = parts.ravel()
    whole = _labels_of_recordings(labels, parts)
    right = np.empty(draws, np.int64)
    for draw in range(draws):
        if whole is None:
            dealt = _shuffled_within(labels, parts, rng)
        else:
            group = np.zeros_like(whole)
            group[parts] = groups
            dealt = _shuffled_within(whole, group, rng)[parts]
        right[draw] = (guesses == dealt).sum()
    return float((1 + (right >= observed).sum()) / (draws + 1))


def _shuffled_within(values: Integers, groups: Integers, rng: np.random.Generator) -> Integers:
    """Return values in a random order within each group."""
    dealt = np.empty_like(values)
    # By group, and at random within each, onto the places of the groups in their order.
    dealt[np.argsort(groups, kind="stable")] = values[np.lexsort((rng.random(len(values)), groups))]
    return dealt


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
