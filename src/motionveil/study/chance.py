"""What guessing scores: at random, or knowing which people occur together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import comb


def chance_of(hits: int, options: int, persons: int) -> float:
    """Return the probability that a guesser names exactly `hits` of the people (hypergeometric).

    Args:
        hits: How many are right, 0 to `persons`.
        options: Number of pictures.
        persons: How many people there are to name; as many are chosen.

    Raises:
        ValueError: There are not more options than people.

    Example:
        >>> round(100 * chance_of(2, options=7, persons=2), 2)
        4.76
    """
    if not 0 < persons < options:
        raise ValueError(f"{persons} people of {options} options")
    ways = comb(persons, hits) * comb(options - persons, persons - hits)
    return ways / comb(options, persons)


def chance_of_at_least(hits: int, options: int, persons: int) -> float:
    """Return the probability that a guesser names `hits` of the people or more.

    Example:
        >>> round(100 * chance_of_at_least(1, options=7, persons=2), 2)
        52.38
    """
    return sum(chance_of(more, options, persons) for more in range(hits, persons + 1))


def chance_of_knowing_groups(
    least: int, questions: Sequence[tuple[Collection[str], Collection[str]]]
) -> float:
    """Return what one scores who knows which people occur together, and guesses among those.

    A data set of pairs seldom has every pair. Who has seen in original clips who goes with whom
    can rule out most choices without seeing anything in a veiled clip.

    Args:
        least: How many must be right.
        questions: For each question, who is right and who can be chosen. Those who are right
            together in any of them occur together.

    Example:
        >>> pairs = [("a", "b"), ("c", "d")]
        >>> chance_of_knowing_groups(2, [(pair, "abcd") for pair in pairs])
        0.5
    """
    groups = {frozenset(right) for right, _ in questions}
    shares = []
    for right, options in questions:
        possible = [group for group in groups if group <= set(options)]
        fitting = [group for group in possible if len(group & set(right)) >= least]
        shares.append(len(fitting) / len(possible))
    return sum(shares) / len(shares)
