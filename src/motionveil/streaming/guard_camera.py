"""Whether one change of the whole image explains what changed: the camera moved, zoomed, focused.

Somebody who moves changes a few places and leaves the others. A camera that moves slowly changes
little anywhere, but everywhere, and all of it follows from a few numbers: shift, zoom, turn,
sharpness, gain and offset. These are fitted to the change since some frames ago, such that places
that do not follow have little weight, and then every region of the image is asked whether it
follows.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Coarse = NDArray[np.float64]

COARSE = 4
"""Cells that are taken together: the motion between two frames is then a part of one of them."""

REGIONS = 4
"""Regions of the image, down and across."""

TERMS = 7
"""Numbers that are fitted: shift down and across, zoom, turn, sharpness, gain, offset."""

ROUNDS = 4
"""Fits, each with less weight for what the one before did not explain."""

TOLD = 0.35
"""Grey levels (root mean square) that the fit must expect a region to change, so that it counts."""

FOLLOWS = 0.5
"""Share of a region's change that must be explained for it to follow."""

LEAST_REGIONS = 6
"""Regions that must count: a person fills up to four."""

SHOWS = 0.01
"""Share of a region's cells off neutral from which on it shows something."""


@numba.njit(cache=True, nogil=True)
def reduce_light(light: NDArray[np.int16], out: Coarse) -> None:
    """Write the mean brightness of squares of `COARSE` cells.

    Args:
        light: 4 times the brightness of cells, (h, w).
        out: (h // COARSE, w // COARSE).
    """
    height, width = out.shape
    for i in range(height):
        for j in range(width):
            total = 0
            for y in range(COARSE * i, COARSE * (i + 1)):
                for x in range(COARSE * j, COARSE * (j + 1)):
                    total += light[y, x]
            out[i, j] = total / (4 * COARSE**2)


@numba.njit(cache=True, nogil=True)
def _terms(now: Coarse, before: Coarse, y: int, x: int, out: Coarse) -> None:
    """Write what each number changes at a place, if it is 1."""
    height, width = now.shape
    v, u = (y - 0.5 * (height - 1)) / height, (x - 0.5 * (width - 1)) / height
    across = now[y, x + 1] - now[y, x - 1] + before[y, x + 1] - before[y, x - 1]
    down = now[y + 1, x] - now[y - 1, x] + before[y + 1, x] - before[y - 1, x]
    middle = now[y, x] + before[y, x]
    around = now[y, x + 1] + now[y, x - 1] + before[y, x + 1] + before[y, x - 1]
    around += now[y + 1, x] + now[y - 1, x] + before[y + 1, x] + before[y - 1, x]
    out[0], out[1] = across, down
    out[2], out[3] = u * across + v * down, u * down - v * across
    out[4], out[5], out[6] = around - 4 * middle, middle / 2, 64.0


@numba.njit(cache=True, nogil=True)
def _solve(normal: Coarse, right: Coarse) -> None:
    """Solve by Cholesky's factors, in place; the solution is in `right`."""
    n = len(right)
    for a in range(n):
        for b in range(a + 1):
            for k in range(b):
                normal[a, b] -= normal[a, k] * normal[b, k]
            if b < a:
                normal[a, b] /= normal[b, b]
            else:
                normal[a, a] = np.sqrt(max(normal[a, a], 1e-6))
        for k in range(a):
            right[a] -= normal[a, k] * right[k]
        right[a] /= normal[a, a]
    for a in range(n - 1, -1, -1):
        for k in range(a + 1, n):
            right[a] -= normal[k, a] * right[k]
        right[a] /= normal[a, a]


@numba.njit(cache=True, nogil=True)
def follow(now: Coarse, before: Coarse, off: Bytes) -> float:
    """Say how far the image follows one change of the whole.

    Args:
        now: Brightness, (h, w).
        off: Cells off neutral, of `COARSE` times the size.

    Returns:
        The share of the regions that follow, of those that tell, times the share of all regions in
        which cells that follow are off neutral.
    """
    height, width = now.shape
    if min(height, width) < 2 * REGIONS:
        return 0.0
    terms, model = np.empty(TERMS), np.zeros(TERMS)
    scale: Any = 1e6
    for _ in range(ROUNDS):
        normal, right, size, n = np.zeros((TERMS, TERMS)), np.zeros(TERMS), 0.0, 0
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                _terms(now, before, y, x, terms)
                step = now[y, x] - before[y, x]
                rest = step
                for a in range(TERMS):
                    rest -= terms[a] * model[a]
                size += abs(rest)
                n += 1
                weight = 1 / (1 + (rest / scale) ** 2)
                for a in range(TERMS):
                    right[a] += weight * terms[a] * step
                    for b in range(a + 1):
                        normal[a, b] += weight * terms[a] * terms[b]
        for a in range(TERMS):
            normal[a, a] += 1.0 + 1e-4 * normal[a, a]
        _solve(normal, right)
        model[:] = right
        scale = max(0.5, size / n)
    change, unexplained, expected = np.zeros((3, REGIONS, REGIONS))
    count = np.zeros((REGIONS, REGIONS))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            _terms(now, before, y, x, terms)
            i, j = y * REGIONS // height, x * REGIONS // width
            step, fit = now[y, x] - before[y, x], 0.0
            for a in range(TERMS):
                fit += terms[a] * model[a]
            change[i, j] += step**2
            unexplained[i, j] += (step - fit) ** 2
            expected[i, j] += fit**2
            count[i, j] += 1
    telling, following = 0, 0
    follows = np.zeros((REGIONS, REGIONS), np.uint8)
    for i in range(REGIONS):
        for j in range(REGIONS):
            if expected[i, j] > TOLD**2 * count[i, j]:
                telling += 1
                follows[i, j] = unexplained[i, j] < (1 - FOLLOWS) * change[i, j]
                following += follows[i, j]
    if telling < LEAST_REGIONS:
        return 0.0
    side = min(off.shape[0] // height, off.shape[1] // width)
    shown = np.zeros((REGIONS, REGIONS))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            i, j = y * REGIONS // height, x * REGIONS // width
            if not follows[i, j]:
                continue
            _terms(now, before, y, x, terms)
            step, fit = now[y, x] - before[y, x], 0.0
            for a in range(TERMS):
                fit += terms[a] * model[a]
            if (step - fit) ** 2 > (1 - FOLLOWS) * step**2:
                continue
            for v in range(side * y, side * (y + 1)):
                for u in range(side * x, side * (x + 1)):
                    shown[i, j] += off[v, u]
    wide = 0
    for i in range(REGIONS):
        for j in range(REGIONS):
            wide += shown[i, j] > SHOWS * side**2 * count[i, j]
    return following / telling * wide / REGIONS**2
