"""Reading video: a file or a folder of frames in, frames with exact timestamps out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.limits import FRAMES, max_frames
from motionveil.video.colour import RgbConverter, upright_size
from motionveil.video.decode import decode_file, opened
from motionveil.video.image_sequence import decode_folder, is_image_folder, list_images
from motionveil.video.types import Decoded, Frame, VideoInfo

Source = str | os.PathLike[str]

FOLDER_RATE = Fraction(25)
"""Frames a second of a folder of frames, where nothing else is said."""

SLOWEST, FASTEST = Fraction(1, 10_000), 100_000
"""Frames a second that a video may have."""

TELEVISION = [Fraction(rate * 1000, 1001) for rate in (12, 15, 24, 30, 48, 60, 120, 240)]
"""Rates of television."""

ROUNDED = Fraction(1, 1000)
"""How far a rate may be from one of television's that it stands for; they are often rounded."""


def probe(source: Source, *, rate: Fraction | int = FOLDER_RATE) -> VideoInfo:
    """Say what a video is; decodes its first frame to know that there is one, and its size.

    Args:
        source: A video file, or a folder of frames; see `read_frames`.
        rate: Frames a second of a folder; a file has its own.

    Raises:
        MotionveilError: There is no such file, or no frame of video in it.
    """
    path = Path(source)
    first = next(read_frames(path, rate=rate))
    height, width = first.image.shape[:2]
    if is_image_folder(path):
        constant = whole_rate(rate)
        frames = len(list_images(path))
        return VideoInfo(width, height, constant, 1 / constant, frames, first.aspect)
    with opened(path) as (_, stream):
        average = stream.average_rate or stream.guessed_rate or None
        declared = stream.frames or None
        return VideoInfo(width, height, average, stream.time_base, declared, first.aspect)


def read_comment(source: Source) -> str | None:
    """Return what a video file says of itself, such as the encoder that veiled it; None if nothing.

    Raises:
        MotionveilError: There is no such file, or no video in it.
    """
    path = Path(source)
    if is_image_folder(path):
        return None
    with opened(path) as (container, _):
        said = {name.lower(): value for name, value in container.metadata.items()}
        return said.get("comment")


def count_frames(source: Source) -> int:
    """Count the frames of a video by decoding all of it.

    A container's own count cannot be trusted: it may include packets that decode to nothing.

    Raises:
        MotionveilError: The video cannot be read whole, or its frames change in size.
    """
    path = Path(source)
    return sum(1 for _ in _of_one_size(path, _decoded(path, 0, None, FOLDER_RATE)))


def whole_rate(rate: Fraction | float) -> Fraction:
    """Return a frame rate as a fraction of numbers that containers can hold.

    What television's rates are rounded to stands for them: 29.97 for 30000/1001.

    Raises:
        MotionveilError: The rate is out of range.
    """
    try:
        exact = rate if isinstance(rate, Fraction) else Fraction(float(rate))
    except (TypeError, ValueError, OverflowError):  # the last two: nan, infinite
        exact = Fraction(0)
    if not SLOWEST <= exact <= FASTEST:
        raise MotionveilError(
            f"a rate of {rate} frames per second is out of range; it must be between"
            f" {float(SLOWEST):g} and {FASTEST}"
        )
    for television in TELEVISION:
        if abs(exact - television) < ROUNDED:
            return television
    return exact.limit_denominator(10_000)


def read_frames(
    source: Source, start: int = 0, end: int | None = None, *, rate: Fraction | int = FOLDER_RATE
) -> Iterator[Frame]:
    """Yield the frames of a video in the order in which they are shown.

    The colours become RGB by the colour space that the file declares, and the picture is turned
    upright as the file asks. Frames before `start` are decoded and passed over, since seeking is
    not exact in every format.

    Args:
        source: A video file, or a folder of frames (PNG, JPEG, ...; in natural order), or those of
            its frames whose names fit a pattern: `folder/rgb_*.png`.
        start: First frame, counted from 0.
        end: Frame before which to stop; None for all.
        rate: Frames a second of a folder; a file has its own timestamps.

    Yields:
        Frames of equal size, uint8 (H, W, 3); timestamps strictly ascend.

    Raises:
        MotionveilError: The source is missing, is no video, holds no frames or fewer than `end`,
            is damaged or cut short, or its frames change in size. Frames before the fault have
            been yielded by then.
    """
    path = Path(source)
    if start < 0 or (end is not None and end <= start):
        raise MotionveilError(f"{path}: no frames in the range {start} to {end}")
    number = start
    frames = _of_one_size(path, _decoded(path, start, end, whole_rate(rate)), start)
    converter = RgbConverter(str(path))
    for picture, pts, time_base, aspect, fresh in frames:
        yield Frame(converter(picture), pts, time_base, fresh, aspect=aspect)
        number += 1
    if number == start or (end is not None and number < end):
        total = count_frames(path)
        raise MotionveilError(f"{path}: {total} frames, asked for frames {start} to {end}")


def read_clip(source: Source, start: int = 0, end: int | None = None) -> NDArray[np.uint8]:
    """Read frames `start` to `end` (exclusive) into an array, uint8 (T, H, W, 3), RGB.

    Raises:
        MotionveilError: As `read_frames`.
    """
    return np.stack([frame.image for frame in read_frames(source, start, end)])


def _decoded(path: Path, start: int, end: int | None, rate: Fraction) -> Iterator[Decoded]:
    if is_image_folder(path):
        return decode_folder(path, rate, start, end)
    return islice(decode_file(path), start, end)


def _of_one_size(path: Path, frames: Iterator[Decoded], start: int = 0) -> Iterator[Decoded]:
    """Pass on frames, numbered from `start`, as long as their upright size is that of the first."""
    first, most = None, max_frames()
    for number, frame in enumerate(frames, start):
        if number >= most:
            raise MotionveilError(f"{path}: more than {most} frames; set {FRAMES} to allow them")
        size = upright_size(frame.picture)
        if size != (first := first or size):
            raise MotionveilError(
                f"{path}: frame {number} is {size[0]}x{size[1]},"
                " those before it are not; a video must keep its size"
            )
        yield frame
