"""The motion field's inner loops on a stream: velocities of coarse cells between two images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.methods.flow import BLUR_RADIUS, WINDOW_RADIUS, FlowSettings, taps

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

ROWS = 4
"""Rows whose products are summed together."""

_VECTOR = 32
"""Rows are filled up to a multiple, for loops without a remainder; nothing there is ever used."""

# Loops work on rows of whole arrays, by their indices: a slice costs as much as some twenty values.
_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})


class CellVelocities:
    """The motion field between two images, not quantised.

    Args:
        settings: `cell`, `window` and `eps` count; images are blurred by the caller.
        shape: Of the images, (h, w).
    """

    def __init__(self, settings: FlowSettings, shape: tuple[int, int]) -> None:
        self._room = Room.of(shape, settings.cell)
        self._cell, self._eps = settings.cell, np.float32(settings.eps)
        self._taps = taps(settings).cell.astype(np.float32)
        self._padded_taps = np.pad(self._taps, ROWS)

    def __call__(self, before: Floats, now: Floats) -> Floats:
        """Return the velocity of each cell in pixels, float32 (ceil(h / cell), ceil(w / cell), 2).

        Args:
            before, now: float32 (h, w).
        """
        room, width = self._room, self._room.shape[1]
        for image, padded in ((before, room.spare), (now, room.now)):
            padded[:, 1 : width + 1] = image
            padded[:, 0], padded[:, width + 1] = image[:, 0], image[:, -1]
        sum_products(room.spare, room.now, self._padded_taps, self._cell, room.products, room.sums)
        found = np.empty((len(room.sums), -(-width // self._cell), 2), np.float32)
        _solve_floats(
            room.sums, width, self._taps, self._cell, self._eps, room.phases, room.means, found
        )
        return found


@dataclass
class Room:
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
    def of(cls, shape: tuple[int, ...], cell: int) -> Room:
        """Return room for images of a shape and cells of a side."""
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
            products=np.empty((ROWS, 8 * length), np.float32),
            sums=np.empty((down, 5 * length), np.float32),
            phases=np.zeros((cell, len(means) + reach), np.float32),
            means=means,
        )


@_kernel
def blur_luma(frame: Image, colours: Floats, weights: Floats, lines: Floats, out: Floats) -> None:
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
def sum_products(
    before: Floats, now: Floats, weights: Floats, cell: int, rows: Floats, sums: Floats
) -> None:
    """Add up the products of the derivatives over the rows of each row of cells.

    Args:
        before: Blurred luma, (h, n + 2).
        weights: A cell's taps, `ROWS` zeros around.
        cell: Side of a cell in pixels.
        rows: Room, (4, 8 n): five products of each row, and its three derivatives.
        sums: (cells, 5 n).
    """
    height, length = len(now), sums.shape[1]
    sums[:] = 0
    for start in range(0, height, ROWS):
        for row in range(ROWS):
            if start + row < height:
                _multiply(before, now, start + row, rows, row)
            else:
                rows[row] = 0
        first = max(0, (start - WINDOW_RADIUS) // cell)
        end = min(len(sums), (start + ROWS - 1 + WINDOW_RADIUS) // cell + 1)
        for j in range(first, end):
            tap = start - j * cell + WINDOW_RADIUS + ROWS
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
def _velocity(means: Floats, length: int, i: int, eps: Any) -> tuple[Any, Any]:
    """Return the velocity of cell `i` of a row, in pixels: (A + eps 1) v = -b."""
    xx, xy, yy = means[i] + eps, means[length + i], means[2 * length + i] + eps
    xt, yt = means[3 * length + i], means[4 * length + i]
    determinant = xx * yy - xy * xy
    return (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant


@_kernel
def _solve_floats(
    sums: Floats,
    width: int,
    weights: Floats,
    cell: int,
    eps: Any,
    phases: Floats,
    means: Floats,
    out: Floats,
) -> None:
    """Write each cell's velocity, (cells, cells, 2), as it is."""
    length = len(means) // 5
    for j in range(out.shape[0]):
        _sum_along(sums, j, width, weights, cell, phases, means)
        for i in range(out.shape[1]):
            out[j, i, 0], out[j, i, 1] = _velocity(means, length, i, eps)


@_kernel
def solve(
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
            u, v = _velocity(means, length, i, eps)
            out[j, i, 0] = table[int(min(max((u + reach) * scale, np.float32(0)), last) + half)]
            out[j, i, 1] = table[int(min(max((v + reach) * scale, np.float32(0)), last) + half)]
            out[j, i, 2] = neutral
