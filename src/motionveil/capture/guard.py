"""Which frames have no honest difference to the one before.

The difference of two frames shows motion only where both show the same scene in the same light.
Across a cut it is a double exposure of two scenes, after a jump of exposure a picture of the scene,
after a gap a picture of the person at two places. A guard finds such frames; what is written in
their place is the neutral frame.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

Reason = Literal["first", "size", "fresh", "gap", "exposure", "cut", "jump", "frozen"]
"""Why an output is the neutral frame.

- `first`: nothing came before; `size`: the frames before had another size;
- `fresh`: the source says that what came before is not known (a new connection, lost data);
- `gap`: the clock leapt, or went back: a stretch was lost or repeated;
- `frozen`: the picture moves again after it stood entirely still: a stretch was lost;
- `exposure`: the whole picture became brighter or darker;
- `cut`: the picture changed in too many places at once;
- `jump`: it changed much more than just before: an edit, or a stretch lost without a trace.
"""

GRID = (12, 16)
"""Blocks of a picture, down and across, whose mean brightness is compared."""

EXPOSURE = 1.75
"""Grey levels by which the median block may become brighter or darker."""

AGAINST = 0.02
"""Share of blocks that may change against the others when the light does; more is a cut."""

CHANGED = 5.0
"""Grey levels from which on a block counts as changed."""

CUT = 0.3
"""Share of changed blocks that is a cut, where there was less motion just before."""

ALWAYS_CUT = 0.6
"""Share of changed blocks that is one whatever came before."""

JUMP = 2.5
"""How many times the largest change of the last frames is a jump."""

QUIET = 1.0
"""Grey levels of mean change of the blocks that count as no motion, for `JUMP`."""

GAP = 3.0
"""How many of the last intervals between frames are a gap."""

FROZEN = 0.5
"""Seconds of entirely equal frames after which the next change is not trusted; or 12 frames."""

_MEMORY = 4  # frames whose change says how much motion there is just now
_INTERVALS = 9  # intervals whose median is the usual one
_SAMPLES = 8  # rows of a block that are looked at, or a few more


class Guard:
    """Finds the frames of one stream that must not be compared with the frame before.

    It looks at the mean brightness of 12 x 16 blocks, so that sensor noise averages out, and at
    the clock. The thresholds are the constants of this module; `docs/capture.md` says on which
    real video they were found, what they miss, and how often they are wrong.

    **What it cannot do.** A camera that moves draws every edge at every frame; a change slower
    than the thresholds (a dissolve, the sun) passes; a cut between two pictures that differ in
    few places looks like motion.
    """

    def __init__(self) -> None:
        self._blocks = np.empty(GRID, np.float64)
        self._sums = np.empty(0, np.int16)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._changes: deque[float] = deque(maxlen=_MEMORY)
        self._shares: deque[float] = deque(maxlen=_MEMORY)
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self.restart(None)

    def restart(self, time: float | None) -> None:
        """Take note of a frame that is not to be compared; what motion was like is forgotten.

        Args:
            time: When it was taken, in seconds; None if there is no clock.
        """
        self._changes.clear()
        self._shares.clear()
        self._still_frames, self._still_since = 0, time
        self._time = time

    def check(
        self,
        frame: NDArray[np.uint8],
        previous: NDArray[np.uint8],
        veiled: NDArray[np.uint8],
        neutral: int,
        time: float | None = None,
    ) -> Reason | None:
        """Say why a frame must not be compared with the one before; None if it may.

        Args:
            frame: uint8 (H, W, 3).
            previous: The frame before, likewise.
            veiled: What would be shown, likewise.
            neutral: Its grey value where nothing moves.
            time: When it was taken, in seconds; None if there is no clock.
        """
        rows, previous = (image.reshape(len(image), -1) for image in (frame, previous))
        gap = self._is_gap(time)
        self._time = time
        if self._sums.shape != rows.shape[1:]:
            self._sums = np.empty(rows.shape[1:], np.int16)
        block_differences(rows, previous, self._sums, self._blocks)
        middle, change, share, against = summarise(self._blocks, CHANGED)
        reason: Reason | None = None
        if gap:
            reason = "gap"
        elif abs(middle) > EXPOSURE:
            reason = "exposure" if against < AGAINST else "cut"
        elif share > min(max(CUT, 1.5 * max(self._shares, default=0)), ALWAYS_CUT):
            reason = "cut"
        elif self._changes and change > JUMP * max(QUIET, *self._changes):
            reason = "jump"
        elif self._thaws(change, rows, previous, time):
            reason = "frozen"
        self._changes.append(change)
        self._shares.append(share)
        return reason

    def _is_gap(self, time: float | None) -> bool:
        if time is None or self._time is None:
            return False
        interval = time - self._time
        usual = median(self._intervals) if len(self._intervals) >= 3 else None
        if interval > 0:
            self._intervals.append(interval)
        return interval <= 0 or (usual is not None and interval > GAP * usual)

    def _thaws(
        self,
        change: float,
        rows: NDArray[np.uint8],
        previous: NDArray[np.uint8],
        time: float | None,
    ) -> bool:
        """Count equal frames; say whether this one is the first that differs after many."""
        if change == 0 and np.array_equal(rows, previous):
            self._still_frames += 1
            return False
        frames, since = self._still_frames, self._still_since
        self._still_frames, self._still_since = 0, time
        if time is None or since is None:
            return frames >= 12
        return frames > 1 and time - since > FROZEN


@numba.njit(cache=True, nogil=True)
def block_differences(
    rows: NDArray[np.uint8],
    previous: NDArray[np.uint8],
    sums: NDArray[np.int16],
    out: NDArray[np.float64],
) -> None:
    """Compute the mean of `rows - previous` in each block of a grid, all channels together.

    Of tall blocks every second, third, ... row is looked at. Where there are fewer pixels than
    blocks, neighbouring blocks share pixels.

    Args:
        rows: uint8 (H, 3 W), channels interleaved.
        previous: Likewise.
        sums: Scratch, (3 W,). A column of up to 2 `_SAMPLES` differences fits 16 bits, and is
            summed many columns at a time.
        out: float64 (down, across), in grey levels.
    """
    height, length = rows.shape
    width = length // 3
    down, across = out.shape
    for i in range(down):
        top = i * height // down
        bottom = max((i + 1) * height // down, top + 1)
        step = max(1, (bottom - top) // _SAMPLES)
        for x in range(length):
            sums[x] = 0
        samples = 0
        for y in range(top, bottom, step):
            samples += 1
            row, row_before = rows[y], previous[y]
            for x in range(length):
                sums[x] += np.int16(np.int16(row[x]) - np.int16(row_before[x]))
        for j in range(across):
            left = j * width // across
            block = sums[3 * left : 3 * max((j + 1) * width // across, left + 1)]
            total = np.float32(0)
            for x in range(block.shape[0]):
                total += np.float32(block[x])
            out[i, j] = total / (samples * block.shape[0])


@numba.njit(cache=True, nogil=True)
def summarise(blocks: NDArray[np.float64], changed: float) -> tuple[float, float, float, float]:
    """Summarise the blocks' differences.

    Args:
        blocks: Mean difference of each, in grey levels.
        changed: Size from which on a block counts as changed.

    Returns:
        The median, the mean of the sizes, the share of blocks that changed, and the share that
        changed against the median: darker where it became brighter.
    """
    flat = blocks.ravel()
    median = np.median(flat)
    total, count, against = 0.0, 0, 0
    for value in flat:
        total += abs(value)
        if abs(value) > changed:
            count += 1
            if value * median < 0:
                against += 1
    return median, total / flat.size, count / flat.size, against / flat.size
