"""BDQ frame by frame, as it runs behind a camera."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.capture.geometry import area_average
from motionveil.capture.guard import Guard, Reason
from motionveil.capture.kernel import OVERLAP, RING, veil_rows
from motionveil.capture.quantiser import GREY, make_quantiser
from motionveil.capture.table import CHUNK
from motionveil.errors import MotionveilError
from motionveil.geometry import FrameRate, Geometry
from motionveil.spec import KERNEL_SIZE, EncoderSpec

_LINE = 64  # bytes of a line of the cache
_NATIVE = ", or veil at the source's own with --native"


class StreamEncoder:
    """Veils a stream of frames; each output depends on the frame and the one before only.

    Every frame is brought to the encoder's geometry first (`area_average`, `FrameRate`): the size
    and rate at which it was trained and audited. Then
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
        spec: A `"bdq"` encoder in fixed range, with a geometry.
        native: Veil at the source's own size and rate instead. Nothing that was measured of the
            encoder holds there.
        hard: Quantise in steps (4-bit output) instead of sigmoids.
        guard: Looks for frames without a valid difference; None to compare all.
        vectors: Whether to quantise 64 values at once; None where the processor can.

    Attributes:
        geometry: Working size and rate; None with `native`.
        neutral: The grey value of the neutral frame, 0 to 255.
        guarded: Why the last frame given back is the neutral one: `"first"`, `"size"`, or what the
            guard found; None if it is a difference.

    Raises:
        MotionveilError: The encoder passes its input through (`"raw"`), its range depends on
            frames still to come (`"clip"`, `"batch"`), or it has no geometry.

    Example:
        >>> from motionveil.geometry import Geometry
        >>> spec = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=8, rate=10))
        >>> encoder = StreamEncoder(spec)
        >>> frame = np.zeros((48, 64, 3), np.uint8)
        >>> veiled = encoder(frame, time=0.0)
        >>> veiled.shape, veiled.dtype, int(np.ptp(veiled))
        ((8, 10, 3), dtype('uint8'), 0)
        >>> encoder.guarded
        'first'
        >>> encoder(frame, time=0.05) is None  # it comes too early for 10 frames a second
        True
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        native: bool = False,
        hard: bool = False,
        guard: Guard | None = None,
        vectors: bool | None = None,
    ) -> None:
        if spec.method == "raw":
            raise MotionveilError(
                "the encoder 'raw' passes video through unveiled, so there is nothing to encode;"
                " choose a 'bdq' encoder"
            )
        self.spec = spec
        self.hard = hard
        self.guard = guard
        self.guarded: Reason | None = None
        self._quantiser = make_quantiser(spec, hard=hard, vectors=vectors)
        self.geometry = None if native else spec.required_geometry(_NATIVE)
        self._rate = FrameRate(None if self.geometry is None else self.geometry.rate)
        assert spec.range is not None  # a bdq encoder that has a quantiser has a fixed range
        self.neutral = round(GREY * float(spec.veil_difference(np.zeros(1), hard=hard)[0]))
        entries_a_side = (self._quantiser.last + 1) // 2
        scale = entries_a_side / (255 * spec.range)  # entries a grey level of difference
        self._weights = spec.gaussian()[KERNEL_SIZE // 2 :].astype(np.float32)
        self._taps = np.array([*(self._weights * scale), entries_a_side + 0.5], np.float32)
        self._quiet = self._quantiser.quiet(self.neutral, scale)
        self._started = self._fresh = False
        self._shape: tuple[int, ...] | None = None
        self._working = self._previous = self._kept = np.empty((0, 0, 3), np.uint8)

    def __call__(
        self,
        frame: NDArray[np.uint8],
        *,
        out: NDArray[np.uint8] | None = None,
        time: float | None = None,
        fresh: bool = False,
        aspect: Fraction | float = 1,
    ) -> NDArray[np.uint8] | None:
        """Veil the next frame.

        Args:
            frame: uint8 (H, W, 3), RGB.
            out: Where to write, uint8 of `shape_of(frame)`, contiguous, not `frame` itself; a new
                array if None. With it, and a contiguous frame, nothing is allocated.
            time: When the frame was taken, in seconds, for the rate and for the guard to find
                gaps; None if there is no clock, and then every frame is taken.
            fresh: What came before is not known (a new connection, lost data): the output is the
                neutral frame.
            aspect: Sample aspect ratio: how much wider than high a pixel is shown.

        Returns:
            The veiled frame, uint8 (h, w, 3) of the working size; 17 grey levels to a level of 0 to
            15. None for a frame that is left out, since it comes too early for the encoder's rate.

        Raises:
            ValueError: An array is of another type or shape.
            MotionveilError: The picture is a line: see `Geometry.shape`.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
        self._fresh = self._fresh or fresh
        if not self._rate.takes(time):
            return None
        shape = self.shape_of(frame, aspect)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.dtype != np.uint8 or out.shape != shape or not out.flags.c_contiguous:
            raise ValueError(f"out must be contiguous uint8 {shape}, not {out.dtype} {out.shape}")
        if np.may_share_memory(frame, out):
            raise ValueError("out must not be the frame itself")
        resized = self._shape is not None and self._shape != shape
        if self._shape != shape:
            self._make_room(shape)
        working = self._bring(frame)
        self.guarded = self._veil(working, out, time, resized)
        if self.guarded is not None:
            np.copyto(self._kept, working)
            out.fill(self.neutral)
        self._previous, self._kept = self._kept, self._previous
        self._started, self._fresh = True, False
        return out

    def shape_of(
        self, frame: NDArray[np.uint8], aspect: Fraction | float = 1
    ) -> tuple[int, int, int]:
        """Return the shape of what a frame, uint8 (H, W, 3), is veiled to."""
        height, width = frame.shape[:2]
        if self.geometry is None:
            return height, width, 3
        shape = self.geometry.shape(height, width, aspect, multiple=self.spec.multiple)
        return *shape, 3

    def reset(self) -> None:
        """Forget the frame before: the next frame is taken, and its output is the neutral frame."""
        self._started = self._fresh = False
        self._rate.reset()
        if self.guard is not None:
            self.guard.reset()

    def _bring(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.geometry is None:
            return np.ascontiguousarray(frame)
        height, width, _ = self._working.shape
        return area_average(frame, (height, width), self._working)

    def _veil(
        self,
        working: NDArray[np.uint8],
        out: NDArray[np.uint8],
        time: float | None,
        resized: bool,
    ) -> Reason | None:
        """Veil a working frame; return why what came out must not be shown, or None."""
        found: Reason | None = None
        if not self._started:
            found = "first"
        elif resized:
            found = "size"
        elif self._fresh:
            found = "fresh"
        if found is not None:
            if self.guard is not None:
                self.guard.restart(time)
            return found
        self._veil_rows(_rows(working), _rows(out))
        if self.guard is None:
            return None
        return self.guard.check(working, self._previous, out, self.neutral, time)

    def _veil_rows(self, rows: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        quantiser, scratch = self._quantiser, self._scratch
        veil_rows(
            rows,
            _rows(self._previous),
            _rows(self._kept),
            self._weights,
            self._taps,
            quantiser.last,
            quantiser.table,
            quantiser.factor,
            self.neutral,
            self._quiet,
            scratch.differences,
            scratch.blurred,
            scratch.peaks,
            scratch.is_blurred,
            scratch.entries,
            scratch.entry_words,
            scratch.values,
            scratch.value_words,
            out,
        )

    def _make_room(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._working, self._previous, self._kept = (np.empty(shape, np.uint8) for _ in range(3))
        self._scratch = _Scratch.of(3 * shape[1])


def _rows(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) as rows (H, 3 W)."""
    return image.reshape(len(image), -1)


@dataclass(frozen=True)
class _Scratch:
    """What the kernel needs beside the frames."""

    differences: NDArray[np.int16]
    blurred: NDArray[np.float32]
    peaks: NDArray[np.int16]
    is_blurred: NDArray[np.uint8]
    entries: NDArray[np.uint16]
    entry_words: NDArray[np.uint64]
    values: NDArray[np.uint8]
    value_words: NDArray[np.uint64]

    @classmethod
    def of(cls, length: int) -> _Scratch:
        """Make room for rows of `length` values."""
        chunks = -(-length // CHUNK)
        entries = _aligned((chunks * CHUNK,), np.uint16)
        values = _aligned((chunks * CHUNK,), np.uint8)
        return cls(
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
    spec = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=8, rate=1))
    encoder = StreamEncoder(spec, guard=Guard())
    for level in (0, 1):
        encoder(np.full((16, 16, 3), level, np.uint8), time=float(level))
    assert encoder.guarded is None, "the second frame goes through the kernel"
    return perf_counter() - started
