"""The outputs of a recogniser, and their receivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["action", "none of these", "no motion"]
"""- `action`: one of the classes;
- `none of these`: something moves, and no class is probable enough;
- `no motion`: the veiled frames are neutral."""


@dataclass(frozen=True)
class Answer:
    """What one window shows.

    Attributes:
        time: Timestamp of the window's last frame, in seconds.
        start: Timestamp of its first frame.
        kind: See `Kind`.
        label: The action's name, or the kind.
        probability: Of the action, smoothed over windows; else of no class being meant: one minus
            that of the most probable, or the share of values at rest.
        top: The most probable classes and their probabilities, smoothed; empty for `no motion`.
        lag: By how much the smoothed probabilities are older than the window, in seconds.
    """

    time: float
    start: float
    kind: Kind
    label: str
    probability: float
    top: tuple[tuple[str, float], ...] = ()
    lag: float = 0.0

    @property
    def middle(self) -> float:
        """The time that the answer is about: the mean of the middles of the windows behind it."""
        return (self.start + self.time) / 2 - self.lag


@dataclass(frozen=True)
class Event:
    """A stretch of a stream with one label; told when it begins and again when it ends.

    Attributes:
        time: Timestamp at which it is reported, in seconds.
        start: When it began.
        end: When it ended; None as long as it goes on.
        kind: See `Kind`.
        label: The action's name, or the kind.
        probability: The highest that an answer within it had so far.
        top: The most probable classes of that answer.
    """

    time: float
    start: float
    end: float | None
    kind: Kind
    label: str
    probability: float
    top: tuple[tuple[str, float], ...] = ()


class Receiver(Protocol):
    """A receiver of a recogniser's outputs. It must return soon, and raise for faults."""

    def answer(self, answer: Answer) -> None:
        """Take the answer of a window."""

    def event(self, event: Event) -> None:
        """Take an event that begins or ends."""
