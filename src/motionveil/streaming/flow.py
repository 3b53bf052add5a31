"""The motion field, and its moments, on a stream: what `StreamEncoder` runs for both methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.methods import GREY
from motionveil.methods.flow import (
    BLUR_RADIUS,
    WINDOW_RADIUS,
    FlowSettings,
    taps,
    velocity_bytes,
)
from motionveil.methods.moments import CENTRE, MomentsSettings, RunningMoments, show_moments
from motionveil.spec import EncoderSpec

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_ENTRIES = 1 << 15
"""Of the table that maps velocities to bytes; it is right to a tenth of a grey level."""

_ROWS = 4
"""Rows whose products are summed together."""

_VECTOR = 32
"""Rows are filled up to a multiple, for loops without a remainder; nothing there is ever used."""

# Loops work on rows of whole arrays, by their indices: a slice costs as much as some twenty values.
_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})


class FlowVeil:
    """Quantised velocities of coarse cells, right to one 8-bit level; keeps one blurred luma.

    Args:
        spec: An encoder of the method `flow`.
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
        self._padded_taps = np.pad(self._taps, _ROWS)
        self._room = _Room.of((0, 0), settings.cell)

    def start(self, frame: Image) -> None:
        """Take a frame that has none before it."""
        if self._room.shape != frame.shape[:2]:
            self._room = _Room.of(frame.shape[:2], self._settings.cell)
        self._blur(frame)

    def __call__(self, frame: Image, previous: Image, out: Image) -> None:
        """Write the velocities from the frame before, uint8 (ceil(h / cell), ceil(w / cell), 3)."""
        settings, room = self._settings, self._room
        if room.shape != frame.shape[:2]:
            self.start(previous)
            room = self._room
        before = room.now
        self._blur(frame)
        _sum_products(before, room.now, self._padded_taps, settings.cell, room.products, room.sums)
        _solve(
            room.sums,
            room.shape[1],
            self._taps,
            settings.cell,
            np.float32(settings.eps),
            np.float32(settings.range),
            self._scale,
            self._table,
            self.neutral,
            room.phases,
            room.means,
            out,
        )

    def _blur(self, frame: Image) -> None:
        room = self._room
        room.now, room.spare = room.spare, room.now
        _blur(frame.reshape(len(frame), -1), self._colours, self._blur_taps, room.lines, room.now)


@dataclass
class _Room:
    """What the kernel needs beside the frames.

    Attributes:
        shape: Of the frames, (h, w); n is w, filled up to a multiple of `_VECTOR`.
        now: The blurred luma of the last frame, (h, n + 2): pixel x lies at x + 1, and the edge
            pixels are repeated.
        spare: Room for the next.
        lines: For the blur along rows, and one of luma, (h + 1, n + 8).
        products: Of the derivatives of four rows, and the derivatives, (4, 8 n).
        sums: Their sums over the rows of each row of cells, (cells, 5 n).
        phases: Columns of these, apart by a cell's side, (cell, k).
        means: The sums of each cell, (m,).
    """

    shape: tuple[int, int]
    now: Floats
    spare: Floats
    lines: Floats
    products: Floats
    sums: Floats
    phases: Floats
    means: Floats

    @classmethod
    def of(cls, shape: tuple[int, ...], cell: int) -> _Room:
        height, width = shape
        down, along = -(-height // cell), -(-width // cell)
        length = -(-width // _VECTOR) * _VECTOR
        now, spare = np.zeros((2, height, length + 2), np.float32)
        # The taps of the last cell reach past it, and past the end of the last sum.
        reach = 2 * WINDOW_RADIUS // cell + 1
        means = np.empty(5 * (along + reach), np.float32)
        return cls(
            (height, width),
            now,
            spare,
            lines=np.zeros((height + 1, length + 2 * BLUR_RADIUS), np.float32),
            products=np.empty((_ROWS, 8 * length), np.float32),
            sums=np.empty((down, 5 * length), np.float32),
            phases=np.zeros((cell, len(means) + reach), np.float32),
            means=means,
        )


@_kernel
def _blur(frame: Image, colours: Floats, weights: Floats, lines: Floats, out: Floats) -> None:
    """Write the blurred luma of a frame; the border repeats the edge pixels.

    Args:
        frame: uint8 (h, 3 w), channels interleaved: with these as an axis the compiler makes no
            vectors.
        colours: What R, G and B add to the luma, of intensities from 0 to 255.
        weights: The taps along both axes, (9,).
        lines: Room, (h + 1, n + 8); the last row is for the luma.
        out: (h, n + 2), intensities in [0, 1]; pixel x lies at x + 1.
    """
    height, width, length = len(out), frame.shape[1] // 3, out.shape[1] - 2
    red, green, blue = colours[0], colours[1], colours[2]
    w0, w1, w2, w3, w4 = weights[0], weights[1], weights[2], weights[3], weights[4]
    for y in range(height):
        for x in range(width):
            lines[height, x + BLUR_RADIUS] = (
                red * np.float32(frame[y, 3 * x])
                + green * np.float32(frame[y, 3 * x + 1])
                + blue * np.float32(frame[y, 3 * x + 2])
            )
        for x in range(BLUR_RADIUS):
            lines[height, x] = lines[height, BLUR_RADIUS]
            lines[height, width + BLUR_RADIUS + x] = lines[height, width + BLUR_RADIUS - 1]
        for x in range(length):
            lines[y, x] = (
                w0 * (lines[height, x] + lines[height, x + 8])
                + w1 * (lines[height, x + 1] + lines[height, x + 7])
                + w2 * (lines[height, x + 2] + lines[height, x + 6])
                + w3 * (lines[height, x + 3] + lines[height, x + 5])
                + w4 * lines[height, x + 4]
            )
    last = height - 1
    for y in range(height):
        # In two parts: the compiler makes no vectors of ten rows that might overlap.
        above, above2 = max(y - 1, 0), max(y - 2, 0)
        below, below2 = min(y + 1, last), min(y + 2, last)
        for x in range(length):
            out[y, x + 1] = (
                w4 * lines[y, x]
                + w3 * (lines[above, x] + lines[below, x])
                + w2 * (lines[above2, x] + lines[below2, x])
            )
        above, above2 = max(y - 3, 0), max(y - 4, 0)
        below, below2 = min(y + 3, last), min(y + 4, last)
        for x in range(length):
            out[y, x + 1] += w1 * (lines[above, x] + lines[below, x]) + w0 * (
                lines[above2, x] + lines[below2, x]
            )
        out[y, 0], out[y, width + 1] = out[y, 1], out[y, width]


@_kernel
def _sum_products(
    before: Floats, now: Floats, weights: Floats, cell: int, rows: Floats, sums: Floats
) -> None:
    """Add up the products of the derivatives over the rows of each row of cells.

    Args:
        before: Blurred luma, (h, n + 2).
        weights: A cell's taps, `_ROWS` zeros around.
        cell: Side of a cell in pixels.
        rows: Room, (4, 8 n): five products of each row, and its three derivatives.
        sums: (cells, 5 n).
    """
    height, length = len(now), sums.shape[1]
    sums[:] = 0
    for start in range(0, height, _ROWS):
        for row in range(_ROWS):
            if start + row < height:
                _multiply(before, now, start + row, rows, row)
            else:
                rows[row] = 0
        first = max(0, (start - WINDOW_RADIUS) // cell)
        end = min(len(sums), (start + _ROWS - 1 + WINDOW_RADIUS) // cell + 1)
        for j in range(first, end):
            tap = start - j * cell + WINDOW_RADIUS + _ROWS
            w0, w1, w2, w3 = weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3]
            for x in range(length):
                sums[j, x] += w0 * rows[0, x] + w1 * rows[1, x] + w2 * rows[2, x] + w3 * rows[3, x]


@_kernel
def _multiply(before: Floats, now: Floats, y: int, rows: Floats, row: int) -> None:
    """Write the products of the derivatives of row `y`: xx, xy, yy, xt, yt; and these behind."""
    # Not `now.shape[1] - 2`, which might be negative: the compiler would make no vectors.
    height, width = len(now), rows.shape[1] // 8
    quarter = np.float32(0.25)
    above, below = max(y - 1, 0), min(y + 1, height - 1)
    along, across, change = 5 * width, 6 * width, 7 * width
    for x in range(width):
        rows[row, along + x] = quarter * (
            now[y, x + 2] - now[y, x] + before[y, x + 2] - before[y, x]
        )
    for x in range(width):
        rows[row, across + x] = quarter * (
            now[below, x + 1] - now[above, x + 1] + before[below, x + 1] - before[above, x + 1]
        )
    for x in range(width):
        rows[row, change + x] = now[y, x + 1] - before[y, x + 1]
    for x in range(width):
        rows[row, x] = rows[row, along + x] * rows[row, along + x]
    for x in range(width):
        rows[row, width + x] = rows[row, along + x] * rows[row, across + x]
    for x in range(width):
        rows[row, 2 * width + x] = rows[row, across + x] * rows[row, across + x]
    for x in range(width):
        rows[row, 3 * width + x] = rows[row, along + x] * rows[row, change + x]
    for x in range(width):
        rows[row, 4 * width + x] = rows[row, across + x] * rows[row, change + x]


@_kernel
def _sum_along(
    sums: Floats,
    j: int,
    width: int,
    weights: Floats,
    cell: int,
    phases: Floats,
    means: Floats,
) -> None:
    """Sum a row of cells along the row.

    Every `cell`-th column goes to a row of its own, so that a tap meets the columns of
    neighbouring cells, and of all five sums, side by side.

    Args:
        sums: (cells, 5 n).
        weights: A cell's taps, (22 + cell,).
        cell: Side of a cell in pixels.
        phases: Room, (cell, n); zeros where no column is written.
        means: (5 m,): each product's means of the row of cells, and what lies between.
    """
    row, length = sums.shape[1] // 5, len(means) // 5
    for p in range(cell):
        first = max(0, (WINDOW_RADIUS - p + cell - 1) // cell)
        end = (width + WINDOW_RADIUS - p + cell - 1) // cell
        for k in range(5):
            to, start = k * length, k * row + p - WINDOW_RADIUS
            for q in range(first, end):
                phases[p, to + q] = sums[j, start + q * cell]
    means[:] = 0
    for tap in range(len(weights)):
        weight, p, shift = weights[tap], tap % cell, tap // cell
        for x in range(len(means)):
            means[x] += weight * phases[p, x + shift]


@_kernel
def _solve(
    sums: Floats,
    width: int,
    weights: Floats,
    cell: int,
    eps: Any,
    reach: Any,
    scale: Any,
    table: Image,
    neutral: int,
    phases: Floats,
    means: Floats,
    out: Image,
) -> None:
    """Solve for each cell's velocity and write its bytes."""
    last = np.float32(len(table) - 1)
    length, half = len(means) // 5, np.float32(0.5)
    for j in range(out.shape[0]):
        _sum_along(sums, j, width, weights, cell, phases, means)
        for i in range(out.shape[1]):
            xx, xy, yy = means[i] + eps, means[length + i], means[2 * length + i] + eps
            xt, yt = means[3 * length + i], means[4 * length + i]
            determinant = xx * yy - xy * xy
            u, v = (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant
            out[j, i, 0] = table[int(min(max((u + reach) * scale, np.float32(0)), last) + half)]
            out[j, i, 1] = table[int(min(max((v + reach) * scale, np.float32(0)), last) + half)]
            out[j, i, 2] = neutral


class MomentsVeil:
    """Sums up the motion field of each frame; keeps a blurred luma and eleven running means a part.

    Args:
        spec: An encoder of the method `moments`.
        hard: Without effect: its levels are always steps.
    """

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        settings = spec.settings
        assert isinstance(settings, MomentsSettings)
        self._settings = settings
        field = spec.model_copy(update={"method": "flow", "settings": settings.field})
        self._flow = FlowVeil(field, hard=True)
        self.neutral = self._flow.neutral
        self._parts: list[tuple[slice, RunningMoments]] = []
        self._field = np.empty((0, 0, 3), np.uint8)

    def start(self, frame: Image) -> None:
        """Take a frame that has none before it; what was running is forgotten."""
        self._flow.start(frame)
        self._parts = []

    def __call__(self, frame: Image, previous: Image, out: Image) -> None:
        """Write the moments since the frame before, uint8 (ceil(h / cell), ceil(w / cell), 3)."""
        height, width = out.shape[:2]
        if not self._parts or self._field.shape != out.shape:
            self._field = np.empty(out.shape, np.uint8)
            self._parts = [
                (part, RunningMoments(self._settings, (height, part.stop - part.start)))
                for part in self._settings.columns(width)
            ]
        self._flow(frame, previous, self._field)
        velocity = self._field[..., :2] / (GREY * CENTRE) - 1
        for part, running in self._parts:
            shown = out[:, part]
            shown[...] = show_moments(self._settings, running(velocity[:, part]), shown.shape[:2])
