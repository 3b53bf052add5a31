"""SBU Kinect Interaction, clean version (Yun et al., HAU3D workshop of CVPR 2012).

Seven actors in pairs, 21 sets: in set `s01s02` actor 1 acts and actor 2 reacts, in `s02s01` the
other way round. 282 clips of 10 to 46 colour frames at 15 fps. Who acts does not count here: the
21 sets show 13 pairs.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from motionveil.datasets.console import first_few, warn
from motionveil.datasets.loaders import DatasetInfo, count_or_raise, register
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.datasets.splits import stratified_folds
from motionveil.errors import MotionveilError, no_such
from motionveil.limits import packaged_text

ACTIONS = (
    "approaching",
    "departing",
    "kicking",
    "pushing",
    "shaking_hands",
    "hugging",
    "exchanging_objects",
    "punching",
)
"""The interactions in the order of their published numbers, 01 to 08."""

SPLITS = {
    "paper": "the BDQ authors' 188 clips to train, 94 to validate; every pair is in both",
    "pair-folds": "5 folds by --seed, pairs and actions balanced; a set's takes stay together",
    "set-folds": "21 folds of one set each; 5 pairs have no other set, so training never sees them",
}
"""Every way to split the data set, with a line of help; the first is the default."""

FOLDS = 5
"""Folds of `pair-folds`, as many as the data set's owners use."""

PUBLISHED = DatasetInfo(
    page="https://www3.cs.stonybrook.edu/~kyun/research/kinect_interaction/",
    clips=282,
    videos=282,
    actions=8,
    labels={"pair": 13},
    splits={"paper": {"train": 188, "validation": 94}},
)

FRAMES = "rgb_*.png"
"""The frames of a clip's folder; depth images lie beside them."""

_SET, _ACTION, _TAKE = "s[0-9][0-9]s[0-9][0-9]", "[0-9][0-9]", "[0-9][0-9][0-9]"
_LAYOUTS = (
    f"{_SET}/{_ACTION}/{_TAKE}",
    f"{_SET}/{_SET}/{_ACTION}/{_TAKE}",  # each set unpacked into a folder of its own name
    f"SBU/{_SET}/{_ACTION}/{_TAKE}",
    f"SBU/{_SET}/{_SET}/{_ACTION}/{_TAKE}",
)


class Listed(NamedTuple):
    """A clip as published.

    Attributes:
        frames: How many colour frames it has.
        split: Its part in the authors' split, `"train"` or `"validation"`.
    """

    frames: int
    split: str


@register(
    "sbu",
    "SBU Kinect Interaction; ROOT holds the sets, s01s02/01/001",
    splits=SPLITS,
    published=PUBLISHED,
)
def index(root: str | os.PathLike[str], *, split: str = "paper", seed: int = 0) -> Manifest:
    """Index the data set as published: `s01s02/01/001/rgb_000001.png`, ...

    The sets may lie in folders of their own name (`s01s02/s01s02/01/001`), in ROOT or in `SBU`
    below it. A clip's frames are its colour images in the order of their numbers, which may start
    anywhere and leave gaps. Its group is its set and interaction: one pair in one session,
    up to three takes.

    Clips that are missing, have another length than published or are not in the authors' lists are
    reported on stderr. Frames beyond the published length are not used.

    Args:
        split: One of `SPLITS`.
        seed: Seed of `pair-folds`.

    Raises:
        MotionveilError: There is no such split, no clip is there, a folder has no colour frames,
            or the clips there are too few for the folds.
    """
    if split not in SPLITS:
        raise MotionveilError(f"sbu: {no_such('split', split, SPLITS)}")
    folder, listed = Path(root), read_list()
    found = _find_clips(folder)
    names = [name for name in listed if name in found]
    if not names:
        raise MotionveilError(
            f"{folder}: no clips of SBU, such as s01s02/01/001/{FRAMES}; get them from"
            f" {PUBLISHED.page}"
        )
    _warn_of_names(folder, listed, found)
    paths = {name: f"{found[name]}/{FRAMES}" for name in names}
    counts = count_or_raise(folder, list(paths.values()))
    lengths = {name: counts[path] for name, path in paths.items()}
    _warn_of_lengths(folder, listed, lengths)
    clips = [
        _clip(name, paths[name], min(lengths[name], listed[name].frames), listed[name].split)
        for name in names
    ]
    return Manifest(
        "sbu",
        folder,
        tuple(_split(clips, split, seed)),
        split_rule=_rule(split, seed),
        rate=15,  # images have no timestamps
    )


def read_list() -> dict[str, Listed]:
    """Read the published clips, sorted by name: SET/INTERACTION/TAKE, such as `s01s02/01/001`."""
    text = packaged_text("motionveil.datasets.loaders", "sbu.csv")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["clip"]: Listed(int(row["frames"]), row["split"]) for row in rows}


def _find_clips(root: Path) -> dict[str, str]:
    """Return the folder of every clip there, relative to the root, by the clip's name."""
    found: dict[str, str] = {}
    for layout in _LAYOUTS:
        for folder in sorted(root.glob(layout)):
            name = "/".join(folder.parts[-3:])
            found.setdefault(name, folder.relative_to(root).as_posix())
    return found


def _clip(name: str, path: str, frames: int, split: str) -> Clip:
    actors, action, _ = name.split("/")
    return Clip(
        path=path,
        start=0,
        end=frames,
        action=ACTIONS[int(action) - 1],
        privacy={"pair": _pair(actors)},
        group=f"{actors}/{action}",
        split=split,
    )


def _pair(actors: str) -> str:
    """Return a set's pair of actors, whoever acts: `s02s01` is `s01s02`."""
    return "".join(sorted((actors[:3], actors[3:])))


def _split(clips: list[Clip], split: str, seed: int) -> list[Clip]:
    if split == "pair-folds":
        return stratified_folds(clips, folds=FOLDS, seed=seed)
    if split == "set-folds":
        sets = sorted({name.split("/")[0] for name in read_list()})
        folds = {name: f"fold{number}" for number, name in enumerate(sets)}
        return [replace(clip, split=folds[clip.group.split("/")[0]]) for clip in clips]
    return clips


def _rule(split: str, seed: int) -> str:
    return {
        "paper": "paper: the BDQ authors' lists, the same pairs in both parts",
        "pair-folds": f"pair-folds: {FOLDS} folds, pairs and actions balanced, seed {seed}",
        "set-folds": "set-folds: fold0 to fold20 hold out the sets in the order of their names",
    }[split]


def _warn_of_names(root: Path, listed: Iterable[str], found: Iterable[str]) -> None:
    missing, unknown = sorted(set(listed) - set(found)), sorted(set(found) - set(listed))
    if missing:
        warn(f"{root}: {len(missing)} of {PUBLISHED.clips} clips missing: {first_few(missing)}")
    if unknown:
        warn(
            f"{root}: clips left out because the authors' lists do not have them:"
            f" {first_few(unknown)}"
        )


def _warn_of_lengths(root: Path, listed: Mapping[str, Listed], lengths: Mapping[str, int]) -> None:
    short = [name for name, length in lengths.items() if length < listed[name].frames]
    long = [name for name, length in lengths.items() if length > listed[name].frames]
    for names, told in (
        (short, "clips that end before their published end"),
        (long, "clips with frames beyond the published ones, not used (is it the noisy version?)"),
    ):
        if names:
            warn(
                f"{root}: {told}: {len(names)}, such as {names[0]}: {lengths[names[0]]} frames,"
                f" published with {listed[names[0]].frames}"
            )
