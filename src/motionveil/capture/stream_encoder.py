"""BDQ frame by frame, as it runs behind a camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionveil.capture.kernel import MARGIN, veil
from motionveil.errors import MotionveilError
from motionveil.spec import KERNEL_SIZE, LEVELS, EncoderSpec

GREY = 255 // LEVELS
"""Grey levels that one level of the veiled clip spans on disk: 17."""

_HALF = 4096
"""Table entries on each side of zero motion: 1/546 of a level each."""


class StreamEncoder:
    """Veils a stream of frames; each output depends on the frame and the one before only.

    `round(17 y)` with `y = Q((B(v_i) - B(v_{i-1}) + r) / 2r * 15)`, the fixed-range BDQ of
    `motionveil.encoders.BDQ`, to one 8-bit level. (With `hard`, a value within 1/1000 of a level of
    a boundary may fall on its other side.) The first frame, and one after `reset` or a change of
    size, has no frame before it: it gives the neutral frame, what no motion looks like, and never
    a picture of the scene.

    It holds the frame before in memory, writes nothing, and serves one stream.

    Args:
        spec: A `"bdq"` encoder in fixed range.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: The encoder passes its input through (`"raw"`), or its range depends on
            frames still to come (`"clip"`, `"batch"`).

    Example:
        >>> encoder = StreamEncoder(EncoderSpec.untrained(range=0.25))
        >>> frame = np.zeros((4, 6, 3), np.uint8)
        >>> veiled = encoder(frame)
        >>> veiled.shape, veiled.dtype, int(np.ptp(veiled))
        ((4, 6, 3), dtype('uint8'), 0)
    """

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        if spec.method == "raw":
            raise MotionveilError(
                "the encoder 'raw' passes video through unveiled, so there is nothing to encode;"
                " choose a 'bdq' encoder"
            )
        self.spec = spec
        self.hard = hard
        self._table = _table(spec, hard)
        assert spec.range is not None  # a bdq encoder that made a table has a fixed range
        self._scale = np.float32(_HALF / (255 * spec.range))
        self._weights = spec.gaussian()[KERNEL_SIZE // 2 :].astype(np.float32)
        self._previous: NDArray[np.uint8] | None = None

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Veil the next frame.

        Args:
            frame: uint8 (H, W, 3), RGB.

        Returns:
            The veiled frame, a new uint8 array (H, W, 3); 17 grey levels to a level of 0 to 15.

        Raises:
            ValueError: The array is of another type or shape.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
        height, width = frame.shape[:2]
        rows = np.ascontiguousarray(frame).reshape(height, 3 * width)
        if self._previous is None or self._previous.shape != rows.shape:
            self._start(rows)
            return np.full_like(frame, self._table[_HALF], order="C")
        out = np.empty_like(rows)
        veil(
            rows,
            self._previous,
            self._weights,
            self._scale,
            self._table,
            self._ring,
            self._padded,
            self._entries,
            out,
        )
        return out.reshape(height, width, 3)

    def reset(self) -> None:
        """Forget the frame before: the next output is the neutral frame."""
        self._previous = None

    def _start(self, rows: NDArray[np.uint8]) -> None:
        length = rows.shape[1]
        self._previous = rows.copy()
        self._ring = np.empty((KERNEL_SIZE, length), np.float32)
        self._padded = np.empty(length + 6 * MARGIN, np.float32)
        self._entries = np.empty(length, np.uint16)


def _table(spec: EncoderSpec, hard: bool) -> NDArray[np.uint8]:
    """Return the 8-bit veiled value of blurred differences from -r to r, zero in the middle."""
    if spec.range is None:
        return spec.veil_difference(np.zeros(1)).astype(np.uint8)  # raises: it cannot stream
    differences = np.arange(-_HALF, _HALF + 1) * (spec.range / _HALF)
    return np.rint(GREY * spec.veil_difference(differences, hard=hard)).astype(np.uint8)
