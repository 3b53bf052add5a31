"""The encoder's inner loop, compiled by numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

MARGIN = 2
"""Pixels that the 5-tap window reaches to each side."""

RING = 2 * MARGIN + 1
"""Rows that the window covers."""

CHUNK = 256
"""Values that are looked up together, or not at all where they all lie on one flat step."""

# What may change a value in its last bits, and no more; no value is infinite or not a number.
_FAST = {"contract", "reassoc", "nsz", "nnan", "ninf"}


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _blur_row(
    frame: NDArray[np.uint8],
    previous: NDArray[np.uint8],
    kept: NDArray[np.uint8],
    weights: NDArray[np.float32],
    padded: NDArray[np.int16],
    out: NDArray[np.float32],
) -> None:
    """Blur one row of the difference along x, and keep the frame's row.

    Args:
        frame: Row of the frame, uint8 (3 W,), channels interleaved.
        previous: The same row of the frame before.
        kept: Where the row is copied.
        weights: Centre, first and second neighbour of the 5 taps.
        padded: Scratch, (3 (W + 4),). Sums of two differences fit 16 bits too, and numba would
            compute them in 64.
        out: The blurred row, (3 W,).
    """
    length = frame.shape[0]
    edge = 3 * MARGIN
    for i in range(length):
        padded[i + edge] = np.int16(np.int16(frame[i]) - np.int16(previous[i]))
        kept[i] = frame[i]
    for i in range(edge):  # replicate the border
        padded[i] = padded[edge + i % 3]
        padded[edge + length + i] = padded[edge + length - 3 + i % 3]
    centre, near, far = weights[0], weights[1], weights[2]
    for i in range(length):
        out[i] = (
            centre * np.float32(padded[i + 6])
            + near * np.float32(np.int16(padded[i + 3] + padded[i + 9]))
            + far * np.float32(np.int16(padded[i] + padded[i + 12]))
        )


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _blur_column(
    above2: NDArray[np.float32],
    above: NDArray[np.float32],
    here: NDArray[np.float32],
    below: NDArray[np.float32],
    below2: NDArray[np.float32],
    taps: NDArray[np.float32],
    middle: np.float32,
    last: np.float32,
    entries: NDArray[np.uint16],
) -> None:
    """Blur five rows along y, and number the table's entry of each value.

    Args:
        above2: Row blurred along x, (3 W,); so are the next four.
        above: The row above.
        here: The row itself.
        below: The row below.
        below2: The row below that.
        taps: Centre, first and second neighbour of the 5 taps, in entries a grey level.
        middle: The entry of zero motion, and a half: it turns the truncation into rounding.
        last: The last entry.
        entries: uint16 (3 W,), or longer.
    """
    centre, near, far = taps[0], taps[1], taps[2]
    for i in range(here.shape[0]):
        entry = (
            centre * here[i] + near * (above[i] + below[i]) + far * (above2[i] + below2[i]) + middle
        )
        entries[i] = np.uint16(np.int32(min(max(entry, np.float32(0)), last)))


@numba.njit(cache=True, nogil=True)
def _look_up(
    entries: NDArray[np.uint16],
    entry_words: NDArray[np.uint64],
    table: NDArray[np.uint8],
    values: NDArray[np.uint8],
    value_words: NDArray[np.uint64],
) -> None:
    """Write `table[entries]`, chunk by chunk.

    The table ascends, so where the smallest and the largest entry of a chunk have one value all
    have: a still scene behind a trained encoder is filled, not looked up.

    Args:
        entries: uint16, a multiple of `CHUNK` of them.
        entry_words: The same memory as words of four entries.
        table: uint8, ascending.
        values: uint8, as many as entries.
        value_words: The same memory as words of eight values.
    """
    for start in range(0, entries.shape[0], CHUNK):
        # Slices of their own, since the compiler makes vector code of a loop from 0 only.
        chunk = entries[start : start + CHUNK]
        low, high = np.uint16(65535), np.uint16(0)
        for i in range(chunk.shape[0]):
            low = min(low, chunk[i])
            high = max(high, chunk[i])
        value = table[low]
        if value == table[high]:
            flat = values[start : start + CHUNK]
            for i in range(flat.shape[0]):
                flat[i] = value
        else:
            # Eight values are written as one word: a store a value would be slower.
            for k in range(start // 8, (start + CHUNK) // 8):
                first, second = entry_words[2 * k], entry_words[2 * k + 1]
                value_words[k] = _four(first, table) | (_four(second, table) << np.uint64(32))


@numba.njit(cache=True, nogil=True, inline="always")
def _four(entries: np.uint64, table: NDArray[np.uint8]) -> np.uint64:
    """Look up the four entries of a word, the first in its lowest bits.

    That is how every processor for which numba compiles lays them out.
    """
    one = np.uint64(table[entries & np.uint64(0xFFFF)])
    two = np.uint64(table[(entries >> np.uint64(16)) & np.uint64(0xFFFF)])
    three = np.uint64(table[(entries >> np.uint64(32)) & np.uint64(0xFFFF)])
    four = np.uint64(table[entries >> np.uint64(48)])
    return one | (two << np.uint64(8)) | (three << np.uint64(16)) | (four << np.uint64(24))


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def veil_rows(
    frame: NDArray[np.uint8],
    previous: NDArray[np.uint8],
    kept: NDArray[np.uint8],
    first: int,
    end: int,
    weights: NDArray[np.float32],
    scale: np.float32,
    table: NDArray[np.uint8],
    ring: NDArray[np.float32],
    padded: NDArray[np.int16],
    entries: NDArray[np.uint16],
    entry_words: NDArray[np.uint64],
    values: NDArray[np.uint8],
    value_words: NDArray[np.uint64],
    out: NDArray[np.uint8],
) -> None:
    """Veil the rows `first` to `end` of a frame: difference, separable blur, look-up.

    Blur and difference commute, so the frames are subtracted first: one blur instead of two.
    Beyond the frame its border repeats.

    Args:
        frame: uint8 (H, 3 W), channels interleaved.
        previous: The frame before, likewise.
        kept: Where the rows of `frame` are copied, to be `previous` next time. (Whoever veils the
            neighbouring rows at the same time writes the same into those at the seam.)
        first: First row.
        end: Row before which to stop.
        weights: Centre, first and second neighbour of the 5 taps.
        scale: Table entries that one grey level of difference spans.
        table: Veiled value of each blurred difference, ascending, zero motion in the middle; odd
            length below 65536.
        ring: Scratch, (5, 3 W): the rows that the window covers.
        padded: Scratch, (3 (W + 4),).
        entries: Scratch, (n,), n the multiple of `CHUNK` next above 3 W; all zero at first.
        entry_words: The same memory, (n / 4,).
        values: Scratch, (n,).
        value_words: The same memory, (n / 8,).
        out: uint8 (H, 3 W).
    """
    height, length = frame.shape
    last = np.float32(table.shape[0] - 1)
    # Adding the half turns the truncation below into rounding.
    middle = np.float32(table.shape[0] // 2) + np.float32(0.5)
    taps = weights * scale
    ready = max(first - MARGIN, 0)
    for y in range(first, end):
        while ready < min(height, y + MARGIN + 1):
            row_ring = ring[ready % RING]
            _blur_row(frame[ready], previous[ready], kept[ready], weights, padded, row_ring)
            ready += 1
        above2, above = ring[max(y - 2, 0) % RING], ring[max(y - 1, 0) % RING]
        here = ring[y % RING]
        below, below2 = ring[min(y + 1, height - 1) % RING], ring[min(y + 2, height - 1) % RING]
        _blur_column(above2, above, here, below, below2, taps, middle, last, entries)
        _look_up(entries, entry_words, table, values, value_words)
        row = out[y]
        for i in range(length):
            row[i] = values[i]
