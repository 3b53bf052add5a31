"""A play without end: one person after the other enters a room, acts, and leaves it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from motionveil.actors.footage import BACKGROUND, Actor, Stance, acting, stretches
from motionveil.actors.people import Person, make_people
from motionveil.actors.render import FRAME_RATE

_PEOPLE = 10
_PLAY = 7919  # the people's seeds, far from those of data sets that somebody trains on
_OUTSIDE = 0.7  # so far from the middle square, nothing is seen in a frame of 16:9 either
_NEAR = 0.9  # from the middle, where the first person begins to walk in
_KEPT = 2  # visits


@dataclass(frozen=True)
class Act:
    """An action that can be seen: what, and from when to when, in seconds."""

    start: float
    end: float
    action: str


@dataclass(frozen=True)
class _Visit:
    """One person from entering the room to leaving it, `FRAME_RATE` times a second.

    Attributes:
        person: Who.
        stances: How the person stands; None where nothing is seen.
        labels: What is done.
    """

    person: Person
    stances: list[Stance | None]
    labels: list[str]


class Play:
    """Who does what when; the same for the same seed, for any time.

    Every visitor follows the script `motionveil.actors.footage.acting`. They are other people than
    those of the built-in data, whatever its seed.

    Args:
        seed: Draws the people and what they do.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._people = make_people(_PEOPLE, _PLAY + seed)
        self._ends: list[int] = []  # of the visits known so far, in frames
        self._kept: dict[int, _Visit] = {}

    def at(self, seconds: float) -> tuple[Person, Stance] | None:
        """Return who is seen at a time, and how they stand; None if nobody is."""
        whole = math.floor(seconds * FRAME_RATE)
        number, start = self._find(whole)
        visit, place = self._visit(number), whole - start
        stance = visit.stances[place]
        after = visit.stances[min(place + 1, len(visit.stances) - 1)]
        if stance is None:
            return None
        if after is not None:
            stance = _between(stance, after, seconds * FRAME_RATE - whole)
        return visit.person, stance

    def acts(self, seconds: float) -> Iterator[Act]:
        """Yield what can be seen before a time, in order; the last may be cut off by it."""
        number = start = 0
        while start < seconds * FRAME_RATE:
            labels = self._visit(number).labels
            for label, begin, end in stretches(labels):
                since, until = (start + begin) / FRAME_RATE, (start + end) / FRAME_RATE
                if label != BACKGROUND and since < seconds:
                    yield Act(since, min(until, seconds), label)
            number, start = number + 1, start + len(labels)

    def _find(self, frame: int) -> tuple[int, int]:
        """Return the number of the visit of a frame, and the visit's first frame."""
        while not self._ends or self._ends[-1] <= frame:
            length = len(self._visit(len(self._ends)).labels)
            self._ends.append((self._ends[-1] if self._ends else 0) + length)
        number = bisect_right(self._ends, frame)
        return number, self._ends[number - 1] if number else 0

    def _visit(self, number: int) -> _Visit:
        if number not in self._kept:
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = self._write(number)
        return self._kept[number]

    def _write(self, number: int) -> _Visit:
        person = self._people[number % _PEOPLE]
        rng = np.random.default_rng([_PLAY, self._seed, number])
        actor = Actor(person, rng, outside=_OUTSIDE)
        visit = _Visit(person, [], [])
        for label in acting(actor, rng):
            if number == 0 and not visit.labels and abs(actor.x - 0.5) > _NEAR:
                continue  # nobody waits for the first one
            visit.stances.append(actor.stance if actor.visible else None)
            visit.labels.append(label)
        return visit


def _between(one: Stance, other: Stance, share: float) -> Stance:
    """Return the stance on the way from one to the next; a whole turn of an arm is none."""
    way = (other.posture - one.posture + np.pi) % (2 * np.pi) - np.pi
    rest = (a + share * (b - a) for a, b in zip(one[1:], other[1:], strict=True))
    return Stance(one.posture + share * way, *rest)
