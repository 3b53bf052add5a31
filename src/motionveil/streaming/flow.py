"""The motion field on a stream: what `StreamEncoder` runs for the method `flow`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.methods.flow import (
    BLUR_RADIUS,
    WINDOW_RADIUS,
    FlowSettings,
    taps,
    velocity_bytes,
)
from motionveil.spec import EncoderSpec

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_ENTRIES = 1 << 15
"""Of the table that maps velocities to bytes; it is right to a tenth of a grey level."""

_FAST = {"contract", "reassoc", "nsz"}


class FlowVeil:
    """Quantised velocities of coarse cells, right to one 8-bit level; keeps one blurred luma.

    Args:
        spec: An encoder of the method `flow`.
        hard: Quantise in steps instead of sigmoids.
    """

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        settings = spec.settings
        assert isinstance(settings, FlowSettings)
        self._settings = settings
        span = np.linspace(-settings.range, settings.reach, _ENTRIES)
        self._table = velocity_bytes(settings, span, hard=hard)
        self._scale = np.float32((_ENTRIES - 1) / (settings.range + settings.reach))
        self.neutral = int(velocity_bytes(settings, np.zeros(1), hard=hard)[0])
        weights = taps(settings)
        self._colours = np.array(settings.colours, np.float32) / np.float32(255)
        self._blur_taps = weights.blur.astype(np.float32)
        self._taps = weights.cell.astype(np.float32)
        self._room = _Room.of((0, 0), settings.cell)

    def start(self, frame: Image) -> None:
        """Take a frame that has none before it."""
        if self._room.now.shape != frame.shape[:2]:
            self._room = _Room.of(frame.shape[:2], self._settings.cell)
        self._blur(frame)

    def __call__(self, frame: Image, previous: Image, out: Image) -> None:
        """Write the velocities from the frame before, uint8 (ceil(h / cell), ceil(w / cell), 3)."""
        settings, room = self._settings, self._room
        if room.now.shape != frame.shape[:2]:
            self.start(previous)
            room = self._room
        before = room.now
        self._blur(frame)
        room.sums.fill(0)
        _sum_products(before, room.now, self._taps, settings.cell, room.products, room.sums)
        _solve(
            room.sums,
            self._taps,
            settings.cell,
            np.float32(settings.eps),
            np.float32(settings.range),
            self._scale,
            self._table,
            self.neutral,
            out,
        )

    def _blur(self, frame: Image) -> None:
        room = self._room
        room.now, room.spare = room.spare, room.now
        _blur(frame, self._colours, self._blur_taps, room.lines, room.now)


@dataclass
class _Room:
    """What the kernel needs beside the frames.

    Attributes:
        now: The blurred luma of the last frame, (h, w).
        spare: Room for the next.
        lines: For the blur along rows, (h, w).
        products: Of the derivatives of one row, (5, w).
        sums: Their sums over the rows of each row of cells, (cells, 5, w).
    """

    now: Floats
    spare: Floats
    lines: Floats
    products: Floats
    sums: Floats

    @classmethod
    def of(cls, shape: tuple[int, ...], cell: int) -> _Room:
        height, width = shape
        now, spare, lines = np.zeros((3, height, width), np.float32)
        products = np.empty((5, width), np.float32)
        return cls(
            now, spare, lines, products, np.empty((-(-height // cell), 5, width), np.float32)
        )


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _blur(frame: Image, colours: Floats, weights: Floats, lines: Floats, out: Floats) -> None:
    """Write the blurred luma of a frame; the border repeats the edge pixels.

    Args:
        frame: uint8 (h, w, 3).
        colours: What R, G and B add to the luma, of intensities from 0 to 255.
        weights: The taps along both axes, (9,).
        lines: Room, (h, w).
        out: (h, w), intensities in [0, 1].
    """
    height, width = out.shape
    luma = np.empty(width + 2 * BLUR_RADIUS, np.float32)
    red, green, blue = colours
    for y in range(height):
        for x in range(width):
            pixel = frame[y, x]
            luma[x + BLUR_RADIUS] = red * pixel[0] + green * pixel[1] + blue * pixel[2]
        for k in range(BLUR_RADIUS):
            luma[k] = luma[BLUR_RADIUS]
            luma[width + BLUR_RADIUS + k] = luma[width + BLUR_RADIUS - 1]
        line = lines[y]
        line[:] = 0
        for k in range(2 * BLUR_RADIUS + 1):
            for x in range(width):
                line[x] += weights[k] * luma[x + k]
    for y in range(height):
        row = out[y]
        row[:] = 0
        for k in range(2 * BLUR_RADIUS + 1):
            line = lines[min(max(y + k - BLUR_RADIUS, 0), height - 1)]
            for x in range(width):
                row[x] += weights[k] * line[x]


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _sum_products(
    before: Floats, now: Floats, weights: Floats, cell: int, rows: Floats, sums: Floats
) -> None:
    """Add up the products of the derivatives over the rows of each row of cells."""
    height, width = now.shape
    quarter = np.float32(0.25)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            along = quarter * (now[y, right] - now[y, left] + before[y, right] - before[y, left])
            across = quarter * (now[below, x] - now[above, x] + before[below, x] - before[above, x])
            change = now[y, x] - before[y, x]
            rows[0, x] = along * along
            rows[1, x] = along * across
            rows[2, x] = across * across
            rows[3, x] = along * change
            rows[4, x] = across * change
        first = max(0, (y - WINDOW_RADIUS) // cell)
        last = min(len(sums) - 1, (y + WINDOW_RADIUS) // cell)
        for j in range(first, last + 1):
            tap = y - j * cell + WINDOW_RADIUS
            if tap < 0 or tap >= len(weights):
                continue
            weight = weights[tap]
            for k in range(5):
                for x in range(width):
                    sums[j, k, x] += weight * rows[k, x]


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _solve(
    sums: Floats,
    weights: Floats,
    cell: int,
    eps: Any,
    reach: Any,
    scale: Any,
    table: Image,
    neutral: int,
    out: Image,
) -> None:
    """Solve for each cell's velocity and write its bytes."""
    width = sums.shape[2]
    last = np.float32(len(table) - 1)
    means = np.empty(5, np.float32)
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            start = i * cell - WINDOW_RADIUS
            first, end = max(start, 0), min(start + len(weights), width)
            for k in range(5):
                total = np.float32(0)
                for x in range(first, end):
                    total += weights[x - start] * sums[j, k, x]
                means[k] = total
            xx, xy, yy = means[0] + eps, means[1], means[2] + eps
            determinant = xx * yy - xy * xy
            u = (xy * means[4] - yy * means[3]) / determinant
            v = (xy * means[3] - xx * means[4]) / determinant
            out[j, i, 0] = table[int(min(max((u + reach) * scale, 0), last) + np.float32(0.5))]
            out[j, i, 1] = table[int(min(max((v + reach) * scale, 0), last) + np.float32(0.5))]
            out[j, i, 2] = neutral
