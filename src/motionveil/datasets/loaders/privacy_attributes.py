"""PA-HMDB51, VP-HMDB51 and VP-UCF101: HMDB51 and UCF101 with five privacy attributes.

PA-HMDB51 (Wu et al., TPAMI 2020) annotates ranges of frames, VP-HMDB51 and VP-UCF101 (Li et al.,
ICCV 2023) whole videos. An attribute is `1` where it can be told, such as whether a person's gender
is to be seen, not which one it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionveil.datasets.console import first_few, warn
from motionveil.datasets.loaders import count_or_raise, register
from motionveil.datasets.loaders.folder import DEFAULT_SHARE
from motionveil.datasets.manifest import VALIDATION, Clip, Manifest
from motionveil.datasets.splits import stratified_split
from motionveil.errors import MotionveilError, no_such
from motionveil.limits import load_json, read_table, read_text
from motionveil.video.image_sequence import find_videos

ATTRIBUTES: Final = ("face", "skin_color", "gender", "nudity", "relationship")
"""In the order of the published labels of VP-HMDB51 and VP-UCF101."""

LABELS = "labels.csv"
ANNOTATIONS = "PrivacyAttributes"
LEAST = 8
"""Frames of a range of PA-HMDB51 that becomes a clip."""

SPLITS = {"1": "the first of the three official ones", "2": "the second", "3": "the third"}

_UCF = re.compile(r"v_(.+)_g(\d+)_c\d+")
_PART = {"1": "train", "2": VALIDATION}  # in the lists of HMDB51; 0 is in neither
Video = tuple[str, str]
"""An action and a video's name without its suffix."""
Parts = Callable[[Path, str], Mapping[Video, str]]
"""From ROOT and the name of a split to the part of each video that it lists."""


@register("pa-hmdb51", f"PA-HMDB51; ROOT holds {ANNOTATIONS} and HMDB51's folders of videos")
def index_pa_hmdb51(
    root: str | os.PathLike[str], *, share: float = DEFAULT_SHARE, seed: int = 0
) -> Manifest:
    """Index `PrivacyAttributes/{action}.json` and `{action}/{video}.avi` (any folder above).

    A clip is a range of at least `LEAST` frames in which no attribute changes. An attribute that
    is not annotated somewhere is `0` there.

    Args:
        share: Share of the clips held out, whole videos, in (0, 1).

    Raises:
        MotionveilError: An annotation is missing or at fault, no video that is annotated is there,
            or one cannot be read.
    """
    folder = Path(root)
    annotated: dict[Video, tuple[Path, Any]] = {}
    for file in sorted((folder / ANNOTATIONS).glob("*.json")):
        for name, values in _annotations(file).items():
            annotated[file.stem, Path(name).stem] = (file, values)
    if not annotated:
        raise MotionveilError(f"{folder / ANNOTATIONS}: no .json of annotations; one per action")
    paths = _there(folder, list(annotated))
    counts = count_or_raise(folder, list(paths.values()))
    clips = []
    for video, path in paths.items():
        file, values = annotated[video]
        shown = np.stack([_shown(values, a, counts[path], file) for a in ATTRIBUTES])
        for start, end in _ranges(shown):
            labels = {a: str(int(shown[row, start])) for row, a in enumerate(ATTRIBUTES)}
            clips.append(Clip(path, start, end, video[0], labels, _source(video), ""))
    rule = f"{share:g} of the clips held out, stratified, sources of videos whole, seed {seed}"
    split = tuple(stratified_split(clips, share=share, seed=seed))
    return Manifest("pa-hmdb51", folder, split, split_rule=rule)


def _annotations(file: Path) -> Mapping[str, Any]:
    try:
        found = load_json(read_text(file, "the annotations"))
    except ValueError as error:
        raise MotionveilError(f"{file}: not JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise MotionveilError(f"{file}: there must be a table of attributes for each video")
    return found


def _shown(values: Mapping[str, Any], attribute: str, frames: int, file: Path) -> NDArray[np.bool_]:
    """Return in which frames an attribute can be told: `[[first, last, value], ...]`, value > 0.

    Several values, such as those of two people, are a list.
    """
    shown = np.zeros(frames, np.bool_)
    for entry in values.get(attribute, []):
        try:
            first, last, value = entry
            told = any(int(v) > 0 for v in (value if isinstance(value, list) else [value]))
            shown[int(first) : int(last) + 1] |= told
        except (TypeError, ValueError) as error:
            raise MotionveilError(
                f"{file}: {attribute}: {entry!r} must be [first frame, last frame, value]"
            ) from error
    return shown


def _ranges(shown: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of (attributes, frames) in which nothing changes, but for short ones."""
    changes = np.flatnonzero((shown[:, 1:] != shown[:, :-1]).any(axis=0)) + 1
    ends = [0, *changes.tolist(), shown.shape[1]]
    for start, end in pairwise(ends):
        if end - start >= LEAST:
            yield start, end


@register(
    "vp-hmdb51",
    f"VP-HMDB51; ROOT holds {LABELS}, HMDB51's videos and lists of splits",
    splits=SPLITS,
)
def index_vp_hmdb51(root: str | os.PathLike[str], *, split: str = "1") -> Manifest:
    """Index `labels.csv`, `{action}/{video}.avi` and `{action}_test_split{1,2,3}.txt`."""
    return _index(Path(root), "vp-hmdb51", split, _hmdb_parts)


@register(
    "vp-ucf101",
    f"VP-UCF101; ROOT holds {LABELS}, UCF101's videos and lists of splits",
    splits=SPLITS,
)
def index_vp_ucf101(root: str | os.PathLike[str], *, split: str = "1") -> Manifest:
    """Index `labels.csv`, `{Action}/{video}.avi` and `trainlist0N.txt`, `testlist0N.txt`."""
    return _index(Path(root), "vp-ucf101", split, _ucf_parts)


def _index(folder: Path, name: str, split: str, parts_of: Parts) -> Manifest:
    """Index videos with labels of a whole video each; the lists may lie in any folder of ROOT.

    Raises:
        MotionveilError: There is no such split, the labels or the lists are missing or at fault, no
            video is there, or one cannot be read.
    """
    if split not in SPLITS:
        raise MotionveilError(f"{name}: {no_such('split', split, SPLITS)}")
    labels = _labels(folder / LABELS)
    parts = parts_of(folder, split)
    paths = _there(folder, [video for video in labels if video in parts])
    counts = count_or_raise(folder, list(paths.values()))
    clips = tuple(
        Clip(path, 0, counts[path], video[0], labels[video], _source(video), parts[video])
        for video, path in paths.items()
    )
    return Manifest(name, folder, clips, split_rule=f"{split}: official split {split}")


def _labels(file: Path) -> dict[Video, dict[str, str]]:
    what = "the labels; see Privacy attributes in docs/data.md"
    _, rows = read_table(file, what, ("path", *ATTRIBUTES), exactly=True)
    found = {}
    for where, row in rows.items():
        values = {attribute: row[attribute] for attribute in ATTRIBUTES}
        if wrong := [v for v in values.values() if v not in ("0", "1")]:
            raise MotionveilError(f"{where}: found {wrong[0]!r}, 0 or 1 is right")
        found[_video(row["path"])] = values
    return found


def _video(path: str) -> Video:
    name = PurePosixPath(path.replace("\\", "/"))
    return name.parent.name, name.stem


def _hmdb_parts(folder: Path, split: str) -> dict[Video, str]:
    """Read `{action}_test_split{n}.txt`: `{video}.avi 1` for training, 2 for testing."""
    ending, parts = f"_test_split{split}", {}
    for file in _lists(folder, f"*{ending}.txt"):
        action = file.stem.removesuffix(ending)
        for name, number in _lines(file):
            if number in _PART:
                parts[action, Path(name).stem] = _PART[number]
    return parts


def _ucf_parts(folder: Path, split: str) -> dict[Video, str]:
    """Read `trainlist0{n}.txt` and `testlist0{n}.txt`: `{Action}/{video}.avi`, and a number."""
    listed = {"trainlist": "train", "testlist": VALIDATION}
    return {
        _video(name): part
        for of, part in listed.items()
        for file in _lists(folder, f"{of}0{split}.txt")
        for name, _ in _lines(file)
    }


def _lists(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.rglob(pattern))
    if not found:
        raise MotionveilError(f"{folder}: no {pattern}; the official lists of splits must be there")
    return found


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the number of each line; the number may be missing."""
    for line in read_text(file, "the list of a split").splitlines():
        if line.strip():
            name, _, number = line.strip().partition(" ")
            yield name, number.strip()


def _there(folder: Path, wanted: Sequence[Video]) -> dict[Video, str]:
    """Return the paths of the videos that are there, by action and name; say which are not."""
    known = {
        (file.parent.name, file.stem): file.relative_to(folder).as_posix()
        for file in find_videos(folder)
    }
    missing = ["/".join(video) for video in wanted if video not in known]
    if len(missing) == len(wanted):
        raise MotionveilError(
            f"{folder}: none of the {len(wanted)} videos is there, such as {first_few(missing)}.avi"
        )
    if missing:
        warn(f"{folder}: {len(missing)} of {len(wanted)} videos are missing: {first_few(missing)}")
    return {video: known[video] for video in wanted if video in known}


def _source(video: Video) -> str:
    """Return what a video was cut from: of UCF101 its group, of HMDB51 the name before the action.

    `v_Archery_g03_c02` is of `Archery g03`, `April_09_brush_hair_u_nm_np1_ba_goo_0` of `April_09`.
    """
    action, name = video
    ucf = _UCF.fullmatch(name)
    return f"{ucf[1]} g{ucf[2]}" if ucf else name.partition(f"_{action}_")[0]
