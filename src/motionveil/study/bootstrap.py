"""Bootstrap intervals and permutation tests for a crossed design, participants by questions.

Neither the answers of one participant nor the answers to one question are independent trials. All
functions are deterministic given their seed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionveil.statistics import Interval, interval_of
from motionveil.study.responses import Floats, Mask


def bootstrap_shares(scores: Floats, answered: Mask, *, draws: int, seed: int = 0) -> Floats:
    """Return the mean scores of bootstrap samples, resampling participants and questions.

    The pigeonhole bootstrap (Owen, Annals of Applied Statistics 1, 2007), which generalises to
    other people and other clips and is conservative.

    Args:
        scores, answered: (P, Q); scores are ignored where not answered.
        draws: Number of bootstrap samples.
        seed: Random seed.

    Returns:
        (draws,), without samples that contain no answer.
    """
    rng = np.random.default_rng(seed)
    means = _resampled(scores, answered, _counts(len(scores), draws, rng), rng)
    return means[np.isfinite(means)]


def bootstrap_interval(
    scores: Floats, answered: Mask, *, draws: int, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of the mean score; see `bootstrap_shares`.

    None with a single participant or question, since their variance is unknown.
    """
    if min(scores.shape) < 2 or not answered.any():
        return None
    return interval_of(bootstrap_shares(scores, answered, draws=draws, seed=seed))


def difference_interval(
    first: tuple[Floats, Mask], second: tuple[Floats, Mask], *, draws: int, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of the difference of the mean scores of two conditions.

    A bootstrap sample has the same participants in both; questions are resampled separately. The
    arguments are those of `compare_conditions`; None with a single participant or question.
    """
    if min(*first[0].shape, second[0].shape[1]) < 2:
        return None
    rng = np.random.default_rng(seed)
    people = _counts(len(first[0]), draws, rng)
    differences = _resampled(*first, people, rng) - _resampled(*second, people, rng)
    return interval_of(differences[np.isfinite(differences)])


def compare_conditions(
    first: tuple[Floats, Mask], second: tuple[Floats, Mask], *, draws: int, seed: int = 0
) -> float:
    """Return the two-sided permutation test p-value of the difference of two conditions.

    The maximum of two p-values, since the design is crossed: (1) sign flips of the participants'
    own differences (paired); (2) permutation of the conditions over the questions. The first
    accounts for the variance of participants, the second for that of clips.

    Args:
        first: Scores and mask of the answered questions, (P, Q1) both.
        second: Likewise, (P, Q2), of the same participants.
        draws: Number of permutations of each test.
        seed: Random seed.

    Returns:
        In [1 / (draws + 1), 1].
    """
    rng = np.random.default_rng(seed)
    both = first[1].any(axis=1) & second[1].any(axis=1)
    pairs = _means(*first, 1)[both] - _means(*second, 1)[both]
    signs = rng.choice([-1.0, 1.0], (draws, len(pairs)))
    of_people = _two_sided_p(signs @ pairs, pairs.sum())

    values = np.concatenate([_means(*first, 0), _means(*second, 0)])
    is_first = np.arange(len(values)) < first[0].shape[1]
    known = np.isfinite(values)
    values, is_first = values[known], is_first[known]
    if not is_first.any() or is_first.all():
        return 1.0
    permuted = rng.permuted(np.tile(is_first, (draws, 1)), axis=1)
    observed = _differences(values, is_first[None])[0]
    return max(of_people, _two_sided_p(_differences(values, permuted), observed))


def learning_slope(
    scores: Floats, answered: Mask, position: NDArray[np.int64], *, draws: int, seed: int = 0
) -> tuple[float, Interval | None] | None:
    """Return the increase of the score per question, with its 95 % interval.

    Least squares of the score on the position in the session, within participants. The order of
    questions is randomised, so their difficulty is independent of the position; the bootstrap
    resamples participants.

    Args:
        scores, answered, position: (P, Q); the position is that in the session.
        draws: Number of bootstrap samples.
        seed: Random seed.

    Returns:
        None if no participant has two answers.
    """
    products, squares = [], []
    for row, there, places in zip(scores, answered, position, strict=True):
        if there.sum() >= 2:
            centred = places[there] - places[there].mean()
            products.append(float(centred @ row[there]))
            squares.append(float(centred @ centred))
    if not products:
        return None
    over, under = np.array(products), np.array(squares)
    slope = float(over.sum() / under.sum())
    if len(over) < 2:
        return slope, None
    counts = _counts(len(over), draws, np.random.default_rng(seed))
    return slope, interval_of((counts @ over) / (counts @ under))


def _counts(size: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `size` items is in each bootstrap sample, (draws, size)."""
    return rng.multinomial(size, np.full(size, 1 / size), size=draws).astype(np.float64)


def _resampled(scores: Floats, answered: Mask, people: Floats, rng: np.random.Generator) -> Floats:
    """Return the mean score of each bootstrap sample, (draws,); NaN without answers."""
    questions = _counts(scores.shape[1], len(people), rng)
    sums = ((people @ np.where(answered, scores, 0.0)) * questions).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / ((people @ answered) * questions).sum(axis=1))


def _means(scores: Floats, answered: Mask, axis: int) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(answered, scores, 0.0).sum(axis) / answered.sum(axis))


def _differences(values: Floats, is_first: Mask) -> Floats:
    """Return the mean of the first minus the mean of the others, for each row of `is_first`."""
    return np.asarray(is_first @ values / is_first.sum(1) - ~is_first @ values / (~is_first).sum(1))


def _two_sided_p(drawn: Floats, observed: float) -> float:
    as_large = np.abs(drawn) >= abs(observed) - 1e-12
    return float((1 + as_large.sum()) / (len(drawn) + 1))
