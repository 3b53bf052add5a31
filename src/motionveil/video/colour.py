"""From a decoded picture to an upright RGB image: the one way for every source."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.reformatter import VideoReformatter

from motionveil.errors import MotionveilError
from motionveil.video.types import Image


def _unknown_type(kind: Any, number: int) -> Any:
    """Return a member for side data that PyAV has no name for, such as EXIF: they do not matter.

    Without one, it refuses all side data of the picture, the display matrix too.
    """
    member: Any = object.__new__(kind)
    member._name_, member._value_ = f"UNKNOWN_{number}", number
    return member


Type._missing_ = classmethod(_unknown_type)  # type: ignore[method-assign, assignment]


class RgbConverter:
    """Turns decoded pictures into RGB by the colour space that they declare, and upright.

    It keeps the library's converter between pictures, which is costly to make: one per source.

    Args:
        name: What errors call the source.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._reformatter = VideoReformatter()

    def __call__(self, picture: Any, size: tuple[int, int] | None = None) -> Image:
        """Convert an `av.VideoFrame`.

        Args:
            size: Width and height of the upright image, to which the picture is scaled; its own
                if None.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            MotionveilError: The colour space is one that FFmpeg cannot convert: YCgCo, ICtCp,
                BT.2020 with constant luminance.
        """
        matrix = orientation(picture)
        width, height = size or (None, None)
        if matrix[0] == 0:  # a quarter turn comes after the scaling
            width, height = height, width
        try:
            image: Any = self._reformatter.reformat(picture, width, height, "rgb24").to_ndarray()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MotionveilError(
                f"{self._name}: its colours ({picture.format.name}, matrix {picture.colorspace})"
                " cannot be converted to RGB; convert the video to BT.709 or BT.601 first"
            ) from error
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


UPRIGHT = (1, 0, 0, 1)


def orientation(frame: Any) -> tuple[int, int, int, int]:
    """Return (a, b, c, d) of a decoded frame's display matrix, each -1, 0 or 1.

    The matrix takes the pixel (x, y) of the stored picture to (a x + c y, b x + d y) of the
    displayed one, up to a shift (ISO/IEC 14496-12, section 6.2.2). Cameras write quarter turns
    and mirror images only; an angle between is taken to the nearest quarter turn.
    """
    # Not by `frame.side_data`: the two then refer to each other, and decoded pictures stay in
    # memory until the garbage collector comes by, a hundred of them and more.
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if data is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].astype(np.float64)
    if max(abs(b), abs(c)) > max(abs(a), abs(d)):
        return 0, int(np.sign(b)), int(np.sign(c)), 0
    return (int(np.sign(a)) or 1), 0, 0, (int(np.sign(d)) or 1)


def upright(image: Image, matrix: tuple[int, int, int, int]) -> Image:
    """Turn and mirror an image (H, W, 3) by the matrix of `orientation`; contiguous."""
    if matrix == UPRIGHT:
        return image
    a, b, c, d = matrix
    if a == 0:
        image = image.transpose(1, 0, 2)
    if a + c < 0:
        image = image[:, ::-1]
    if b + d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)
