"""The encoder's inner loop, compiled by numba."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.streaming import avx512, lookup_table
from motionveil.streaming.avx512 import LANES, is_supported, veil_blocks
from motionveil.streaming.lookup_table import CHUNK, FAST, finish_by_table

MARGIN = 2
"""Pixels that the 5-tap window reaches to each side."""

RING = 2 * MARGIN + 1
"""Rows that the window covers."""

OVERLAP = 64
"""Values behind a chunk that count as within its reach: 12 would do, but are no whole vector."""

# Unsigned, since numba looks at every signed index whether it counts from the end, and then the
# compiler makes no vector code. Whole arrays and numbers go to the inner functions, no slices: a
# slice costs two atomic operations, as many as some twenty values do.
_U: Any = np.uint64
_CHUNK, _RING, _CHANNELS = _U(CHUNK), _U(RING), _U(3)
_REACH = _U(CHUNK + OVERLAP)
_EDGE = _U(3 * MARGIN)  # values, channels interleaved, that the window reaches to each side


@numba.njit(cache=True, nogil=True)
def _subtract_row(
    frame: NDArray[np.uint8],
    previous: NDArray[np.uint8],
    y: np.uint64,
    differences: NDArray[np.int16],
    peaks: NDArray[np.int16],
    slot: np.uint64,
) -> None:
    """Subtract one row of two frames, and note how large the differences are.

    Args:
        frame: uint8 (H, 3 W), channels interleaved.
        previous: The frame before, likewise.
        differences: (5, 256 n + 64): rows of differences with their border repeated. Sums of two
            fit 16 bits too, and numba would compute them in 64.
        peaks: (5, n): the largest difference within reach of each chunk of a row.
        slot: Where the row goes in the two.
    """
    length = _U(frame.shape[1])
    for i in range(length):
        differences[slot, i + _EDGE] = np.int16(np.int16(frame[y, i]) - np.int16(previous[y, i]))
    for i in range(_EDGE):
        differences[slot, i] = differences[slot, _EDGE + i % _CHANNELS]
        differences[slot, _EDGE + length + i] = differences[
            slot, length + _CHANNELS + i % _CHANNELS
        ]
    for chunk in range(_U(peaks.shape[1])):
        start = chunk * _CHUNK
        low, high = np.int16(0), np.int16(0)
        for i in range(_REACH):
            low = min(low, differences[slot, start + i])
            high = max(high, differences[slot, start + i])
        peaks[slot, chunk] = max(high, -low)


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _blur_along(
    differences: NDArray[np.int16],
    slot: np.uint64,
    start: np.uint64,
    count: np.uint64,
    weights: NDArray[np.float32],
    blurred: NDArray[np.float32],
) -> None:
    """Blur a stretch of a row along x.

    Args:
        differences: Of `_subtract_row`.
        weights: Centre, first and second neighbour of the 5 taps.
        blurred: float32 (5, 3 W) or wider.
    """
    centre, near, far = weights[0], weights[1], weights[2]
    for i in range(count):
        x = start + i
        blurred[slot, x] = (
            centre * np.float32(differences[slot, x + _U(6)])
            + near
            * np.float32(np.int16(differences[slot, x + _U(3)] + differences[slot, x + _U(9)]))
            + far * np.float32(np.int16(differences[slot, x] + differences[slot, x + _U(12)]))
        )


if is_supported():

    @numba.njit(cache=True, nogil=True)
    def _finish_by_vectors(
        blurred: NDArray[np.float32],
        slots: tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64],
        start: np.uint64,
        count: np.uint64,
        taps: NDArray[np.float32],
        table: NDArray[np.uint8],
        factor: int,
        values: NDArray[np.uint8],
    ) -> None:
        blocks = count // _U(LANES)
        veil_blocks(blurred, slots, start, blocks, taps, table, factor, values, _U(0))

else:  # the processor's instruction must not even be compiled

    @numba.njit(cache=True, nogil=True)
    def _finish_by_vectors(
        blurred: NDArray[np.float32],
        slots: tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64],
        start: np.uint64,
        count: np.uint64,
        taps: NDArray[np.float32],
        table: NDArray[np.uint8],
        factor: int,
        values: NDArray[np.uint8],
    ) -> None:
        raise RuntimeError("no vectors on this processor")


@numba.njit(cache=True, nogil=True, inline="always")
def _peak(
    peaks: NDArray[np.int16],
    slots: tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64],
    chunk: np.uint64,
) -> np.int16:
    """Return the largest difference that the window sees in a chunk."""
    two_rows = max(peaks[slots[0], chunk], peaks[slots[1], chunk])
    return max(two_rows, peaks[slots[2], chunk], peaks[slots[3], chunk], peaks[slots[4], chunk])


@numba.njit(cache=True, nogil=True)
def _blur_missing(
    differences: NDArray[np.int16],
    is_blurred: NDArray[np.uint8],
    slot: np.uint64,
    begin: np.uint64,
    end: np.uint64,
    length: np.uint64,
    weights: NDArray[np.float32],
    blurred: NDArray[np.float32],
) -> int:
    """Blur the chunks `begin` to `end` of a row along x, but for those that are; count the new.

    Args:
        differences: Of `_subtract_row`.
        is_blurred: (5, n), of each chunk; updated.
        length: Values of a row, rounded up to whole vectors.
        weights: Centre, first and second neighbour of the 5 taps.
        blurred: float32 (5, 256 n).
    """
    chunk, done = begin, 0
    while chunk < end:
        first = chunk
        while chunk < end and not is_blurred[slot, chunk]:
            is_blurred[slot, chunk] = 1
            chunk += _U(1)
            done += 1
        if chunk > first:
            count = min(chunk * _CHUNK, length) - first * _CHUNK
            _blur_along(differences, slot, first * _CHUNK, count, weights, blurred)
        else:
            chunk += _U(1)
    return done


def _compile(sources: int) -> Any:
    """Return `veil_rows`. numba's cache sees a change of this file only, and of `sources`."""

    @numba.njit(cache=True, nogil=True)
    def veil_rows(
        frame: NDArray[np.uint8],
        previous: NDArray[np.uint8],
        weights: NDArray[np.float32],
        taps: NDArray[np.float32],
        last: int,
        table: NDArray[np.uint8],
        factor: int,
        neutral: int,
        quiet: int,
        differences: NDArray[np.int16],
        blurred: NDArray[np.float32],
        peaks: NDArray[np.int16],
        is_blurred: NDArray[np.uint8],
        entries: NDArray[np.uint16],
        entry_words: NDArray[np.uint64],
        values: NDArray[np.uint8],
        value_words: NDArray[np.uint64],
        out: NDArray[np.uint8],
    ) -> None:
        """Veil a frame: difference, separable blur, quantiser.

        Blur and difference commute, so the frames are subtracted first: one blur instead of two.
        A blurred difference is no larger than the largest one that goes into it, so where all are
        within the quantiser's step around zero the output is known without blurring. Beyond the
        frame its border repeats.

        Args:
            frame: uint8 (H, 3 W), channels interleaved.
            previous: The frame before, likewise.
            weights: Centre, first and second neighbour of the 5 taps.
            taps: The same in entries a grey level; and the entry of zero motion and a half, (4,).
            last: The last entry, below 65536; zero motion is in the middle.
            table: Veiled value of each entry, ascending; or the segments of `avx512.fit_segments`.
            factor: That of the segments; -1 for a table.
            quiet: Grey levels up to which a blurred difference has that value.
            differences: Scratch, (5, 256 n + 64), zero at first: the rows that the window covers.
            blurred: Scratch, (5, 256 n): the same, blurred along x.
            peaks: Scratch, (5, n), n the number of chunks of a row.
            is_blurred: Scratch, likewise.
            entries: Scratch, (256 n,).
            entry_words: The same memory, (64 n,).
            values: Scratch, (256 n,).
            value_words: The same memory, (32 n,).
            out: uint8 (H, 3 W).
        """
        if sources < 0:  # never; the number is part of what the cache goes by
            return
        height, length = _U(frame.shape[0]), _U(frame.shape[1])
        missing = np.zeros(RING, np.int64)  # chunks of each row that are not blurred
        whole = (length + _U(LANES - 1)) // _U(LANES) * _U(LANES)
        bottom, chunks = height - _U(1), _U(peaks.shape[1])
        ready = _U(0)
        for y in range(height):
            while ready < min(height, y + _U(MARGIN + 1)):
                slot = ready % _RING
                _subtract_row(frame, previous, ready, differences, peaks, slot)
                for chunk in range(chunks):
                    is_blurred[slot, chunk] = 0
                missing[slot] = peaks.shape[1]
                ready += _U(1)
            slots = (
                (max(y, _U(2)) - _U(2)) % _RING,
                (max(y, _U(1)) - _U(1)) % _RING,
                y % _RING,
                min(y + _U(1), bottom) % _RING,
                min(y + _U(2), bottom) % _RING,
            )
            chunk = _U(0)
            while chunk < chunks:
                # The longest stretch of chunks in which all are quiet, or none is.
                begin, moves = chunk, _peak(peaks, slots, chunk) > quiet
                while chunk < chunks and (_peak(peaks, slots, chunk) > quiet) == moves:
                    chunk += _U(1)
                start = begin * _CHUNK
                count = (
                    min(chunk * _CHUNK, length) - start
                )  # of the last chunk a part may be no pixels
                if not moves:
                    for i in range(count):
                        out[y, start + i] = neutral
                    continue
                for slot in slots:
                    if missing[slot] > 0:
                        missing[slot] -= _blur_missing(
                            differences, is_blurred, slot, begin, chunk, whole, weights, blurred
                        )
                stop = min(chunk * _CHUNK, whole)
                if factor >= 0:
                    _finish_by_vectors(
                        blurred, slots, start, stop - start, taps, table, factor, values
                    )
                else:
                    finish_by_table(
                        blurred,
                        slots,
                        start,
                        stop - start,
                        taps,
                        last,
                        table,
                        entries,
                        entry_words,
                        values,
                        value_words,
                    )
                for i in range(count):
                    out[y, start + i] = values[i]

    return veil_rows


_SOURCES = b"".join(Path(str(module.__file__)).read_bytes() for module in (lookup_table, avx512))
veil_rows = _compile(zlib.crc32(_SOURCES))
