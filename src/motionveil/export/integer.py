"""The encoder in whole numbers: what the C file computes, in numpy, to the bit.

A camera's frame becomes a working frame, by areas (`average`). What follows is the method's, which
names in `Method.c` what brings it to whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionveil.plugins import import_object
from motionveil.spec import EncoderSpec

Veil = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]


class WholeNumbers(Protocol):
    """The whole numbers of an encoder, and what is computed with them.

    A method names in `Method.c` a function that is called with the spec and `hard`, returns this,
    and raises `MotionveilError` where the encoder cannot be exported.
    """

    @property
    def template(self) -> str:
        """The file in this folder that is made a C file."""

    @property
    def parts(self) -> Mapping[str, str]:
        """Files that are filled in likewise, by the names that they have in the template."""

    @property
    def table(self) -> NDArray[np.uint8]:
        """The veiled value of each entry."""

    @property
    def neutral(self) -> int:
        """The grey value of the neutral frame, in [0, 255]."""

    @property
    def steps(self) -> bool:
        """Whether it quantises in steps."""

    @property
    def accuracy(self) -> str:
        """By how much it can be off, in a few words."""

    def state_size(self, width: int, height: int) -> int:
        """Return the bytes of state that the C file needs for working frames."""

    def values(self) -> dict[str, Any]:
        """Return what the template leaves open: text, numbers, arrays of whole numbers."""

    def begin(self) -> Veil:
        """Return what veils working frames, each after the one before, from a start on.

        It is called with the frame before and the frame, both uint8 (h, w, 3) of one size.
        """


def whole_numbers(spec: EncoderSpec, *, hard: bool = False) -> WholeNumbers:
    """Bring an encoder to whole numbers.

    Args:
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It cannot be exported (says why).
    """
    numbers: WholeNumbers = import_object(spec.kind.c)(spec, hard=hard)
    return numbers


class IntegerEncoder:
    """Veils a stream of frames in whole numbers; the exported C file does the same to the bit.

    It is `motionveil.streaming.StreamEncoder` to one 8-bit level wherever the quantiser is no
    steeper than that (the error that `numbers` state times its slope); with `hard`, a value within
    that error of a boundary may fall on its other side. The first frame, and one after
    `reset` or a change of size, has no frame before it and gives the neutral frame, never a
    image of the scene.

    It does not keep to the encoder's rate: the caller leaves out the frames that come too early.

    Args:
        spec: An encoder that can be exported (BDQ in fixed range, the motion field or its
            moments), with a geometry.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It cannot be exported (says why), or it has no geometry.

    Examples:
        >>> from motionveil.geometry import Geometry
        >>> spec = EncoderSpec.untrained(range=0.25, geometry=Geometry(size=8, rate=10))
        >>> encoder = IntegerEncoder(spec)
        >>> veiled = encoder(np.zeros((48, 64, 3), np.uint8))
        >>> veiled.shape, veiled.dtype, int(np.ptp(veiled))
        ((8, 10, 3), dtype('uint8'), 0)
    """

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        self.numbers = whole_numbers(spec, hard=hard)
        self._geometry = spec.required_geometry()
        self._multiple, self._cell = spec.multiple, spec.cell
        self._veil = self.numbers.begin()
        self._previous: NDArray[np.uint8] | None = None

    def __call__(self, frame: NDArray[np.uint8], aspect: Fraction | float = 1) -> NDArray[np.uint8]:
        """Veil the next frame of a camera.

        Args:
            frame: uint8 (H, W, 3), RGB.
            aspect: Sample aspect ratio: how much wider than high a pixel is shown.

        Returns:
            The veiled frame, a new uint8 array (h, w, 3) of the working size, or of its grid of
            cells; 17 grey levels to a level of 0 to 15.

        Raises:
            ValueError: The array is of another type or shape.
            MotionveilError: The image is a line: see `Geometry.shape`.
        """
        _check(frame)
        height, width = frame.shape[:2]
        shape = self._geometry.shape(height, width, aspect, multiple=self._multiple)
        return self.veil(average(frame, shape))

    def veil(self, working: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Veil the next working frame, uint8 (h, w, 3) of any size; `motionveil_veil` in C."""
        _check(working)
        previous, self._previous = self._previous, working.copy()
        if previous is None or previous.shape != working.shape:
            self._veil = self.numbers.begin()
            height, width = (-(-side // self._cell) for side in working.shape[:2])
            return np.full((height, width, 3), self.numbers.neutral, np.uint8)
        return self._veil(previous, working)

    def reset(self) -> None:
        """Forget the frames before: the next output is the neutral frame."""
        self._previous = None


def average(frame: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a frame by averaging areas, rounded half up; `motionveil_average` in C.

    It is `motionveil.streaming.geometry.area_average` from its definition, a product of matrices.
    Every number is whole and below 2^53, so float64 is exact.

    Args:
        frame: uint8 (H, W, 3).

    Returns:
        uint8 (height, width, 3).
    """
    height, width = frame.shape[:2]
    rows = _overlaps(height, shape[0]) @ frame.reshape(height, -1).astype(np.float64)
    sums = _overlaps(width, shape[1]) @ rows.reshape(shape[0], width, 3)
    return np.floor(sums / (height * width) + 0.5).astype(np.uint8)


def _overlaps(source: int, target: int) -> NDArray[np.float64]:
    """Return (target, source): how much of each source pixel each pixel of the result covers.

    A source pixel measures `target`, a pixel of the result `source`; so overlaps are whole.
    """
    pixel, place = np.arange(target)[:, None], np.arange(source)
    ends = np.minimum((place + 1) * target, (pixel + 1) * source)
    starts = np.maximum(place * target, pixel * source)
    return np.maximum(ends - starts, 0).astype(np.float64)


def _check(frame: NDArray[np.uint8]) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise ValueError(f"a frame is uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
