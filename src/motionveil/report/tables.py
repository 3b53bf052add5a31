"""The tables of a report, as plain records for the template."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motionveil.methods.bdq import BDQSettings
from motionveil.report.pooling import Method, action_right, label
from motionveil.report.quantiser_figure import bdq_of, quantiser
from motionveil.results import Accuracy, PrivacyScore, Row

MOST_CLASSES = 20
"""Above this many classes a confusion matrix is a carpet, and the page leaves it out."""


@dataclass(frozen=True)
class Measure:
    """One kind of accuracy, with a line a method."""

    title: str
    lines: list[tuple[str, Accuracy]]


def measures(methods: Sequence[Method], privacy_label: str) -> list[Measure]:
    """Return the main table: action, then the privacy label by frame and by clip."""
    privacy = privacy_label[:1].upper() + privacy_label[1:]
    return [
        Measure("Action, by clip", [(m.label, m.action) for m in methods]),
        Measure(f"{privacy}, by frame", [(m.label, m.frame) for m in methods]),
        Measure(f"{privacy}, by clip", [(m.label, m.clip) for m in methods]),
    ]


def row_name(row: Row, rows: Sequence[Row]) -> str:
    """Return the name of one of a method's rows: its seed and split where they tell rows apart."""
    name = label(row.method, row.alpha)
    if len({other.seed for other in rows}) > 1:
        name += f", seed {row.seed}"
    if len({other.split for other in rows}) > 1:
        name += f", {row.split}"
    return name


@dataclass(frozen=True)
class ModeLine:
    """A row's privacy accuracy in one BatchNorm mode."""

    name: str
    mode: str
    reported: bool
    score: PrivacyScore


def batchnorm_modes(methods: Sequence[Method]) -> list[ModeLine]:
    """Return every row's privacy accuracy in each BatchNorm mode."""
    return [
        ModeLine(row_name(row, m.rows), mode, mode == row.privacy.batchnorm, score)
        for m in methods
        for row in m.rows
        for mode, score in row.privacy.modes.items()
    ]


@dataclass(frozen=True)
class NumbersLine:
    """A BDQ encoder's numbers and what they do.

    Attributes:
        departure: Largest |Q(x) - x|, in levels of 15; near 0 the quantiser hides nothing.
        widest: Largest distance between neighbouring boundaries, in levels of 15: the widest flat
            step. 1 before training.
    """

    name: str
    spec: BDQSettings
    departure: float
    widest: float


def numbers(methods: Sequence[Method]) -> list[NumbersLine]:
    """Return the numbers of every encoder that quantises."""
    lines = []
    for method in methods:
        for row in method.rows:
            spec = bdq_of(row.encoder)
            if spec is None:
                continue
            x = np.linspace(0, len(spec.rows[0]), 1501)
            gaps = np.diff(np.asarray(spec.rows[0]))
            lines.append(
                NumbersLine(
                    row_name(row, method.rows),
                    spec,
                    departure=float(np.abs(quantiser(x, spec) - x).max()),
                    widest=float(gaps.max()),
                )
            )
    return lines


@dataclass(frozen=True)
class ClassTable:
    """Accuracy within each class; a column a method, None where it saw no such clip."""

    title: str
    methods: list[str]
    lines: list[tuple[str, int, list[float | None]]]


def per_class(
    methods: Sequence[Method], actions: Sequence[str], privacy_label: str, people: Sequence[str]
) -> list[ClassTable]:
    """Return the accuracy within each action (by clip) and each privacy class (by frame).

    Methods without per-clip predictions are left out; no table where none has any.
    """
    known = [m for m in methods if m.answers]
    if not known:
        return []
    names = [m.label for m in known]
    by_action = [
        [(seen[0].action, float(np.mean([action_right(p) for p in seen]))) for seen in m.answers]
        for m in known
    ]
    by_privacy = [
        [(seen[0].privacy, float(np.mean([p.privacy_frames for p in seen]))) for seen in m.answers]
        for m in known
    ]
    return [
        ClassTable("action, % of clips", names, _class_lines(by_action, actions)),
        ClassTable(f"{privacy_label}, % of frames", names, _class_lines(by_privacy, people)),
    ]


def _class_lines(
    columns: list[list[tuple[int, float]]], names: Sequence[str]
) -> list[tuple[str, int, list[float | None]]]:
    lines = []
    for index, name in enumerate(names):
        scores = [[score for label_, score in column if label_ == index] for column in columns]
        count = max(len(s) for s in scores)
        if count:
            lines.append((name, count, [float(np.mean(s)) if s else None for s in scores]))
    return lines


@dataclass(frozen=True)
class Confusion:
    """Shares of the action network's answers: true classes down, answers across, rows sum to 1."""

    title: str
    answers: list[str]
    lines: list[tuple[str, list[float]]]


def confusions(methods: Sequence[Method | None], actions: Sequence[str]) -> list[Confusion]:
    """Return the confusion matrices of the methods that have predictions.

    Empty for more than `MOST_CLASSES` actions.
    """
    matrices = []
    for method in methods:
        if method is None or not method.answers or len(actions) > MOST_CLASSES:
            continue
        counts = np.zeros((len(actions), len(actions)))
        for p in itertools.chain.from_iterable(method.answers):
            counts[p.action, int(np.argmax(p.action_probabilities))] += 1
        lines = [
            (name, [float(c / row.sum()) for c in row])
            for name, row in zip(actions, counts, strict=True)
            if row.any()
        ]
        matrices.append(Confusion(method.label, list(actions), lines))
    return matrices
