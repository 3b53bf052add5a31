"""BDQ frame by frame, as it runs behind a camera."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from motionveil.capture.guard import Guard, Reason
from motionveil.capture.kernel import CHUNK, MARGIN, RING, veil_rows
from motionveil.errors import MotionveilError
from motionveil.spec import KERNEL_SIZE, LEVELS, EncoderSpec

GREY = 255 // LEVELS
"""Grey levels that one level of the veiled clip spans on disk: 17."""

LARGEST_ERROR = 0.0025
"""By how many levels of 15 a value of the table may be off, before it is rounded to 8 bits."""

_LEAST_HALF, _MOST_HALF = 4096, 32767
"""Table entries on each side of zero motion: at least, and at most (16 bits number them)."""


class StreamEncoder:
    """Veils a stream of frames; each output depends on the frame and the one before only.

    `round(17 y)` with `y = Q((B(v_i) - B(v_{i-1}) + r) / 2r * 15)`, the fixed-range BDQ of
    `motionveil.encoders.BDQ`, to one 8-bit level. (With `hard`, a value within 1/1000 of a level of
    a boundary may fall on its other side.) The first frame, and one after `reset` or a change of
    size, has no frame before it: it gives the neutral frame, what no motion looks like, and never
    a picture of the scene.

    **Without a guard it compares whatever two frames it is given.** Across a scene cut the
    difference is a double exposure of both scenes, and after a jump of exposure a picture of the
    scene. Behind a camera, or for video that was edited, give it a `Guard`, as
    `motionveil encode` does.

    It holds the frame before in memory, writes nothing, and serves one stream.

    Args:
        spec: A `"bdq"` encoder in fixed range.
        hard: Quantise in steps (4-bit output) instead of sigmoids.
        guard: Looks for frames that have no honest difference; None to compare all.
        threads: Share the rows of a frame among so many threads.

    Attributes:
        neutral: The grey value of the neutral frame, 0 to 255.
        guarded: Why the last frame given back is the neutral one: `"first"`, `"size"`, or what the
            guard found; None if it is a difference.

    Raises:
        MotionveilError: The encoder passes its input through (`"raw"`), or its range depends on
            frames still to come (`"clip"`, `"batch"`).

    Example:
        >>> encoder = StreamEncoder(EncoderSpec.untrained(range=0.25))
        >>> frame = np.zeros((4, 6, 3), np.uint8)
        >>> veiled = encoder(frame)
        >>> veiled.shape, veiled.dtype, int(np.ptp(veiled))
        ((4, 6, 3), dtype('uint8'), 0)
        >>> encoder.guarded
        'first'
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        hard: bool = False,
        guard: Guard | None = None,
        threads: int = 1,
    ) -> None:
        if spec.method == "raw":
            raise MotionveilError(
                "the encoder 'raw' passes video through unveiled, so there is nothing to encode;"
                " choose a 'bdq' encoder"
            )
        if threads < 1:
            raise ValueError(f"threads must be 1 or more, not {threads}")
        self.spec = spec
        self.hard = hard
        self.guard = guard
        self.guarded: Reason | None = None
        self._table = quantiser_table(spec, hard=hard)
        assert spec.range is not None  # a bdq encoder that made a table has a fixed range
        half = len(self._table) // 2
        self.neutral = int(self._table[half])
        self._scale = np.float32(half / (255 * spec.range))
        self._weights = spec.gaussian()[KERNEL_SIZE // 2 :].astype(np.float32)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._started = False
        self._shape: tuple[int, ...] | None = None
        self._previous = self._kept = np.empty((0, 0), np.uint8)

    def __call__(
        self,
        frame: NDArray[np.uint8],
        *,
        out: NDArray[np.uint8] | None = None,
        time: float | None = None,
        fresh: bool = False,
    ) -> NDArray[np.uint8]:
        """Veil the next frame.

        Args:
            frame: uint8 (H, W, 3), RGB.
            out: Where to write, uint8 (H, W, 3), contiguous, not `frame` itself; a new array if
                None. With it, and a contiguous frame, nothing is allocated.
            time: When the frame was taken, in seconds, for the guard to find gaps; None if there
                is no clock.
            fresh: What came before is not known (a new connection, lost data): the output is the
                neutral frame.

        Returns:
            The veiled frame, uint8 (H, W, 3); 17 grey levels to a level of 0 to 15.

        Raises:
            ValueError: An array is of another type or shape.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
        if out is None:
            out = np.empty(frame.shape, np.uint8)
        elif out.dtype != np.uint8 or out.shape != frame.shape or not out.flags.c_contiguous:
            raise ValueError(
                f"out must be contiguous uint8 {frame.shape}, not {out.dtype} {out.shape}"
            )
        if np.may_share_memory(frame, out):
            raise ValueError("out must not be the frame itself")
        height, width = frame.shape[:2]
        rows = np.ascontiguousarray(frame).reshape(height, 3 * width)
        self.guarded = self._reason(rows, time, fresh)
        if self.guarded is None:
            self._veil(rows, out.reshape(rows.shape))
        else:
            np.copyto(self._kept, rows)
            out.fill(self.neutral)
        self._previous, self._kept = self._kept, self._previous
        self._started = True
        return out

    def reset(self) -> None:
        """Forget the frame before: the next output is the neutral frame."""
        self._started = False
        if self.guard is not None:
            self.guard.reset()

    def _reason(self, rows: NDArray[np.uint8], time: float | None, fresh: bool) -> Reason | None:
        """Return why this frame has no honest difference to the one before, or None."""
        resized = self._shape is not None and self._shape != rows.shape
        if self._shape != rows.shape:
            self._make_room(rows)
        found: Reason | None = None
        if not self._started:
            found = "first"
        elif resized:
            found = "size"
        elif fresh:
            found = "fresh"
        if self.guard is None:
            return found
        if found is not None:
            self.guard.restart(time)
            return found
        return self.guard.check(rows, self._previous, time)

    def _veil(self, rows: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        if self._pool is None:
            self._veil_stripe(self._stripes[0], rows, out)
            return
        futures = [
            self._pool.submit(self._veil_stripe, stripe, rows, out) for stripe in self._stripes
        ]
        for future in futures:
            future.result()

    def _veil_stripe(
        self, stripe: _Stripe, rows: NDArray[np.uint8], out: NDArray[np.uint8]
    ) -> None:
        veil_rows(
            rows,
            self._previous,
            self._kept,
            stripe.first,
            stripe.end,
            self._weights,
            self._scale,
            self._table,
            stripe.ring,
            stripe.padded,
            stripe.entries,
            stripe.entries.view(np.uint64),
            stripe.values,
            stripe.values.view(np.uint64),
            out,
        )

    def _make_room(self, rows: NDArray[np.uint8]) -> None:
        height, length = rows.shape
        whole_chunks = -(-length // CHUNK) * CHUNK
        self._shape = rows.shape
        self._previous, self._kept = np.empty_like(rows), np.empty_like(rows)
        bounds = np.linspace(0, height, min(self._threads, height) + 1).astype(int).tolist()
        self._stripes = [
            _Stripe(
                first,
                end,
                ring=np.empty((RING, length), np.float32),
                padded=np.empty(length + 6 * MARGIN, np.int16),
                entries=np.zeros(whole_chunks, np.uint16),
                values=np.zeros(whole_chunks, np.uint8),
            )
            for first, end in pairwise(bounds)
        ]


@dataclass(frozen=True)
class _Stripe:
    """Rows that one thread veils, and its scratch."""

    first: int
    end: int
    ring: NDArray[np.float32]
    padded: NDArray[np.int16]
    entries: NDArray[np.uint16]
    values: NDArray[np.uint8]


def prepare() -> float:
    """Load the compiled code, or compile it the first time, and return the seconds it took.

    Otherwise the first frames wait for it. The code is kept beside the package, or where that
    cannot be written in the user's cache folder; `NUMBA_CACHE_DIR` chooses another place.
    """
    started = perf_counter()
    encoder = StreamEncoder(EncoderSpec.untrained(range=0.25), guard=Guard())
    for level in (0, 1):
        encoder(np.full((8, 8, 3), level, np.uint8), time=float(level))
    assert encoder.guarded is None, "the second frame goes through the kernel"
    return perf_counter() - started


def quantiser_table(spec: EncoderSpec, *, hard: bool = False) -> NDArray[np.uint8]:
    """Return the 8-bit veiled value of blurred differences from -r to r, zero in the middle.

    It has as many entries as keep the error of the soft quantiser within `LARGEST_ERROR`.

    Args:
        spec: A `"bdq"` encoder in fixed range.
        hard: Of the quantiser in steps.

    Returns:
        uint8 (2 n + 1,), ascending; entry n + k belongs to the difference k r / n.

    Raises:
        MotionveilError: The encoder cannot stream.
    """
    if spec.range is None:
        return spec.veil_difference(np.zeros(1)).astype(np.uint8)  # raises: it cannot stream
    samples = spec.veil_difference(np.linspace(-spec.range, spec.range, 15 * 256 + 1))
    steepest = np.diff(samples).max() * 256  # levels out per level in
    # The nearest entry is at most half a step of 15 / 2n levels away.
    half = int(np.ceil(LEVELS * steepest / (4 * LARGEST_ERROR)))
    half = min(max(half, _LEAST_HALF), _MOST_HALF)
    differences = np.arange(-half, half + 1) * (spec.range / half)
    return np.rint(GREY * spec.veil_difference(differences, hard=hard)).astype(np.uint8)
