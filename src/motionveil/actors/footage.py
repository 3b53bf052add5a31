"""Long footage with its truth: people act, pause, walk about, come and go; drawn frame by frame.

A clip of the built-in data set is one performance, cut out. In footage a person gets from each to
the next: joints move without jumps, a person who walks gets to another place, and between the
actions is what has no name: standing, swaying, turning, bending an elbow, nobody at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionveil.actors.motion import Performance, Pose, Posture, pose_of, posture, standing
from motionveil.actors.people import Person
from motionveil.actors.render import FRAME_RATE, Camera, Session, draw_person

BACKGROUND = "background"
"""The label of frames in which there is no action."""

_BLEND = 5  # frames from one movement into the next
_SHOT = 20  # frames over which the speed of a movement that has an end is drawn
_STRIDE = 0.75  # body heights that a cycle of walking covers
_OUTSIDE = 0.35  # of the frame's width beyond its border: nothing is seen of the person
_NEARER = 0.12  # by how much less far the camera is, for a body height ahead
_ELBOWS = (2, 5)  # their places in a posture
_BACKWARDS = ("lower-arms", "stand-up", "walk-backward", "circle-counterclockwise")


class Instant(NamedTuple):
    """A frame, uint8 (size, size, 3), RGB, and the action that is done in it."""

    image: NDArray[np.uint8]
    label: str


class Stance(NamedTuple):
    """How and where a person stands. Lengths are shares of the side of the frame's middle square.

    Attributes:
        posture: See `Posture`.
        sway: Phase of the torso's sway, in radians.
        x: Column of the pelvis.
        floor: Row of the floor.
        scale: Body height.
        yaw: Angle by which the person is turned from the camera, in radians.
    """

    posture: Posture
    sway: float
    x: float
    floor: float
    scale: float
    yaw: float

    def camera(self, size: int) -> Camera:
        """Return the camera of a frame whose middle square has a side of so many pixels."""
        return Camera(
            x=self.x * size, floor=self.floor * size, scale=self.scale * size, yaw=self.yaw
        )

    def joints(self, person: Person) -> Pose:
        """Return the joints of a person who stands so."""
        return pose_of(self.posture, person.build, person.manner, self.sway)


class Actor:
    """A person in a room, who stands outside at first.

    The methods are movements: each yields the label of every frame that it lasts.

    Args:
        rng: Draws how everything is done.
        outside: How far beyond the border, as a share of the frame's width, nothing is seen.

    Attributes:
        outside: See above.
        x: Column of the pelvis, as a share of the frame's width.
        ahead: How much nearer to the camera than the room's middle, in body heights.
        yaw: Angle by which the person is turned from the camera, in radians; 0 to pi: to the right.
        scale: Body height in the room's middle, as a share of the frame's width.
    """

    def __init__(
        self, person: Person, rng: np.random.Generator, *, outside: float = _OUTSIDE
    ) -> None:
        self._person, self._rng, self.outside = person, rng, outside
        self.x, self.ahead, self.yaw = -outside, 0.0, 0.0
        self.scale, self._floor = float(rng.uniform(0.66, 0.8)), float(rng.uniform(0.9, 0.96))
        self._posture = standing(person.manner)
        self._sway = float(rng.uniform(0, 2 * np.pi))

    @property
    def visible(self) -> bool:
        """Whether anything is seen of the person."""
        return -self.outside < self.x < 1 + self.outside

    @property
    def stance(self) -> Stance:
        """How and where the person stands now."""
        floor = self._floor + 0.03 * self.ahead
        return Stance(self._posture, self._sway, self.x, floor, self._shown(), self.yaw)

    def draw(self, image: NDArray[np.float32]) -> None:
        """Draw the person into a frame, float32 (size, size, 3) in [0, 1], in place."""
        stance = self.stance
        draw_person(image, self._person, stance.joints(self._person), stance.camera(len(image)))

    def pause(self, frames: int) -> Iterator[str]:
        """Stay as one is for a while; in a longer pause an elbow may be bent and stretched."""
        fidget = FRAME_RATE if frames > 2 * FRAME_RATE and self._rng.uniform() < 0.3 else 0
        before = (frames - fidget) // 2
        yield from self._move(self._posture, before)
        if fidget:
            rest, bent = self._posture, self._posture.copy()
            bent[self._rng.choice(_ELBOWS)] += self._rng.uniform(0.8, 1.6)
            yield from self._move(bent, fidget // 2)
            yield from self._move(rest, fidget - fidget // 2)
        yield from self._move(self._posture, frames - fidget - before)

    def relax(self) -> Iterator[str]:
        """Get to stand."""
        yield from self._move(standing(self._person.manner), 2 * _BLEND)

    def turn(self, yaw: float) -> Iterator[str]:
        """Turn on the spot, the short way."""
        way = (yaw - self.yaw + math.pi) % (2 * math.pi) - math.pi
        frames = max(2, round(6 * abs(way)))
        for _ in range(frames):
            self.yaw += way / frames
            self._go_on()
            yield BACKGROUND

    def act(self, action: str) -> Iterator[str]:
        """Do an action that keeps its place: raise, lower, squat, stand up, circle."""
        turns = int(self._rng.integers(1, 3)) if action.startswith("circle") else 1
        performance = Performance.draw(action, _SHOT, self._rng)
        yield from self._perform(performance, turns)
        # A whole turn of an arm is none.
        self._posture -= 2 * np.pi * np.round(self._posture / (2 * np.pi))

    def walk(self, cycles: float, *, forward: bool = True) -> Iterator[str]:
        """Walk as the person is turned, two steps a cycle; it has no name outside the frame."""
        action = "walk-forward" if forward else "walk-backward"
        performance = Performance.draw(action, _SHOT, self._rng)
        step = self._speed(performance) * _STRIDE * (1 if forward else -1)
        for label in self._perform(performance, cycles):
            self.x += step * math.sin(self.yaw) * self._shown()
            self.ahead += step * math.cos(self.yaw)
            yield label if 0 <= self.x <= 1 else BACKGROUND

    def walk_to(self, x: float) -> Iterator[str]:
        """Turn to the side and walk forward to a column, about."""
        yield from self.turn(self.side(x > self.x))
        distance = abs(x - self.x) / (self._shown() * abs(math.sin(self.yaw)))
        yield from self.walk(distance / _STRIDE)

    def side(self, right: bool) -> float:
        """Draw an angle at which the person faces the right or the left."""
        return float(self._rng.uniform(0.9, 1.5)) * (1 if right else -1)

    def _shown(self) -> float:
        """Return the body height here, as a share of the frame's width."""
        return self.scale / (1 - _NEARER * self.ahead)

    def _speed(self, performance: Performance) -> float:
        return performance.speed * self._person.manner.tempo

    def _perform(self, performance: Performance, cycles: float) -> Iterator[str]:
        frames = max(2, round(cycles / self._speed(performance)))
        phases = np.arange(1, frames + 1) * (cycles / frames)
        if performance.action in ("lower-arms", "stand-up"):
            phases = cycles - phases
        elif performance.action in _BACKWARDS:
            phases = -phases
        before = self._posture
        for number, phase in enumerate(phases, 1):
            weight = min(1.0, number / _BLEND)
            target = posture(performance, self._person.manner, float(phase))
            self._posture = before + weight * (target - before)
            self._go_on()
            yield performance.action

    def _move(self, target: Posture, frames: int) -> Iterator[str]:
        before = self._posture
        for number in range(1, frames + 1):
            weight = 0.5 - 0.5 * math.cos(math.pi * number / frames)
            self._posture = before + weight * (target - before)
            self._go_on()
            yield BACKGROUND

    def _go_on(self) -> None:
        self._sway += 2 * np.pi * 0.8 * self._person.manner.tempo / FRAME_RATE


Script = Callable[[Actor, np.random.Generator], Iterator[str]]
"""Moves an actor for as long as it lasts: `acting`, `wandering`, `nobody`, ..."""


def nobody(actor: Actor, rng: np.random.Generator) -> Iterator[str]:
    """Leave the room empty."""
    while True:
        yield BACKGROUND


def acting(actor: Actor, rng: np.random.Generator) -> Iterator[str]:
    """Come in, do every action once in random order with pauses between, and leave."""
    yield from _absence(rng)
    yield from _enter(actor, rng)
    blocks = (
        ("raise-arms", "lower-arms"),
        ("squat-down", "stand-up"),
        ("walk-forward",),
        ("walk-backward",),
        ("circle-clockwise",),
        ("circle-counterclockwise",),
    )
    for place in rng.permutation(len(blocks)):
        yield from _pause(actor, rng)
        if blocks[place][0].startswith("walk"):
            forward = blocks[place] == ("walk-forward",)
            # To the side that has room.
            yield from actor.turn(actor.side((actor.x < 0.5) == forward))
            yield from actor.walk(float(rng.uniform(0.9, 1.3)), forward=forward)
        else:
            yield from actor.turn(float(rng.uniform(-0.6, 0.6)))
            for number, action in enumerate(blocks[place]):
                if number:
                    yield from _pause(actor, rng)
                yield from actor.act(action)
        yield from actor.relax()
    yield from _pause(actor, rng)
    yield from actor.walk_to(1 + actor.outside if actor.x > 0.5 else -actor.outside)
    yield from _absence(rng)


def wandering(actor: Actor, rng: np.random.Generator) -> Iterator[str]:
    """Walk about in all directions, stop and stand, and never leave."""
    actor.x = float(rng.uniform(0.25, 0.75))
    while True:
        across = (rng.uniform(0.2, 0.8) - actor.x) / actor.scale
        ahead = rng.uniform(-1.5, 1.5) - actor.ahead
        yield from actor.turn(math.atan2(across, ahead))
        yield from actor.walk(max(0.5, math.hypot(across, ahead) / _STRIDE))
        yield from actor.relax()
        yield from _pause(actor, rng)


def strolling(actor: Actor, rng: np.random.Generator) -> Iterator[str]:
    """Walk about for twelve seconds."""
    yield from islice(wandering(actor, rng), 12 * FRAME_RATE)


def _absence(rng: np.random.Generator) -> Iterator[str]:
    for _ in range(int(rng.integers(2 * FRAME_RATE, 4 * FRAME_RATE))):
        yield BACKGROUND


def _pause(actor: Actor, rng: np.random.Generator) -> Iterator[str]:
    yield from actor.pause(int(rng.integers(FRAME_RATE, 4 * FRAME_RATE)))


def _enter(actor: Actor, rng: np.random.Generator) -> Iterator[str]:
    actor.x = float(rng.choice([-actor.outside, 1 + actor.outside]))
    yield from actor.walk_to(float(rng.uniform(0.35, 0.65)))
    yield from actor.relax()


def film_footage(
    person: Person, script: Script, session: Session, rng: np.random.Generator
) -> Iterator[Instant]:
    """Draw footage, frame by frame, at `FRAME_RATE`, for as long as its script lasts.

    Args:
        session: Where; its room gives the frame's size.
        rng: Draws how everything is done, and the sensor's noise.
    """
    noise = np.random.default_rng(int(rng.integers(2**63)))
    for actor, label in _played(person, script, rng):
        image = session.room.copy()
        if actor.visible:
            actor.draw(image)
        image *= session.light
        image += session.noise * noise.standard_normal(image.shape, np.float32)
        yield Instant(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8), label)


def footage_labels(person: Person, script: Script, rng: np.random.Generator) -> list[str]:
    """Return the labels of the frames that `film_footage` draws; for scripts that end."""
    rng.integers(2**63)  # the noise's seed
    return [label for _, label in _played(person, script, rng)]


def _played(
    person: Person, script: Script, rng: np.random.Generator
) -> Iterator[tuple[Actor, str]]:
    actor = Actor(person, rng)
    for label in script(actor, rng):
        yield actor, label


class Stretch(NamedTuple):
    """Consecutive frames with one label, the last one excluded."""

    label: str
    start: int
    end: int


def stretches(labels: Sequence[str]) -> list[Stretch]:
    """Return the stretches of frames with one label.

    Examples:
        >>> [tuple(stretch) for stretch in stretches(["a", "a", "b"])]
        [('a', 0, 2), ('b', 2, 3)]
    """
    ends = [place for place in range(1, len(labels)) if labels[place] != labels[place - 1]]
    places = [0, *ends, len(labels)] if labels else []
    return [Stretch(labels[start], start, end) for start, end in pairwise(places)]
