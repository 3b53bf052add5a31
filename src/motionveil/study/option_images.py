"""The option images: one image of every person, never from a clip of a question.

Otherwise a pose or a shadow shared with the clip would reveal the correct image. An image from
another clip of the same recording still shares clothes and light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from motionveil.atomic_write import atomic_path
from motionveil.datasets.manifest import Clip, Manifest, frame_number
from motionveil.errors import MotionveilError
from motionveil.limits import read_table
from motionveil.study.subjects import Subject, Subjects, subject_names
from motionveil.video import read_frames

if TYPE_CHECKING:  # requires packages that only face detection needs
    from motionveil.faces import Detect

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

SIDE = 256
"""Side of an option image, in pixels."""
COLUMNS = ["path", "frame", "person", "x", "y", "width", "height"]

_CLIPS, _FRAMES = 4, 6  # searched for faces: clips of a person, and frames of each
_LOWEST = 0.6  # of the frame's height: faces below are of passers-by in the foreground
_MARK = (230, 159, 0)  # Okabe and Ito's orange; the shape alone identifies the mark


@dataclass(frozen=True)
class OptionImage:
    """An image of a person.

    Attributes:
        image: uint8 (SIDE, SIDE, 3).
        source: Its origin, for the record.
        clips: Keys of the clips that contain the frame; excluded from the questions.
    """

    image: Image
    source: str
    clips: frozenset[str] = frozenset()


def from_images(folder: Path, names: Iterable[str]) -> dict[str, OptionImage]:
    """Read the user's images, `NAME.jpg`, `.jpeg` or `.png`, and crop the central square.

    Raises:
        MotionveilError: An image is missing or cannot be read.
    """
    found = {}
    for name in names:
        files = [folder / f"{name}{suffix}" for suffix in (".jpg", ".jpeg", ".png")]
        file = next((file for file in files if file.is_file() and file.parent == folder), None)
        if file is None:
            raise MotionveilError(f"{folder}: no image of {name!r}: {name}.jpg or {name}.png")
        image = next(read_frames(file)).image
        height, width = image.shape[:2]
        side = min(width, height)
        box = ((width - side) / 2, (height - side) / 2, side, side)
        found[name] = OptionImage(crop_square(image, box), file.name)
    return found


def from_boxes(table: Path, manifest: Manifest, names: Iterable[str]) -> dict[str, OptionImage]:
    """Crop each person's first box in a CSV from the original video.

    Its columns are path (as in the manifest), frame (from 0), person, x, y, width, height (pixels).

    Raises:
        MotionveilError: A person has no box, or a line is invalid.
    """
    boxes = _read_boxes(table)
    found = {}
    for name in names:
        if name not in boxes:
            raise MotionveilError(f"{table}: no box of {name!r}")
        path, frame, box = boxes[name]
        if path not in {clip.path for clip in manifest.clips}:
            raise MotionveilError(f"{table}: {path}: {manifest.name} has no such video")
        image = next(read_frames(manifest.root / path, frame, frame + 1)).image
        inside = box[0] < image.shape[1] and box[1] < image.shape[0]
        if not inside or min(box[2:]) <= 0 or min(box[:2]) < 0:
            raise MotionveilError(
                f"{table}: the box of {name!r} is not in its frame of"
                f" {image.shape[1]}x{image.shape[0]} pixels"
            )
        found[name] = _from_frame(manifest, crop_square(image, box), path, frame)
    return found


def from_clips(
    manifest: Manifest,
    label: str,
    subjects: Subjects,
    pool: Sequence[Clip],
    random: Random,
    *,
    detect: Detect | None,
    around: float,
    left_out: Sequence[str] = (),
    track: Callable[[Iterable[str]], Iterable[str]] = lambda names: names,
) -> dict[str, OptionImage]:
    """Crop an image of everyone from clips, the face if there is a detector.

    Clips that are not candidates for questions are preferred, and among them those of other
    recordings. Without a detector the image is from the first frame: the upper square of it, or
    of the person's half of it.

    Args:
        manifest, label, subjects: The data set, and the people of each value of a label.
        random: Breaks ties.
        detect: Face detector, if any.
        around: Side of the image relative to the face's box.
        left_out: Actions in which not everyone is visible.

    Raises:
        MotionveilError: No face of a person was found, or the sides of two people are unknown.
    """
    if any(one.side is None for group in subjects.values() if len(group) > 1 for one in group):
        raise MotionveilError(
            f"{manifest.name}: the sides of the two people of a clip are unknown; give --who with"
            " the person on the left, or --boxes, or --images"
        )
    candidates, groups = {clip.key for clip in pool}, {clip.group for clip in pool}
    found: dict[str, OptionImage] = {}
    for name in track(subject_names(subjects)):
        candidates -= set().union(*(image.clips for image in found.values()))
        clips = [
            (clip, subject)
            for clip in manifest.clips
            for subject in subjects[clip.privacy[label]]
            if subject.name == name and clip.action not in left_out
        ]
        random.shuffle(clips)
        clips.sort(key=lambda pair: pair[0].group in groups)
        free = [pair for pair in clips if pair[0].key not in candidates]
        costly = [pair for pair in clips if pair[0].key in candidates]
        best = _best(manifest, free, detect, around) or _best(manifest, costly, detect, around)
        if best is None:
            raise MotionveilError(
                f"{manifest.name}: no face of {name!r} found in {len(clips)} clips; give --boxes"
                " or --images, or omit --face-detector for images of the whole person"
            )
        found[name] = best
    return found


def _from_frame(manifest: Manifest, image: Image, path: str, frame: int) -> OptionImage:
    clips = (c.key for c in manifest.clips if c.path == path and c.start <= frame < c.end)
    return OptionImage(image, f"{path}, frame {frame}", frozenset(clips))


def _best(
    manifest: Manifest,
    clips: Sequence[tuple[Clip, Subject]],
    detect: Detect | None,
    around: float,
) -> OptionImage | None:
    """Return the face with the highest score in the first clips that have one, if any."""
    if detect is None and clips:
        clip, subject = clips[0]
        frame = next(read_frames(manifest.root / clip.path, clip.start, clip.start + 1)).image
        image = crop_square(frame, _upper_square(frame, subject))
        return _from_frame(manifest, image, clip.path, clip.start)
    best: tuple[float, OptionImage] | None = None
    for tried, (clip, subject) in enumerate(clips, start=1):
        # Two people may change sides: only the beginning is searched.
        length = clip.length if subject.side is None else max(1, clip.length // 4)
        frames = read_frames(manifest.root / clip.path, clip.start, clip.start + length)
        step = max(1, length // _FRAMES)
        for number, shot in islice(enumerate(frames, start=clip.start), 0, None, step):
            for score, box in _faces(detect, shot.image, subject):
                if best is None or score > best[0]:
                    image = crop_square(shot.image, box, around)
                    best = score, _from_frame(manifest, image, clip.path, number)
        if best is not None and tried >= _CLIPS:
            break
    return None if best is None else best[1]


def _faces(detect: Detect | None, frame: Image, subject: Subject) -> Iterable[tuple[float, Box]]:
    """Yield score and box of the faces on a person's side."""
    assert detect is not None
    faces = detect(frame)
    for box, score in zip(faces.boxes.tolist(), faces.scores.tolist(), strict=True):
        x, y, width, height = box
        side = "left" if x + width / 2 < frame.shape[1] / 2 else "right"
        if subject.side in (None, side) and y + height / 2 < _LOWEST * frame.shape[0]:
            yield score, (x, y, width, height)


def _upper_square(frame: Image, subject: Subject) -> Box:
    """Return the square at the top, where heads are, of a person's part of a frame."""
    height, width = frame.shape[:2]
    part = width if subject.side is None else width / 2
    left = width / 2 if subject.side == "right" else 0.0
    side = min(part, height)
    return left + (part - side) / 2, 0.0, side, side


def _read_boxes(table: Path) -> Mapping[str, tuple[str, int, Box]]:
    boxes: dict[str, tuple[str, int, Box]] = {}
    for where, row in read_table(table, "the boxes", COLUMNS, exactly=True)[1].items():
        frame = frame_number(row["frame"], "frame", where)
        try:
            x, y, width, height = (float(row[column]) for column in COLUMNS[3:])
        except ValueError as error:
            raise MotionveilError(f"{where}: a box is four numbers of pixels") from error
        boxes.setdefault(row["person"], (row["path"], frame, (x, y, width, height)))
    return boxes


def crop_square(frame: Image, box: Box, around: float = 1.0) -> Image:
    """Crop a square centred on a box, and scale it to the size of an option image.

    Args:
        frame: uint8 (H, W, 3); its border is repeated outside.
        around: Side of the square relative to the box's longer side.

    Returns:
        uint8 (SIDE, SIDE, 3).
    """
    x, y, width, height = box
    side = max(8, round(max(width, height) * around))
    left, top = round(x + width / 2 - side / 2), round(y + height / 2 - side / 2)
    rows = np.clip(np.arange(top, top + side), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, frame.shape[1] - 1)
    return resize(frame[rows][:, columns], SIDE, SIDE, VideoReformatter())


def marked(image: Image) -> Image:
    """Return an option image with the mark of the attention checks: a ring with a cross in it."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    radius = np.hypot(x, y)
    ring = np.abs(radius - 0.36 * SIDE) < 0.05 * SIDE
    cross = (radius < 0.36 * SIDE) & (np.minimum(abs(x - y), abs(x + y)) < 0.05 * SIDE)
    image = image.copy()
    image[np.abs(radius - 0.36 * SIDE) < 0.07 * SIDE] = 255
    image[ring | cross] = _MARK
    return image


def write_jpeg(image: Image, file: Path) -> None:
    """Write an image, uint8 (H, W, 3), as JPEG without metadata.

    Raises:
        MotionveilError: It cannot be written.
    """
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = image.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
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


def resize(image: Image, width: int, height: int, scaler: VideoReformatter) -> Image:
    """Return an image, uint8 (H, W, 3), resampled bicubically."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    scaled = scaler.reformat(frame, width, height, interpolation=Interpolation.BICUBIC)
    return np.asarray(scaled.to_ndarray(format="rgb24"), np.uint8)
