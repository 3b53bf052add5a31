"""The tables of an audit's report, as plain records for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionveil.errors import MotionveilError
from motionveil.findings import (
    AttackFinding,
    Guessed,
    Likeness,
    ReconstructionFinding,
    RetrievalFinding,
)
from motionveil.report.audit_reading import Pair, Reading
from motionveil.report.audit_words import describe, doing, equipment
from motionveil.report.tables import MOST_CLASSES, ClassTable, Confusion
from motionveil.report.templates import picture_uri

SUREST = 10
"""Clips that are named of which the strongest attack was surest."""


@dataclass(frozen=True)
class Description:
    """What an attack does."""

    name: str
    sentence: str
    equipment: str


def descriptions(reading: Reading) -> list[Description]:
    """Return what each attack does, in the order of the tables."""
    pairs = [*reading.beside, *reading.crossings, *reading.action]
    found = {f.name: doing(f) for f in [*reading.attackers, *(pair.veiled for pair in pairs)]}
    return [Description(name, describe(what), equipment(what)) for name, what in found.items()]


@dataclass(frozen=True)
class SearchTable:
    """A retrieval's figures; a line each for veiled video, raw video and one that guesses."""

    name: str
    searches: int
    gallery: str
    p: float
    lines: list[tuple[str, list[Guessed]]]
    guessed: list[float]


def searches(reading: Reading) -> list[SearchTable]:
    """Return the figures of each attack that finds people again."""
    return [_searches(pair) for pair in reading.hunts]


def _searches(pair: Pair[RetrievalFinding]) -> SearchTable:
    veiled = _figures(pair.veiled)
    raw = [("raw", _figures(pair.raw))] if pair.raw else []
    return SearchTable(
        name=pair.name,
        searches=len(pair.veiled.searches),
        gallery=" and ".join(str(size) for size in pair.veiled.gallery),
        p=pair.veiled.p,
        lines=[("veiled", veiled), *raw],
        guessed=[figure.guessed for figure in veiled],
    )


def _figures(found: RetrievalFinding) -> list[Guessed]:
    return [found.rank_1, found.mean_precision, found.area, found.equal_error]


@dataclass(frozen=True)
class RebuiltTable:
    """A reconstruction's figures, for people it learned from and for others.

    Attributes:
        name: The attack's name.
        groups: Titles and figures.
        uri: Moments veiled and reconstructed, as a data URI; None where the picture is gone.
    """

    name: str
    groups: list[tuple[str, Likeness]]
    uri: str | None


def reconstructions(reading: Reading, folder: Path, *, show_raw: bool) -> list[RebuiltTable]:
    """Return the figures of each reconstruction, with its picture.

    Args:
        reading: The audit.
        folder: Where it lies.
        show_raw: Take the picture that has the original frames too.

    Raises:
        MotionveilError: The picture's name leads out of its attack's folder.
    """
    return [
        RebuiltTable(
            found.name,
            [("People it learned from", found.known), ("People it never saw", found.strangers)],
            picture_of(found, folder, show_raw=show_raw),
        )
        for found in reading.rebuilt
    ]


def picture_of(
    found: ReconstructionFinding | AttackFinding, folder: Path, *, show_raw: bool
) -> str | None:
    """Return the picture that an attack has left; None where there is none.

    Raises:
        MotionveilError: The attack's name, or the picture's, leads out of the folder of attacks.
    """
    attacks, name = folder / "attacks", f"{found.name}-{found.video}"
    picture = found.picture_with_original if show_raw else found.picture
    if not picture:
        return None
    if Path(name).name != name or "\\" in name or (attacks / name).is_symlink():
        raise MotionveilError(f"{attacks}: {name!r} must be the name of an attack's folder")
    return picture_uri(picture, attacks / name)


def confusion(finding: AttackFinding) -> Confusion | None:
    """Return an attack's confusion matrix; None for more than `MOST_CLASSES` classes."""
    if len(finding.classes) > MOST_CLASSES:
        return None
    lines = [
        (name, [times / sum(row) for times in row])
        for name, row in zip(finding.classes, finding.judgement.confusion, strict=True)
        if sum(row)
    ]
    title = f"{finding.name}, {finding.video} video"
    return Confusion(title, list(finding.classes), lines)


def by_class(pair: Pair[AttackFinding]) -> ClassTable:
    """Return an attack's accuracy within each class, the best known first; raw video beside."""
    finding = pair.veiled
    columns = [_within(f, {a.clip: a.truth for a in f.answers}) for f in _both(pair)]
    return _class_table(f"{finding.label}, % of clips", finding.classes, columns)


def by_action(reading: Reading) -> ClassTable | None:
    """Return in which actions the strongest attack is right; None where they are not known.

    An audit stores clips' actions with the attacks on the action only.
    """
    if reading.lead is None or reading.useful is None:
        return None
    known = {a.clip: a.truth for a in reading.useful.veiled.answers}
    columns = [_within(finding, known) for finding in _both(reading.lead)]
    if not columns[0]:
        return None
    title = f"{reading.label} by action, % of clips"
    return _class_table(title, reading.useful.veiled.classes, columns)


def _both(pair: Pair[AttackFinding]) -> list[AttackFinding]:
    return [pair.veiled, *([pair.raw] if pair.raw else [])]


def _within(finding: AttackFinding, classes: Mapping[str, int]) -> dict[int, list[bool]]:
    """Return for each class whether its clips were answered right."""
    found: dict[int, list[bool]] = {}
    for answer in finding.answers:
        if answer.clip in classes:
            found.setdefault(classes[answer.clip], []).append(answer.right)
    return found


def _class_table(
    title: str, names: Sequence[str], columns: list[dict[int, list[bool]]]
) -> ClassTable:
    """Return a table of the classes that the first column has, its largest figures first."""
    lines: list[tuple[str, int, list[float | None]]] = [
        (
            names[label],
            len(right),
            [float(np.mean(c[label])) if label in c else None for c in columns],
        )
        for label, right in columns[0].items()
    ]
    lines.sort(key=lambda line: (-(line[2][0] or 0.0), line[0]))
    return ClassTable(title, ["veiled", "raw"][: len(columns)], lines)


@dataclass(frozen=True)
class SureClip:
    """A clip that an attack was right about, and how sure it was.

    Attributes:
        clip: Its key in the manifest.
        truth: Name of its class.
        probability: That the attack gave to it.
        frame: The frame that told most; None where the attack does not see frames in their order.
    """

    clip: str
    truth: str
    probability: float
    frame: int | None


def surest(finding: AttackFinding) -> list[SureClip]:
    """Return the clips that an attack was right about and surest of, at most `SUREST`."""
    return [
        SureClip(
            answer.clip,
            finding.classes[answer.truth],
            answer.probabilities[answer.truth],
            answer.surest if finding.names_frames else None,
        )
        for answer in (finding.answers[place] for place in finding.surest(SUREST))
    ]
