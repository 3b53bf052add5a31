"""What the guard measures of two frames and of what is about to be written, in one pass.

Large images are looked at in cells of some pixels, so that noise averages out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.streaming.guard_camera import COARSE

Bytes = NDArray[np.uint8]

# Any: numba's sums of these are of the same type, mypy's are not.
_I32: Any = np.int32
_I64: Any = np.int64

SIDE = 64
"""Cells that the short side has at least (where it has as many pixels), and at most twice that."""

CHANGED = 4
"""Grey levels from which on a cell has changed: several times what noise leaves of a cell."""

TEXTURE = 3.0
"""Gradient in grey levels a cell from which on a cell has texture, in both frames: where there is
none, nothing shows whether the image moved."""

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
        camera: Share of the change (R²) that one shift, zoom and turn of the image explains.
        top: First row with a new cell.
        bottom: One after the last.
        left: First column.
        right: One after the last.
        kept: Correlation of the gradients before and after where nothing had moved.
        kept_off: The same where the output is off neutral.
        following: How far the image follows one change of the whole: see `guard_camera`.
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
    kept: float
    kept_off: float
    following: float = 0.0


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
def measure(
    frame: Bytes,
    previous: Bytes,
    off: Bytes,
    near: Bytes,
    nearby: Bytes,
    light: NDArray[np.int16],
    change: NDArray[np.int16],
    change_before: NDArray[np.int16],
    out: NDArray[np.float64],
) -> None:
    """Measure two frames and the output of their difference.

    Args:
        frame: Cells, uint8 (h, w, 3).
        off: 1 where the output is off neutral.
        near: 1 near to where something moved lately.
        nearby: 1 within twice that reach.
        light: Scratch, (2, h, w): 4 times the brightness of both.
        change: Takes the change of each cell, of the channel that changed most, (h, w).
        out: The fields of `Measures`, in their order, but the last.
    """
    out[4] = _changes(frame, previous, light, change)
    _measure_whole(light, change, out)
    _measure_off(off, near, nearby, change, change_before, out)
    _measure_place(frame, previous, near, light, change, out)
    out[12] = _camera(light)
    out[17] = _kept(light, change, near, False)
    out[18] = _kept(light, change, off, True)


@numba.njit(cache=True, nogil=True)
def _changes(
    frame: Bytes, previous: Bytes, light: NDArray[np.int16], change: NDArray[np.int16]
) -> float:
    """Write each cell's brightness and change; return the mean size of the blocks' mean change.

    A cell's change and a block's are those of the channel where they are largest: red and blue may
    change against each other.
    """
    height, width, _ = frame.shape
    down, across = GRID
    sums = np.zeros((across, 3), np.int32)
    total = 0
    for y in range(height):
        row, row_before = frame[y].reshape(-1), previous[y].reshape(-1)
        lit, lit_before, changes = light[0, y], light[1, y], change[y]
        for j in range(across):
            all_red, all_green, all_blue = _I32(0), _I32(0), _I32(0)
            for x in range(j * width // across, (j + 1) * width // across):
                red, red_before = _I32(row[3 * x]), _I32(row_before[3 * x])
                green, green_before = _I32(row[3 * x + 1]), _I32(row_before[3 * x + 1])
                blue, blue_before = _I32(row[3 * x + 2]), _I32(row_before[3 * x + 2])
                lit[x] = red + 2 * green + blue
                lit_before[x] = red_before + 2 * green_before + blue_before
                red, green, blue = red - red_before, green - green_before, blue - blue_before
                all_red += red
                all_green += green
                all_blue += blue
                most = red if abs(red) > abs(green) else green
                changes[x] = most if abs(most) > abs(blue) else blue
            sums[j, 0] += all_red
            sums[j, 1] += all_green
            sums[j, 2] += all_blue
        if (y + 1) * down // height > y * down // height:  # the last row of a row of blocks
            for j in range(across):
                total += max(abs(sums[j, 0]), abs(sums[j, 1]), abs(sums[j, 2]))
            sums[:] = 0
    return total / (height * width)


@numba.njit(cache=True, nogil=True)
def _measure_whole(
    light: NDArray[np.int16], change: NDArray[np.int16], out: NDArray[np.float64]
) -> None:
    """Measure which cells changed, and which of those with texture."""
    height, width = change.shape
    least_slope = _I32((8 * TEXTURE) ** 2)
    changed, textured, both = _I64(0), _I64(0), _I64(0)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(1, width - 1):
            down = _I32(light[0, below, x]) - _I32(light[0, above, x])
            right = _I32(light[0, y, x + 1]) - _I32(light[0, y, x - 1])
            down_before = _I32(light[1, below, x]) - _I32(light[1, above, x])
            right_before = _I32(light[1, y, x + 1]) - _I32(light[1, y, x - 1])
            slope = down * down + right * right
            slope_before = down_before * down_before + right_before * right_before
            has_texture = _I32(min(slope, slope_before) > least_slope)
            has_changed = _I32(abs(_I32(change[y, x])) > CHANGED)
            textured += has_texture
            changed += has_changed
            both += has_texture & has_changed
    cells = height * max(1, width - 2)
    out[1], out[2], out[3] = changed / cells, textured / cells, both / max(1, textured)


@numba.njit(cache=True, nogil=True)
def _measure_off(
    off: Bytes,
    near: Bytes,
    nearby: Bytes,
    change: NDArray[np.int16],
    change_before: NDArray[np.int16],
    out: NDArray[np.float64],
) -> None:
    """Measure the cells that are off neutral."""
    height, width = off.shape
    count, new, far = 0, 0, 0
    top, bottom, left, right = height, 0, width, 0
    product, square, square_before = _I64(0), _I64(0), _I64(0)
    total, size = _I64(0), _I64(0)
    for y in range(height):
        for x in range(width):
            if not off[y, x]:
                continue
            count += 1
            step, step_before = _I64(change[y, x]), _I64(change_before[y, x])
            product += step * step_before
            square += step * step
            square_before += step_before * step_before
            total += step
            size += abs(step)
            if not near[y, x]:
                new += 1
                far += not nearby[y, x]
                top, bottom = min(top, y), max(bottom, y + 1)
                left, right = min(left, x), max(right, x + 1)
    cells = height * width
    out[0], out[5], out[6] = count / cells, new / cells, far / cells
    out[10] = product / np.sqrt((square + 1.0) * (square_before + 1.0))
    out[11] = abs(total) / (size + 1)
    out[13], out[14], out[15], out[16] = top, bottom, left, right


@numba.njit(cache=True, nogil=True)
def _measure_place(
    frame: Bytes,
    previous: Bytes,
    near: Bytes,
    light: NDArray[np.int16],
    change: NDArray[np.int16],
    out: NDArray[np.float64],
) -> None:
    """Measure the cells that changed where nothing had moved."""
    height, width = change.shape
    sums, sizes = np.zeros(3, np.int64), np.zeros(3, np.int64)
    n, now, then = 1, _I64(0), _I64(0)
    now2, then2, both = _I64(0), _I64(0), _I64(0)
    for y in range(height):
        for x in range(width):
            if near[y, x] or abs(_I32(change[y, x])) <= CHANGED:
                continue
            n += 1
            for channel in range(3):
                step = _I64(frame[y, x, channel]) - _I64(previous[y, x, channel])
                sums[channel] += step
                sizes[channel] += abs(step)
            lit, lit_before = _I64(light[0, y, x]), _I64(light[1, y, x])
            now += lit
            then += lit_before
            now2 += lit * lit
            then2 += lit_before * lit_before
            both += lit * lit_before
    out[7] = 0.0
    for channel in range(3):
        out[7] = max(out[7], abs(sums[channel]) / (sizes[channel] + 1))
    # 64: what rounding and noise leave, 4 grey levels of variance of 4 times the brightness.
    spread = now2 / n - (now / n) ** 2 + 64
    spread_before = then2 / n - (then / n) ** 2 + 64
    out[8] = np.log(spread / spread_before)
    out[9] = (both / n - now / n * then / n) / np.sqrt(spread * spread_before)


@numba.njit(cache=True, nogil=True)
def _kept(light: NDArray[np.int16], change: NDArray[np.int16], where: Bytes, inside: bool) -> float:
    """Return the correlation of the gradients, before and after, of the cells that changed.

    Light scales the gradients of a place and keeps their pattern; what comes has others.

    Args:
        light: (2, h, w): 4 times the brightness now and before.
        change: The change of each cell.
        inside: Whether cells in the mask count, or those outside.
    """
    height, width = change.shape
    n, both, now2, then2 = _I64(0), _I64(0), _I64(0), _I64(0)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if bool(where[y, x]) != inside or abs(_I32(change[y, x])) <= CHANGED:
                continue
            down = _I64(light[0, y + 1, x]) - _I64(light[0, y - 1, x])
            right = _I64(light[0, y, x + 1]) - _I64(light[0, y, x - 1])
            down_before = _I64(light[1, y + 1, x]) - _I64(light[1, y - 1, x])
            right_before = _I64(light[1, y, x + 1]) - _I64(light[1, y, x - 1])
            n += 1
            both += down * down_before + right * right_before
            now2 += down * down + right * right
            then2 += down_before * down_before + right_before * right_before
    noise = 64 * n + 1  # a grey level of each
    return both / np.sqrt((now2 + noise) * (then2 + noise))


@numba.njit(cache=True, nogil=True)
def _camera(light: NDArray[np.int16]) -> float:
    """Return the share of the change (R²) that one shift, zoom and turn of the image explains.

    The change is the gradient times the motion, by least squares over squares of `COARSE` cells, so
    that motion of some cells is still small. By Cholesky's factors: with L y = b, what is explained
    is y y.

    Args:
        light: (2, h, w): 4 times the brightness now and before.
    """
    height, width = light.shape[1] // COARSE, light.shape[2] // COARSE
    if min(height, width) < 4:
        return 0.0
    small = np.zeros((2, height, width))
    for y in range(height * COARSE):
        for x in range(width * COARSE):
            small[0, y // COARSE, x // COARSE] += light[0, y, x]
            small[1, y // COARSE, x // COARSE] += light[1, y, x]
    small /= 4 * COARSE**2
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
