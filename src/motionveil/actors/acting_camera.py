"""What a camera sees of a play: a lit room and the person in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motionveil.actors.motion import Pose
from motionveil.actors.people import make_people
from motionveil.actors.play import Act, Play
from motionveil.actors.render import Camera, Session, draw_person, film

Image = NDArray[np.uint8]

_ROOM = 4  # which of the seed's random numbers are the room's
_BODY = 0.2  # body heights by which flesh and cloth reach beyond the joints


class ActingCamera:
    """A play in one room, seen by a camera that stands still.

    Args:
        height: Pixels.
        width: Pixels.
        seed: Draws the room, the people and what they do.
        margin: Levels of grey that the picture keeps from black and white.

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
