"""The actions of the last day, in steps of five minutes: constant memory, for years."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

STEP = 300
"""Seconds of a step."""

STEPS = 86_400 // STEP


class DayTimeline:
    """How long each action went on, in each step of the last 24 hours.

    Args:
        clock: The wall clock, in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._steps: dict[int, Counter[str]] = {}  # by number since 1970; replaced, not changed

    def add(self, label: str, begin: float, end: float) -> None:
        """Add an action that has ended; a part before the last day is left out."""
        oldest, newest = self._limits()
        for number in range(max(int(begin) // STEP, oldest), min(int(end) // STEP, newest) + 1):
            seconds = min(end, (number + 1) * STEP) - max(begin, number * STEP)
            if seconds > 0:
                known = self._steps.get(number, Counter())
                self._steps[number] = known + Counter({label: seconds})
        self._forget(oldest)

    def steps(self) -> list[tuple[int, str, float]]:
        """Return, oldest first: begin of a step (seconds since 1970), action, its seconds in it."""
        oldest, _ = self._limits()
        return [
            (number * STEP, label, round(seconds, 1))
            for number, actions in sorted(self._steps.copy().items())
            if number >= oldest
            for label, seconds in sorted(actions.items())
        ]

    def _limits(self) -> tuple[int, int]:
        newest = int(self._clock()) // STEP
        return newest - STEPS + 1, newest

    def _forget(self, oldest: int) -> None:
        for number in [number for number in self._steps if number < oldest]:
            del self._steps[number]
