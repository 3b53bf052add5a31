"""What a video is, and what one frame of it is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A frame's picture: uint8 (H, W, 3), RGB."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video says of itself.

    Attributes:
        width: Width in pixels as displayed, after the rotation that the file asks for.
        height: Height likewise.
        rate: Average frames a second, exact (30000/1001, not 29.97); None if not known.
        time_base: Seconds that one unit of a timestamp lasts.
        frames: Number of frames as declared, None where nothing is declared. A container may
            declare frames that decode to nothing; `count_frames` counts them.
    """

    width: int
    height: int
    rate: Fraction | None
    time_base: Fraction
    frames: int | None


class Frame(NamedTuple):
    """One frame of a video.

    Attributes:
        image: uint8 (H, W, 3), RGB, upright.
        pts: Presentation timestamp in units of `time_base`; strictly ascending in a video.
        time_base: Seconds that one unit of `pts` lasts.
    """

    image: Image
    pts: int
    time_base: Fraction

    @property
    def time(self) -> float:
        """The timestamp in seconds."""
        return float(self.pts * self.time_base)


class Decoded(NamedTuple):
    """A frame as it leaves the decoder: an `av.VideoFrame`, neither RGB nor upright yet."""

    picture: Any
    pts: int
    time_base: Fraction
