"""The option pictures: a picture of every person, never out of a clip that is asked about.

Else the right picture could be told by a pose or a shadow that it shares with the clip. A picture
out of another clip of the same recording still shares the clothes and the light.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from motionveil.data.manifest import Clip, Manifest, frame_number
from motionveil.errors import MotionveilError
from motionveil.study.images import Box, Image, cut_square, read_picture
from motionveil.study.people import Cast, Shown, everybody
from motionveil.video import read_frames

if TYPE_CHECKING:  # needs packages that only face detection needs
    from motionveil.faces import Detect

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
COLUMNS = ["path", "frame", "person", "x", "y", "width", "height"]
TRIES, FRAMES = 4, 6
"""Clips looked at for a good face, and frames of each."""

_LOWEST = 0.6
"""Share of the frame's height below which no face is looked for: who passes by in front."""


@dataclass(frozen=True)
class Portrait:
    """A picture of somebody.

    Attributes:
        image: uint8 (PICTURE, PICTURE, 3).
        source: What it was cut from, for the record.
        clips: Keys of the clips that hold the frame; they must not be asked about.
    """

    image: Image
    source: str
    clips: frozenset[str] = frozenset()


def from_pictures(folder: Path, names: Iterable[str]) -> dict[str, Portrait]:
    """Take the user's pictures, a file for each person: `NAME.jpg` or `NAME.png`.

    Raises:
        MotionveilError: Somebody has none, or it cannot be read.
    """
    found = {}
    for name in names:
        files = [folder / f"{name}{suffix}" for suffix in PICTURE_SUFFIXES]
        file = next((file for file in files if file.is_file() and file.parent == folder), None)
        if file is None:
            raise MotionveilError(f"{folder}: no picture of {name!r}: {name}.jpg or {name}.png")
        image = read_picture(file)
        height, width = image.shape[:2]
        side = min(width, height)  # the middle: a picture must not be squeezed
        box = ((width - side) / 2, (height - side) / 2, side, side)
        found[name] = Portrait(cut_square(image, box), file.name)
    return found


def from_boxes(table: Path, manifest: Manifest, names: Iterable[str]) -> dict[str, Portrait]:
    """Cut the boxes of a CSV out of the original video; the first one of each person counts.

    Args:
        table: CSV with the columns path, frame, person, x, y, width, height: a video's path as in
            the manifest, a frame of it counted from 0, and a box in pixels.
        manifest: The data set.
        names: Of all people.

    Raises:
        MotionveilError: Somebody has none, or a line is at fault.
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
        found[name] = _portrait(manifest, cut_square(image, box), path, frame)
    return found


def from_clips(
    manifest: Manifest,
    label: str,
    cast: Cast,
    pool: Sequence[Clip],
    random: Random,
    *,
    detect: Detect | None,
    around: float,
    left_out: Sequence[str] = (),
    track: Callable[[Iterable[str]], Iterable[str]] = lambda names: names,
) -> dict[str, Portrait]:
    """Cut pictures of everybody out of clips, by their faces where there is a detector.

    Clips that nobody will be asked about come first, and among them those of other recordings.
    Without a detector the picture is the first frame: of one person the whole of it, of two the
    half in which the person stands.

    Args:
        manifest: The data set.
        label: The privacy label.
        cast: Whom the label's values show.
        pool: The clips that could be asked about.
        random: Decides between equals.
        detect: Finds faces; None where there is no detector.
        around: How many times the picture is as large as the face's box.
        left_out: Actions in which not everybody is seen.
        track: Shows the progress.

    Raises:
        MotionveilError: No clip has a face of somebody, or nobody knows which of two is whose.
    """
    if any(shown.side is None for group in cast.values() if len(group) > 1 for shown in group):
        raise MotionveilError(
            f"{manifest.name}: nobody knows which of the two people of a clip is who; give --who"
            " with who is on the left, or --boxes, or --pictures"
        )
    asked, groups = {clip.key for clip in pool}, {clip.group for clip in pool}
    found: dict[str, Portrait] = {}
    for name in track(everybody(cast)):
        taken = set().union(*(portrait.clips for portrait in found.values()))
        clips = [
            (clip, shown)
            for clip in manifest.clips
            for shown in cast[clip.privacy[label]]
            if shown.name == name and clip.action not in left_out
        ]
        random.shuffle(clips)
        clips.sort(key=lambda pair: pair[0].group in groups)
        free = [pair for pair in clips if pair[0].key not in asked - taken]
        costly = [pair for pair in clips if pair[0].key in asked - taken]
        portrait = _cut(manifest, free, detect, around) or _cut(manifest, costly, detect, around)
        if portrait is None:
            raise MotionveilError(
                f"{manifest.name}: no face of {name!r} found in {len(clips)} clips; give --boxes"
                " or --pictures, or leave --face-detector out for pictures of the whole person"
            )
        found[name] = portrait
    return found


def _portrait(manifest: Manifest, image: Image, path: str, frame: int) -> Portrait:
    held = (c.key for c in manifest.clips if c.path == path and c.start <= frame < c.end)
    return Portrait(image, f"{path}, frame {frame}", frozenset(held))


def _cut(
    manifest: Manifest,
    clips: Sequence[tuple[Clip, Shown]],
    detect: Detect | None,
    around: float,
) -> Portrait | None:
    """Return the best picture out of the first clips that have one; None where none has."""
    root = manifest.root
    if detect is None and clips:
        clip, shown = clips[0]
        frame = next(read_frames(root / clip.path, clip.start, clip.start + 1)).image
        return _portrait(manifest, cut_square(frame, _half(frame, shown)), clip.path, clip.start)
    best: tuple[float, Portrait] | None = None
    for tried, (clip, shown) in enumerate(clips, start=1):
        for number, frame in _some_frames(root, clip, shown):
            for score, box in _faces(detect, frame, shown):
                if best is None or score > best[0]:
                    image = cut_square(frame, box, around)
                    best = score, _portrait(manifest, image, clip.path, number)
        if best is not None and tried >= TRIES:
            break
    return None if best is None else best[1]


def _some_frames(root: Path, clip: Clip, shown: Shown) -> Iterable[tuple[int, Image]]:
    # Two people may change sides: only at the beginning it is known who is who.
    length = clip.length if shown.side is None else max(1, clip.length // 4)
    frames = enumerate(
        read_frames(root / clip.path, clip.start, clip.start + length), start=clip.start
    )
    step = max(1, length // FRAMES)
    return ((number, frame.image) for number, frame in islice(frames, 0, None, step))


def _faces(detect: Detect | None, frame: Image, shown: Shown) -> Iterable[tuple[float, Box]]:
    """Yield the faces that may be somebody's, and how sure each is."""
    assert detect is not None, "without a detector nobody looks for faces"
    faces = detect(frame)
    for box, score in zip(faces.boxes.tolist(), faces.scores.tolist(), strict=True):
        x, y, width, height = box
        side = "left" if x + width / 2 < frame.shape[1] / 2 else "right"
        if shown.side in (None, side) and y + height / 2 < _LOWEST * frame.shape[0]:
            yield score, (x, y, width, height)


def _half(frame: Image, shown: Shown) -> Box:
    """Return the square at the top, where heads are, of somebody's part of a frame."""
    height, width = frame.shape[:2]
    part = width if shown.side is None else width / 2
    first = width / 2 if shown.side == "right" else 0.0
    side = min(part, height)
    return first + (part - side) / 2, 0.0, side, side


def _read_boxes(table: Path) -> Mapping[str, tuple[str, int, Box]]:
    try:
        rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise MotionveilError(f"{table}: cannot read the boxes: {error}") from error
    if not rows or list(rows[0]) != COLUMNS:
        raise MotionveilError(f"{table}: its columns must be {','.join(COLUMNS)}")
    boxes: dict[str, tuple[str, int, Box]] = {}
    for line, row in enumerate(rows, start=2):
        frame = frame_number(row["frame"] or "", "frame", f"{table}:{line}")
        try:
            x, y, width, height = (float(row[column] or "") for column in COLUMNS[3:])
        except ValueError as error:
            raise MotionveilError(f"{table}:{line}: a box is four numbers of pixels") from error
        boxes.setdefault(row["person"], (row["path"], frame, (x, y, width, height)))
    return boxes
