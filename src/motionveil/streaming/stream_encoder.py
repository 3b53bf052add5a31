"""An encoder frame by frame, as it runs behind a camera."""

from __future__ import annotations

import math
from fractions import Fraction
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from motionveil.geometry import FrameRate, Geometry
from motionveil.spec import EncoderSpec
from motionveil.streaming.geometry import area_average, repeat_pixels
from motionveil.streaming.guard import Guard, Reason
from motionveil.streaming.guard_memory import blank_unchanged
from motionveil.streaming.veils import FrameVeil, make_veil

_NATIVE = ", or veil at the source's own with --native"


class StreamEncoder:
    """Veils a stream of frames; each output depends on that frame and those before only.

    Every frame is brought to the encoder's geometry first (`area_average`, `FrameRate`): the size
    and rate at which it was trained and audited. Then the method's own `FrameVeil` runs; for BDQ
    that is `round(17 y)` with `y = Q((B(v_i) - B(v_{i-1}) + r) / 2r * 15)`, the fixed-range BDQ of
    `motionveil.encoders.BDQ`, to one 8-bit level. Where a method compares frames, the first frame,
    and one after `reset` or a change of size, gives the neutral frame, what no motion looks like,
    and never an image of the scene.

    **Without a guard it compares whatever two frames it is given.** Across a scene cut the
    difference is a double exposure of both scenes, and after a jump of exposure an image of the
    scene. Behind a camera, or for video that was edited, give it a `Guard`, as
    `motionveil encode` does.

    It holds the frame before in memory, writes nothing, and serves one stream.

    Args:
        spec: An encoder that can stream (BDQ in fixed range, for one), with a geometry.
        native: Veil at the source's own size and rate instead. Nothing that was measured of the
            encoder holds there.
        hard: Quantise in steps (4-bit output) instead of sigmoids.
        guard: Looks for frames without a valid difference; None to compare all.
        veil: What veils working frames; the method's own if None.

    Attributes:
        geometry: Working size and rate; None with `native`.
        neutral: The grey value of the neutral frame, 0 to 255; None where there is none.
        guarded: Why the last frame given back is the neutral one: `"first"`, `"size"`, or what the
            guard found; None if it is not.

    Raises:
        MotionveilError: The method cannot stream (says why), or the encoder has no geometry.

    Examples:
        >>> from motionveil.geometry import Geometry
        >>> spec = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=8, rate=10))
        >>> encoder = StreamEncoder(spec)
        >>> frame = np.zeros((48, 64, 3), np.uint8)
        >>> veiled = encoder(frame, time=0.0)
        >>> veiled.shape, veiled.dtype, int(np.ptp(veiled))
        ((8, 10, 3), dtype('uint8'), 0)
        >>> encoder.guarded
        'first'
        >>> encoder(frame, time=0.05) is None  # it comes too early for 10 frames per second
        True
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        native: bool = False,
        hard: bool = False,
        guard: Guard | None = None,
        veil: FrameVeil | None = None,
    ) -> None:
        self.spec = spec
        self.hard = hard
        self._veil = veil or make_veil(spec, hard=hard)
        self.neutral = self._veil.neutral
        self.guard = guard if self.neutral is not None and spec.kind.guarded else None
        self.guarded: Reason | None = None
        self.geometry = None if native else spec.required_geometry(_NATIVE)
        self._multiple, self._cell = spec.multiple, spec.cell
        self._rate = FrameRate(None if self.geometry is None else self.geometry.rate)
        self._started = self._fresh = False
        self._shape: tuple[int, ...] | None = None
        self._working = self._previous = np.empty((0, 0, 3), np.uint8)

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
            The veiled frame, uint8 (h, w, 3) of the working size, or of its grid of cells; 17 grey
            levels to a level of 0 to 15. None for a frame that is left out, since it comes too
            early for the encoder's rate.

        Raises:
            ValueError: An array is of another type or shape, or `time` is infinite or no number.
            MotionveilError: The image is a line: see `Geometry.shape`.
        """
        if not isinstance(frame, np.ndarray):
            raise ValueError(f"a frame is a NumPy array, not a {type(frame).__name__}")
        if time is not None and not math.isfinite(time):
            raise ValueError(f"a frame's time is {time}, it must be in seconds, or None")
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
        self._fresh = self._fresh or fresh
        if not self._rate.takes(time):
            return None
        working = self._working_shape(frame, aspect)
        shape = self._grid(working)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.dtype != np.uint8 or out.shape != shape or not out.flags.c_contiguous:
            raise ValueError(f"out must be contiguous uint8 {shape}, not {out.dtype} {out.shape}")
        if np.may_share_memory(frame, out):
            raise ValueError("out must not be the frame itself")
        resized = self._shape is not None and self._shape != working
        if self._shape != working:
            self._make_room(working)
        self._bring(frame)
        self.guarded = self._veil_working(out, time, resized)
        if self.guarded is not None:
            out.fill(self.neutral)
        self._working, self._previous = self._previous, self._working
        self._started, self._fresh = True, False
        return out

    def shape_of(
        self, frame: NDArray[np.uint8], aspect: Fraction | float = 1
    ) -> tuple[int, int, int]:
        """Return the shape of what a frame, uint8 (H, W, 3), is veiled to."""
        return self._grid(self._working_shape(frame, aspect))

    def _working_shape(
        self, frame: NDArray[np.uint8], aspect: Fraction | float
    ) -> tuple[int, int, int]:
        height, width = frame.shape[:2]
        if self.geometry is None:
            return height, width, 3
        return *self.geometry.shape(height, width, aspect, multiple=self._multiple), 3

    def _grid(self, working: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of what a working frame of a shape is veiled to."""
        height, width, _ = working
        return -(-height // self._cell), -(-width // self._cell), 3

    def reset(self) -> None:
        """Forget the frame before: the next frame is taken, and its output is the neutral frame."""
        self._started = self._fresh = False
        self._rate.reset()
        if self.guard is not None:
            self.guard.reset()

    def _bring(self, frame: NDArray[np.uint8]) -> None:
        """Bring a frame to the working size."""
        if self.geometry is None:
            np.copyto(self._working, frame)
        else:
            area_average(frame, self._working.shape[:2], self._working)

    def _veil_working(
        self, out: NDArray[np.uint8], time: float | None, resized: bool
    ) -> Reason | None:
        """Veil the working frame; return why what came out must not be shown, or None."""
        working, previous = self._working, self._previous
        if self.neutral is None:
            self._veil(working, previous, out)
            return None
        found = self._unpreceded(resized)
        if found is None:
            self._veil(working, previous, out)
            if self.guard is not None:
                shown = self._shown(out, self.neutral)
                found = self.guard.check(working, previous, shown, self.neutral, time)
        elif self.guard is not None:
            self.guard.restart(time)
        if found is not None:
            self._veil.start(working)
        return found

    def _shown(self, out: NDArray[np.uint8], neutral: int) -> NDArray[np.uint8]:
        """Return a veiled frame at the working size: each value where the scene is, and changed."""
        if self._cell == 1:
            return out
        shown = repeat_pixels(out, self._cell, self._working.shape[:2])
        blank_unchanged(shown, self._working, self._previous, neutral, self._cell)
        return shown

    def _unpreceded(self, resized: bool) -> Reason | None:
        """Return why there is no frame to compare with, or None."""
        if not self._started:
            return "first"
        if resized:
            return "size"
        return "fresh" if self._fresh else None

    def _make_room(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._working, self._previous = (np.empty(shape, np.uint8) for _ in range(2))


def prepare() -> float:
    """Load the compiled code, or compile it the first time, and return the seconds it took.

    Otherwise the first frames wait for it. The code is kept beside the package, or where that
    cannot be written in the user's cache folder; `NUMBA_CACHE_DIR` chooses another place.
    """
    started = perf_counter()
    spec = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=64, rate=1))
    encoder = StreamEncoder(spec, guard=Guard())
    scene = np.random.default_rng(0).integers(0, 200, (96, 96, 3), np.uint8)
    moved = scene.copy()
    moved[20:40, 20:40] = 100
    # Something moves; then the light changes, which has the guard look for all that it knows.
    for number, image in enumerate((scene, moved, scene, scene + np.uint8(40))):
        encoder(image, time=float(number))
    return perf_counter() - started
