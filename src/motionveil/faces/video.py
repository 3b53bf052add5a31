"""Blurring the faces of a whole video."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from motionveil.errors import MotionveilError
from motionveil.faces.blurring import HOLD, MARGIN, FaceMemory, blur_faces, check_margin
from motionveil.faces.decoding import Detect
from motionveil.video import Frame, open_sink, probe, read_frames
from motionveil.video.reader import FOLDER_RATE


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
    as everywhere; see `VideoSink`) and, in H.264, its sample aspect ratio; sound and metadata are
    left out. The whole copy appears, or nothing.

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
    if Path(source).exists() and Path(dest).exists() and Path(source).samefile(dest):
        raise MotionveilError(f"{dest}: this is the source itself; give another name")
    info = probe(source, rate=rate)
    counts = FaceCounts()
    with open_sink(name, rate=info.rate, time_base=info.time_base, aspect=info.aspect) as sink:
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
        detect: Finds the faces of a frame.
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
