"""Down-sampling to a low resolution."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from motionveil.errors import MotionveilError
from motionveil.methods.base import Method, Settings


class DownsampleSettings(Settings):
    """Down-sampling.

    Attributes:
        size: Width and height of the small frames in pixels, >= 1.
    """

    size: int = Field(ge=1)


class Downsample(Method):
    """Means over equal areas, enlarged again bilinearly. Nothing is learned."""

    name = "downsample"
    label = "down-sampled"
    help = "down-sampling; the strength is the width and height that are left, in pixels"
    settings: ClassVar[type[Settings] | None] = DownsampleSettings
    strength, strength_label = "size", "down-sampled to {} pixels"
    weaker_is_larger = True
    encoder = "motionveil.encoders.downsample:Downsample"
    stream = "motionveil.streaming.veils:FilterVeil"
    colour, marker = "#BB00FF", "X"

    def usual_strengths(self, size: int) -> list[float]:
        """Return the paper's 112, 56, 28, 14, 7 and 4 of 224 as shares of `size`."""
        sides = [max(1, round(size / share)) for share in (2, 4, 8, 16, 32, 56)]
        return list(dict.fromkeys(sides))

    def matrix(self, settings: DownsampleSettings, size: int) -> NDArray[np.float64]:
        """Return what it does along an axis of `size` pixels, (size, size); rows sum to 1.

        Raises:
            MotionveilError: The axis is shorter than the small frames.
        """
        small = settings.size
        if size < small:
            raise MotionveilError(
                f"frames with a side of {size} pixels cannot be down-sampled to {small}"
            )
        return enlarging(small, size) @ shrinking(size, small)


def shrinking(size: int, small: int) -> NDArray[np.float64]:
    """Return (small, size): means over areas that may overlap by a pixel."""
    matrix = np.zeros((small, size))
    for place in range(small):
        first, last = place * size // small, -(-(place + 1) * size // small)
        matrix[place, first:last] = 1 / (last - first)
    return matrix


def enlarging(small: int, size: int) -> NDArray[np.float64]:
    """Return (size, small): linear interpolation between the centres of pixels."""
    matrix = np.zeros((size, small))
    centre = np.clip((np.arange(size) + 0.5) * small / size - 0.5, 0, small - 1)
    low = np.floor(centre).astype(int)
    high = np.minimum(low + 1, small - 1)
    np.add.at(matrix, (np.arange(size), low), 1 - (centre - low))
    np.add.at(matrix, (np.arange(size), high), centre - low)
    return matrix
