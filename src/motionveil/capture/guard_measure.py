"""What the guard measures of two frames and of what is about to be written, in one pass.

Large pictures are looked at in cells of some pixels, so that noise averages out.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

SIDE = 64
"""Cells that the short side has at least (where it has as many pixels), and at most twice that."""

OFF = 17
"""Grey levels, one level of the 15: what is further off neutral shows something."""

OFF_PART = 8
"""A cell is off neutral if one pixel in so many is."""

CHANGED = 4
"""Grey levels from which on a cell has changed: several times what noise leaves of a cell."""

TEXTURE = 3.0
"""Gradient in grey levels a cell from which on a cell has texture, in both frames: where there is
none, nothing shows whether the picture moved."""

COARSE = 4
"""Cells that are taken together to see how the camera moved."""

GRID = (12, 16)
"""Blocks, down and across, whose mean change says how much motion there is."""


class Measures(NamedTuple):
    """What was measured; shares are of all cells.

    Attributes:
        off: Share that is off neutral.
        changed: Share that has changed.
        textured: Share that has texture.
        textured_changed: Share of those with texture that has changed.
        motion: Mean change of blocks, in grey levels.
        new: Share that is off neutral where nothing moved lately.
        far: Share that is off neutral far from where something moved lately.
        one_way: How far the changes where nothing had moved go one way, 0 to 1; of the channel
            where they do most.
        contrast: Logarithm of how much the variance grew there.
        alike: Correlation of the two frames there.
        again: Correlation of the change with the change before, where the output is off neutral.
        off_one_way: As `one_way`, of the cells that are off neutral.
        camera: Share of the change (R²) that one shift, zoom and turn of the picture explains.
        top: First row with a new cell.
        bottom: One after the last.
        left: First column.
        right: One after the last.
    """

    off: float
    changed: float
    textured: float
    textured_changed: float
    motion: float
    new: float
    far: float
    one_way: float
    contrast: float
    alike: float
    again: float
    off_one_way: float
    camera: float
    top: float
    bottom: float
    left: float
    right: float


@numba.njit(cache=True, nogil=True)
def reduce_frame(frame: Bytes, step: int, out: Bytes) -> None:
    """Write the mean of each cell of `step` x `step` pixels.

    Args:
        frame: uint8 (H, W, 3).
        step: Side of a cell. What is left over at the right and below belongs to the last cells.
        out: uint8 (H // step, W // step, 3).
    """
    height, width, _ = out.shape
    for i in range(height):
        end = (i + 1) * step if i < height - 1 else frame.shape[0]
        for j in range(width):
            right = (j + 1) * step if j < width - 1 else frame.shape[1]
            for channel in range(3):
                total = 0
                for y in range(i * step, end):
                    for x in range(j * step, right):
                        total += frame[y, x, channel]
                out[i, j, channel] = total // ((end - i * step) * (right - j * step))


@numba.njit(cache=True, nogil=True)
def find_off(veiled: Bytes, neutral: int, step: int, out: Bytes) -> int:
    """Mark the cells that are off neutral, and return their number.

    Args:
        veiled: uint8 (H, W, 3).
        neutral: Value of no motion.
        step: Side of a cell.
        out: uint8 (H // step, W // step): 1 or 0.
    """
    height, width = out.shape
    found = 0
    low, high = neutral - OFF, neutral + OFF
    for i in range(height):
        end = (i + 1) * step if i < height - 1 else veiled.shape[0]
        for j in range(width):
            right = (j + 1) * step if j < width - 1 else veiled.shape[1]
            count = 0
            for y in range(i * step, end):
                for x in range(j * step, right):
                    most = max(veiled[y, x, 0], veiled[y, x, 1], veiled[y, x, 2])
                    least = min(veiled[y, x, 0], veiled[y, x, 1], veiled[y, x, 2])
                    count += most > high or least < low
            is_off = count * OFF_PART >= (end - i * step) * (right - j * step)
            out[i, j] = is_off
            found += is_off
    return found


@numba.njit(cache=True, nogil=True)
def remember(off: Bytes, learn: bool, age: Bytes) -> None:
    """Make all cells a frame older; those off neutral begin anew where the guard learns."""
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


@numba.njit(cache=True, nogil=True)
def measure(
    frame: Bytes,
    previous: Bytes,
    off: Bytes,
    near: Bytes,
    nearby: Bytes,
    light: NDArray[np.float32],
    change: NDArray[np.int16],
    change_before: NDArray[np.int16],
    out: NDArray[np.float64],
) -> None:
    """Measure two frames and the output of their difference.

    Args:
        frame: Cells, uint8 (h, w, 3).
        previous: The frame before.
        off: 1 where the output is off neutral.
        near: 1 near to where something moved lately.
        nearby: 1 within twice that reach.
        light: Scratch, (2, h, w): brightness of both.
        change: Takes the change of each cell, of the channel that changed most, (h, w).
        change_before: That of the frame before.
        out: The fields of `Measures`, in their order.
    """
    height, width, _ = frame.shape
    down, across = GRID
    blocks = np.zeros((down, across, 3), np.int32)
    for y in range(height):
        for x in range(width):
            most = 0
            for channel in range(3):
                here, before = np.int32(frame[y, x, channel]), np.int32(previous[y, x, channel])
                blocks[y * down // height, x * across // width, channel] += here - before
                if abs(here - before) > abs(most):
                    most = here - before
            change[y, x] = most
            light[0, y, x] = 0.25 * (
                np.float32(frame[y, x, 0]) + 2 * np.float32(frame[y, x, 1]) + frame[y, x, 2]
            )
            light[1, y, x] = 0.25 * (
                np.float32(previous[y, x, 0]) + 2 * np.float32(previous[y, x, 1]) + previous[y, x, 2]
            )
    cells = height * width
    count_off, changed, textured, textured_changed, new, far = 0, 0, 0, 0, 0, 0
    top, bottom, left, right = height, 0, width, 0
    sums, sizes = np.zeros(3), np.zeros(3)
    n, now, then, now2, then2, both = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    product, square, square_before, off_sum, off_size = 0.0, 0.0, 0.0, 0.0, 0.0
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            before, after = max(x - 1, 0), min(x + 1, width - 1)
            step = np.float64(change[y, x])
            has_changed = abs(step) > CHANGED
            changed += has_changed
            down_now = 0.5 * (light[0, below, x] - light[0, above, x])
            right_now = 0.5 * (light[0, y, after] - light[0, y, before])
            down_then = 0.5 * (light[1, below, x] - light[1, above, x])
            right_then = 0.5 * (light[1, y, after] - light[1, y, before])
            least = min(down_now**2 + right_now**2, down_then**2 + right_then**2)
            if least > TEXTURE**2:
                textured += 1
                textured_changed += has_changed
            if off[y, x]:
                count_off += 1
                product += step * change_before[y, x]
                square += step * step
                square_before += np.float64(change_before[y, x]) ** 2
                off_sum += step
                off_size += abs(step)
            if near[y, x]:
                continue
            if off[y, x]:
                new += 1
                far += not nearby[y, x]
                top, bottom = min(top, y), max(bottom, y + 1)
                left, right = min(left, x), max(right, x + 1)
            if has_changed:
                n += 1
                for channel in range(3):
                    one = np.float64(frame[y, x, channel]) - np.float64(previous[y, x, channel])
                    sums[channel] += one
                    sizes[channel] += abs(one)
                one, other = np.float64(light[0, y, x]), np.float64(light[1, y, x])
                now += one
                then += other
                now2 += one * one
                then2 += other * other
                both += one * other
    out[0] = count_off / cells
    out[1] = changed / cells
    out[2] = textured / cells
    out[3] = textured_changed / max(1, textured)
    out[4] = _motion(blocks, height, width)
    out[5], out[6] = new / cells, far / cells
    out[7] = max(abs(sums[0]) / (sizes[0] + 1), abs(sums[1]) / (sizes[1] + 1))
    out[7] = max(out[7], abs(sums[2]) / (sizes[2] + 1))
    n = max(n, 1)
    spread, spread_before = now2 / n - (now / n) ** 2 + 1, then2 / n - (then / n) ** 2 + 1
    out[8] = np.log((spread + 3) / (spread_before + 3))
    out[9] = (both / n - now / n * then / n) / np.sqrt(spread * spread_before)
    out[10] = product / np.sqrt((square + 1) * (square_before + 1))
    out[11] = abs(off_sum) / (off_size + 1)
    out[12] = _camera(light)
    out[13], out[14], out[15], out[16] = top, bottom, left, right


@numba.njit(cache=True, nogil=True)
def _motion(blocks: NDArray[np.int32], height: int, width: int) -> float:
    """Return the mean size of the blocks' mean change, of the channel where it is largest."""
    down, across, _ = blocks.shape
    total = 0.0
    for i in range(down):
        for j in range(across):
            largest = 0
            for channel in range(3):
                largest = max(largest, abs(blocks[i, j, channel]))
            total += largest
    return total / (height * width)


@numba.njit(cache=True, nogil=True)
def _camera(light: NDArray[np.float32]) -> float:
    """Return the share of the change (R²) that one shift, zoom and turn of the picture explains.

    The change is the gradient times the motion, by least squares over squares of `COARSE` cells, so
    that motion of some cells is still small. By Cholesky's factors: with L y = b, what is explained
    is y y.

    Args:
        light: (2, h, w): brightness now and before.
    """
    height, width = light.shape[1] // COARSE, light.shape[2] // COARSE
    if min(height, width) < 4:
        return 0.0
    small = np.zeros((2, height, width))
    for y in range(height * COARSE):
        for x in range(width * COARSE):
            small[0, y // COARSE, x // COARSE] += light[0, y, x]
            small[1, y // COARSE, x // COARSE] += light[1, y, x]
    small /= COARSE**2
    normal, right_side, total = np.zeros((4, 4)), np.zeros(4), 0.0
    for y in range(1, height - 1):
        v = (y - 0.5 * (height - 1)) / height
        for x in range(1, width - 1):
            u = (x - 0.5 * (width - 1)) / height
            across = small[:, y, x + 1].sum() - small[:, y, x - 1].sum()
            down = small[:, y + 1, x].sum() - small[:, y - 1, x].sum()
            terms = (across, down, u * across + v * down, u * down - v * across)
            lit = small[0, y, x] - small[1, y, x]
            total += lit * lit
            for a in range(4):
                right_side[a] += terms[a] * lit
                for b in range(a + 1):
                    normal[a, b] += terms[a] * terms[b]
    explained = 0.0
    for a in range(4):
        normal[a, a] += 1.0  # without texture it is not 0
        for b in range(a + 1):
            for k in range(b):
                normal[a, b] -= normal[a, k] * normal[b, k]
            normal[a, b] = normal[a, b] / normal[b, b] if b < a else np.sqrt(normal[a, a])
        for k in range(a):
            right_side[a] -= normal[a, k] * right_side[k]
        right_side[a] /= normal[a, a]
        explained += right_side[a] ** 2
    return explained / (total + 1.0)
