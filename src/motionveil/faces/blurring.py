"""Blurring faces, in frames and in videos: an ellipse around each box, and a memory for lost faces.

This is what deployed anonymisers do. It hides faces that were found, and nothing else of a person.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from motionveil.atomic_write import refuse_overwriting
from motionveil.errors import MotionveilError
from motionveil.faces.detector import Detect, Floats, Image
from motionveil.video import Destination, Frame, open_sink, probe, read_frames
from motionveil.video.reader import FOLDER_RATE

MARGIN = 1.3
HOLD = 5

SIGMA = 0.25
"""Standard deviation of the blur, in longer sides of the box: eyes are about twice that apart."""

RIM = 0.15
"""Outer share of the ellipse's radius over which the blur fades out."""


def blur_faces(frame: Image, boxes: Floats, *, margin: float = MARGIN) -> Image:
    """Blur what lies under an ellipse around each box, and leave every other pixel as it is.

    The ellipse is the one inscribed in the box, `margin` times as large; at its rim the blur fades
    out. The blur is a Gaussian whose sigma goes with the box, so that little is left of a large
    face too.

    Args:
        frame: uint8 (H, W, 3).
        boxes: (N, 4): x, y, width, height in pixels. What lies outside the frame is cut off; a box
            without size is passed over.
        margin: How many times the ellipse is as large as the box, above 0.

    Returns:
        uint8 (H, W, 3), a new array.

    Raises:
        MotionveilError: The margin is not above 0.
    """
    check_margin(margin)
    blurred = frame.copy()
    for x, y, width, height in boxes.tolist():
        if width > 0 and height > 0:
            centre = x + width / 2, y + height / 2
            _blur_ellipse(blurred, centre, (margin * width / 2, margin * height / 2), margin)
    return blurred


def check_margin(margin: float) -> None:
    """Raise a `MotionveilError` if a margin is not above 0."""
    if not 0 < margin < np.inf:
        raise MotionveilError(f"margin is {margin}, it must be above 0")


def _blur_ellipse(
    image: Image, centre: tuple[float, float], radii: tuple[float, float], margin: float
) -> None:
    """Blur an ellipse of an image, in place; `centre` and `radii` as x, y in pixels."""
    height, width = image.shape[:2]
    left, right = _pixels(centre[0], radii[0], width)
    top, bottom = _pixels(centre[1], radii[1], height)
    if left >= right or top >= bottom:
        return
    sigma = max(1.0, SIGMA * 2 * max(radii) / margin)
    reach = int(np.ceil(3 * sigma))
    # What is around the ellipse takes part in the blur, as far as the Gaussian reaches.
    first_row, first_column = max(0, top - reach), max(0, left - reach)
    around = image[first_row : bottom + reach, first_column : right + reach].astype(np.float32)
    rows = _gaussian(np.arange(top, bottom), first_row, around.shape[0], sigma)
    columns = _gaussian(np.arange(left, right), first_column, around.shape[1], sigma)
    smooth = np.einsum("yh,hwc,xw->yxc", rows, around, columns, optimize=True)
    share = _ellipse(np.arange(left, right), np.arange(top, bottom), centre, radii)[..., None]
    there = image[top:bottom, left:right]
    there[...] = np.rint(there + share * (smooth - there)).astype(np.uint8)


def _pixels(centre: float, radius: float, size: int) -> tuple[int, int]:
    """Return the first pixel of an axis that an ellipse touches, and the one after the last."""
    first, after = np.clip([centre - radius, centre + radius], 0, size)
    return int(np.floor(first)), int(np.ceil(after))


def _gaussian(
    targets: NDArray[np.intp], first: int, size: int, sigma: float
) -> NDArray[np.float32]:
    """Return the weights (targets, size) of the pixels from `first` on, for each target pixel.

    They add up to one, also where the frame's border cuts the Gaussian off.
    """
    distance = targets[:, None] - np.arange(first, first + size)
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _ellipse(
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    centre: tuple[float, float],
    radii: tuple[float, float],
) -> NDArray[np.float32]:
    """Return how far each pixel (y, x) is to be blurred: 1 inside, 0 outside the ellipse."""
    # A pixel's middle is half a pixel from its corner.
    across = (x + 0.5 - centre[0]) / radii[0]
    down = (y + 0.5 - centre[1]) / radii[1]
    radius = np.hypot(across, down[:, None])
    return np.clip((1 - radius) / RIM, 0, 1).astype(np.float32)


class FaceMemory:
    """Keeps a face that was lost blurred for some frames more, where it was last found.

    A detector loses a face for a frame or two whenever somebody turns or blinks, and one frame that
    shows it undoes the rest. A remembered box goes when a new one lies over its centre, which is
    taken for the same face, or after `hold` frames. What is lost for longer is seen, and so is a
    face before it was first found.

    Args:
        hold: Frames for which a lost face is remembered, 0 or more.

    Raises:
        MotionveilError: `hold` is below 0.
    """

    def __init__(self, hold: int = HOLD) -> None:
        if hold < 0:
            raise MotionveilError(f"hold is {hold}, it must be 0 or more")
        self.hold = hold
        self._boxes = np.empty((0, 4), np.float32)
        self._ages = np.empty(0, np.intp)

    def update(self, found: Floats) -> Floats:
        """Take the boxes (N, 4) found in the next frame and return those to blur, (M, 4)."""
        ages = self._ages + 1
        lost = (ages <= self.hold) & ~_covered(self._boxes, found)
        self._boxes = np.concatenate([found, self._boxes[lost]])
        self._ages = np.concatenate([np.zeros(len(found), np.intp), ages[lost]])
        return self._boxes


def _covered(boxes: Floats, others: Floats) -> NDArray[np.bool_]:
    """Say of each box (N, 4) whether one of the others (M, 4) lies over its centre."""
    centres = (boxes[:, :2] + boxes[:, 2:] / 2)[:, None]  # (N, 1, 2)
    start, size = others[:, :2], others[:, 2:]
    inside = (centres >= start) & (centres <= start + size)  # (N, M, 2)
    return np.asarray(np.any(np.all(inside, axis=2), axis=1), np.bool_)


@dataclass
class FaceCounts:
    """What was found and blurred in a video.

    Attributes:
        frames: Frames of the video.
        with_face: Frames in which one or more faces were found.
        blurred: Frames in which something was blurred: a face found there, or one remembered.
        faces: Faces found, all frames together.
    """

    frames: int = 0
    with_face: int = 0
    blurred: int = 0
    faces: int = 0

    def add(self, other: FaceCounts) -> None:
        """Add the counts of another video to these."""
        self.frames += other.frames
        self.with_face += other.with_face
        self.blurred += other.blurred
        self.faces += other.faces


@dataclass(frozen=True)
class Blur:
    """How faces that were found are blurred.

    Attributes:
        margin: See `blur_faces`.
        hold: See `FaceMemory`.

    Raises:
        MotionveilError: A value is out of its range.
    """

    margin: float = MARGIN
    hold: int = HOLD

    def __post_init__(self) -> None:
        check_margin(self.margin)
        FaceMemory(self.hold)


def blur_video(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    detect: Detect,
    blur: Blur | None = None,
    *,
    rate: Fraction | int = FOLDER_RATE,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> FaceCounts:
    """Write a copy of a video in which the faces that are found are blurred.

    As many frames as the source has, with its timestamps (to the millisecond in Matroska and WebM,
    as everywhere; see `VideoSink`) and its sample aspect ratio; sound and metadata are left out.
    The whole copy appears, or nothing.

    Args:
        source: A video file, or a folder of frames; see `motionveil.video.read_frames`.
        dest: `.mkv` (lossless FFV1), `.mp4`, `.webm`, or a folder of frames with a slash at its
            end.
        detect: Finds the faces of a frame, such as a `FaceDetector`.
        blur: How they are blurred; `Blur()` if None.
        rate: Frames a second of a folder of frames.
        progress: Called after each frame with the frames done and the number declared.

    Raises:
        MotionveilError: The source cannot be read whole, or `dest` is the source or cannot be
            written.
    """
    name = os.fspath(dest)
    if name == "-":
        raise MotionveilError("-: a face-blurred copy goes into a file or folder; give its name")
    refuse_overwriting([name], [source])
    info = probe(source, rate=rate)
    counts = FaceCounts()
    copy = Destination(name, literal=True)
    with open_sink(copy, rate=info.rate, time_base=info.time_base, aspect=info.aspect) as sink:
        shift = None
        for frame in blurred_frames(read_frames(source, rate=rate), detect, counts, blur):
            # A file may begin before zero, where no file that we write can.
            shift = max(0, -frame.pts) if shift is None else shift
            sink.write(frame.image, frame.pts + shift)
            progress(counts.frames, info.frames)
    return counts


def blurred_frames(
    frames: Iterator[Frame], detect: Detect, counts: FaceCounts, blur: Blur | None = None
) -> Iterator[Frame]:
    """Yield the frames of one video with their faces blurred, and count in `counts`.

    Args:
        frames: The frames of one video, in their order.
        counts: What was found so far; each frame is added before it is yielded.
        blur: How faces are blurred; `Blur()` if None.
    """
    blur = blur or Blur()
    memory = FaceMemory(blur.hold)
    for frame in frames:
        found = detect(frame.image).boxes
        boxes = memory.update(found)
        counts.add(FaceCounts(1, len(found) > 0, len(boxes) > 0, len(found)))
        yield frame._replace(image=blur_faces(frame.image, boxes, margin=blur.margin))
