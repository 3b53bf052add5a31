"""From videos to the frames of clips: those that are taken, brought to a stored size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.geometry import FrameRate, working_shape
from motionveil.streaming.geometry import area_average
from motionveil.video import Frame, read_frames

Frames = NDArray[np.uint8]
Times = NDArray[np.float64]

Fit = Literal["short-side", "letterbox", "squeeze"]
"""How a frame is brought to the stored size, by averaging areas: `"short-side"`: its short side
becomes `size`, the aspect is kept; `"letterbox"`: its long side does, and black bars make it
square; `"squeeze"`: it becomes a square of `size`, the aspect changes. Black bars never change, so
they have no difference, but their shape tells the aspect of the source."""


def fit_frame(
    image: Frames, size: int, fit: Fit, *, aspect: Fraction | float = 1, multiple: int = 2
) -> Frames:
    """Bring a frame to the stored size by averaging areas.

    Args:
        image: uint8 (H, W, 3).
        size: Stored size in pixels.
        fit: See `Fit`.
        aspect: Sample aspect ratio: how much wider than high a pixel is shown.
        multiple: With `"short-side"`, what both sides must be multiples of.

    Returns:
        uint8 (H', W', 3): a square of `size`, or with `"short-side"` its short side is `size`.

    Raises:
        MotionveilError: The frame is only a line.
    """
    height, width = image.shape[:2]
    if fit == "squeeze":
        return area_average(image, (size, size))
    if fit == "short-side":
        shape = working_shape(size, height, width, aspect, multiple=multiple)
        return area_average(image, shape)
    shown = width * float(aspect)
    scale = size / max(height, shown)
    inner = max(1, round(height * scale)), max(1, round(shown * scale))
    boxed = np.zeros((size, size, 3), np.uint8)
    top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
    boxed[top : top + inner[0], left : left + inner[1]] = area_average(image, inner)
    return boxed


@dataclass(frozen=True)
class StoredFrames:
    """How frames are stored: see `ClipCache.build`."""

    size: int
    fit: Fit
    rate: float | None
    multiple: int

    def fitted(self, frame: Frame) -> Frames:
        """Return a frame as it is stored."""
        return fit_frame(
            frame.image, self.size, self.fit, aspect=frame.aspect, multiple=self.multiple
        )


class TakenFrames:
    """What has been taken of a clip so far."""

    def __init__(self, rate: float | None) -> None:
        self._rate = FrameRate(rate)
        self.frames: list[Frames] = []
        self.times: list[float] = []

    def wants(self, time: float) -> bool:
        """Say whether the next frame is to be taken, and if so note its time."""
        taken = self._rate.takes(time)
        if taken:
            self.times.append(time)
        return taken


def decode_clips(
    video: Path, clips: Sequence[Clip], stored: StoredFrames, rate: Fraction
) -> Iterator[tuple[Clip, TakenFrames]]:
    """Read a video once and yield each clip with its frames; a clip may end before its range.

    Each clip is a stream of its own: its first frame is taken, whatever came before.
    """
    taken = {clip.key: TakenFrames(stored.rate) for clip in clips}
    start, end = min(clip.start for clip in clips), max(clip.end for clip in clips)
    # Reading to a given end would refuse a video that ends before it.
    for number, frame in enumerate(read_frames(video, start, rate=rate), start):
        here = [clip for clip in clips if clip.start <= number < clip.end]
        wanting = [clip for clip in here if taken[clip.key].wants(frame.time)]
        if wanting:
            small = stored.fitted(frame)
        for clip in wanting:
            taken[clip.key].frames.append(small)
        for clip in here:
            if number == clip.end - 1:
                yield clip, taken.pop(clip.key)
        if number == end - 1:
            break
    for clip in clips:
        if clip.key not in taken:
            continue
        if not taken[clip.key].frames:
            raise MotionveilError(
                f"{video}: ends before frame {clip.start}, the clip is frames"
                f" {clip.start} to {clip.end}"
            )
        yield clip, taken[clip.key]
