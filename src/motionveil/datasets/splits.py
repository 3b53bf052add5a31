"""Splitting clips into training and validation, seeded and stratified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motionveil.datasets.manifest import VALIDATION, Clip
from motionveil.errors import MotionveilError

Label = tuple[str, ...]


def stratified_split(clips: Sequence[Clip], *, share: float, seed: int) -> list[Clip]:
    """Return the clips with `split` set to train or validation.

    Groups are held out whole, so no recording is in both parts; every action and every name of
    every privacy label stays in training. Groups are taken one by one, each time the one whose
    actions, names and pairs of the two are furthest below their share of validation
    (iterative stratification, Sechidis et al., ECML PKDD 2011), ties at random.

    Args:
        clips: The clips; their `split` is ignored.
        share: Share of the clips to hold out, in (0, 1).
        seed: Seed of the ties.

    Raises:
        MotionveilError: The share is outside (0, 1), or nothing can be held out.
    """
    if not 0 < share < 1:
        raise MotionveilError(f"share of validation is {share}, it must be between 0 and 1")
    groups = _shuffled_groups(clips, seed)
    held_out = _choose(list(groups.values()), share)
    if not held_out:
        raise MotionveilError(
            f"nothing can be held out of {len(clips)} clips in {len(groups)} recordings: every"
            " recording holds the last clip of an action or a person; give more recordings"
        )
    names = list(groups)
    validation = {names[position] for position in held_out}
    return [
        replace(clip, split=VALIDATION if clip.group in validation else "train") for clip in clips
    ]


def stratified_folds(clips: Sequence[Clip], *, folds: int, seed: int) -> list[Clip]:
    """Return the clips with `split` set to `fold0`, `fold1`, ...: cross-validation.

    Groups stay whole, so no recording is in two folds. One fold after the other is held out of
    what is left, as in `stratified_split`: a fifth, then a quarter of the rest, and so on. So each
    action and each name is spread over the folds as evenly as the recordings allow; what only one
    recording shows is in one fold, and not trained on when that one is held out.

    Args:
        clips: The clips; their `split` is ignored.
        folds: How many folds, 2 or more.
        seed: Seed of the ties.

    Raises:
        MotionveilError: There are fewer than two folds, or fewer recordings than folds.
    """
    left = _shuffled_groups(clips, seed)
    if not 2 <= folds <= len(left):
        raise MotionveilError(
            f"{folds} folds of {len(left)} recordings: there must be 2 folds or more, and a"
            " recording for each"
        )
    fold_of: dict[str, int] = {}
    for fold in range(folds - 1):
        names, later = list(left), folds - fold - 1
        for position in _choose(list(left.values()), 1 / (later + 1), leave=later):
            fold_of[names[position]] = fold
            del left[names[position]]
    fold_of |= dict.fromkeys(left, folds - 1)
    return [replace(clip, split=f"fold{fold_of[clip.group]}") for clip in clips]


def _shuffled_groups(clips: Sequence[Clip], seed: int) -> dict[str, list[Clip]]:
    """Return the clips of each group, the groups in a random order: it decides ties."""
    members: dict[str, list[Clip]] = {}
    for clip in clips:
        members.setdefault(clip.group, []).append(clip)
    names = list(members)
    np.random.default_rng(seed).shuffle(names)
    return {name: members[name] for name in names}


def _choose(groups: Sequence[Sequence[Clip]], share: float, leave: int | None = None) -> list[int]:
    """Take the neediest group again and again, until the share is reached or none may go.

    The groups left keep every action and name; or, where `leave` is given, are no fewer than that.
    """
    table = _Table.of(groups)
    sizes = np.array([len(group) for group in groups])
    taken = np.zeros_like(table.total)
    free = np.ones(len(groups), bool)
    chosen: list[int] = []
    while sizes[chosen].sum() < max(1, round(share * sizes.sum())):
        if leave is None:
            left = (table.total - taken)[table.label] - table.amount
            may_go = free & ~((left <= 0) & table.must_stay[table.label]).any(axis=1)
        else:
            may_go = free & (free.sum() > leave)
        if not may_go.any():
            break
        need = np.where(table.total > 0, share - taken / np.maximum(table.total, 1), 0)
        score = need[table.label].sum(axis=1) / (table.amount > 0).sum(axis=1)
        best = int(np.where(may_go, score, -np.inf).argmax())
        chosen.append(best)
        free[best] = False
        np.add.at(taken, table.label[best], table.amount[best])
    return chosen


@dataclass(frozen=True)
class _Table:
    """How many clips of each group bear which label; labels are numbered.

    Attributes:
        label: (groups, k) the labels of each group, padded with a last one that no clip bears.
        amount: (groups, k) how many of the group's clips bear it.
        total: (labels,) how many clips bear it altogether.
        must_stay: (labels,) whether training may not lose its last clip.
    """

    label: NDArray[np.int64]
    amount: NDArray[np.float64]
    total: NDArray[np.float64]
    must_stay: NDArray[np.bool_]

    @classmethod
    def of(cls, groups: Sequence[Sequence[Clip]]) -> _Table:
        counts = [Counter(name for clip in group for name in _labels(clip)) for group in groups]
        names = list(dict.fromkeys(name for count in counts for name in count))
        number = {name: position for position, name in enumerate(names)}
        width = max(len(count) for count in counts)
        label = np.full((len(groups), width), len(names))
        amount = np.zeros((len(groups), width))
        for row, count in enumerate(counts):
            label[row, : len(count)] = [number[name] for name in count]
            amount[row, : len(count)] = list(count.values())
        total = np.bincount(label.ravel(), amount.ravel(), len(names) + 1).astype(np.float64)
        single = np.array([len(name) == 2 for name in names] + [False])
        return cls(label, amount, total, single)


def _labels(clip: Clip) -> list[Label]:
    """What to balance: the action, each privacy name (pairs), and both together (triples)."""
    names: list[Label] = list(clip.privacy.items())
    both: list[Label] = [(clip.action, *name) for name in names]
    return [("action", clip.action), *names, *both]
