"""A play without end: one person after the other enters a room, acts, and leaves it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from motionveil.actors.motion import (
    ACTIONS,
    Performance,
    Posture,
    posture,
    standing,
)
from motionveil.actors.people import Manner, Person, make_people
from motionveil.actors.render import FRAME_RATE

_PEOPLE = 10
_PLAY = 7919  # the people's seeds, far from those of data sets that somebody trains on

# Speeds are in the middle of those of the built-in data, before the person's own tempo.
_ONCE = 1 / (0.045 * FRAME_RATE)  # seconds of a movement that is done once
_TURN = 1 / (0.045 * FRAME_RATE)  # seconds of an arm's turn,
_TURNS = 2  # of which there are so many
_WALK = 0.045 * FRAME_RATE  # cycles a second
_STRIDE = 0.75  # body heights in a cycle, as in the built-in data
_BOTH_FEET = (0.25, 1.25)  # phases of walking with both feet on the floor
_OUTSIDE = 1.25  # how far from the middle a person waits, in sides of the square in the middle,
_SEEN = 0.5  # and up to where a person can be recognised
_EMPTY = (0.2, 1.5)  # seconds for which nobody is on the way
_PAUSE = (1.0, 2.0)  # seconds between two actions,
_MOVING = 0.8  # in which a person turns, if need be


@dataclass(frozen=True)
class Stance:
    """How and where a person stands.

    Attributes:
        posture: How the body is held.
        yaw: Angle by which the person is turned from the camera, in radians.
        x: Place across, from the middle, in sides of the square in the middle of the frame.
    """

    posture: Posture
    yaw: float
    x: float


@dataclass(frozen=True)
class Step:
    """An action, or a pause, from one stance to another.

    Attributes:
        start, end: When, in seconds.
        begin, finish: The stances.
        action: What is done; None for a pause.
        performance: How it is done; None for a pause.
        phases: Phase at the start and at the end; see `pose`.
        seen: Where the person can be recognised, in seconds; None where nothing is to be seen.
    """

    start: float
    end: float
    begin: Stance
    finish: Stance
    performance: Performance | None = None
    phases: tuple[float, float] = (0.0, 0.0)
    seen: tuple[float, float] | None = None

    def stance(self, seconds: float, manner: Manner) -> Stance:
        """Return how the person stands at a time."""
        passed = seconds - self.start
        if self.performance is None:
            share = _smooth(passed / min(_MOVING, self.end - self.start))
            held = (1 - share) * self.begin.posture + share * self.finish.posture
        else:
            share = passed / (self.end - self.start)
            phase = self.phases[0] + share * (self.phases[1] - self.phases[0])
            held = posture(self.performance, manner, phase)
        return Stance(
            held,
            self.begin.yaw + share * (self.finish.yaw - self.begin.yaw),
            self.begin.x + share * (self.finish.x - self.begin.x),
        )


@dataclass(frozen=True)
class Visit:
    """One person from entering the room to leaving it.

    Attributes:
        person: Who.
        scale: Size of a body height, in sides of the square in the middle of the frame.
        floor: Where the floor is, from the top of that square, in its sides.
        steps: What is done, without gaps; before the first the room is empty.
    """

    person: Person
    scale: float
    floor: float
    steps: tuple[Step, ...]

    def step(self, seconds: float) -> Step | None:
        """Return what is done at a time; None while the room is empty."""
        place = bisect_right(self.steps, seconds, key=lambda step: step.start)
        return self.steps[place - 1] if place else None


@dataclass(frozen=True)
class Act:
    """An action that can be seen: what, and from when to when, in seconds."""

    start: float
    end: float
    action: str


class Play:
    """Who does what when; the same for the same seed, for any time.

    Every visitor walks in, does the four pairs of actions in an order drawn at random, with pauses
    in which they stand as they are or turn, and walks out; then the room is empty for a while.
    These are other people than those of the built-in data, whatever its seed.

    Args:
        seed: Draws the people and what they do.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._people = make_people(_PEOPLE, _PLAY + seed)
        self._visits: list[Visit] = []
        self._ends: list[float] = []

    def visit(self, seconds: float) -> Visit:
        """Return the visit of a time, from the empty room before it on."""
        while not self._ends or self._ends[-1] <= seconds:
            number, start = len(self._visits), self._ends[-1] if self._ends else 0.0
            rng = np.random.default_rng([_PLAY, self._seed, number])
            visit = _Visitor(self._people[number % _PEOPLE], rng).visit(start)
            self._visits.append(visit)
            self._ends.append(visit.steps[-1].end)
        return self._visits[bisect_right(self._ends, seconds)]

    def acts(self, seconds: float) -> Iterator[Act]:
        """Yield what can be seen before a time, in order; the last may be cut off by it."""
        self.visit(seconds)
        for visit in self._visits:
            for step in visit.steps:
                if step.performance is None or step.seen is None or step.seen[0] >= seconds:
                    continue
                yield Act(step.seen[0], min(step.seen[1], seconds), step.performance.action)


class _Visitor:
    """Writes one visit, step by step."""

    def __init__(self, person: Person, rng: np.random.Generator) -> None:
        self._person, self._rng = person, rng
        self._scale = float(rng.uniform(0.66, 0.8))
        self._steps: list[Step] = []

    def visit(self, start: float) -> Visit:
        """Return the visit that begins at a time, with an empty room."""
        rng = self._rng
        self._time = start + rng.uniform(*_EMPTY)
        home, side = rng.uniform(-0.1, 0.1), rng.choice([-1.0, 1.0])
        rest = standing(self._person.manner)
        self._stance = Stance(rest, 0.0, -side * _OUTSIDE)
        self._walk_to(home)
        front = Stance(rest, rng.uniform(-0.6, 0.6), home)
        for pair in rng.permutation(len(ACTIONS) // 2):
            self._perform_pair(ACTIONS[2 * pair], ACTIONS[2 * pair + 1], front)
        self._walk_to(rng.choice([-1.0, 1.0]) * _OUTSIDE)
        floor = float(rng.uniform(0.9, 0.96))
        return Visit(self._person, self._scale, floor, tuple(self._steps))

    def _perform_pair(self, one: str, other: str, front: Stance) -> None:
        """Perform an action, pause as one stands at its end, and perform its reversal."""
        manner, walks = self._person.manner, one.startswith("walk")
        phases, seconds = (0.0, 1.0), _ONCE / manner.tempo
        ends, away = phases, 0.0
        if one.startswith("circle"):
            phases, seconds = (0.0, float(_TURNS)), _TURNS * _TURN / manner.tempo
            ends = (0.0, 0.0)  # an arm that has turned is where it was
        if walks:
            phases, seconds = _BOTH_FEET, 1 / (_WALK * manner.tempo)
            ends = phases
            # Towards the far side.
            yaw = (-1.0 if front.x > 0 else 1.0) * self._rng.uniform(0.9, 1.3)
            front = replace(front, yaw=yaw)
            away = _STRIDE * self._scale * math.sin(yaw)
        performance = Performance.draw(one, 1, self._rng)
        held = [posture(performance, manner, phase) for phase in ends]
        near, far = replace(front, posture=held[0]), Stance(held[1], front.yaw, front.x + away)
        self._pause(near)
        self._act(performance, seconds, phases, far)
        self._pause(far)
        self._act(replace(performance, action=other), seconds, phases[::-1], near)

    def _walk_to(self, x: float) -> None:
        """Turn, if the camera can see it, and walk ahead to a place: into the room or out of it."""
        manner, begin = self._person.manner, self._stance.x
        yaw = math.copysign(self._rng.uniform(1.2, 1.4), x - begin)
        cycles = (x - begin) / (_STRIDE * self._scale * math.sin(yaw))
        phases = (_BOTH_FEET[1] - cycles, _BOTH_FEET[1])
        performance = Performance.draw("walk-forward", 1, self._rng)
        held = [posture(performance, manner, phase) for phase in phases]
        enters = abs(begin) > abs(x)
        if enters:
            self._stance = Stance(held[0], yaw, begin)
        else:
            self._pause(Stance(held[0], yaw, begin))
        seconds, start = cycles / (_WALK * manner.tempo), self._time
        self._act(performance, seconds, phases, Stance(held[1], yaw, x))
        edge = math.copysign(_SEEN, begin if enters else x)
        crossing = start + seconds * (edge - begin) / (x - begin)
        seen = (crossing, self._time) if enters else (start, crossing)
        self._steps[-1] = replace(self._steps[-1], seen=seen)

    def _act(
        self,
        performance: Performance,
        seconds: float,
        phases: tuple[float, float],
        finish: Stance,
    ) -> None:
        end = self._time + seconds
        self._steps.append(
            Step(self._time, end, self._stance, finish, performance, phases, (self._time, end))
        )
        self._time, self._stance = end, finish

    def _pause(self, finish: Stance) -> None:
        end = self._time + self._rng.uniform(*_PAUSE)
        self._steps.append(Step(self._time, end, self._stance, finish))
        self._time, self._stance = end, finish


def _smooth(share: float) -> float:
    """Return a smooth step from 0 at 0 to 1 at 1."""
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, max(0.0, share)))
