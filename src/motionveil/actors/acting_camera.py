"""What a camera sees of a play: a room in its light, and whoever is in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from motionveil.actors.motion import Pose, pose_of
from motionveil.actors.play import Act, Play
from motionveil.actors.render import Camera, Session, draw_person

Image = NDArray[np.uint8]

_SWAY = 0.8  # of the torso, a second, before the person's own tempo; as in the built-in data
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
        self._session = Session.draw(height, width, np.random.default_rng([seed, 4]))
        self._margin = margin
        self._room = self._lit(self._session.room, self._session.light)
        self.noise = 255 * self._session.noise
        self.picture(self._play.visit(0.0).steps[0].end)  # compiles what draws a person

    def acts(self, seconds: float) -> Iterator[Act]:
        """Yield the actions that can be seen before a time; see `Play.acts`."""
        return self._play.acts(seconds)

    def picture(self, seconds: float) -> Image:
        """Return what is seen at a time, uint8 (H, W, 3), RGB, without noise; a new array."""
        image = self._room.copy()
        visit = self._play.visit(seconds)
        step = visit.step(seconds)
        if step is None:
            return image
        person, size, (top, left) = visit.person, self._size, self._corner
        stance = step.stance(seconds, person.manner)
        sway = 2 * np.pi * _SWAY * person.manner.tempo * seconds
        joints = pose_of(stance.posture, person.build, person.manner, sway)
        x, floor = left + (0.5 + stance.x) * size, top + visit.floor * size
        camera = Camera(x=x, floor=floor, scale=visit.scale * size, yaw=stance.yaw)
        rows, columns = self._box(joints, camera)
        part = self._session.room[rows, columns].copy()
        if part.size:
            inside = Camera(x - columns.start, floor - rows.start, camera.scale, camera.yaw)
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
