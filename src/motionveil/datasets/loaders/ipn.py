"""IPN Hand (Benitez-Garcia et al., ICPR 2020): gestures before a screen, at 30 fps.

50 people, four videos of each, 4218 gestures of 13 kinds. The published lists have no person on
both sides: gender can be told on people never seen, identity cannot.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from motionveil.datasets.console import first_few, warn
from motionveil.datasets.loaders import DatasetInfo, count_or_raise, register
from motionveil.datasets.manifest import VALIDATION, Clip, Manifest, frame_number
from motionveil.errors import MotionveilError, no_such
from motionveil.limits import read_table

NON_GESTURE = "D0X"

ACTIONS = {
    NON_GESTURE: "non_gesture",
    "B0A": "pointing_1_finger",
    "B0B": "pointing_2_fingers",
    "G01": "click_1_finger",
    "G02": "click_2_fingers",
    "G03": "throw_up",
    "G04": "throw_down",
    "G05": "throw_left",
    "G06": "throw_right",
    "G07": "open_twice",
    "G08": "double_1_finger",
    "G09": "double_2_fingers",
    "G10": "zoom_in",
    "G11": "zoom_out",
}
"""The names of the published labels, as in `classIdx.txt` but for capitals."""

GENDERS = {"M": "man", "W": "woman"}
"""The metadata's letters, spelled out."""

SPLITS = {"published": "the owners' lists: 37 people to train, 13 others to validate"}
"""Every way to split the data set, with a line of help; the first is the default."""

PUBLISHED = DatasetInfo(
    page="https://gibranbenitez.github.io/IPN_Hand/",
    clips=4218,
    videos=200,
    actions=13,
    labels={"gender": 2, "person": 50},
    splits={"published": {"train": 3117, VALIDATION: 1101}},
)

LISTS = {"Annot_TrainList.txt": "train", "Annot_TestList.txt": VALIDATION}
"""The annotation files and the part of the split that each one is."""


class Gesture(NamedTuple):
    """A row of an annotation file.

    Attributes:
        video: The video's name.
        label: The published label, a key of `ACTIONS`.
        start: First frame, counted from 0.
        end: The frame after the last one.
        split: `"train"` or `"validation"`.
    """

    video: str
    label: str
    start: int
    end: int
    split: str


class Video(NamedTuple):
    """A row of the metadata.

    Attributes:
        gender: Of the person.
        frames: The video's length as published.
    """

    gender: str
    frames: int


@register(
    "ipn",
    "IPN Hand; ROOT holds annotations and frames or videos",
    splits=SPLITS,
    published=PUBLISHED,
)
def index(
    root: str | os.PathLike[str],
    *,
    split: str = "published",
    non_gestures: bool = False,
) -> Manifest:
    """Index the data set as published: the annotations and the frames, or the videos.

    `Annot_TrainList.txt`, `Annot_TestList.txt` and `metadata*.csv` lie in ROOT or in
    `ROOT/annotations`; capitals do not count. A video is `ROOT/frames/<video>/<video>_000001.jpg`,
    ..., which the annotations were made on, or else `ROOT/videos/<video>.avi` or
    `ROOT/<video>.avi`. Each gesture is a clip, each video a group.

    A video that is missing, or whose length is not as published, is reported on stderr. A
    gesture that goes on beyond the video's end is cut there; one that begins there is left out.

    Args:
        split: One of `SPLITS`.
        non_gestures: Keep the segments without a gesture, as the background.

    Raises:
        MotionveilError: There is no such split, an annotation file is missing or a row of one is
            at fault, no video is there, or one cannot be read.
    """
    if split not in SPLITS:
        raise MotionveilError(f"ipn: {no_such('split', split, SPLITS)}")
    folder = Path(root)
    gestures = [
        gesture
        for name, part in LISTS.items()
        for gesture in _read_gestures(_find_files(folder, name)[0], part)
        if non_gestures or gesture.label != NON_GESTURE
    ]
    names = sorted({gesture.video for gesture in gestures})
    videos = _read_metadata(folder, names)
    paths = _find_videos(folder, names)
    counts = count_or_raise(folder, list(paths.values()))
    lengths = {video: counts[path] for video, path in paths.items()}
    there = [gesture for gesture in gestures if gesture.video in paths]
    _warn_of_lengths(folder, there, lengths, videos)
    clips = (
        _clip(gesture, paths[gesture.video], lengths[gesture.video], videos)
        for gesture in there
        if gesture.start < lengths[gesture.video]
    )
    return Manifest(
        "ipn-with-non-gestures" if non_gestures else "ipn",
        folder,
        tuple(clips),
        split_rule="published: the owners' lists, no person in both parts",
        background=ACTIONS[NON_GESTURE] if non_gestures else None,
    )


def _find_files(root: Path, pattern: str) -> list[Path]:
    """Find files by a pattern in the root or in `annotations`; capitals do not count."""
    folders = (folder for folder in (root, root / "annotations") if folder.is_dir())
    files = [
        file
        for folder in folders
        for file in sorted(folder.iterdir())
        if fnmatchcase(file.name.lower(), pattern.lower())
    ]
    if not files:
        raise MotionveilError(
            f"{root}: no {pattern}, in this folder or in annotations; get it from {PUBLISHED.page}"
        )
    return files


def _read_gestures(file: Path, split: str) -> Iterator[Gesture]:
    _, rows = read_table(file, "the table", ("video", "label", "t_start", "t_end"))
    for where, row in rows.items():
        first = frame_number(row["t_start"], "t_start", where)
        last = frame_number(row["t_end"], "t_end", where)
        if row["label"] not in ACTIONS:
            raise MotionveilError(
                f"{where}: label is {row['label']!r}, there is {', '.join(ACTIONS)}"
            )
        if not 1 <= first <= last:
            raise MotionveilError(
                f"{where}: frames {first} to {last}: t_end must not be below t_start, t_start 1"
                " or more"
            )
        yield Gesture(row["video"], row["label"], first - 1, last, split)


def _read_metadata(root: Path, names: Iterable[str]) -> dict[str, Video]:
    """Return what the metadata say of each video, annotated or not."""
    videos = {}
    for file in _find_files(root, "metadata*.csv"):
        _, rows = read_table(file, "the table", ("video", "frames", "label"))
        for where, row in rows.items():
            if row["label"] not in GENDERS:
                raise MotionveilError(
                    f"{where}: label is {row['label']!r}, there is {', '.join(GENDERS)}"
                )
            frames = frame_number(row["frames"], "frames", where)
            videos[row["video"]] = Video(GENDERS[row["label"]], frames)
    for name in names:
        if name not in videos:
            raise MotionveilError(f"{root}: {name} is annotated, but not in the metadata*.csv")
    return videos


def _find_videos(root: Path, videos: list[str]) -> dict[str, str]:
    """Return where each video lies, relative to the root; warn of missing ones."""
    paths = {}
    for video in videos:
        for path in (f"frames/{video}", f"videos/{video}.avi", f"{video}.avi"):
            if (root / path).exists():
                paths[video] = path
                break
    missing = [video for video in videos if video not in paths]
    if not paths:
        raise MotionveilError(
            f"{root}: no videos, such as frames/{missing[0]}/{missing[0]}_000001.jpg or"
            f" videos/{missing[0]}.avi; get them from {PUBLISHED.page}"
        )
    if missing:
        warn(f"{root}: {len(missing)} of {len(videos)} videos missing: {first_few(missing)}")
    return paths


def _clip(gesture: Gesture, path: str, length: int, videos: Mapping[str, Video]) -> Clip:
    return Clip(
        path=path,
        start=gesture.start,
        end=min(gesture.end, length),
        action=ACTIONS[gesture.label],
        privacy={"gender": videos[gesture.video].gender, "person": _person(gesture.video)},
        group=gesture.video,
        split=gesture.split,
    )


def _person(video: str) -> str:
    """Return the person: `1CM42_21` of `1CM42_21_R_#156`. There are 50, four videos each."""
    return "_".join(video.split("_")[:2])


def _warn_of_lengths(
    root: Path,
    gestures: list[Gesture],
    lengths: Mapping[str, int],
    videos: Mapping[str, Video],
) -> None:
    for video, length in lengths.items():
        if length == videos[video].frames:
            continue
        of_video = [gesture for gesture in gestures if gesture.video == video]
        cut = sum(gesture.start < length < gesture.end for gesture in of_video)
        gone = sum(gesture.start >= length for gesture in of_video)
        warn(
            f"{root}: {video} has {length} frames, published with {videos[video].frames}:"
            f" {cut} clips end early, {gone} are left out"
        )
