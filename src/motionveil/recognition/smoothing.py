"""From answers about single windows to labels that do not flicker, and events."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motionveil.recognition.answers import Answer, Event, Kind

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SmoothingOptions:
    """How answers are smoothed.

    Attributes:
        half_life: Seconds after which a window weighs half in the exponential moving average of
            probabilities; 0 for none.
        enter: Smoothed probability from which on an action is named.
        leave: Smoothed probability below which the action named is dropped.
        shortest: Seconds for which a label must hold before it is reported.
        top: How many classes an answer lists.
    """

    half_life: float
    enter: float
    leave: float
    shortest: float
    top: int = 1


class Smoother:
    """The exponential moving average of probabilities, with hysteresis.

    Args:
        classes: Names of the actions, the background not among them.
    """

    def __init__(self, classes: tuple[str, ...], options: SmoothingOptions) -> None:
        self._classes, self._options = classes, options
        self.reset()

    def reset(self) -> None:
        """Forget what came before."""
        self._mean: Floats | None = None
        self._time = self._middle = 0.0
        self._named: int | None = None

    def rest(self, time: float, start: float, at_rest: float) -> Answer:
        """Return the answer for a window in which nothing moves; what came before is forgotten."""
        self.reset()
        return Answer(time, start, "no motion", "no motion", at_rest)

    def unknown(self, time: float, start: float) -> Answer:
        """Return the answer for a window that shows too little; what came before is forgotten."""
        self.reset()
        return Answer(time, start, "none of these", "none of these", 1.0)

    def __call__(self, time: float, start: float, probabilities: Floats) -> Answer:
        """Return the answer for a window.

        Args:
            time: Timestamp of its last frame in seconds.
            start: Timestamp of its first frame.
            probabilities: (classes,); what is left to one is the background's.
        """
        options, middle, kept = self._options, (start + time) / 2, 0.0
        if self._mean is not None and options.half_life > 0:
            kept = 0.5 ** (max(0.0, time - self._time) / options.half_life)
        before = probabilities if self._mean is None else self._mean
        self._mean = kept * before + (1 - kept) * probabilities
        # What is averaged is dated by the same average, or events would begin and end late.
        self._middle = kept * self._middle + (1 - kept) * middle
        self._time, lag = time, middle - self._middle
        order = np.argsort(-self._mean, kind="stable")[: max(1, options.top)]
        top = tuple((self._classes[place], float(self._mean[place])) for place in order)
        self._named = self._choose(self._mean, int(order[0]))
        if self._named is None:
            kind: Kind = "none of these"
            return Answer(time, start, kind, kind, 1 - top[0][1], top, lag)
        label, probability = self._classes[self._named], float(self._mean[self._named])
        return Answer(time, start, "action", label, probability, top, lag)

    def _choose(self, mean: Floats, best: int) -> int | None:
        """Return the class named; None for none of these."""
        nothing = 1 - float(mean.sum())  # the background's probability
        if mean[best] >= max(self._options.enter, nothing):
            return best
        if self._named is not None and mean[self._named] >= max(self._options.leave, nothing):
            return self._named
        return None


class EventTracker:
    """Answers to events: a label counts once it has held for a while.

    A window's label is that of most of its frames, so it changes when the window's middle passes a
    boundary: events are dated by the middles of windows, averaged like their probabilities.

    Args:
        shortest: Seconds for which a label must hold before it is reported.
    """

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._current: Event | None = None
        self._candidate: Event | None = None
        self._left: float | None = None  # since when the current label has not been answered
        self._middle: float | None = None
        self._last = 0.0

    def __call__(self, answer: Answer) -> list[Event]:
        """Take the answer of the next window, and return what begins or ends."""
        middle = answer.middle
        boundary = answer.start if self._middle is None else (self._middle + middle) / 2
        self._middle, self._last = middle, answer.time
        if self._current is not None and _is_same(self._current, answer):
            self._candidate = self._left = None
            self._current = _risen(self._current, answer)
            return []
        if self._left is None:
            self._left = boundary
        if self._candidate is None or not _is_same(self._candidate, answer):
            self._candidate = Event(
                answer.time,
                boundary,
                None,
                answer.kind,
                answer.label,
                answer.probability,
                answer.top,
            )
        else:
            self._candidate = _risen(self._candidate, answer)
        if answer.time - self._candidate.time < self._shortest:
            return []
        begun = replace(self._candidate, time=answer.time)
        # Not where the next begins: between them may be labels too short to be told.
        ended = self._close(self._left, answer.time)
        self._current, self._candidate, self._left = begun, None, None
        return [*ended, begun]

    def end(self) -> list[Event]:
        """End the current event where the last window ended, and forget the stream.

        A label that was about to be told is, if it has held for long enough by then.
        """
        begun, last = self._candidate, self._last
        if begun is not None and last - begun.start >= self._shortest:
            begun = replace(begun, time=last)
            left = begun.start if self._left is None else self._left
            ended = [*self._close(left, last), begun, replace(begun, end=last)]
        else:
            ended = self._close(last, last)
        self._current = self._candidate = None
        self._left = self._middle = None
        return ended

    def _close(self, end: float, time: float) -> list[Event]:
        if self._current is None:
            return []
        return [replace(self._current, time=time, end=max(end, self._current.start))]


def _is_same(event: Event, answer: Answer) -> bool:
    return (event.kind, event.label) == (answer.kind, answer.label)


def _risen(event: Event, answer: Answer) -> Event:
    """Return an event with an answer's probability, if that is higher."""
    if answer.probability <= event.probability:
        return event
    return replace(event, probability=answer.probability, top=answer.top)
