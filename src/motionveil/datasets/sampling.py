"""Which frames and which square of a clip the networks see (paper, section 4.2).

Training: t consecutive frames from a random start, and for each clip one spatial position and
one scale; all its frames are cut alike. Validation: the centre, in time and in space. There are
no horizontal flips: the paper has none, and direction can be what the action is.

Pure functions; what is random comes from the generator given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCALES = (1.0, 2**-0.25, 2**-0.75, 0.5)
"""Side of the training crop as a share of the frame's short side (paper, section 4.2)."""


@dataclass(frozen=True)
class Crop:
    """A region of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


def random_start(length: int, t: int, rng: np.random.Generator) -> int:
    """Draw the first of t consecutive frames; 0 where the clip has t frames or fewer.

    Args:
        length: Frames in the clip, at least 1.
        t: Frames wanted, at least 1.
        rng: Source of the draw; every start is equally likely.
    """
    return int(rng.integers(max(1, length - t + 1)))


def centre_start(length: int, t: int) -> int:
    """Return the first of the t frames in the middle of a clip; 0 where it has t or fewer.

    The paper samples "without any random shift" and does not say from where; a clip is cut so
    that the action fills it, so its middle shows most of the action.
    """
    return max(0, (length - t) // 2)


def frame_indices(length: int, start: int, t: int) -> NDArray[np.int64]:
    """Return t consecutive frames from a start on; past the end, the last frame again.

    Holding the last frame adds no motion; wrapping around to the first would make a jump that
    never happened.

    Returns:
        (t,) indices in [0, length - 1].
    """
    return np.minimum(np.arange(start, start + t), length - 1)


def random_crop(
    height: int,
    width: int,
    rng: np.random.Generator,
    scales: Sequence[float] = SCALES,
    *,
    square: bool = True,
) -> Crop:
    """Draw a scale and then a position, every one inside the frame equally likely.

    Args:
        height, width: Size of the frame in pixels.
        rng: Source of the draws.
        scales: Sides of the crop to draw from, as shares of the short side, in (0, 1].
        square: Draw a square; else a region of the frame's own shape, its sides shares of the
            frame's.
    """
    scale = scales[int(rng.integers(len(scales)))]
    sides = [min(height, width)] * 2 if square else [height, width]
    down, across = (max(1, round(scale * side)) for side in sides)
    top = int(rng.integers(height - down + 1))
    left = int(rng.integers(width - across + 1))
    return Crop(top, left, down, across)


def centre_crop(height: int, width: int, *, square: bool = True) -> Crop:
    """Return the largest square in the middle of the frame (scale 1), or the whole frame."""
    if not square:
        return Crop(0, 0, height, width)
    side = min(height, width)
    return Crop((height - side) // 2, (width - side) // 2, side, side)
