"""The quantiser as a table, on any processor."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

CHUNK = 256
"""Values that are looked up together, or not at all where they are equal."""

# Unsigned: see `motionveil.streaming.kernel`.
_U: Any = np.uint64
_CHUNK = _U(CHUNK)
# What may change a value in its last bits, and no more; no value is infinite or not a number.
FAST = {"contract", "reassoc", "nsz", "nnan", "ninf"}


@numba.njit(cache=True, nogil=True)
def finish_by_table(
    blurred: NDArray[np.float32],
    slots: tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64],
    start: np.uint64,
    count: np.uint64,
    taps: NDArray[np.float32],
    last: int,
    table: NDArray[np.uint8],
    entries: NDArray[np.uint16],
    entry_words: NDArray[np.uint64],
    values: NDArray[np.uint8],
    value_words: NDArray[np.uint64],
) -> None:
    """Blur a stretch of a row along y and quantise it.

    Args:
        blurred: Rows blurred along x, float32 (5, 3 W) or wider.
        slots: Which of them is two above, above, here, below and two below.
        taps: Centre, first and second neighbour of the 5 taps, in entries a grey level; the entry
            of zero motion and a half.
        table: uint8 (last + 1,), ascending.
        entries: Scratch, uint16 (256 n,), n chunks of 256 holding the stretch.
        entry_words: The same memory as words of four entries.
        values: uint8 (256 n,), where the values go.
        value_words: The same memory as words of eight values.
    """
    _blur_across(blurred, slots, start, count, taps, np.float32(last), entries)
    chunks = (count + _CHUNK - _U(1)) // _CHUNK
    _look_up(entries, entry_words, table, values, value_words, chunks)


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _blur_across(
    blurred: NDArray[np.float32],
    slots: tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64],
    start: np.uint64,
    count: np.uint64,
    taps: NDArray[np.float32],
    last: np.float32,
    entries: NDArray[np.uint16],
) -> None:
    """Blur a stretch of five rows along y, and number the quantiser's entry of each value.

    Args:
        blurred: Rows blurred along x, float32 (5, 3 W) or wider.
        slots: Which of them is two above, above, here, below and two below.
        taps: Centre, first and second neighbour of the 5 taps, in entries a grey level; the entry
            of zero motion and a half, which turns the truncation into rounding.
        entries: uint16 (n,), n at least the length.
    """
    centre, near, far, middle = taps[0], taps[1], taps[2], taps[3]
    above2, above, here, below, below2 = slots
    for i in range(count):
        x = start + i
        entry = (
            centre * blurred[here, x]
            + near * (blurred[above, x] + blurred[below, x])
            + far * (blurred[above2, x] + blurred[below2, x])
            + middle
        )
        entries[i] = np.uint16(np.int32(min(max(entry, np.float32(0)), last)))


@numba.njit(cache=True, nogil=True)
def _look_up(
    entries: NDArray[np.uint16],
    entry_words: NDArray[np.uint64],
    table: NDArray[np.uint8],
    values: NDArray[np.uint8],
    value_words: NDArray[np.uint64],
    chunks: np.uint64,
) -> None:
    """Write `table[entries]`, chunk by chunk.

    The table ascends, so where the smallest and the largest entry of a chunk have one value all
    have: they are filled, not looked up.

    Args:
        entries: uint16 (256 n,).
        entry_words: The same memory as words of four entries.
        table: uint8, ascending.
        values: uint8 (256 n,).
        value_words: The same memory as words of eight values.
        chunks: How many, at most n.
    """
    for number in range(chunks):
        start = number * _CHUNK
        low, high = np.uint16(65535), np.uint16(0)
        for i in range(_CHUNK):
            low = min(low, entries[start + i])
            high = max(high, entries[start + i])
        value = table[low]
        if value == table[high]:
            for i in range(_CHUNK):
                values[start + i] = value
        else:
            # Eight values are written as one word: one store per value would be slower.
            word = start // _U(8)
            for k in range(_CHUNK // _U(8)):
                first = _four(entry_words[_U(2) * (word + k)], table)
                second = _four(entry_words[_U(2) * (word + k) + _U(1)], table)
                value_words[word + k] = first | (second << _U(32))


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
