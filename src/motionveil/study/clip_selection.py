"""Balanced selection: which clips are shown in each condition, and which distractors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.study.design import Condition
from motionveil.study.subjects import Subjects


def choose_clips(
    clips: Sequence[Clip],
    label: str,
    subjects: Subjects,
    wanted: Mapping[Condition, int],
    random: Random,
) -> dict[Condition, list[Clip]]:
    """Choose clips for each condition without replacement, balanced over people and actions.

    Greedy: conditions take turns, and each takes the clip whose people, then whose action, then
    whose combination of the two it has had least often. Ties are broken at random.

    Raises:
        MotionveilError: There are fewer clips than wanted.
    """
    total = sum(wanted.values())
    if total > len(clips):
        raise MotionveilError(
            f"{total} questions requested, but only {len(clips)} clips are available; request"
            " fewer questions, or use all parts of the data (--split all)"
        )
    remaining = random.sample(list(clips), len(clips))
    chosen: dict[Condition, list[Clip]] = {condition: [] for condition in wanted}
    counts: dict[Condition, Counter[object]] = {condition: Counter() for condition in wanted}

    def cost(clip: Clip, count: Counter[object]) -> tuple[int, int, int]:
        names = [subject.name for subject in subjects[clip.privacy[label]]]
        return (
            sum(count[name] ** 2 for name in names),  # squared: neither of a pair is overused
            count["action", clip.action],
            sum(count[name, clip.action] for name in names),
        )

    for condition in _interleaved(wanted):
        count = counts[condition]
        best = min(remaining, key=lambda clip: cost(clip, count))
        remaining.remove(best)
        chosen[condition].append(best)
        names = [subject.name for subject in subjects[best.privacy[label]]]
        count.update([*names, ("action", best.action), *((name, best.action) for name in names)])
    return chosen


def choose_options(
    right: Sequence[str], people: Sequence[str], options: int, shown: Counter[str], random: Random
) -> list[str]:
    """Choose the options of a question, and count them in `shown`.

    Distractors are those shown least often so far: otherwise the frequency of a picture would
    reveal the correct answer.

    Args:
        right: Names of the people in the clip.
        people: Names of everyone.
        options: Number of options, the correct ones included.
        shown: How often each person was an option so far.
        random: Breaks ties.

    Returns:
        Names, sorted.
    """
    others = [name for name in people if name not in right]
    random.shuffle(others)
    others.sort(key=lambda name: shown[name])
    chosen = [*right, *others[: options - len(right)]]
    shown.update(chosen)
    return sorted(chosen)


def _interleaved(wanted: Mapping[Condition, int]) -> list[Condition]:
    """Return the conditions in an order that mixes them evenly."""
    places = [
        ((place + 0.5) / number, order, condition)
        for order, (condition, number) in enumerate(wanted.items())
        for place in range(number)
    ]
    return [condition for _, _, condition in sorted(places)]
