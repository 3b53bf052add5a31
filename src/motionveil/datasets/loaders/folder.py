"""A user's own videos: a folder for each action and person, or a CSV of labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from motionveil.datasets.loaders import count_or_raise, register
from motionveil.datasets.manifest import (
    FIRST_COLUMNS,
    LAST_COLUMNS,
    Clip,
    Manifest,
    find_faults,
    frame_number,
)
from motionveil.datasets.splits import stratified_split
from motionveil.errors import MotionveilError
from motionveil.limits import read_table
from motionveil.video.image_sequence import find_videos

DEFAULT_SHARE = 0.25


@register("folder", "your own videos, ROOT/<action>/<person>/*.mp4")
def index(root: str | os.PathLike[str], *, share: float = DEFAULT_SHARE, seed: int = 0) -> Manifest:
    """Index `ROOT/<action>/<person>/*.mp4` (any video suffix); the privacy label is `person`.

    Each video is one clip and one recording.

    Args:
        share: Share of the clips held out for validation, in (0, 1).

    Raises:
        MotionveilError: There are no videos, one lies at another depth or cannot be read, or the
            videos are too few to split.
    """
    folder = Path(root)
    paths = [file.relative_to(folder).as_posix() for file in find_videos(folder)]
    if not paths:
        raise MotionveilError(f"{folder}: no videos in <action>/<person>/")
    for path in paths:
        if path.count("/") != 2:
            raise MotionveilError(
                f"{folder / path}: a video must be at {folder}/<action>/<person>/<video>"
            )
    counts = count_or_raise(folder, paths)
    clips = []
    for path in paths:
        action, person, _ = path.split("/")
        clips.append(Clip(path, 0, counts[path], action, {"person": person}, path, ""))
    split = tuple(stratified_split(clips, share=share, seed=seed))
    return Manifest(folder.resolve().name, folder, split, split_rule=_rule(share, seed))


@register("csv", "ROOT is a CSV with the columns path, action and one or more privacy labels")
def index_csv(
    file: str | os.PathLike[str], *, share: float = DEFAULT_SHARE, seed: int = 0
) -> Manifest:
    """Index the clips of a CSV with the columns `path`, `action` and one or more privacy labels.

    Paths are relative to the CSV's folder. `start` and `end` (frames from 0, end exclusive) may
    be there; without them a clip is the whole video. So may `group`; without it each video is a
    recording of its own. So may `split`; without it the clips are split by `share` and `seed`.

    Raises:
        MotionveilError: A column or value is at fault, a video cannot be read, or the clips are
            too few to split; names the file, the line and the value.
    """
    table = Path(file)
    columns, rows = read_table(table, "the labels")
    labels = [name for name in columns if name not in (*FIRST_COLUMNS, *LAST_COLUMNS)]
    _check_columns(table, columns, labels)
    ends: dict[str, int] = {}
    if "end" not in columns:
        ends = count_or_raise(table.parent, sorted({row["path"] for row in rows.values()}))
    clips = [
        Clip(
            path=row["path"],
            start=frame_number(row.get("start", "0"), "start", where),
            end=ends[row["path"]] if ends else frame_number(row["end"], "end", where),
            action=row["action"],
            privacy={label: row[label] for label in labels},
            group=row.get("group", row["path"]),
            split=row.get("split", "train"),
        )
        for where, row in rows.items()
    ]
    for position, fault in find_faults(clips):
        raise MotionveilError(f"{table if position is None else list(rows)[position]}: {fault}")
    rule = f"as {table.name} has it"
    if "split" not in columns:
        clips, rule = stratified_split(clips, share=share, seed=seed), _rule(share, seed)
    return Manifest(table.stem, table.parent, tuple(clips), split_rule=rule)


def _rule(share: float, seed: int) -> str:
    return f"{share:g} of the clips held out, stratified, recordings whole, seed {seed}"


def _check_columns(file: Path, columns: Sequence[str], labels: Sequence[str]) -> None:
    found = ",".join(columns)
    if not {"path", "action"} <= set(columns) or not labels:
        raise MotionveilError(
            f"{file}:1: found columns {found!r}; there must be path, action and one or more"
            " privacy labels, such as path,action,person"
        )
    if len(set(columns)) < len(columns) or "" in columns:
        raise MotionveilError(f"{file}:1: {found!r}: each column needs its own name")
    if ("start" in columns) != ("end" in columns):
        raise MotionveilError(f"{file}:1: found columns {found!r}; start and end go together")
