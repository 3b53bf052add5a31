"""A play without end by synthetic people, and what a camera sees of it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motionveil.actors.footage import BACKGROUND, Actor, Stance, acting, stretches
from motionveil.actors.motion import Pose
from motionveil.actors.people import Person, make_people
from motionveil.actors.render import FRAME_RATE, Camera, Session, draw_person, film

Image = NDArray[np.uint8]

_ROOM = 4  # which of the seed's random numbers are the room's
_BODY = 0.2  # body heights by which flesh and cloth reach beyond the joints

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
    """One person from entering the room to leaving it, `FRAME_RATE` times per second.

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


class ActingCamera:
    """A play in one room, seen by a camera that stands still.

    Args:
        height: Pixels.
        width: Pixels.
        seed: Draws the room, the people and what they do.
        margin: Levels of grey that the image keeps from black and white.

    Attributes:
        noise: Standard deviation of the camera's noise, in levels.
    """

    def __init__(self, height: int, width: int, seed: int = 0, *, margin: int = 0) -> None:
        self._play = Play(seed)
        self._size = min(height, width)
        self._corner = (height - self._size) // 2, (width - self._size) // 2
        self._session = Session.draw(height, width, np.random.default_rng([seed, _ROOM]))
        self._margin = margin
        self._room = self._lit(self._session.room, self._session.light)
        self.noise = 255 * self._session.noise
        _compile()

    def acts(self, seconds: float) -> Iterator[Act]:
        """Yield the actions that can be seen before a time; see `Play.acts`."""
        return self._play.acts(seconds)

    def picture(self, seconds: float) -> Image:
        """Return what is seen at a time, uint8 (H, W, 3), RGB, without noise; a new array."""
        image = self._room.copy()
        seen = self._play.at(seconds)
        if seen is None:
            return image
        person, stance = seen
        joints, camera = stance.joints(person), stance.camera(self._size)
        top, left = self._corner
        camera = replace(camera, x=left + camera.x, floor=top + camera.floor)
        rows, columns = self._box(joints, camera)
        part = self._session.room[rows, columns].copy()
        if part.size:
            inside = replace(camera, x=camera.x - columns.start, floor=camera.floor - rows.start)
            draw_person(part, person, joints, inside)
            image[rows, columns] = self._lit(part, self._session.light[rows, columns])
        return image

    def _box(self, joints: Pose, camera: Camera) -> tuple[slice, slice]:
        """Return the rows and columns that a person can cover."""
        height, width = self._room.shape[:2]
        places = np.array([camera.project(joint)[:2] for joint in joints.values()])
        reach = _BODY * camera.scale
        left, top = np.floor(places.min(0) - reach).astype(int)
        right, bottom = np.ceil(places.max(0) + reach).astype(int)
        left, right = np.clip((left, right), 0, width).tolist()
        top, bottom = np.clip((top, bottom), 0, height).tolist()
        return slice(top, bottom), slice(left, right)

    def _lit(self, room: NDArray[np.float32], light: NDArray[np.float32]) -> Image:
        levels = np.round(room * light * 255)
        return levels.clip(self._margin, 255 - self._margin).astype(np.uint8)


def _compile() -> None:
    """Have numba compile what draws a person, before frames are due."""
    rng = np.random.default_rng(0)
    film(make_people(1, 0)[0], "raise-arms", Session.draw(16, 16, rng), 1, rng)
