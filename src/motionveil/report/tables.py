"""The tables of a report, as plain records for the templates."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motionveil.methods.bdq import BDQSettings
from motionveil.report.aggregate import Method, action_scores, find, frame_scores, main_encoder
from motionveil.report.figures import bdq_of, quantiser
from motionveil.report.method_style import BDQ, RAW, UNTRAINED, label
from motionveil.report.pareto import Draws
from motionveil.results import Accuracy, AttributeScore, PrivacyScore, Row, attribute_lines
from motionveil.statistics import Interval, interval_of

FEW = 6
"""Up to so many methods all stand in the summary."""

MOST_CLASSES = 20
"""Above this many classes a confusion matrix cannot be read, and the page leaves it out."""


def summary(methods: Sequence[Method]) -> list[Method]:
    """Return the methods of the summary: all if they are few.

    Else raw video, BDQ untrained and at alpha = 0, and the encoder.
    """
    if len(methods) <= FEW:
        return list(methods)
    chosen = [find(methods, RAW), find(methods, UNTRAINED), find(methods, BDQ, 0.0)]
    found = [m for m in (*chosen, main_encoder(methods)) if m is not None] or list(methods[:1])
    return list({id(m): m for m in found}.values())


def strongest_training(method: Method) -> float | None:
    """Return the training accuracy of a method's strongest attacker; None if it is not known."""
    strongest = method.strongest
    runs = [
        run
        for row in method.rows
        for attacker in row.attackers
        if strongest is not None and attacker.name == strongest.name
        for run in attacker.trainings
    ]
    return float(np.mean([run.accuracy for run in runs])) if runs else None


def measures(
    methods: Sequence[Method], privacy_label: str
) -> list[tuple[str, list[tuple[str, Accuracy]]]]:
    """Return the parts of the main table: action, then the privacy label by frame and by clip."""
    privacy = privacy_label[:1].upper() + privacy_label[1:]
    return [
        ("Action, by clip", [(m.label, m.action) for m in methods]),
        (f"{privacy}, by frame", [(m.label, m.frame) for m in methods]),
        (f"{privacy}, by clip", [(m.label, m.clip) for m in methods]),
    ]


@dataclass(frozen=True)
class Difference:
    """A method's accuracies less those of a reference, each with its paired 95 % interval."""

    method: str
    reference: str
    action: float
    action_interval: Interval
    privacy: float
    privacy_interval: Interval


def differences(methods: Sequence[Method], draws: Draws | None) -> list[Difference]:
    """Return the differences of each method to raw video, and of alpha > 0 to alpha = 0 of BDQ.

    Args:
        methods: Those of the bootstrap, in its order.
        draws: The bootstrap; without one there are no differences.
    """
    if draws is None:
        return []
    raw, plain = find(methods, RAW), find(methods, BDQ, 0.0)
    pairs = [(m, raw) for m in methods if raw is not None and m is not raw]
    pairs += [(m, plain) for m in methods if plain and m.method == BDQ and m.adversarial]
    place = {id(m): i for i, m in enumerate(methods)}
    found = []
    for method, reference in pairs:
        i, j = place[id(method)], place[id(reference)]
        found.append(
            Difference(
                method.label,
                reference.label,
                float(draws.observed_action[i] - draws.observed_action[j]),
                interval_of(draws.action[:, i] - draws.action[:, j]),
                float(draws.observed_privacy[i] - draws.observed_privacy[j]),
                interval_of(draws.privacy[:, i] - draws.privacy[:, j]),
            )
        )
    return found


def attacker_names(methods: Sequence[Method]) -> list[str]:
    """Return the names of all attackers, in the order of the first method that has them."""
    return list(dict.fromkeys(a.name for m in methods for a in m.attackers))


@dataclass(frozen=True)
class AttackerLine:
    """One attacker of one row, and how its networks were trained; one value each, or texts."""

    row: str
    name: str
    accuracy: Accuracy
    training: float | None
    epochs: str
    rates: str


def attacker_lines(methods: Sequence[Method]) -> list[AttackerLine]:
    """Return every attacker of every row."""
    lines = []
    for method in methods:
        for row in method.rows:
            for attacker in row.attackers:
                runs = attacker.trainings
                lines.append(
                    AttackerLine(
                        row_name(row, method.rows),
                        attacker.name,
                        attacker.accuracy,
                        float(np.mean([run.accuracy for run in runs])) if runs else None,
                        _distinct(str(run.epochs) for run in runs),
                        _distinct(f"{run.rate:g}" for run in runs),
                    )
                )
    return lines


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts)) or "–"


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
    """A BDQ encoder's numbers.

    Attributes:
        departure: Largest |Q(x) - x|, in levels of 15; near 0 the quantiser hides nothing.
        widest: Largest distance between neighbouring boundaries, in levels of 15: the widest flat
            step. 1 before training.
    """

    name: str
    spec: BDQSettings
    departure: float
    widest: float


def _dict(value: Any) -> dict[str, Any]:
    """Return what a provenance, which is free-form, holds where a dictionary is looked for."""
    return value if isinstance(value, dict) else {}


def adversaries(methods: Sequence[Method]) -> list[tuple[str, str]]:
    """Return the number of privacy networks that each method was trained against, and resets.

    Methods whose encoders do not tell, or were trained against none, are left out.
    """
    lines = []
    for method in methods:
        origin = method.rows[0].encoder.provenance
        schedule = _dict(_dict(origin.get("recipe")).get("adversarial"))
        if origin.get("alpha") and "adversaries" in schedule:
            every = schedule.get("restart_every")
            reset = f" (one reset every {every} steps)" if every else ""
            lines.append((method.label, f"{schedule['adversaries']}{reset}"))
    return lines


@dataclass(frozen=True)
class AttributeLine:
    """A row's scores of one attribute, or their means: by frame and by clip."""

    name: str
    mean: bool
    frame: AttributeScore
    clip: AttributeScore


def attributes(methods: Sequence[Method]) -> list[AttributeLine]:
    """Return average precision and F1 of every row, the means first; empty for one label."""
    lines = []
    for method in methods:
        for row in method.rows:
            for place, (one, by_clip) in enumerate(attribute_lines(row.privacy.attributes)):
                mean = place == 0
                name = row_name(row, method.rows) if mean else one.name
                lines.append(AttributeLine(name, mean, one, by_clip))
    return lines


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
    """Accuracy within each class; a column for each method, None where it saw no such clip."""

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
    by_action = [([seen[0].action for seen in m.answers], action_scores(m.answers)) for m in known]
    found = [ClassTable("action, % of clips", names, _class_lines(by_action, actions))]
    by_privacy = [([seen[0].privacy for seen in m.answers], frame_scores(m.answers)) for m in known]
    if isinstance(by_privacy[0][0][0], int):  # attributes have a table of their own
        lines = _class_lines(by_privacy, people)
        found.append(ClassTable(f"{privacy_label}, % of frames", names, lines))
    return found


def _class_lines(
    columns: Sequence[tuple[Sequence[int | list[int]], list[float]]], names: Sequence[str]
) -> list[tuple[str, int, list[float | None]]]:
    lines = []
    for index, name in enumerate(names):
        scores = [np.asarray(s)[np.asarray(labels) == index] for labels, s in columns]
        count = max(len(s) for s in scores)
        if count:
            lines.append((name, count, [float(s.mean()) if len(s) else None for s in scores]))
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
