"""The inner loops of the motion field's training on a CPU, compiled by numba.

Loops work on rows of whole arrays, by their indices: a slice costs as much as some twenty values.
Each writes one row and reads few, since the compiler must check that they do not overlap.
"""

from __future__ import annotations

import numpy as np

from motionveil.encoders.cpu_kernel import Floats, kernel
from motionveil.methods.flow import BLUR_RADIUS, WINDOW_RADIUS

ROWS = 4
"""Rows whose products are summed together."""


@kernel
def solve_pairs(
    frames: Floats,
    light: Floats,
    blur: Floats,
    down: Floats,
    across: Floats,
    cell: int,
    eps: float,
    velocity: Floats,
    slopes: Floats,
    first: int,
    last: int,
) -> None:
    """Write the velocities of pairs of frames `first` ... `last - 1` and their derivatives.

    Args:
        frames: (B, 3, T, H, W).
        light: What R, G and B add to the luma.
        blur: The blur's taps and their derivatives by sigma, (2, 9).
        down: A cell's taps and their derivatives along columns, (2, n), `ROWS` zeros around.
        across: The same along rows, without these zeros.
        cell: Side of a cell in pixels.
        velocity: (B * (T - 1), 2, h, w).
        slopes: (B * (T - 1), 2, 3, h, w): by sigma, by the window, by the logarithm of eps; (...,
            0, h, w) if nothing learns.
    """
    steps, height, width = frames.shape[2] - 1, frames.shape[3], frames.shape[4]
    count = 2 if slopes.shape[2] > 0 else 1  # values, and their derivatives by sigma
    blurred = np.empty((2, count, height, width), np.float32)
    lines = np.empty((count, height, width), np.float32)
    luma = np.empty(width + 2 * BLUR_RADIUS, np.float32)
    derivatives = np.empty((3 * count, width), np.float32)
    products = np.empty((ROWS, 5 * count * width), np.float32)
    sums = np.empty((velocity.shape[2], 5 * (2 * count - 1) * width), np.float32)
    length = 5 * (2 * count - 1) * _phase_length(velocity.shape[3], cell)
    # The last sum's taps reach behind it.
    phases = np.zeros((cell, length + across.shape[1] // cell), np.float32)
    out = np.empty(length, np.float32)
    means = np.empty((2 * count - 1, 5, velocity.shape[3]), np.float32)
    now = 0
    for index in range(first, last):
        clip, step = index // steps, index % steps
        if index == first or step == 0:
            _blur_frame(frames, clip, step, light, blur, luma, lines, blurred, now)
        now = 1 - now
        _blur_frame(frames, clip, step + 1, light, blur, luma, lines, blurred, now)
        sums[:] = 0
        for start in range(0, height, ROWS):
            for row in range(ROWS):
                if start + row < height:
                    _differentiate(blurred, now, start + row, derivatives)
                    _multiply(derivatives, row, products)
                else:
                    products[row] = 0
            _sum_rows(products, start, down, cell, sums)
        for j in range(len(sums)):
            _sum_along(sums, j, across, cell, phases, out, means)
            _solve(means, eps, j, velocity[index], slopes[index])


@kernel
def _blur_frame(
    frames: Floats,
    clip: int,
    step: int,
    light: Floats,
    taps: Floats,
    luma: Floats,
    lines: Floats,
    out: Floats,
    slot: int,
) -> None:
    """Write the blurred luma of a frame, and its derivative by sigma where there is room for it.

    Args:
        frames: (B, 3, T, h, w).
        light: What R, G and B add to the luma.
        taps: The blur's taps and their derivatives, (2, 9).
        luma: Scratch, (w + 8,).
        lines: Scratch, (1 or 2, h, w).
        out: (2, 1 or 2, h, w).
        slot: Which of the first two.
    """
    _, count, height, width = out.shape
    red, green, blue = light[0], light[1], light[2]
    for y in range(height):
        for x in range(width):
            luma[x + BLUR_RADIUS] = (
                red * frames[clip, 0, step, y, x]
                + green * frames[clip, 1, step, y, x]
                + blue * frames[clip, 2, step, y, x]
            )
        for x in range(BLUR_RADIUS):
            luma[x] = luma[BLUR_RADIUS]
            luma[width + BLUR_RADIUS + x] = luma[width + BLUR_RADIUS - 1]
        for k in range(count):
            w0, w1, w2, w3, w4 = taps[k, 0], taps[k, 1], taps[k, 2], taps[k, 3], taps[k, 4]
            for x in range(width):
                lines[k, y, x] = (
                    w0 * (luma[x] + luma[x + 8])
                    + w1 * (luma[x + 1] + luma[x + 7])
                    + w2 * (luma[x + 2] + luma[x + 6])
                    + w3 * (luma[x + 3] + luma[x + 5])
                    + w4 * luma[x + 4]
                )
    for y in range(height):
        for k in range(count):
            for x in range(width):
                out[slot, k, y, x] = taps[k, 4] * lines[0, y, x]
            _add_column(lines, 0, taps, k, y, out, slot, k)
        if count == 2:
            for x in range(width):
                out[slot, 1, y, x] += taps[0, 4] * lines[1, y, x]
            _add_column(lines, 1, taps, 0, y, out, slot, 1)


@kernel
def _add_column(
    lines: Floats, which: int, taps: Floats, kind: int, y: int, out: Floats, slot: int, k: int
) -> None:
    """Add the rows around row `y`, weighed along columns; the border repeats the edge."""
    _, height, width = lines.shape
    for reach in range(1, BLUR_RADIUS + 1):
        above, below = max(y - reach, 0), min(y + reach, height - 1)
        weight = taps[kind, BLUR_RADIUS - reach]
        for x in range(width):
            out[slot, k, y, x] += weight * (lines[which, above, x] + lines[which, below, x])


@kernel
def _differentiate(blurred: Floats, now: int, y: int, out: Floats) -> None:
    """Write the derivatives along x, y and time of row `y`, and theirs by sigma.

    Args:
        blurred: Both frames, (2, 1 or 2, h, w).
        out: (3 or 6, w).
    """
    _, count, height, width = blurred.shape
    quarter = np.float32(0.25)
    before = 1 - now
    above, below = max(y - 1, 0), min(y + 1, height - 1)
    for k in range(count):
        along, across, change = 3 * k, 3 * k + 1, 3 * k + 2
        for x in range(width):
            out[change, x] = quarter * (blurred[now, k, y, x] + blurred[before, k, y, x])
        for x in range(1, width - 1):
            out[along, x] = out[change, x + 1] - out[change, x - 1]
        out[along, 0] = out[change, min(1, width - 1)] - out[change, 0]
        out[along, width - 1] = out[change, width - 1] - out[change, max(width - 2, 0)]
        for x in range(width):
            out[across, x] = quarter * (
                blurred[now, k, below, x]
                + blurred[before, k, below, x]
                - blurred[now, k, above, x]
                - blurred[before, k, above, x]
            )
        for x in range(width):
            out[change, x] = blurred[now, k, y, x] - blurred[before, k, y, x]


@kernel
def _multiply(derivatives: Floats, row: int, out: Floats) -> None:
    """Write a row of the five products of the derivatives, and the derivatives of these.

    Args:
        derivatives: (3 or 6, w).
        row: Which row of `out`.
        out: (4, 5 w or 10 w).
    """
    count, width = derivatives.shape
    for k in range(5):
        a, b = _factors(k)
        start = k * width
        for x in range(width):
            out[row, start + x] = derivatives[a, x] * derivatives[b, x]
        if count == 6:
            start += 5 * width
            for x in range(width):
                out[row, start + x] = (
                    derivatives[a + 3, x] * derivatives[b, x]
                    + derivatives[a, x] * derivatives[b + 3, x]
                )


@kernel
def _factors(k: int) -> tuple[int, int]:
    """Return which derivatives the k-th product is of: xx, xy, yy, xt, yt."""
    if k < 3:
        return max(k - 1, 0), min(k, 1)
    return k - 3, 2


@kernel
def _sum_rows(products: Floats, start: int, taps: Floats, cell: int, sums: Floats) -> None:
    """Add four rows of products to the sums of all rows of cells within reach.

    Args:
        products: (4, 5 w or 10 w).
        start: Which row of the frame the first is.
        taps: A cell's taps and their derivatives, (2, n), `ROWS` zeros around.
        cell: Side of a cell in pixels.
        sums: (cells, 5 w or 15 w): of the products, of their derivatives by sigma and by the
            window.
    """
    length = products.shape[1]
    first = max(0, (start - WINDOW_RADIUS) // cell)
    end = min(len(sums), (start + ROWS - 1 + WINDOW_RADIUS) // cell + 1)
    for j in range(first, end):
        tap = start - j * cell + WINDOW_RADIUS + ROWS
        w0, w1, w2, w3 = taps[0, tap], taps[0, tap + 1], taps[0, tap + 2], taps[0, tap + 3]
        for x in range(length):
            sums[j, x] += (
                w0 * products[0, x]
                + w1 * products[1, x]
                + w2 * products[2, x]
                + w3 * products[3, x]
            )
        w0, w1, w2, w3 = taps[1, tap], taps[1, tap + 1], taps[1, tap + 2], taps[1, tap + 3]
        for x in range(sums.shape[1] - length):
            sums[j, length + x] += (
                w0 * products[0, x]
                + w1 * products[1, x]
                + w2 * products[2, x]
                + w3 * products[3, x]
            )


@kernel
def _sum_along(
    sums: Floats, j: int, taps: Floats, cell: int, phases: Floats, out: Floats, means: Floats
) -> None:
    """Sum a row of cells along the row.

    Every `cell`-th column goes to a row of its own, so that a tap meets the columns of
    neighbouring cells, and of all sums, side by side.

    Args:
        sums: As `_sum_rows` leaves them.
        taps: A cell's taps and their derivatives, (2, 22 + cell).
        cell: Side of a cell in pixels.
        phases: Scratch, (cell, n), see `_phase_length`; zeros where no column is written.
        out: Scratch, (n,).
        means: (1 or 3, 5, cells): of the products, and their derivatives by sigma and the window.
    """
    count, _, cells = means.shape
    width = sums.shape[1] // (5 * count)
    length = _phase_length(cells, cell)
    for p in range(cell):
        first = max(0, (WINDOW_RADIUS - p + cell - 1) // cell)
        end = (width + WINDOW_RADIUS - p + cell - 1) // cell
        for k in range(5 * count):
            to, start = k * length, k * width + p - WINDOW_RADIUS
            for q in range(first, end):
                phases[p, to + q] = sums[j, start + q * cell]
    _add_taps(phases, taps, 0, cell, 5 * count * length, out)
    for k in range(5 * count):
        for i in range(cells):
            means[k // 5, k % 5, i] = out[k * length + i]
    if count == 3:
        # The window's derivative has two parts: along columns, and along rows.
        _add_taps(phases, taps, 1, cell, 5 * length, out)
        for k in range(5):
            for i in range(cells):
                means[2, k, i] += out[k * length + i]


@kernel
def _phase_length(cells: int, cell: int) -> int:
    """Return how many columns a phase has: those of the cells, and those that the taps reach."""
    return cells + 2 * WINDOW_RADIUS // cell + 1


@kernel
def _add_taps(phases: Floats, taps: Floats, kind: int, cell: int, count: int, out: Floats) -> None:
    """Write the sums of the first `count` columns of the phases, weighed by the taps."""
    for x in range(count):
        out[x] = np.float32(0)
    for tap in range(taps.shape[1]):
        weight, p, shift = taps[kind, tap], tap % cell, tap // cell
        for x in range(count):
            out[x] += weight * phases[p, x + shift]


@kernel
def _solve(means: Floats, eps: float, j: int, velocity: Floats, slopes: Floats) -> None:
    """Solve for the velocities of a row of cells and their derivatives.

    Args:
        means: (1 or 3, 5, w), see `_sum_along`.
        velocity: (2, h, w).
        slopes: (2, 0 or 3, h, w): by sigma, by the window, by the logarithm of eps.
    """
    for i in range(velocity.shape[2]):
        xx, yy = np.float64(means[0, 0, i]) + eps, np.float64(means[0, 2, i]) + eps
        xy = np.float64(means[0, 1, i])
        xt, yt = np.float64(means[0, 3, i]), np.float64(means[0, 4, i])
        scale = 1 / (xx * yy - xy * xy)
        u, v = scale * (xy * yt - yy * xt), scale * (xy * xt - xx * yt)
        velocity[0, j, i], velocity[1, j, i] = u, v
        for k in range(slopes.shape[1]):
            if k == 2:
                first, second = -eps * u, -eps * v
            else:
                first = -(means[k + 1, 3, i] + means[k + 1, 0, i] * u + means[k + 1, 1, i] * v)
                second = -(means[k + 1, 4, i] + means[k + 1, 1, i] * u + means[k + 1, 2, i] * v)
            slopes[0, k, j, i] = scale * (yy * first - xy * second)
            slopes[1, k, j, i] = scale * (xx * second - xy * first)


@kernel
def repeat_cells(values: Floats, cell: int, out: Floats, first: int, last: int) -> None:
    """Repeat the values of planes `first` ... `last - 1`, (N, h, w), over cells, (N, H, W)."""
    _, height, width = out.shape
    for plane in range(first, last):
        for j in range(values.shape[1]):
            top, bottom = j * cell, min((j + 1) * cell, height)
            for i in range(values.shape[2]):
                value = values[plane, j, i]
                for x in range(i * cell, min((i + 1) * cell, width)):
                    out[plane, top, x] = value
            for y in range(top + 1, bottom):
                for x in range(width):
                    out[plane, y, x] = out[plane, top, x]


@kernel
def sum_cells(values: Floats, cell: int, out: Floats, first: int, last: int) -> None:
    """Sum the values of planes `first` ... `last - 1`, (N, H, W), over cells, (N, h, w)."""
    _, height, width = values.shape
    line = np.empty(width, np.float32)
    for plane in range(first, last):
        for j in range(out.shape[1]):
            line[:] = 0
            for y in range(j * cell, min((j + 1) * cell, height)):
                for x in range(width):
                    line[x] += values[plane, y, x]
            for i in range(out.shape[2]):
                total = np.float32(0)
                for x in range(i * cell, min((i + 1) * cell, width)):
                    total += line[x]
                out[plane, j, i] = total
