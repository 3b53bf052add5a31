"""Is it the person or the place? What else tells a label, and attacks that cannot go by it.

Whoever is filmed before one wall only can be recognised by the wall. So an audit asks of every
other column of the manifest, recordings among them, how well it alone tells the label. Where the
data allow it, half of the clips held out is asked about by a network that has learned from the same
people under other values of the column only, and beside it by one that has learned from as many
clips of any value: what the second knows and the first does not is the place, not the person.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from motionveil.audit.attack import Answers, Attack, Ground, carry_out
from motionveil.data.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.findings import Confound
from motionveil.training.seeds import seed_for

GROUP = "group"
"""The manifest's column of recordings."""


@dataclass(frozen=True)
class Crossed:
    """What an attack across a column says.

    Attributes:
        clips: The clips that could be asked about.
        answers: Every variant's answers for them.
        learned: How many clips it has learned from, at most.
    """

    clips: tuple[Clip, ...]
    answers: list[Answers]
    learned: int


def columns_beside(manifest: Manifest, label: str) -> list[str]:
    """Return the columns that a label may be mistaken for: recordings and the other labels."""
    return [GROUP, *(other for other in manifest.privacy_labels if other != label)]


def confounds(manifest: Manifest, split: str, label: str) -> list[Confound]:
    """Return how each other column of the manifest stands to a label."""
    return [_confound(manifest, split, label, c) for c in columns_beside(manifest, label)]


def _confound(manifest: Manifest, split: str, label: str, column: str) -> Confound:
    training = manifest.part(split, training=True)
    held_out = manifest.part(split, training=False)
    known = {(clip.privacy[label], _value(clip, column)) for clip in training}
    shared = sum((clip.privacy[label], _value(clip, column)) in known for clip in held_out)
    guesses = _guesses_by(training, label, column)
    commonest = _commonest(clip.privacy[label] for clip in training)
    right = [
        guesses.get(_value(clip, column), commonest) == clip.privacy[label] for clip in held_out
    ]
    counts = Counter(clip.privacy[label] for clip in held_out)
    return Confound(
        label=label,
        column=column,
        clips=len(held_out),
        shared=shared,
        crossable=sum(len(asked) for _, asked in _halved(manifest, split, label, column)),
        tells=float(np.mean(right)),
        floor=max(counts.values()) / len(held_out),
    )


def _guesses_by(training: Sequence[Clip], label: str, column: str) -> dict[str, str]:
    """Return which value of the label is commonest under each value of a column."""
    found: dict[str, list[str]] = defaultdict(list)
    for clip in training:
        found[_value(clip, column)].append(clip.privacy[label])
    return {value: _commonest(labels) for value, labels in found.items()}


def _commonest(names: Sequence[str] | Iterator[str]) -> str:
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name))


def cross(attack: Attack, ground: Ground) -> Crossed:
    """Carry out an attack across a column, on one half of its values and then on the other.

    Raises:
        MotionveilError: No clip can be asked about: there is no such column, or nobody was filmed
            under two of its values; or what `carry_out` raises.
    """
    manifest, column = ground.cache.manifest, attack.across
    if column not in columns_beside(manifest, ground.label):
        raise MotionveilError(
            f"{attack.name}: no column {column!r} beside {ground.label!r}; there are"
            f" {', '.join(columns_beside(manifest, ground.label))}"
        )
    clips: list[Clip] = []
    found: list[list[Answers]] = []
    most = 0
    halves = _halved(manifest, ground.split, ground.label, column)
    for half, (learned, asked) in enumerate(halves):
        if not asked:
            continue
        if attack.control:
            learned = _as_many(manifest, ground, learned, half)
        found.append(carry_out(attack, replace(ground, learned=learned, asked=asked)))
        clips += asked
        most = max(most, len(learned))
    if not found:
        raise MotionveilError(
            f"{manifest.name}: nobody was filmed under two values of {column!r}, of which one was"
            " held out and the other not: what tells them apart cannot be taken apart"
        )
    return Crossed(tuple(clips), [_joined(parts) for parts in zip(*found, strict=True)], most)


def _halved(
    manifest: Manifest, split: str, label: str, column: str
) -> list[tuple[tuple[Clip, ...], tuple[Clip, ...]]]:
    """Return for each half of a column's values the clips to learn from and to ask about.

    Each value of the label has its values of the column dealt to the two halves in turn, in one
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


def _as_many(
    manifest: Manifest, ground: Ground, learned: Sequence[Clip], half: int
) -> tuple[Clip, ...]:
    """Return as many clips of each value of the label, whatever the column says of them."""
    rng = np.random.default_rng(seed_for(ground.seed, "control", half))
    label = ground.label
    wanted = Counter(clip.privacy[label] for clip in learned)
    drawn: list[Clip] = []
    training = manifest.part(ground.split, training=True)
    for name, count in sorted(wanted.items()):
        there = [clip for clip in training if clip.privacy[label] == name]
        drawn += [there[place] for place in rng.permutation(len(there))[:count]]
    return tuple(drawn)


def _joined(parts: Sequence[Answers]) -> Answers:
    """Return one variant's answers for the clips of both halves."""
    return replace(
        parts[0],
        probabilities=np.concatenate([part.probabilities for part in parts]),
        frames=np.concatenate([part.frames for part in parts]),
        surest=np.concatenate([part.surest for part in parts]),
    )


def _value(clip: Clip, column: str) -> str:
    return clip.group if column == GROUP else clip.privacy[column]
