"""Where and under what light people are seen: rooms, lamps, cameras and their noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.data.actors.motions import Performance, pose
from motionveil.data.actors.people import Person
from motionveil.data.actors.render import Camera, draw_person

FRAME_RATE = 15
"""Frames a second, as in SBU."""


@dataclass(frozen=True)
class Session:
    """One visit of one person: a room, its light and the camera's noise.

    Attributes:
        room: Background, float32 (size, size, 3) in [0, 1].
        light: Multiplies the picture, float32 (size, size, 3): brightness, tint and direction.
        noise: Standard deviation of the sensor's noise in [0, 1].
    """

    room: NDArray[np.float32]
    light: NDArray[np.float32]
    noise: float

    @classmethod
    def draw(cls, size: int, rng: np.random.Generator) -> Session:
        """Draw a session at random, for square frames of `size` pixels."""
        return cls(_room(size, rng), _light(size, rng), float(rng.uniform(0.004, 0.012)))


def _room(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a wall and a floor with some furniture and pictures, softly textured."""
    rows, columns = np.mgrid[0:size, 0:size] / size
    wall = rng.uniform(0.25, 0.85) + rng.uniform(-0.12, 0.12, 3)
    ground = rng.uniform(0.2, 0.7) + rng.uniform(-0.1, 0.1, 3)
    skirting = _ramp((rows - rng.uniform(0.72, 0.86)) * size)
    room = wall + (ground - wall) * skirting[..., None]
    for _ in range(int(rng.integers(2, 6))):
        centre = rng.uniform(0, 1, 2)
        half = rng.uniform(0.04, 0.2, 2)
        outside = np.maximum(abs(rows - centre[0]) - half[0], abs(columns - centre[1]) - half[1])
        room += (rng.uniform(0.1, 0.9, 3) - room) * _ramp(-outside * size)[..., None]
    for _ in range(3):
        angle, frequency = rng.uniform(0, np.pi), rng.uniform(2, 9)
        wave = np.sin(2 * np.pi * frequency * (np.cos(angle) * rows + np.sin(angle) * columns))
        room += 0.02 * wave[..., None]
    return np.clip(room, 0, 1).astype(np.float32)


def _ramp(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of a pixel inside an edge, from the signed distance in pixels."""
    return np.clip(0.5 + distance, 0, 1)


def _light(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    slope = 1 + rng.uniform(0, 0.35) * (np.cos(angle) * rows + np.sin(angle) * columns)
    tint = rng.uniform(0.75, 1.1) * (1 + rng.uniform(-0.07, 0.07, 3))
    return (slope[..., None] * tint).astype(np.float32)


def film(
    person: Person, action: str, session: Session, frames: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Film one performance.

    Args:
        person: Who is seen.
        action: One of `motions.ACTIONS`.
        session: Where; its room gives the frame's size.
        frames: Length in frames, at `FRAME_RATE`.
        rng: Draws position, scale, turn, speed and noise.

    Returns:
        Frames, uint8 (frames, size, size, 3), RGB.
    """
    size = session.room.shape[0]
    performance = Performance.draw(action, frames, rng)
    phases = performance.phases(frames, person.manner.tempo)
    walking = action.startswith("walk")
    turned = rng.choice([-1.0, 1.0]) * rng.uniform(0.9, 1.5) if walking else rng.uniform(-0.6, 0.6)
    scale = size * rng.uniform(0.66, 0.8)
    x = size * rng.uniform(0.4, 0.6)
    floor = size * rng.uniform(0.9, 0.96)
    video = np.empty((frames, size, size, 3), np.float32)
    for index, phase in enumerate(phases):
        # A walker covers most of a body height in a cycle, half of it before the clip's middle.
        stride = 0.75 * (phase - phases.mean()) * np.sin(turned) * scale if walking else 0.0
        camera = Camera(x=x + stride, floor=floor, scale=scale, yaw=turned)
        sway = performance.sway_phase + 2 * np.pi * 0.8 * person.manner.tempo * index / FRAME_RATE
        joints = pose(performance, person.build, person.manner, float(phase), sway)
        video[index] = session.room
        draw_person(video[index], person, joints, camera)
    video *= session.light
    video += rng.normal(0, session.noise, video.shape).astype(np.float32)
    return np.round(np.clip(video, 0, 1) * 255).astype(np.uint8)
