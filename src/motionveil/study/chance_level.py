"""Chance levels, exact, and the permutation test against chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import comb

import numpy as np

from motionveil.study.responses import Mask, Responses


def hypergeometric(hits: int, options: int, persons: int) -> float:
    """Return the probability that a random selection contains exactly `hits` of the people.

    Args:
        hits: Number of correct people, 0 to `persons`.
        options: Number of options.
        persons: Number of people to select.

    Raises:
        ValueError: There are not more options than people.

    Example:
        >>> round(100 * hypergeometric(2, options=7, persons=2), 2)
        4.76
    """
    if not 0 < persons < options:
        raise ValueError(f"{persons} people of {options} options")
    ways = comb(persons, hits) * comb(options - persons, persons - hits)
    return ways / comb(options, persons)


def chance_level(least: int, options: int, persons: int) -> float:
    """Return the probability that a random selection contains at least `least` of the people.

    Example:
        >>> round(100 * chance_level(1, options=7, persons=2), 2)
        52.38
    """
    return sum(hypergeometric(hits, options, persons) for hits in range(least, persons + 1))


def informed_chance_level(
    least: int, questions: Sequence[tuple[Collection[str], Collection[str]]]
) -> float:
    """Return the chance level given knowledge of which people occur together.

    A data set of pairs seldom contains every pair. Original clips reveal the pairs, which rules
    out most selections without any information from veiled clips.

    Args:
        least: Number of people that must be correct.
        questions: Correct people and options of each question.

    Example:
        >>> pairs = [("a", "b"), ("c", "d")]
        >>> informed_chance_level(2, [(pair, "abcd") for pair in pairs])
        0.5
    """
    groups = {frozenset(right) for right, _ in questions}
    shares = []
    for right, options in questions:
        possible = [group for group in groups if group <= set(options)]
        hits = [group for group in possible if len(group & set(right)) >= least]
        shares.append(len(hits) / len(possible))
    return sum(shares) / len(shares)


def chance_test(responses: Responses, least: int, *, draws: int, seed: int = 0) -> float:
    """Return the one-sided permutation test p-value of accuracy against the chance level.

    Null hypothesis: the answers are independent of who is in the clips. For every question, the
    correct people are redrawn among its options, identically for all participants, while the
    answers stay fixed. This preserves the dependence among answers of a participant and among
    answers to a question; preferred pictures do not bias it. It is conditional on these
    participants.

    Args:
        responses: The answers in one condition.
        least: Number of people that must be correct.
        draws: Number of permutations.
        seed: Random seed.

    Returns:
        In [1 / (draws + 1), 1]: the observed assignment counts as one draw.
    """
    rng = np.random.default_rng(seed)
    chosen = responses.chosen.astype(np.int64)  # (P, Q, options)
    persons = int(responses.right[0].sum()) if len(responses.right) else 0

    def score(right: Mask) -> int:
        hits = np.einsum("pqo,qo->pq", chosen, right.astype(np.int64))
        return int(((hits >= least) & responses.answered).sum())

    observed = score(responses.right)
    as_high = 0
    for _ in range(draws):
        ranks = rng.random(responses.right.shape).argsort(axis=1).argsort(axis=1)
        as_high += score(ranks < persons) >= observed
    return (1 + as_high) / (draws + 1)
