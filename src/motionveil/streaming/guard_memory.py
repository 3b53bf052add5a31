"""Where a guard's output is off neutral, and where it was lately."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_I32: Any = np.int32  # Any: numba's numbers are of one type, mypy's are not

OFF = 17
"""Grey levels, one level of the 15: what is further off neutral shows something."""

CHANGED, MOST = 3, 70
"""Light changes a pixel by more grey levels than this, and this share of a cell's pixels, in %."""

STILL = 8
"""Grey levels up to which a pixel beside something that moves counts as still."""

OFF_PART = 8
"""A cell is off neutral if one pixel in so many is."""


@numba.njit(cache=True, nogil=True)
def are_equal(frame: Bytes, other: Bytes) -> bool:
    """Say whether two frames, uint8 (H, W, 3), are equal; nothing is allocated."""
    for y in range(frame.shape[0]):
        row, other_row = frame[y].reshape(-1), other[y].reshape(-1)
        for x in range(row.size):
            if row[x] != other_row[x]:
                return False
    return True


@numba.njit(cache=True, nogil=True)
def differing(frame: Bytes, other: Bytes, every: int) -> float:
    """Return the share of values that differ between two frames, in one row of `every`."""
    found = 0
    for y in range(0, frame.shape[0], every):
        row, other_row = frame[y].reshape(-1), other[y].reshape(-1)
        for x in range(row.size):
            found += int(row[x] != other_row[x])
    rows = (frame.shape[0] + every - 1) // every
    return found / (rows * frame.shape[1] * frame.shape[2])


@numba.njit(cache=True, nogil=True)
def _find_off_pixels(veiled: Bytes, low: int, high: int, out: Bytes) -> int:
    found = 0
    for y in range(out.shape[0]):
        row, marks = veiled[y].reshape(-1), out[y]
        for x in range(out.shape[1]):
            red, green, blue = np.int32(row[3 * x]), np.int32(row[3 * x + 1]), row[3 * x + 2]
            most, least = max(red, green, blue), min(red, green, blue)
            marks[x] = (most > high) | (least < low)
            found += int(marks[x])
    return found


@numba.njit(cache=True, nogil=True)
def find_off(veiled: Bytes, neutral: int, step: int, out: Bytes) -> int:
    """Mark the cells that are off neutral, and return their number.

    Args:
        veiled: uint8 (H, W, 3).
        out: uint8 (H // step, W // step): 1 or 0.
    """
    low, high = neutral - OFF, neutral + OFF
    most, least = np.uint8(0), np.uint8(255)
    for value in veiled.reshape(-1):
        most, least = max(most, value), min(least, value)
    if most <= high and least >= low:
        out[:] = 0
        return 0
    if step == 1:
        return _find_off_pixels(veiled, low, high, out)
    height, width = out.shape
    found = 0
    for i in range(height):
        end = (i + 1) * step if i < height - 1 else veiled.shape[0]
        for j in range(width):
            right = (j + 1) * step if j < width - 1 else veiled.shape[1]
            count = 0
            for y in range(i * step, end):
                for x in range(j * step, right):
                    most = max(veiled[y, x, 0], veiled[y, x, 1], veiled[y, x, 2])
                    least = min(veiled[y, x, 0], veiled[y, x, 1], veiled[y, x, 2])
                    count += int(most > high or least < low)
            is_off = count * OFF_PART >= (end - i * step) * (right - j * step)
            out[i, j] = is_off
            found += int(is_off)
    return found


@numba.njit(cache=True, nogil=True)
def _change(frame: Bytes, previous: Bytes, y: int, x: int) -> int:
    most = _I32(0)
    for channel in range(3):
        change = _I32(frame[y, x, channel]) - _I32(previous[y, x, channel])
        most = max(most, abs(change))
    return most


@numba.njit(cache=True, nogil=True)
def blank_unchanged(shown: Bytes, frame: Bytes, previous: Bytes, neutral: int, cell: int) -> None:
    """Make neutral what is shown where little changed, in place; all uint8 (H, W, 3).

    A cell of a motion field is larger than what moves in it: around that, the still scene keeps its
    gradients, which would look like a change of light. Light changes most of a cell, which then
    stays as it is.
    """
    height, width = frame.shape[0], frame.shape[1]
    for top in range(0, height, cell):
        bottom = min(height, top + cell)
        for left in range(0, width, cell):
            right = min(width, left + cell)
            changed = 0
            for y in range(top, bottom):
                for x in range(left, right):
                    changed += int(_change(frame, previous, y, x) > CHANGED)
            if changed * 100 >= MOST * (bottom - top) * (right - left):
                continue
            for y in range(top, bottom):
                for x in range(left, right):
                    if _change(frame, previous, y, x) <= STILL:
                        shown[y, x, :] = neutral


@numba.njit(cache=True, nogil=True)
def remember(off: Bytes, learn: bool, age: Bytes) -> None:
    """Make all cells a frame older; those off neutral restart where the guard learns."""
    height, width = age.shape
    for y in range(height):
        for x in range(width):
            if learn and off[y, x]:
                age[y, x] = 0
            elif age[y, x] < 255:
                age[y, x] += 1


@numba.njit(cache=True, nogil=True)
def find_near(age: Bytes, frames: int, reach: int, scratch: Bytes, out: Bytes) -> None:
    """Mark the cells within a square's reach of those that moved within so many frames.

    Args:
        age: Frames since each cell was off neutral.
        frames: The age up to which it counts.
        reach: Cells to each side.
        scratch: Of the same shape.
        out: 1 or 0.
    """
    height, width = age.shape
    for y in range(height):
        count = 0
        for x in range(-reach, width):
            if x + reach < width:
                count += age[y, x + reach] < frames
            if x > reach:
                count -= age[y, x - reach - 1] < frames
            if x >= 0:
                scratch[y, x] = count > 0
    counts = np.zeros(width, np.int32)
    for y in range(-reach, height):
        if y + reach < height:
            for x in range(width):
                counts[x] += scratch[y + reach, x]
        if y > reach:
            for x in range(width):
                counts[x] -= scratch[y - reach - 1, x]
        if y >= 0:
            for x in range(width):
                out[y, x] = counts[x] > 0
