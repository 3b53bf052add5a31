"""KTH human actions (Schuldt, Laptev and Caputo, ICPR 2004).

25 people perform six actions in four scenarios: d1 outdoors, d2 with changes of scale, d3 in other
clothes, d4 indoors with other light. Each video shows an action about four times; the frames of
each time are listed in `00sequences.txt`. Its oddities, all of which this module lives with: one
video is missing (person13_handclapping_d3) and five have three sequences, so there are 599 videos
and 2391 sequences; in two videos the ranges are not in order, in seven a range overlaps the next.
"""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motionveil.datasets.console import first_few, warn
from motionveil.datasets.loaders import DatasetInfo, count_or_raise, register
from motionveil.datasets.manifest import VALIDATION, Clip, Manifest
from motionveil.errors import MotionveilError, no_such

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")

LIST = "00sequences.txt"
"""The file in the data set's folder that says which frames of a video are a sequence."""

TEST_PEOPLE = frozenset(f"person{number:02d}" for number in (2, 3, 5, 6, 7, 8, 9, 10, 22))
"""Those whom the owners test on, as `00sequences.txt` says at its top."""

SPLITS = {
    "paper": "60/40 of the sequences by --seed, every person in both parts; reconstructed",
    "scenario": "four folds, each a scenario: the same people, other scale, clothes or light",
    "person": "the owners', other people in validation: for the action, not for identity",
}
"""The ways to split it, the default first."""

PUBLISHED = DatasetInfo(
    page="https://www.csc.kth.se/cvap/actions/",
    clips=2391,
    videos=599,
    actions=6,
    labels={"person": 25, "scenario": 4},
    splits={
        "paper": {"train": 1434, VALIDATION: 957},
        "scenario": {"fold0": 599, "fold1": 600, "fold2": 594, "fold3": 598},
        "person": {"train": 1528, VALIDATION: 863},
    },
)

_VIDEO = re.compile(r"(person\d\d)_([a-z]+)_(d[1-4])\s+(.+)")
_FRAMES = re.compile(r"frames\s+(\d+\s*-\s*\d+(?:\s*,\s*\d+\s*-\s*\d+)*)")


@dataclass(frozen=True)
class Listed:
    """A sequence of `00sequences.txt`.

    Attributes:
        person: `"person01"` to `"person25"`.
        action: One of `ACTIONS`.
        scenario: `"d1"` to `"d4"`.
        start: First frame, counted from 0 (in the file from 1).
        end: The frame after the last one.
    """

    person: str
    action: str
    scenario: str
    start: int
    end: int

    @property
    def video(self) -> str:
        """The video's path in the data set's folder."""
        return f"{self.action}/{self.person}_{self.action}_{self.scenario}_uncomp.avi"


@register(
    "kth",
    f"KTH; ROOT holds {LIST} and a folder for each action",
    splits=SPLITS,
    published=PUBLISHED,
)
def index(root: str | os.PathLike[str], *, split: str = "paper", seed: int = 0) -> Manifest:
    """Index the data set as published, one clip a sequence: `{action}/{video}` and the list.

    Videos that are not there are left out, and a sequence that goes on past its video's end is
    cut; standard error says so. How a sequence is split does not depend on what is there.

    Args:
        root: The folder that holds `00sequences.txt` and a folder for each action.
        split: One of `SPLITS`.
        seed: Draws the split `paper`; the others are fixed.

    Raises:
        MotionveilError: There is no such split, the list is missing or a line of it is at fault,
            none of the videos is there, or one cannot be read.
    """
    if split not in SPLITS:
        raise MotionveilError(f"kth: {no_such('split', split, SPLITS)}")
    folder = Path(root)
    listed = read_list(folder / LIST)
    parts = _parts(listed, split, seed)
    counts = _count(folder, list(dict.fromkeys(sequence.video for sequence in listed)))
    clips = []
    for sequence, part in zip(listed, parts, strict=True):
        count = counts.get(sequence.video)
        if count is not None and _begins_in(folder, sequence, count):
            clips.append(_clip(sequence, min(sequence.end, count), part))
    return Manifest("kth", folder, tuple(clips), split_rule=_rule(split, seed))


def read_list(file: Path) -> list[Listed]:
    """Read `00sequences.txt`: what stands before the first video is for people.

    Raises:
        MotionveilError: It cannot be read, lists nothing, a line is at fault, or a video is there
            twice.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise MotionveilError(
            f"{file}: cannot read the list of sequences: {error.strerror}; it comes with the data"
            f" set, {PUBLISHED.page}"
        ) from error
    listed: list[Listed] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or not (seen or text.startswith("person")):
            continue
        name = text.split()[0]
        if name in seen:
            raise MotionveilError(f"{file}:{number}: {name} is there twice")
        seen.add(name)
        listed += _sequences(text, f"{file}:{number}")
    if not listed:
        raise MotionveilError(f"{file}: lists no sequences")
    return listed


def _sequences(text: str, where: str) -> list[Listed]:
    """Read a line: a video and `frames 1-95, 96-185, ...`, or `*missing*` for none."""
    line = _VIDEO.fullmatch(text)
    if not line or not 1 <= int(line[1][-2:]) <= 25 or line[2] not in ACTIONS:
        raise MotionveilError(
            f"{where}: found {text[:60]!r}, a line must be personNN_ACTION_dN and its frames, with"
            f" NN 01 to 25, ACTION {', '.join(ACTIONS)}, N 1 to 4"
        )
    if line[4] == "*missing*":
        return []
    frames = _FRAMES.fullmatch(line[4])
    if not frames:
        raise MotionveilError(
            f"{where}: found {line[4][:60]!r}, it must be `frames 1-95, 96-185, ...` or *missing*"
        )
    ranges = [tuple(map(int, pair.split("-"))) for pair in frames[1].split(",")]
    for first, last in ranges:
        if not 1 <= first <= last:
            raise MotionveilError(
                f"{where}: frames {first}-{last}: they count from 1, and the last is no earlier"
                " than the first"
            )
    return [Listed(line[1], line[2], line[3], first - 1, last) for first, last in ranges]


def _count(folder: Path, videos: Sequence[str]) -> dict[str, int]:
    """Count the frames of the videos that are there."""
    there = [video for video in videos if (folder / video).is_file()]
    if not there:
        raise MotionveilError(
            f"{folder}: none of the {len(videos)} videos that {LIST} lists, such as {videos[0]};"
            f" get them from {PUBLISHED.page}"
        )
    missing = [video for video in videos if video not in set(there)]
    if missing:
        warn(
            f"{folder}: {len(missing)} of {len(videos)} videos are not there and left out:"
            f" {first_few(missing)}"
        )
    return count_or_raise(folder, there)


def _begins_in(folder: Path, sequence: Listed, count: int) -> bool:
    """Say whether a sequence begins in its video; tell the user if it ends past it."""
    if sequence.end > count:
        done = "cut" if sequence.start < count else "left out"
        warn(
            f"{folder / sequence.video}: {count} frames, {LIST} lists"
            f" {sequence.start + 1}-{sequence.end}: {done}"
        )
    return sequence.start < count


def _clip(sequence: Listed, end: int, part: str) -> Clip:
    return Clip(
        path=sequence.video,
        start=sequence.start,
        end=end,
        action=sequence.action,
        privacy={"person": sequence.person, "scenario": sequence.scenario},
        group=sequence.video,
        split=part,
    )


def _rule(split: str, seed: int) -> str:
    return {
        "paper": f"paper: 60/40 of the sequences, seed {seed}; reconstructed, the authors did not"
        " publish theirs",
        "scenario": "scenario: fold0 to fold3 hold out the scenarios d1 to d4; the same people",
        "person": "person: the owners', 16 people to train on and 9 others to validate on;"
        " for the action, not for identity",
    }[split]


def _parts(listed: Sequence[Listed], split: str, seed: int) -> list[str]:
    """Return what `Clip.split` is for each sequence."""
    if split == "scenario":
        return [f"fold{int(sequence.scenario[1]) - 1}" for sequence in listed]
    if split == "person":
        return [VALIDATION if s.person in TEST_PEOPLE else "train" for s in listed]
    held_out = _draw(listed, seed)
    return [VALIDATION if number in held_out else "train" for number in range(len(listed))]


def _draw(listed: Sequence[Listed], seed: int) -> set[int]:
    """Draw 40 % of the sequences, rounded up; those that share frames go together.

    `random.random` gives the same numbers in every version of Python; a shuffle need not.
    """
    draw = random.Random(seed)
    wanted = math.ceil(2 * len(listed) / 5)
    held_out: set[int] = set()
    for together in sorted(_overlapping(listed), key=lambda _: draw.random()):
        if len(held_out) + len(together) <= wanted:
            held_out.update(together)
    return held_out


def _overlapping(listed: Sequence[Listed]) -> list[list[int]]:
    """Return the sequences' places in the list; such as share frames of a video are together."""
    places = sorted(
        range(len(listed)), key=lambda place: (listed[place].video, listed[place].start)
    )
    together: list[list[int]] = []
    video, reached = "", 0
    for place in places:
        sequence = listed[place]
        if sequence.video == video and sequence.start < reached:
            together[-1].append(place)
            reached = max(reached, sequence.end)
        else:
            together.append([place])
            video, reached = sequence.video, sequence.end
    return together
