"""What guessing scores: choosing as many pictures at random as there are people to name."""

from __future__ import annotations

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
