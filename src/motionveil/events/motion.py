"""Frames between two frames, interpolated along the motion: adaptive up-sampling for events.

Between two frames a fast edge jumps, and interpolating each pixel by itself spreads its events over
the whole time. Gehrig et al. ("Video to events", CVPR 2020) interpolate frames until nothing moves
by more than a pixel from one to the next, with a network. Here the motion is that of
`motionveil.streaming.flow_field`, coarse to fine, and nothing is learned.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.methods.base import gaussian
from motionveil.methods.flow import BLUR_RADIUS, FlowSettings, taps
from motionveil.streaming.flow_field import CellVelocities

Floats = NDArray[np.float32]
Levels = NDArray[np.float64]

FIELD = FlowSettings(cell=4, sigma=1.0, window=3.0, eps=2e-5)
"""Of the motion field at each scale."""

LEAST_SIDE = 12
"""Pixels of the shorter side below which no coarser scale is made."""

ROUNDS = 3
"""How often the field is solved for at each scale, for what is left of the motion."""

MOST_STEPS = 64
"""Between two frames; what moves further takes larger ones."""

_MOMENTS = (0.25, 0.5, 0.75)
"""At which it is judged whether the motion explains a pixel."""

_TRUSTED = 0.25
"""Share of the change by a motion below which both frames' disagreement about it is small."""

_UNMOVED = 0.15
"""Pixels at its scale: a structure that has moved by less stands still."""

_STILL = 0.25
"""Pixels: a motion below it over the whole time needs no steps."""


class MotionInterpolation:
    """Interpolates levels along the motion.

    Level L at share s of the time between two frames is, where the motion is u at that place and
    time, `(1 - s) L0(x - s u) + s L1(x + (1 - s) u)`: both frames moved to that moment. Where the
    two disagree (occlusions, flicker, wrong motion), the pixel is interpolated by itself, linearly,
    as everywhere where nothing moves. At both ends the frames are as they are.

    Args:
        height, width: Of frames, in pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self._shapes = [(height, width)]
        while min(self._shapes[-1]) >= 2 * LEAST_SIDE:
            above = self._shapes[-1]
            self._shapes.append((above[0] // 2, above[1] // 2))
        self._fields = [CellVelocities(FIELD, shape) for shape in self._shapes]
        self._blur = taps(FIELD).blur.astype(np.float32)
        self._around = gaussian(2.0, BLUR_RADIUS).astype(np.float32)

    def motion(self, before: Levels, after: Levels) -> Floats:
        """Return the motion from one frame to the next, half-way between them.

        Args:
            before, after: Luma in [0, 1], (H, W).

        Returns:
            float32 (2, H, W), along x and y in pixels: what is at x half-way was at x - u / 2 and
            will be at x + u / 2.
        """
        pyramids = [self._pyramid(frame) for frame in (before, after)]
        found = np.zeros((2, *self._shapes[-1]), np.float32)
        for scale in reversed(range(len(self._shapes))):
            shape = self._shapes[scale]
            if found.shape[1:] != shape:
                found = 2 * _resized(found, shape)
            pair = [pyramid[scale] for pyramid in pyramids]
            for _ in range(ROUNDS):
                moved = [np.empty(shape, np.float32) for _ in pair]
                for image, part, out in zip(pair, (-0.5, 0.5), moved, strict=True):
                    _move(image, found, np.float32(part), out)
                cells = self._fields[scale](*moved)
                more = _of_cells(np.clip(cells, -1, 1).transpose(2, 0, 1), shape)
                found += more
            found = _of_cells(_medians(found[:, :: FIELD.cell, :: FIELD.cell]), shape)
            found[:, self._still(*pair)] = 0
        return found

    def _still(self, before: Floats, after: Floats) -> NDArray[np.bool_]:
        """Return where a structure is in both frames at its place.

        A pattern that repeats itself would match at a wrong place too.
        """
        down, along = np.gradient((before + after) / 2)
        change, structure = np.empty((2, *before.shape), np.float32)
        _blurred(np.square(after - before), self._around, change)
        _blurred(np.square(down) + np.square(along), self._around, structure)
        return np.asarray(change < _UNMOVED**2 * structure)

    def between(self, before: Levels, after: Levels, levels: tuple[Levels, Levels]) -> list[Levels]:
        """Return the levels at equal steps between two frames, none where nothing moves.

        Args:
            before, after: Luma in [0, 1], (H, W).
            levels: Of both, (H, W).

        Returns:
            n - 1 of them, (H, W): within a step nothing moves by more than a pixel, unless it moves
            by more than `MOST_STEPS` in all.
        """
        motion = self.motion(before, after)
        explained = self._explained(levels, motion)
        speed = np.hypot(*motion)[explained]
        furthest = float(speed.max()) if len(speed) else 0.0
        if furthest <= _STILL:
            return []
        steps = min(MOST_STEPS, math.ceil(furthest))
        found = []
        for step in range(1, steps):
            out = np.empty(before.shape)
            _interpolate(*levels, motion, explained, step / steps, out)
            found.append(out)
        return found

    def _explained(self, levels: tuple[Levels, Levels], motion: Floats) -> NDArray[np.bool_]:
        """Return where the motion explains both frames better than no motion does.

        There the two, moved along it, differ less than unmoved; or little, measured by how much the
        motion changes the pixel: what only passes it leaves no difference between the frames.
        """
        moved, changed = np.zeros((2, *levels[0].shape))
        for share in _MOMENTS:
            _judge(*levels, motion, share, moved, changed)
        unmoved = len(_MOMENTS) * np.abs(levels[1] - levels[0])
        return np.asarray((moved < unmoved) | (moved < _TRUSTED * changed))

    def _pyramid(self, frame: Levels) -> list[Floats]:
        """Return a frame at each scale, blurred, the finest first."""
        found: list[Floats] = []
        image = np.ascontiguousarray(frame, np.float32)
        for shape in self._shapes:
            if found:
                rows, columns = (2 * side for side in shape)
                image = image[:rows, :columns].reshape(shape[0], 2, shape[1], 2).mean((1, 3))
            found.append(np.empty(shape, np.float32))
            _blurred(image, self._blur, found[-1])
        return found


def _resized(field: Floats, shape: tuple[int, int]) -> Floats:
    """Return a field of half the size at a size, bilinearly; its last rows may be repeated."""
    out = np.empty((2, *shape), np.float32)
    _enlarge(field, np.float32(2.0), out)
    return out


def _of_cells(cells: Floats, shape: tuple[int, int]) -> Floats:
    """Return the velocities of cells for each pixel, bilinearly between the cells' middles."""
    out = np.empty((2, *shape), np.float32)
    _enlarge(np.ascontiguousarray(cells), np.float32(FIELD.cell), out)
    return out


def _medians(field: Floats) -> Floats:
    """Return the median of each 3 x 3 neighbourhood, edges repeated: (2, h, w)."""
    padded = np.pad(field, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = field.shape[1:]
    around = [padded[:, j : j + height, i : i + width] for j in range(3) for i in range(3)]
    return np.asarray(np.median(around, axis=0), np.float32)


_kernel = numba.njit(cache=True, nogil=True)


@_kernel
def _blurred(image: Floats, weights: Floats, out: Floats) -> None:
    """Blur an image by nine taps along both axes, edges repeated."""
    height, width = image.shape
    line = np.empty(image.shape, np.float32)
    for y in range(height):
        for x in range(width):
            total = np.float32(0)
            for tap in range(2 * BLUR_RADIUS + 1):
                total += weights[tap] * image[y, min(max(x + tap - BLUR_RADIUS, 0), width - 1)]
            line[y, x] = total
    out[:] = 0
    for y in range(height):
        for tap in range(2 * BLUR_RADIUS + 1):
            row, weight = min(max(y + tap - BLUR_RADIUS, 0), height - 1), weights[tap]
            for x in range(width):
                out[y, x] += weight * line[row, x]


@_kernel
def _enlarge(field: Floats, factor: Any, out: Floats) -> None:
    """Write a field of two channels `factor` times as large, bilinearly, edges repeated."""
    for c in range(2):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                out[c, y, x] = _at(field[c], (y + 0.5) / factor - 0.5, (x + 0.5) / factor - 0.5)


@_kernel
def _at(image: NDArray[Any], y: Any, x: Any) -> float:
    """Return an image's value at a place, bilinearly, edges repeated."""
    height, width = image.shape
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    down, right = min(top + 1, height - 1), min(left + 1, width - 1)
    q, p = y - top, x - left
    return (1 - q) * ((1 - p) * image[top, left] + p * image[top, right]) + q * (
        (1 - p) * image[down, left] + p * image[down, right]
    )


@_kernel
def _move(image: Floats, motion: Floats, part: Any, out: Floats) -> None:
    """Write `image(x + part u)`."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = _at(image, y + part * motion[1, y, x], x + part * motion[0, y, x])


@_kernel
def _motion_at(motion: Floats, y: int, x: int, share: float) -> tuple[float, float]:
    """Return the motion of what is at a pixel at a share of the time.

    The field is known half-way, where that will be or was: looked up along itself, once.
    """
    part = 0.5 - share
    v, u = motion[1, y, x], motion[0, y, x]
    row, column = y + part * v, x + part * u
    return _at(motion[1], row, column), _at(motion[0], row, column)


@_kernel
def _judge(
    before: Levels, after: Levels, motion: Floats, share: float, moved: Levels, changed: Levels
) -> None:
    """Add, for a share of the time, how much both frames differ once they are moved there.

    Args:
        moved: Added to.
        changed: Added to: how far their mean is from that of the frames unmoved.
    """
    for y in range(moved.shape[0]):
        for x in range(moved.shape[1]):
            v, u = _motion_at(motion, y, x, share)
            first = _at(before, y - share * v, x - share * u)
            second = _at(after, y + (1 - share) * v, x + (1 - share) * u)
            still = (1 - share) * before[y, x] + share * after[y, x]
            moved[y, x] += abs(first - second)
            changed[y, x] += abs((1 - share) * first + share * second - still)


@_kernel
def _interpolate(
    before: Levels,
    after: Levels,
    motion: Floats,
    explained: NDArray[np.bool_],
    share: float,
    out: Levels,
) -> None:
    """Write the levels at a share of the time; see `MotionInterpolation`."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            first, second = before[y, x], after[y, x]
            if explained[y, x]:
                v, u = _motion_at(motion, y, x, share)
                first = _at(before, y - share * v, x - share * u)
                second = _at(after, y + (1 - share) * v, x + (1 - share) * u)
            out[y, x] = (1 - share) * first + share * second
