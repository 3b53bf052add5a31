"""BDQ frame by frame, as it runs behind a camera."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.capture.guard import Guard, Reason
from motionveil.capture.kernel import OVERLAP, RING, veil_rows
from motionveil.capture.quantiser import GREY, make_quantiser
from motionveil.capture.table import CHUNK
from motionveil.errors import MotionveilError
from motionveil.spec import KERNEL_SIZE, EncoderSpec

_LINE = 64  # bytes of a line of the cache


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
        vectors: Whether to quantise 64 values at once; None where the processor can.

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
        vectors: bool | None = None,
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
        self._quantiser = make_quantiser(spec, hard=hard, vectors=vectors)
        assert spec.range is not None  # a bdq encoder that has a quantiser has a fixed range
        self.neutral = round(GREY * float(spec.veil_difference(np.zeros(1), hard=hard)[0]))
        entries_a_side = (self._quantiser.last + 1) // 2
        scale = entries_a_side / (255 * spec.range)  # entries a grey level of difference
        self._weights = spec.gaussian()[KERNEL_SIZE // 2 :].astype(np.float32)
        self._taps = np.array([*(self._weights * scale), entries_a_side + 0.5], np.float32)
        self._quiet = self._quantiser.quiet(self.neutral, scale)
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
        quantiser = self._quantiser
        veil_rows(
            rows,
            self._previous,
            self._kept,
            stripe.first,
            stripe.end,
            self._weights,
            self._taps,
            quantiser.last,
            quantiser.table,
            quantiser.factor,
            self.neutral,
            self._quiet,
            stripe.differences,
            stripe.blurred,
            stripe.peaks,
            stripe.is_blurred,
            stripe.entries,
            stripe.entry_words,
            stripe.values,
            stripe.value_words,
            out,
        )

    def _make_room(self, rows: NDArray[np.uint8]) -> None:
        height, length = rows.shape
        self._shape = rows.shape
        self._previous, self._kept = np.empty_like(rows), np.empty_like(rows)
        bounds = np.linspace(0, height, min(self._threads, height) + 1).astype(int).tolist()
        self._stripes = [_Stripe.of(first, end, length) for first, end in pairwise(bounds)]


@dataclass(frozen=True)
class _Stripe:
    """Rows that one thread veils, and its scratch."""

    first: int
    end: int
    differences: NDArray[np.int16]
    blurred: NDArray[np.float32]
    peaks: NDArray[np.int16]
    is_blurred: NDArray[np.uint8]
    entries: NDArray[np.uint16]
    entry_words: NDArray[np.uint64]
    values: NDArray[np.uint8]
    value_words: NDArray[np.uint64]

    @classmethod
    def of(cls, first: int, end: int, length: int) -> _Stripe:
        """Make room for the rows `first` to `end`, of `length` values each."""
        chunks = -(-length // CHUNK)
        entries = _aligned((chunks * CHUNK,), np.uint16)
        values = _aligned((chunks * CHUNK,), np.uint8)
        return cls(
            first,
            end,
            differences=_aligned((RING, chunks * CHUNK + OVERLAP), np.int16),
            blurred=_aligned((RING, chunks * CHUNK), np.float32),
            peaks=_aligned((RING, chunks), np.int16),
            is_blurred=_aligned((RING, chunks), np.uint8),
            entries=entries,
            entry_words=entries.view(np.uint64),
            values=values,
            value_words=values.view(np.uint64),
        )


def _aligned(shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    """Return zeros that start where a line of the cache does: no vector then lies in two lines."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(kind).reshape(shape)


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
