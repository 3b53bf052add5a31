"""An audit as its report shows it: checked, sorted, veiled beside raw, and its detailed tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from motionveil.audit_results import (
    FILE_NAME,
    Audit,
    Column,
    Finding,
    LabelFinding,
    Recognition,
    Retrieval,
)
from motionveil.errors import MotionveilError
from motionveil.report.tables import MOST_CLASSES, ClassTable, Confusion
from motionveil.report.templates import image_uri

SUREST = 10
"""Clips that are named of which the strongest attack was surest."""

F = TypeVar("F", bound=Finding, covariant=True)


@dataclass(frozen=True)
class Pair(Generic[F]):
    """An attack on veiled video, and the same on raw video where that was carried out."""

    veiled: F
    raw: F | None

    @property
    def name(self) -> str:
        """The attack's name."""
        return self.veiled.name

    @property
    def main(self) -> Column:
        """Its main metric on veiled video."""
        return self.veiled.rows()[0][1][0]


def check(audit: Audit, folder: Path) -> None:
    """Raise an error where an audit contradicts itself.

    Raises:
        MotionveilError: It does; names the file and the attack.
    """
    file = folder / FILE_NAME
    for finding in audit.findings:
        what = f"{file}: attack {finding.name!r} on {finding.video} video"
        if isinstance(finding, Recognition):
            _check_recognition(finding, what)
        elif isinstance(finding, Retrieval):
            _check_retrieval(finding, what)
        if not finding.rows() or not finding.rows()[0][1]:
            raise MotionveilError(f"{what}: no figures, so there is nothing to report")
    names = {f.name for f in attacks_on(audit, "veiled")}
    chosen = audit.strongest.chosen if audit.strongest is not None else []
    if names and not names & set(chosen):
        raise MotionveilError(
            f"{file}: the strongest attack is {', '.join(chosen) or 'not named'}; it must be one of"
            f" {', '.join(sorted(names))}. Give the audit's command again: what is done is kept"
        )


def _check_recognition(finding: Recognition, what: str) -> None:
    count = len(finding.classes)
    if not finding.answers:
        raise MotionveilError(f"{what}: no answers, so there is nothing to report")
    for answer in finding.answers:
        if not 0 <= answer.truth < count or len(answer.probabilities) != count:
            raise MotionveilError(
                f"{what}, clip {answer.clip}: class {answer.truth} with"
                f" {len(answer.probabilities)} probabilities; there are {count} classes"
            )
    rows = finding.scores.confusion
    if len(rows) != count or any(len(row) != count for row in rows):
        raise MotionveilError(f"{what}: the confusion matrix is not one of {count} classes")


def _check_retrieval(finding: Retrieval, what: str) -> None:
    count = len(finding.classes)
    if not finding.searches or not finding.curve:
        raise MotionveilError(f"{what}: no searches or no ROC curve")
    for search in finding.searches:
        if not (0 <= search.truth < count and 0 <= search.found < count):
            raise MotionveilError(f"{what}, clip {search.clip}: there are {count} people")


def pairs_of(findings: Sequence[F]) -> list[Pair[F]]:
    """Return attacks on veiled video with those on raw video, in their order."""
    raw = {f.name: f for f in findings if f.video == "raw"}
    return [Pair(f, raw.get(f.name)) for f in findings if f.video == "veiled"]


def attacks_on(audit: Audit, video: str) -> list[LabelFinding]:
    """Return the attacks that recognise the privacy label in one video, the strongest first.

    Of several attributes at once, by cMAP.
    """
    return sorted(audit.on_label(video), key=lambda f: -f.headline.value)


def lead(audit: Audit) -> Pair[Recognition] | None:
    """Return the attack chosen as the strongest; of two, the one with more clips right.

    None for several attributes at once, whose tables are by attribute.
    """
    chosen = audit.strongest.chosen if audit.strongest else []
    pairs = {pair.name: pair for pair in pairs_of(audit.attacks)}
    names = (f.name for f in attacks_on(audit, "veiled") if f.name in chosen)
    return next((pairs[name] for name in names if name in pairs), None)


def utility(audit: Audit) -> Pair[Recognition] | None:
    """Return the action network that is reported: the suite's first, whatever it scores."""
    return next((p for p in pairs_of(audit.attacks) if p.veiled.target == "action"), None)


def sections(audit: Audit) -> dict[str, list[Pair[Finding]]]:
    """Return all attacks by the heading of their section, the highest main metric first.

    The privacy label comes first, then the action, then the others in the audit's order.
    """
    found: dict[str, list[Pair[Finding]]] = {}
    for pair in pairs_of(audit.findings):
        found.setdefault(pair.veiled.section, []).append(pair)
    first = {audit.dataset.privacy_label: 0, "action": 1}
    titles = sorted(found, key=lambda title: first.get(title, 2))  # stable: the rest in order
    return {title: sorted(found[title], key=_most_first) for title in titles}


def _most_first(pair: Pair[Finding]) -> float:
    value = pair.main.value
    return -value if isinstance(value, float) else 0.0


def descriptions(audit: Audit) -> dict[str, list[tuple[str, str]]]:
    """Return the names and settings of the attacks, by what attacks of their kind do."""
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in {f.name: f for f in audit.findings}.values():
        line = (finding.name, settings_line(finding.attack))
        found.setdefault(finding.description or finding.kind, []).append(line)
    return found


_TOLD_ELSEWHERE = ("name", "kind", "network", "schedule", "detector", "recogniser", "describer")


def settings_line(attack: Mapping[str, Any]) -> str:
    """Return an attack's settings, such as `resnet50, pretrained, 20 epochs, view integrated`."""
    network, schedule = attack.get("network") or {}, attack.get("schedule") or {}
    parts = []
    if network:
        parts.append(str(network.get("name")))
        parts.append("pretrained" if network.get("weights") else "from scratch")
    if schedule:
        parts.append(f"{schedule.get('epochs')} epochs")
    for name, value in attack.items():
        if name in _TOLD_ELSEWHERE or value in (None, False, "", [], 0):
            continue
        parts.append(name if value is True else f"{name} {_plain(value)}")
    return ", ".join(parts)


def _plain(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def picture_of(found: Finding, folder: Path, *, show_raw: bool) -> str | None:
    """Return the image that an attack has left; None where there is none.

    Raises:
        MotionveilError: The attack's name, or the image's, leads out of the folder of attacks.
    """
    image = found.picture_with_original if show_raw else found.picture
    return stored_image(found, image, folder) if image else None


def stored_image(found: Finding, image: str, folder: Path) -> str | None:
    """Return an image of an attack's folder by its name; None where the file is not there.

    Raises:
        MotionveilError: As `picture_of`.
    """
    attacks, name = folder / "attacks", f"{found.name}-{found.video}"
    if Path(name).name != name or "\\" in name or (attacks / name).is_symlink():
        raise MotionveilError(f"{attacks}: {name!r} must be the name of an attack's folder")
    return image_uri(image, attacks / name)


def confusion(finding: Recognition) -> Confusion | None:
    """Return an attack's confusion matrix; None for more than `MOST_CLASSES` classes."""
    if len(finding.classes) > MOST_CLASSES:
        return None
    lines = [
        (name, [times / sum(row) for times in row])
        for name, row in zip(finding.classes, finding.scores.confusion, strict=True)
        if sum(row)
    ]
    title = f"{finding.name}, {finding.video} video"
    return Confusion(title, list(finding.classes), lines)


def by_class(pair: Pair[Recognition]) -> ClassTable:
    """Return an attack's accuracy within each class, the best known first; raw video beside."""
    finding = pair.veiled
    columns = [_within(f, {a.clip: a.truth for a in f.answers}) for f in _both(pair)]
    title = f"{finding.label} by class, {pair.name}, % of clips"
    return _class_table(title, finding.classes, columns)


def by_action(audit: Audit) -> ClassTable | None:
    """Return in which actions the strongest attack is right; None where they are not known.

    An audit stores clips' actions with the attacks on the action only.
    """
    strongest, useful = lead(audit), utility(audit)
    if strongest is None or useful is None:
        return None
    known = {a.clip: a.truth for a in useful.veiled.answers}
    columns = [_within(finding, known) for finding in _both(strongest)]
    if not columns[0]:
        return None
    title = f"{strongest.veiled.label} by action, {strongest.name}, % of clips"
    return _class_table(title, useful.veiled.classes, columns)


def _both(pair: Pair[Recognition]) -> list[Recognition]:
    return [pair.veiled, *([pair.raw] if pair.raw else [])]


def _within(finding: Recognition, classes: Mapping[str, int]) -> dict[int, list[bool]]:
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


class SureClip(NamedTuple):
    """A clip that an attack was right about.

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


def surest(finding: Recognition) -> list[SureClip]:
    """Return the clips that an attack was right about and surest of, at most `SUREST`."""
    return [
        SureClip(
            answer.clip,
            finding.classes[answer.truth],
            answer.probabilities[answer.truth],
            answer.surest if finding.by_frame else None,
        )
        for answer in (finding.answers[place] for place in finding.surest(SUREST))
    ]


def short_name(encoder: str) -> str:
    """Return what a heading calls an encoder: of a path, the last two parts."""
    return "/".join(encoder.replace("\\", "/").rstrip("/").split("/")[-2:])
