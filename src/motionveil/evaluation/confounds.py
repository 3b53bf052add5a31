"""Confounds: other columns of the manifest that predict a label, and attacks that cannot use them.

A person who was filmed in front of one wall only can be recognised by the wall. So an audit
measures how well every other column, recordings among them, predicts the label. Where the data
allow it, half of the clips held out is asked about by a network that has learned from the same
people under other values of the column only, and by a control that has learned from as many clips
of any value. The difference is due to the column.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from motionveil.audit_results import Confound
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.data import AttackData
from motionveil.training.loop import seed_for

GROUP = "group"
"""The manifest's column of recordings."""


def columns_beside(manifest: Manifest, label: str) -> list[str]:
    """Return the columns that a label may be mistaken for: recordings and the other labels."""
    return [GROUP, *(other for other in manifest.privacy_labels if other != label)]


def confounds(manifest: Manifest, split: str, label: str) -> list[Confound]:
    """Return how a label depends on each other column of the manifest; empty for attributes."""
    if len(manifest.columns_of(label)) > 1:
        return []
    return [_confound(manifest, split, label, c) for c in columns_beside(manifest, label)]


def _confound(manifest: Manifest, split: str, label: str, column: str) -> Confound:
    training = manifest.part(split, training=True)
    held_out = manifest.part(split, training=False)
    known = {(clip.privacy[label], _value(clip, column)) for clip in training}
    shared = sum((clip.privacy[label], _value(clip, column)) in known for clip in held_out)
    predictions = _predictions_by(training, label, column)
    commonest = _commonest(clip.privacy[label] for clip in training)
    right = [
        predictions.get(_value(clip, column), commonest) == clip.privacy[label] for clip in held_out
    ]
    counts = Counter(clip.privacy[label] for clip in held_out)
    return Confound(
        label=label,
        column=column,
        clips=len(held_out),
        shared=shared,
        crossable=sum(len(asked) for _, asked in _halved(manifest, split, label, column)),
        tells=float(np.mean(right)),
        chance_level=max(counts.values()) / len(held_out),
    )


def _predictions_by(training: Sequence[Clip], label: str, column: str) -> dict[str, str]:
    """Return which value of the label is commonest under each value of a column."""
    found: dict[str, list[str]] = defaultdict(list)
    for clip in training:
        found[_value(clip, column)].append(clip.privacy[label])
    return {value: _commonest(labels) for value, labels in found.items()}


def _commonest(names: Sequence[str] | Iterator[str]) -> str:
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name))


def crossed_halves(
    data: AttackData, column: str, *, control: bool
) -> list[tuple[tuple[Clip, ...], tuple[Clip, ...]]]:
    """Return the clips to learn from and to ask about, for each half of a column's values.

    Args:
        column: A label, or `"group"`.
        control: Learn from as many clips of any value of the column instead.

    Raises:
        MotionveilError: There is no such column, or no clip can be asked about.
    """
    manifest, label = data.manifest, data.label
    columns = columns_beside(manifest, label)
    if column not in columns:
        raise MotionveilError(
            f"no column {column!r} beside {label!r}; there are {', '.join(columns)}"
        )
    found = [
        (_as_many(data, learned, half) if control else learned, asked)
        for half, (learned, asked) in enumerate(_halved(manifest, data.split, label, column))
        if asked
    ]
    if not found:
        raise MotionveilError(
            f"{manifest.name}: no {label} was filmed under two values of {column!r}, one of them"
            " held out and the other not; the two cannot be separated"
        )
    return found


def _halved(
    manifest: Manifest, split: str, label: str, column: str
) -> list[tuple[tuple[Clip, ...], tuple[Clip, ...]]]:
    """Return for each half of a column's values the clips to learn from and to ask about.

    Each value of the label has its values of the column assigned to the two halves in turn, in one
    order for all, so that a value that many share falls into one half for most of them. Of the
    label's values only those count that can be learned in both halves.
    """
    halves = _halves(manifest, label, column)

    def place(clip: Clip) -> tuple[str, int]:
        name = clip.privacy[label]
        return name, halves[name, _value(clip, column)]

    training, held_out = (manifest.part(split, training=part) for part in (True, False))
    places = {place(clip) for clip in training}
    both = {name for name, _ in places if {(name, 0), (name, 1)} <= places}
    learned, asked = (
        [c for c in part if c.privacy[label] in both] for part in (training, held_out)
    )
    return [
        (
            tuple(clip for clip in learned if place(clip)[1] != half),
            tuple(clip for clip in asked if place(clip)[1] == half),
        )
        for half in (0, 1)
    ]


def _halves(manifest: Manifest, label: str, column: str) -> dict[tuple[str, str], int]:
    """Return the half, 0 or 1, of each pair of a label's and a column's value."""
    shown: dict[str, set[str]] = defaultdict(set)
    for clip in manifest.clips:
        shown[_value(clip, column)].add(clip.privacy[label])
    values = sorted(shown)
    order = np.random.default_rng(len(values)).permutation(len(values))
    halves: dict[tuple[str, str], int] = {}
    seen: Counter[str] = Counter()
    for value in (values[place] for place in order):
        for name in sorted(shown[value]):
            halves[name, value] = seen[name] % 2
            seen[name] += 1
    return halves


def _as_many(data: AttackData, learned: Sequence[Clip], half: int) -> tuple[Clip, ...]:
    """Return as many clips of each value of the label, of any value of the column."""
    rng = np.random.default_rng(seed_for(data.seed, "control", half))
    wanted = Counter(clip.privacy[data.label] for clip in learned)
    training = data.manifest.part(data.split, training=True)
    drawn: list[Clip] = []
    for name, count in sorted(wanted.items()):
        there = [clip for clip in training if clip.privacy[data.label] == name]
        drawn += [there[place] for place in rng.permutation(len(there))[:count]]
    return tuple(drawn)


def _value(clip: Clip, column: str) -> str:
    return clip.group if column == GROUP else clip.privacy[column]
