"""The encoder's inner loop, compiled by numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

MARGIN = 2
"""Pixels that the 5-tap window reaches to each side."""


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})
def _blur_row(
    frame: NDArray[np.uint8],
    previous: NDArray[np.uint8],
    weights: NDArray[np.float32],
    padded: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blur one row of the difference along x, and remember the frame's row.

    Args:
        frame: Row of the frame, uint8 (3 W,), channels interleaved.
        previous: The same row of the frame before; becomes `frame`.
        weights: Centre, first and second neighbour of the 5 taps.
        padded: Scratch, (3 (W + 4),).
        out: The blurred row, (3 W,).
    """
    length = frame.shape[0]
    edge = 3 * MARGIN
    for i in range(length):
        padded[i + edge] = np.float32(np.int32(frame[i]) - np.int32(previous[i]))
        previous[i] = frame[i]
    for i in range(edge):  # replicate the border
        padded[i] = padded[edge + i % 3]
        padded[edge + length + i] = padded[edge + length - 3 + i % 3]
    centre, near, far = weights[0], weights[1], weights[2]
    for i in range(length):
        out[i] = (
            centre * padded[i + 6]
            + near * (padded[i + 3] + padded[i + 9])
            + far * (padded[i] + padded[i + 12])
        )


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})
def veil(
    frame: NDArray[np.uint8],
    previous: NDArray[np.uint8],
    weights: NDArray[np.float32],
    scale: np.float32,
    table: NDArray[np.uint8],
    ring: NDArray[np.float32],
    padded: NDArray[np.float32],
    entries: NDArray[np.uint16],
    out: NDArray[np.uint8],
) -> None:
    """Veil a frame: difference, separable blur with replicated border, look-up.

    Blur and difference commute, so the frames are subtracted first: one blur instead of two.

    Args:
        frame: uint8 (H, 3 W), channels interleaved.
        previous: The frame before, likewise; becomes `frame`.
        weights: Centre, first and second neighbour of the 5 taps.
        scale: Table entries that one grey level of difference spans.
        table: Veiled value of each blurred difference, zero motion in the middle; odd length
            below 65536.
        ring: Scratch, (5, 3 W): the rows that the window covers.
        padded: Scratch, (3 (W + 4),).
        entries: Scratch, (3 W,).
        out: uint8 (H, 3 W).
    """
    height, length = frame.shape
    last = np.float32(table.shape[0] - 1)
    # Adding the half turns the truncation below into rounding.
    middle = np.float32(table.shape[0] // 2) + np.float32(0.5)
    centre, near, far = weights[0] * scale, weights[1] * scale, weights[2] * scale
    ready = 0
    for y in range(height):
        while ready < min(height, y + MARGIN + 1):
            _blur_row(frame[ready], previous[ready], weights, padded, ring[ready % 5])
            ready += 1
        above2, above = ring[max(y - 2, 0) % 5], ring[max(y - 1, 0) % 5]
        here = ring[y % 5]
        below, below2 = ring[min(y + 1, height - 1) % 5], ring[min(y + 2, height - 1) % 5]
        # Two loops, since the compiler makes vector code of the first but never of a look-up.
        for i in range(length):
            entry = (
                centre * here[i]
                + near * (above[i] + below[i])
                + far * (above2[i] + below2[i])
                + middle
            )
            entries[i] = np.uint16(np.int32(min(max(entry, np.float32(0)), last)))
        row = out[y]
        for i in range(length):
            row[i] = table[entries[i]]
