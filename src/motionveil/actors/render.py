"""Rendering: rooms, light, sensor noise, and anti-aliased limbs with cloth on them.

Each part of the body is a round cone, drawn by its signed distance: the share of a pixel that it
covers is a ramp of one pixel across the outline. Patterns have ramps of one pixel at their edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.actors.motion import Performance, Pose, pose
from motionveil.actors.people import PATTERNS, Cloth, Colour, Person


@dataclass(frozen=True)
class Camera:
    """An orthographic camera.

    Attributes:
        x: Column of the person's pelvis.
        floor: Row of the floor on which the person stands.
        scale: Pixels for a body height.
        yaw: Angle by which the person is turned from the camera, in radians.
    """

    x: float
    floor: float
    scale: float
    yaw: float

    def project(self, point: NDArray[np.float64]) -> tuple[float, float, float]:
        """Return column, row and depth (larger is nearer) of a point in body heights."""
        across = point[0] * math.cos(self.yaw) + point[2] * math.sin(self.yaw)
        depth = point[2] * math.cos(self.yaw) - point[0] * math.sin(self.yaw)
        return self.x + across * self.scale, self.floor - point[1] * self.scale, depth


@dataclass(frozen=True)
class _Part:
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    radii: tuple[float, float]
    cloth: Cloth


def draw_person(image: NDArray[np.float32], person: Person, joints: Pose, camera: Camera) -> None:
    """Draw a person into `image`, float32 (H, W, 3) in [0, 1], in place, far parts first."""
    rows = []
    for part in _body(person, joints):
        x0, y0, depth0 = camera.project(part.start)
        x1, y1, depth1 = camera.project(part.end)
        scale = camera.scale
        cloth = part.cloth
        pattern = PATTERNS.index(cloth.pattern)
        geometry = [x0, y0, x1, y1, part.radii[0] * scale, part.radii[1] * scale]
        rows.append(
            (
                depth0 + depth1,
                [*geometry, *cloth.base, *cloth.accent, pattern, cloth.period * scale],
            )
        )
    rows.sort(key=lambda row: row[0])
    _draw_cones(image, np.array([row[1] for row in rows], np.float64))


def _plain(colour: Colour) -> Cloth:
    return Cloth(colour, colour, "plain", 1.0)


def _body(person: Person, joints: Pose) -> list[_Part]:
    """Return the parts of the body, each with its cloth or skin."""
    build = person.build
    g = build.girth * build.height
    skin = _plain(person.skin)
    sleeve = person.shirt if person.long_sleeves else skin
    shin = skin if person.shorts else person.trousers
    ahead = np.array([0.0, 0.0, 1.0])
    parts = [
        _Part(
            joints["pelvis"], joints["neck"] - [0, 0.05, 0], (0.088 * g, 0.092 * g), person.shirt
        ),
        _Part(
            joints["left_shoulder"], joints["right_shoulder"], (0.05 * g, 0.05 * g), person.shirt
        ),
        _Part(joints["left_hip"], joints["right_hip"], (0.07 * g, 0.07 * g), person.trousers),
        _Part(joints["neck"] - [0, 0.03, 0], joints["head"], (0.032, 0.032), skin),
    ]
    for side in ("left", "right"):
        shoulder, elbow, hand = (joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "hand"))
        hip, knee, foot = (joints[f"{side}_{name}"] for name in ("hip", "knee", "foot"))
        parts += [
            _Part(shoulder, elbow, (0.045 * g, 0.037 * g), person.shirt),
            _Part(elbow, hand, (0.036 * g, 0.027 * g), sleeve),
            _Part(hand, hand + 0.12 * (hand - elbow), (0.03, 0.026), skin),
            _Part(hip, knee, (0.062 * g, 0.046 * g), person.trousers),
            _Part(knee, foot, (0.045 * g, 0.032 * g), shin),
            _Part(foot, foot + 0.1 * ahead, (0.03, 0.024), _plain(person.shoes)),
        ]
    return parts + _head(person, joints, skin)


def _head(person: Person, joints: Pose, skin: Cloth) -> list[_Part]:
    radius = person.build.head * person.build.height
    head = joints["head"]
    up, ahead, aside = np.eye(3)[[1, 2, 0]]
    hair = _plain(person.hair)
    crown = head + radius * (0.35 * up - 0.25 * ahead)
    parts = [
        _Part(head - 0.25 * radius * up, head + 0.15 * radius * up, (0.85 * radius, radius), skin),
        _Part(crown, crown - 0.2 * radius * ahead, (1.08 * radius, 1.0 * radius), hair),
    ]
    if person.long_hair:
        nape = head - radius * ahead
        parts.append(_Part(nape, nape - 2.0 * radius * up, (0.95 * radius, 0.8 * radius), hair))
    nose = head + radius * (1.05 * ahead - 0.1 * up)
    parts.append(_Part(nose, nose, (0.2 * radius, 0.2 * radius), skin))
    dark = _plain((0.08, 0.06, 0.05))
    for sign in (-1.0, 1.0):
        eye = head + radius * (0.95 * ahead + sign * 0.4 * aside + 0.1 * up)
        parts.append(_Part(eye, eye, (0.16 * radius, 0.16 * radius), dark))
    return parts


@numba.njit(cache=True, nogil=True)
def _draw_cones(image: NDArray[np.float32], cones: NDArray[np.float64]) -> None:
    """Draw round cones, rows of x0, y0, x1, y1, r0, r1, base RGB, accent RGB, pattern, period."""
    height, width = image.shape[:2]
    for index in range(cones.shape[0]):
        cone = cones[index]
        x0, y0, x1, y1, r0, r1 = cone[0], cone[1], cone[2], cone[3], cone[4], cone[5]
        reach = max(r0, r1) + 1.0
        left = max(0, math.floor(min(x0, x1) - reach))
        right = min(width, math.ceil(max(x0, x1) + reach) + 1)
        top = max(0, math.floor(min(y0, y1) - reach))
        bottom = min(height, math.ceil(max(y0, y1) + reach) + 1)
        dx, dy = x1 - x0, y1 - y0
        squared = dx * dx + dy * dy
        length = math.sqrt(squared)
        for row in range(top, bottom):
            for column in range(left, right):
                px, py = column - x0, row - y0
                along = 0.0
                if squared > 1e-9:
                    along = min(1.0, max(0.0, (px * dx + py * dy) / squared))
                ex, ey = px - along * dx, py - along * dy
                radius = r0 + along * (r1 - r0)
                cover = 0.5 + radius - math.sqrt(ex * ex + ey * ey)
                if cover <= 0.0:
                    continue
                cover = min(1.0, cover)
                u, v = py, px
                if length > 1e-3:
                    u = (px * dx + py * dy) / length
                    v = (py * dx - px * dy) / length
                mix = _pattern(int(cone[12]), u, v, cone[13])
                # A limb is round: its sides are darker than its middle.
                side = min(1.0, abs(v) / max(radius, 1e-6)) if length > 1e-3 else 0.0
                shade = 1.0 - 0.3 * side * side
                for channel in range(3):
                    colour = cone[6 + channel] * (1 - mix) + cone[9 + channel] * mix
                    old = image[row, column, channel]
                    image[row, column, channel] = old + cover * (shade * colour - old)


@numba.njit(cache=True, nogil=True)
def _pattern(pattern: int, u: float, v: float, period: float) -> float:
    """Return the share of the accent colour at a place on the cloth, in pixels from its origin."""
    if pattern == 0:
        return 0.0
    # A sine of this gain has a slope of one per pixel where it crosses zero.
    gain = period / (2 * math.pi)
    across = math.sin(2 * math.pi * u / period)
    around = math.sin(2 * math.pi * v / period)
    if pattern == 1:
        wave = across
    elif pattern == 2:
        wave = around
    elif pattern == 3:
        wave = across * around
    else:
        wave = across + around - 0.7
    return min(1.0, max(0.0, 0.5 + gain * wave))


FRAME_RATE = 15
"""Frames a second, as in SBU."""


@dataclass(frozen=True)
class Session:
    """One visit of one person: a room, its light and the camera's noise.

    Attributes:
        room: Background, float32 (H, W, 3) in [0, 1].
        light: Multiplies the frame, float32 (H, W, 3): brightness, tint and direction.
        noise: Standard deviation of the sensor's noise in [0, 1].
    """

    room: NDArray[np.float32]
    light: NDArray[np.float32]
    noise: float

    @classmethod
    def draw(cls, height: int, width: int, rng: np.random.Generator) -> Session:
        """Draw a session at random, for frames of so many pixels."""
        noise = 0.004, 0.012
        return cls(_room(height, width, rng), _light(height, width, rng), rng.uniform(*noise))


def _places(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows and columns of pixels, from 0 to 1 across the square in the middle."""
    size = min(height, width)
    rows, columns = np.mgrid[0:height, 0:width] / size
    return rows - (height - size) // 2 / size, columns - (width - size) // 2 / size


def _room(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a wall and a floor with furniture and paintings, softly textured."""
    size = min(height, width)
    rows, columns = _places(height, width)
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


def _light(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = (places - 0.5 for places in _places(height, width))
    angle = rng.uniform(0, 2 * np.pi)
    slope = 1 + rng.uniform(0, 0.35) * (np.cos(angle) * rows + np.sin(angle) * columns)
    tint = rng.uniform(0.75, 1.1) * (1 + rng.uniform(-0.07, 0.07, 3))
    return (slope[..., None] * tint).astype(np.float32)


def film(
    person: Person, action: str, session: Session, frames: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Render one performance.

    Args:
        action: One of `ACTIONS`.
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
