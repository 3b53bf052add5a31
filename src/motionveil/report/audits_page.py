"""Audits side by side: several encoders under the same attacks, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionveil.errors import MotionveilError
from motionveil.files import write_text_atomically
from motionveil.findings import AttackFinding, Audit, Measured
from motionveil.report.audit_figures import Leak, leaks
from motionveil.report.audit_reading import Found, Pair, Reading, read
from motionveil.report.audit_verdict import CAVEAT
from motionveil.report.audit_words import compare, count, figure, short_name
from motionveil.report.templates import Picture, percent, picture, render

AUDITS_FILE = "audits.html"

Cell = Measured | None
"""A figure of a table; None where there is none."""


@dataclass(frozen=True)
class Encoder:
    """An encoder's audit.

    Attributes:
        name: What tables call the encoder; no two are called alike.
        reading: The audit.
    """

    name: str
    reading: Reading

    @property
    def strongest(self) -> Measured:
        """What the strongest attack on the privacy label learned, corrected for its choice."""
        return self.reading.strongest.accuracy

    @property
    def action(self) -> Cell:
        """How useful the video remains."""
        useful = self.reading.useful
        return useful.veiled.judgement.clip if useful else None


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        name: What it is called.
        cells: One for each encoder.
        raw: The same of raw video, of the first audit that asked; None where none did.
    """

    name: str
    cells: list[Cell]
    raw: Cell = None


def write_audits(audits: Sequence[tuple[Audit, Path]], target: Path) -> Path:
    """Write audits of several encoders side by side, as one file that needs nothing else.

    Args:
        audits: At least two, each with the folder where it lies.
        target: The page.

    Returns:
        The path of the page.

    Raises:
        MotionveilError: The audits are not of the same clips and label, one has no attack that
            recognises, one contradicts itself, or the page cannot be written.

    Example:
        >>> folders = [Path("audits/bdq"), Path("audits/dvs")]
        >>> write_audits([(Audit.read(f), f) for f in folders], Path("a.html"))  # doctest: +SKIP
        PosixPath('a.html')
    """
    encoders = _encoders(audits)
    first = encoders[0].reading
    page = render(
        "audits.html",
        encoders=encoders,
        dataset=first.audit.dataset,
        split=first.audit.split,
        label=first.label,
        headline=_headline(encoders),
        notes=[*_apart(encoders), *_differences(encoders), CAVEAT],
        scatter=_scatter(encoders),
        attacks=_attacks(encoders),
        further=[line for line in _further(encoders) if any(line.cells)],
        raw_action=_raw_action(encoders),
        floor=_floor(encoders),
        folders=[str(folder) for _, folder in audits],
    )
    return write_text_atomically(target, page)


def _encoders(audits: Sequence[tuple[Audit, Path]]) -> list[Encoder]:
    (first, there), *others = audits
    for audit, folder in others:
        for what, mine, theirs in (
            ("data", first.dataset.hash[:12], audit.dataset.hash[:12]),
            ("label", first.dataset.privacy_label, audit.dataset.privacy_label),
            ("split", first.split, audit.split),
        ):
            if mine != theirs:
                raise MotionveilError(
                    f"{folder}: not to be held beside {there}: its {what} is {theirs}, there it is"
                    f" {mine}"
                )
    readings = [(read(audit, folder), folder) for audit, folder in audits]
    for reading, folder in readings:
        if not reading.privacy:
            raise MotionveilError(f"{folder}: no attack in it recognises the {reading.label}")
    called = Counter(short_name(reading.audit.encoder) for reading, _ in readings)
    found = []
    for reading, folder in readings:
        name = short_name(reading.audit.encoder)
        found.append(Encoder(f"{name} ({folder.name})" if called[name] > 1 else name, reading))
    return found


def _headline(encoders: Sequence[Encoder]) -> str:
    ordered = sorted(encoders, key=lambda e: e.strongest.value)
    least, most = ordered[0], ordered[-1]
    label = least.reading.label
    action = f", with the action recognised in {figure(least.action)}" if least.action else ""
    return (
        f"Of {count(len(encoders), 'encoder')}, {least.name} leaves the strongest attack least: it"
        f" is right about the {label} in {figure(least.strongest)} of the clips{action};"
        f" {most.name} leaves it most, {figure(most.strongest)}. Guessing the commonest:"
        f" {percent(_floor(encoders))}."
    )


def _apart(encoders: Sequence[Encoder]) -> Iterator[str]:
    """Yield who lies below whom by more than the intervals."""
    ordered = sorted(encoders, key=lambda e: e.strongest.value)
    for place, lower in enumerate(ordered):
        above = [e.name for e in ordered[place + 1 :] if compare(lower.strongest, e.strongest) < 0]
        if above:
            yield (
                f"{lower.name}: the strongest attack learns less than of {', '.join(above)}, by"
                " more than the intervals."
            )
    if all(compare(a.strongest, b.strongest) == 0 for a in ordered for b in ordered):
        yield "No two encoders differ by more than the intervals of their strongest attacks."


def _differences(encoders: Sequence[Encoder]) -> Iterator[str]:
    """Yield what was not the same in all audits, so that figures may differ by it."""
    for what, values in (
        ("recipe", [str(e.reading.audit.recipe) for e in encoders]),
        ("seed", [e.reading.audit.seed for e in encoders]),
        ("suite", [e.reading.audit.suite for e in encoders]),
        ("number of frames that attackers saw", [e.reading.audit.frames for e in encoders]),
    ):
        if len(set(values)) > 1:
            yield f"The {what} is not the same in all audits: part of a difference may be that."


def _attacks(encoders: Sequence[Encoder]) -> list[Line]:
    """Return what each attack learned of each encoder, those that learned most first."""
    found = [{p.name: p for p in e.reading.privacy} for e in encoders]
    lines = []
    for name in dict.fromkeys(name for pairs in found for name in pairs):
        pairs = [of_one.get(name) for of_one in found]
        cells = [_clip(pair.veiled) if pair else None for pair in pairs]
        raw = _first_raw(pairs)
        lines.append(Line(name, cells, _clip(raw) if raw else None))
    return sorted(lines, key=lambda line: -max(cell.value for cell in line.cells if cell))


def _first_raw(pairs: Sequence[Pair[Found] | None]) -> Found | None:
    """Return what the first audit that asked found of raw video."""
    return next((pair.raw for pair in pairs if pair and pair.raw), None)


def _clip(finding: AttackFinding) -> Measured:
    return finding.judgement.clip


def _further(encoders: Sequence[Encoder]) -> Iterator[Line]:
    """Yield what attacks of other kinds learned."""
    hunts = [{p.name: p for p in e.reading.hunts} for e in encoders]
    for name in dict.fromkeys(name for of_one in hunts for name in of_one):
        pairs = [of_one.get(name) for of_one in hunts]
        raw = _first_raw(pairs)
        cells: list[Cell] = [pair.veiled.rank_1 if pair else None for pair in pairs]
        yield Line(f"{name}: found again first", cells, raw.rank_1 if raw else None)
    rebuilt = [next(iter(e.reading.rebuilt), None) for e in encoders]
    label = encoders[0].reading.label
    yield Line(
        f"reconstruction: {label} named, of frames",
        [found.known.recognised if found else None for found in rebuilt],
    )
    faces = [next(iter(e.reading.audit.faces), None) for e in encoders]
    original = next((found.original for found in faces if found), None)
    yield Line("faces: frames with one", [f.veiled if f else None for f in faces], original)


def _raw_action(encoders: Sequence[Encoder]) -> Cell:
    raw = _first_raw([e.reading.useful for e in encoders])
    return _clip(raw) if raw else None


def _floor(encoders: Sequence[Encoder]) -> float:
    lead = encoders[0].reading.privacy[0]
    return lead.veiled.judgement.floor


def _scatter(encoders: Sequence[Encoder]) -> Picture | None:
    """Where the action was asked for: what is useful against what leaks."""
    points = [Leak(e.name, e.strongest, e.action) for e in encoders if e.action is not None]
    if not points:
        return None
    useful = next(e.reading.useful for e in encoders if e.reading.useful)
    label = encoders[0].reading.label
    said = "; ".join(f"{p.name}: {figure(p.leak)}, action {figure(p.action)}" for p in points)
    return picture(
        "What is useful against what leaks",
        leaks(points, label, (_floor(encoders), useful.veiled.judgement.floor)),
        f"The strongest attack on the {label} against the action, for each encoder. {said}.",
    )
