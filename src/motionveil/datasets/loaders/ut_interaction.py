"""UT-Interaction, segmented set 1 (Ryoo and Aggarwal, ICPR contest on SDHA, 2010).

60 clips at about 30 fps of ten actor pairs, each performing six interactions. No person ids are
published: the sequence is the actor-pair label. Sequence 6 has no punch, sequence 8 has two.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from motionveil.datasets.loaders import DatasetInfo, count_or_raise, register
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError

ACTIONS = ("handshake", "hug", "kick", "point", "punch", "push")
"""The classes in the order of their published numbers."""

CLIPS, SEQUENCES, FOLDS = 60, 10, 3
SET = "segmented_set1"

PUBLISHED = DatasetInfo(
    page="https://cvrc.ece.utexas.edu/SDHA2010/Human_Interaction.html",
    clips=CLIPS,
    videos=CLIPS,
    actions=len(ACTIONS),
    labels={"pair": SEQUENCES},
    splits={"folds": {"fold0": 21, "fold1": 19, "fold2": 20}},
)

_NAME = re.compile(r"(\d+)_(\d+)_(\d+)\.avi")


@register(
    "ut-interaction",
    "UT-Interaction, segmented set 1; ROOT holds segmented_set1; three folds",
    published=PUBLISHED,
)
def index(root: str | os.PathLike[str]) -> Manifest:
    """Index the data set as published: `segmented_set1/{clip}_{sequence}_{class}.avi`.

    Three folds for cross-validation: a clip's fold is (sequence + class) mod 3. So every pair
    and every action is in each fold and in each training part; each pair has two of its clips in
    each fold (sequence 6 has one and sequence 8 three in one of them), each action three or four
    (punch 4, 2 and 4). All clips of one pair in one action are in the same fold: this pair in
    this action was never trained on.

    Args:
        root: The data set's folder, which holds `segmented_set1`, or that folder itself.

    Raises:
        MotionveilError: A file does not fit the published names, clips are missing, or a video
            cannot be read.
    """
    folder = Path(root)
    prefix = f"{SET}/" if (folder / SET).is_dir() else ""
    names = sorted((file.name for file in (folder / prefix).glob("*.avi")), key=_numbers)
    if not names:
        raise MotionveilError(f"{folder}: no .avi files; give the folder that holds {SET}")
    labels = [_labels(folder / prefix / name) for name in names]
    if len(names) != CLIPS:
        raise MotionveilError(
            f"{folder / prefix}: {len(names)} clips, the published set has {CLIPS}; it is"
            f" available at {PUBLISHED.page}"
        )
    counts = count_or_raise(folder, [prefix + name for name in names])
    clips = (
        Clip(
            path=prefix + name,
            start=0,
            end=counts[prefix + name],
            action=ACTIONS[action],
            privacy={"pair": f"pair{sequence:02d}"},
            group=f"sequence{sequence:02d}",
            split=f"fold{(sequence + action) % FOLDS}",
        )
        for name, (sequence, action) in zip(names, labels, strict=True)
    )
    rule = f"folds: (sequence + class) mod {FOLDS}, the same pairs and actions in every fold"
    return Manifest("ut-interaction", folder, tuple(clips), split_rule=rule)


def _numbers(name: str) -> tuple[int, ...]:
    """Sort names by their numbers, so that clip 10 follows clip 9."""
    return tuple(int(number) for number in re.findall(r"\d+", name))


def _labels(file: Path) -> tuple[int, int]:
    """Return a file's sequence (1 to 10) and class (0 to 5)."""
    match = _NAME.fullmatch(file.name)
    if match:
        sequence, action = int(match[2]), int(match[3])
        if 1 <= sequence <= SEQUENCES and action < len(ACTIONS):
            return sequence, action
    raise MotionveilError(
        f"{file}: in set 1 names are CLIP_SEQUENCE_CLASS.avi, sequence 1 to {SEQUENCES},"
        f" class 0 to {len(ACTIONS) - 1}"
    )
