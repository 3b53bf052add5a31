"""From a decoded picture to an upright RGB image: the one way for every source."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.video.reformatter import VideoReformatter

from motionveil.video.orientation import orientation, upright
from motionveil.video.types import Image


class RgbConverter:
    """Turns decoded pictures into RGB by the colour space that they declare, and upright.

    It keeps the library's converter between pictures, which is costly to make: one a source.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: Any, size: tuple[int, int] | None = None) -> Image:
        """Convert an `av.VideoFrame`.

        Args:
            picture: As the decoder gives it.
            size: Width and height of the upright image, to which the picture is scaled; its own
                if None.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        matrix = orientation(picture)
        width, height = size or (None, None)
        if matrix[0] == 0:  # a quarter turn comes after the scaling
            width, height = height, width
        image: Any = self._reformatter.reformat(picture, width, height, "rgb24").to_ndarray()
        return upright(image, matrix)


def upright_size(picture: Any) -> tuple[int, int]:
    """Return the width and height that a decoded picture has once it is upright."""
    if orientation(picture)[0] == 0:
        return picture.height, picture.width
    return picture.width, picture.height


def upright_aspect(picture: Any, stream: Any) -> Fraction:
    """Return how much wider than high a pixel of a decoded picture is once it is upright."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)  # 0: not known
    return 1 / aspect if orientation(picture)[0] == 0 else aspect
