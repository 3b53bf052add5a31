"""Which clips are asked about, and beside whom: balanced over people, actions and conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from motionveil.data.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.study.design import Condition
from motionveil.study.people import Cast


def choose_clips(
    clips: Sequence[Clip],
    label: str,
    cast: Cast,
    wanted: Mapping[Condition, int],
    random: Random,
) -> dict[Condition, list[Clip]]:
    """Choose clips for each condition, none twice, so that people and actions come equally often.

    One clip after the other is taken, for the conditions in turn: always one whose people, and
    then whose action, and then whose people in this action, the condition has had least often; of
    several, any. What a data set has too little of cannot be balanced.

    Args:
        clips: What there is to choose from.
        label: The privacy label.
        cast: Whom the label's values show.
        wanted: Number of clips of each condition.
        random: Decides between equals.

    Raises:
        MotionveilError: There are fewer clips than wanted.
    """
    total = sum(wanted.values())
    if total > len(clips):
        raise MotionveilError(
            f"{total} questions are asked for, and {len(clips)} clips are there to ask about; ask"
            " fewer questions, or take clips of all parts (--split all)"
        )
    left = random.sample(list(clips), len(clips))
    chosen: dict[Condition, list[Clip]] = {condition: [] for condition in wanted}
    seen: dict[Condition, Counter[object]] = {condition: Counter() for condition in wanted}
    for condition in _in_turn(wanted):
        had = seen[condition]
        best = min(left, key=lambda clip: _had(clip, label, cast, had))
        left.remove(best)
        chosen[condition].append(best)
        had.update(_facts(best, label, cast))
    return chosen


def choose_others(
    right: Sequence[str], people: Sequence[str], options: int, had: Counter[str], random: Random
) -> list[str]:
    """Choose who is shown beside those who are right, and count all of them in `had`.

    Those come first who were options least often: else one could tell who is right by how often
    somebody is shown.

    Args:
        right: Names of those who are right.
        people: Names of everybody.
        options: How many are shown altogether.
        had: How often each was an option so far.
        random: Decides between equals.

    Returns:
        Names, as many as `options`, sorted.
    """
    others = [name for name in people if name not in right]
    random.shuffle(others)
    others.sort(key=lambda name: had[name])
    shown = [*right, *others[: options - len(right)]]
    had.update(shown)
    return sorted(shown)


def _in_turn(wanted: Mapping[Condition, int]) -> list[Condition]:
    """Return the conditions in an order that mixes them evenly."""
    places = [
        ((place + 0.5) / number, order, condition)
        for order, (condition, number) in enumerate(wanted.items())
        for place in range(number)
    ]
    return [condition for _, _, condition in sorted(places)]


def _facts(clip: Clip, label: str, cast: Cast) -> list[object]:
    names = [shown.name for shown in cast[clip.privacy[label]]]
    return [*names, ("action", clip.action), *((name, clip.action) for name in names)]


def _had(clip: Clip, label: str, cast: Cast, had: Counter[object]) -> tuple[int, int, int]:
    names = [shown.name for shown in cast[clip.privacy[label]]]
    return (
        # The square keeps one of a pair from being asked for over and over.
        sum(had[name] ** 2 for name in names),
        had["action", clip.action],
        sum(had[name, clip.action] for name in names),
    )
