"""Frames and option pictures: enlarged so that a person sees them, cut out, marked, as JPEG."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.files import atomic_path
from motionveil.video import read_frames

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

PICTURE = 256
"""Pixels of a side of an option picture."""

SHORT_SIDE = 320
"""Pixels that the short side of a clip has at least, so that it can be seen on a large screen."""

_MARK = (230, 159, 0)  # Okabe and Ito's orange; the mark is told by its shape


class Enlarger:
    """Brings the frames of one clip to a size that a person sees and every browser plays.

    They are enlarged by a whole number (bicubic: blocks of pixels would hide more than the video
    does), and lose a row or a column at the end where their size is odd.
    """

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def __call__(self, frame: Image) -> Image:
        """Return a frame, uint8 (H, W, 3), enlarged."""
        height, width = frame.shape[:2]
        times = max(1, -(-SHORT_SIDE // min(height, width)))
        large = frame if times == 1 else _resize(self._scaler, frame, width * times, height * times)
        return large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2]


def cut_square(frame: Image, box: Box, around: float = 1.0) -> Image:
    """Cut a square around a box out of a frame and bring it to the size of an option picture.

    What lies outside the frame repeats its border.

    Args:
        frame: uint8 (H, W, 3).
        box: What must be in the middle.
        around: How many times the square is as large as the box's longer side.

    Returns:
        uint8 (PICTURE, PICTURE, 3).
    """
    x, y, width, height = box
    side = max(8, round(max(width, height) * around))
    left, top = round(x + width / 2 - side / 2), round(y + height / 2 - side / 2)
    rows = np.clip(np.arange(top, top + side), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, frame.shape[1] - 1)
    return _resize(VideoReformatter(), frame[rows][:, columns], PICTURE, PICTURE)


def marked(picture: Image) -> Image:
    """Return a picture with the mark of the attention checks: a thick ring with a cross in it."""
    half = PICTURE / 2
    y, x = np.mgrid[:PICTURE, :PICTURE] + 0.5 - half
    radius = np.hypot(x, y)
    ring = np.abs(radius - 0.36 * PICTURE) < 0.05 * PICTURE
    cross = (radius < 0.36 * PICTURE) & (np.minimum(abs(x - y), abs(x + y)) < 0.05 * PICTURE)
    edge = np.abs(radius - 0.36 * PICTURE) < 0.07 * PICTURE
    image = picture.copy()
    image[edge] = 255
    image[ring | cross] = _MARK
    return image


def read_picture(file: Path) -> Image:
    """Read a picture of the user's, PNG or JPEG, as uint8 (H, W, 3).

    Raises:
        MotionveilError: It cannot be read.
    """
    return next(read_frames(file)).image


def write_jpeg(image: Image, file: Path) -> None:
    """Write a picture as JPEG, without metadata.

    Raises:
        MotionveilError: It cannot be written.
    """
    height, width = image.shape[:2]
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "2", "qmax": "2"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame = VideoReformatter().reformat(frame, format="yuvj420p")
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    with atomic_path(file) as part:
        try:
            part.write_bytes(b"".join(bytes(packet) for packet in packets))
        except OSError as error:
            raise MotionveilError(f"{file}: cannot write: {error.strerror}") from error


def _resize(scaler: VideoReformatter, image: Image, width: int, height: int) -> Image:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    scaled = scaler.reformat(frame, width, height, interpolation=Interpolation.BICUBIC)
    return np.asarray(scaled.to_ndarray(format="rgb24"), np.uint8)
