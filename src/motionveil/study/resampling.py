"""Intervals and tests for a crossed design: every participant answers every question.

Two answers of one participant are no independent trials, nor are two answers to one question.
All functions are deterministic: their random draws have a seed of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionveil.statistics import Interval, interval_of
from motionveil.study.responses import Responses

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def bootstrap_shares(scores: Floats, answered: Mask, *, draws: int, seed: int = 0) -> Floats:
    """Return the mean score in each draw of participants and of questions, both with replacement.

    This is the pigeonhole bootstrap (Owen, Annals of Applied Statistics 1, 2007): its intervals
    hold for other people and other clips, and are rather too wide than too narrow. Of what there
    is one only, that one is taken every time.

    Args:
        scores: (P, Q), anything where not answered.
        answered: (P, Q).
        draws: Number of draws.
        seed: Of the draws.

    Returns:
        (draws,); a draw in which nobody answered anything is left out.
    """
    rng = np.random.default_rng(seed)
    people, questions = (_times(count, draws, rng) for count in scores.shape)
    right = np.where(answered, scores, 0.0)
    sums = ((people @ right) * questions).sum(axis=1)
    counts = ((people @ answered) * questions).sum(axis=1)
    there = counts > 0
    return np.asarray(sums[there] / counts[there])


def bootstrap_interval(
    scores: Floats, answered: Mask, *, draws: int, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of the mean score; see `bootstrap_shares`.

    None where there is one participant or one question only: nothing is known of how they differ.
    """
    if min(scores.shape) < 2 or not answered.any():
        return None
    return interval_of(bootstrap_shares(scores, answered, draws=draws, seed=seed))


def difference_interval(
    first: tuple[Floats, Mask], second: tuple[Floats, Mask], *, draws: int, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of the mean score of the first less that of the second condition.

    In each draw both have the same participants; each has its own draw of its own questions.

    Args:
        first: Scores and what was answered, (P, Q1) both.
        second: Likewise, (P, Q2), of the same participants.
        draws: Number of draws.
        seed: Of the draws.
    """
    if len(first[0]) < 2 or min(first[0].shape[1], second[0].shape[1]) < 2:
        return None
    rng = np.random.default_rng(seed)
    people = _times(len(first[0]), draws, rng)
    shares = []
    for scores, answered in (first, second):
        questions = _times(scores.shape[1], draws, rng)
        sums = ((people @ np.where(answered, scores, 0.0)) * questions).sum(axis=1)
        with np.errstate(invalid="ignore"):
            shares.append(sums / ((people @ answered) * questions).sum(axis=1))
    differences = shares[0] - shares[1]
    return interval_of(differences[np.isfinite(differences)])


def chance_test(responses: Responses, least: int, *, draws: int, seed: int = 0) -> float:
    """Return how often answers fit people dealt at random as well as those in the clips.

    The hypothesis is that the answers have nothing to do with whom the clips show. For every
    question, as many of its options as are right are dealt anew, and are the same for all
    participants; the answers stay as they are. So whatever answers have in common is kept: that of
    one participant, and that of one question, where everybody may take the same wrong face. The
    dealt people score what chance is, on average, whatever faces people prefer. A test that took
    the answers for independent trials would find far too much.

    It is one-sided (better than chance) and holds for these participants.

    Args:
        responses: The answers to the questions of one condition.
        least: Number of people that must be right for an answer to count as right.
        draws: How often people are dealt.
        seed: Of the draws.

    Returns:
        In [1 / (draws + 1), 1]: the true people count as one draw.
    """
    rng = np.random.default_rng(seed)
    chosen = responses.chosen.astype(np.int64)  # (P, Q, options)
    persons = int(responses.right[0].sum()) if len(responses.right) else 0

    def score(right: Mask) -> int:
        hits = np.einsum("pqo,qo->pq", chosen, right.astype(np.int64))
        return int(((hits >= least) & responses.answered).sum())

    observed = score(responses.right)
    as_good = 0
    for _ in range(draws):
        ranks = rng.random(responses.right.shape).argsort(axis=1).argsort(axis=1)
        as_good += score(ranks < persons) >= observed
    return (1 + as_good) / (draws + 1)


def compare(
    first: tuple[Floats, Mask], second: tuple[Floats, Mask], *, draws: int, seed: int = 0
) -> float:
    """Return how likely it is that two conditions differ so much by chance, two-sided.

    The greater of two p-values, since the design is crossed: (1) the signs of the participants'
    own differences are drawn anew (paired: each participant has had both conditions); (2) the
    conditions are dealt anew to the questions, as the design dealt them. The first allows for
    other people, the second for other clips; what passes both is no luck of either.

    Args:
        first: Scores and what was answered, (P, Q1) both.
        second: Likewise, (P, Q2), of the same participants.
        draws: Draws of each.
        seed: Of the draws.

    Returns:
        In [1 / (draws + 1), 1].
    """
    rng = np.random.default_rng(seed)
    there = first[1].any(axis=1) & second[1].any(axis=1)
    pairs = _means(*first, 1)[there] - _means(*second, 1)[there]
    signs = rng.choice([-1.0, 1.0], (draws, len(pairs)))
    of_people = _share_as_large(signs @ pairs, pairs.sum())

    values = np.concatenate([_means(*first, 0), _means(*second, 0)])
    is_first = np.arange(len(values)) < first[0].shape[1]
    known = np.isfinite(values)
    values, is_first = values[known], is_first[known]
    if not is_first.any() or is_first.all():
        return 1.0
    dealt = rng.permuted(np.tile(is_first, (draws, 1)), axis=1)
    differences = _apart(values, dealt)
    of_questions = _share_as_large(differences, _apart(values, is_first[None])[0])
    return max(of_people, of_questions)


def learning_slope(
    scores: Floats, answered: Mask, position: NDArray[np.int64], *, draws: int, seed: int = 0
) -> tuple[float, Interval | None] | None:
    """Return by how much the score rises from one question to the next, with its 95 % interval.

    Least squares of the score on the place in the session, within participants. Questions come in
    an order that is drawn for each participant, so their difficulty has nothing to do with the
    place; the interval draws participants.

    Args:
        scores: (P, Q).
        answered: (P, Q).
        position: Place in the session, (P, Q).
        draws: Number of draws.
        seed: Of the draws.

    Returns:
        None where nobody has two answers.
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
    times = _times(len(over), draws, np.random.default_rng(seed))
    return slope, interval_of((times @ over) / (times @ under))


def _times(count: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `count` is in each draw with replacement, (draws, count)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)


def _means(scores: Floats, answered: Mask, axis: int) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(answered, scores, 0.0).sum(axis) / answered.sum(axis))


def _apart(values: Floats, is_first: Mask) -> Floats:
    """Return the mean of the first less the mean of the others, for each row of `is_first`."""
    return np.asarray(is_first @ values / is_first.sum(1) - ~is_first @ values / (~is_first).sum(1))


def _share_as_large(drawn: Floats, observed: float) -> float:
    as_large = np.abs(drawn) >= abs(observed) - 1e-12
    return float((1 + as_large.sum()) / (len(drawn) + 1))
