"""Audits side by side: several encoders under the same attacks, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motionveil.atomic_write import write_text_atomically
from motionveil.audit_results import Audit, Column, Finding, Measured
from motionveil.errors import MotionveilError
from motionveil.report.audit_figures import EncoderPoint, encoder_points
from motionveil.report.audit_view import (
    Pair,
    attacks_on,
    check,
    sections,
    short_name,
    utility,
)
from motionveil.report.templates import Picture, picture, render

AUDITS_FILE = "audits.html"


@dataclass(frozen=True)
class Encoder:
    """An encoder's audit.

    Attributes:
        name: What tables call the encoder; no two have the same name.
        audit: The audit.
    """

    name: str
    audit: Audit

    @property
    def privacy(self) -> Measured:
        """Accuracy of the strongest attack on the privacy label, corrected for its choice."""
        assert self.audit.strongest is not None  # `check` has made sure
        return self.audit.strongest.accuracy

    @property
    def action(self) -> Measured | None:
        """Accuracy of the action network."""
        useful = utility(self.audit)
        return useful.veiled.scores.clip if useful else None

    @property
    def chance_level(self) -> float:
        """Of the privacy label."""
        return attacks_on(self.audit, "veiled")[0].scores.chance_level

    def columns(self, video: str = "veiled") -> list[Column]:
        """Return its row in the table of encoders; empty if raw video was not attacked."""
        best = self.audit.strongest if video == "veiled" else self.audit.strongest_raw
        if best is None:
            return []
        strongest = next(f for f in attacks_on(self.audit, video) if f.name in best.chosen)
        useful = utility(self.audit)
        action = useful and (useful.veiled if video == "veiled" else useful.raw)
        scores = strongest.scores
        bits = f"{max(0.0, scores.bits.value):.2f} of {scores.entropy:.2f}"
        return [
            Column(name="Strongest attack", value=", ".join(best.chosen)),
            Column.share("Privacy accuracy, %", best.accuracy),
            Column.share("Chance level, %", scores.chance_level),
            Column(name="n", value=len(strongest.answers), digits=0),
            Column.share("Training accuracy, %", strongest.training_accuracy),
            Column(name="Bits", value=bits),
            Column.share("Action accuracy, %", action.scores.clip if action else None),
            Column(name="Seed", value=self.audit.seed, digits=0),
        ]


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        name: The attack.
        cells: Its chief figure, one for each encoder; None where it was not carried out.
        raw: The same of raw video, of the first audit that has it.
    """

    name: str
    cells: list[Column | None]
    raw: Column | None = None

    @property
    def most(self) -> float:
        """The largest figure."""
        values = (cell.value for cell in self.cells if cell is not None)
        return max((v for v in values if isinstance(v, float)), default=0.0)


def write_audits(audits: Sequence[tuple[Audit, Path]], target: Path) -> Path:
    """Write audits of several encoders side by side, as one file that needs nothing else.

    Args:
        audits: At least two, each with the folder where it lies.

    Returns:
        The path of the page.

    Raises:
        MotionveilError: The audits are not of the same clips and label, one has no attack that
            recognises, one contradicts itself, or the page cannot be written.

    Examples:
        >>> folders = [Path("audits/bdq"), Path("audits/dvs")]
        >>> write_audits([(Audit.read(f), f) for f in folders], Path("a.html"))  # doctest: +SKIP
        PosixPath('a.html')
    """
    encoders = _encoders(audits)
    first = encoders[0].audit
    page = render(
        "audits.html",
        encoders=encoders,
        raw=next((row for e in encoders if (row := e.columns("raw"))), []),
        dataset=first.dataset,
        split=first.split,
        label=first.dataset.privacy_label,
        chance_level=encoders[0].chance_level,
        differences=_differences(encoders),
        scatter=_scatter(encoders),
        tables=_tables(encoders),
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
                    f"{folder}: cannot be compared with {there}: its {what} is {theirs}, there it"
                    f" is {mine}"
                )
    for audit, folder in audits:
        check(audit, folder)
        if not attacks_on(audit, "veiled"):
            label = audit.dataset.privacy_label
            raise MotionveilError(f"{folder}: no attack in it recognises the {label}")
    called = Counter(short_name(audit.encoder) for audit, _ in audits)
    found = []
    for audit, folder in audits:
        name = short_name(audit.encoder)
        found.append(Encoder(f"{name} ({folder.name})" if called[name] > 1 else name, audit))
    return sorted(found, key=lambda encoder: encoder.privacy.value)


def _differences(encoders: Sequence[Encoder]) -> list[str]:
    """Return what was not the same in all audits, so that figures may differ by it."""
    values: dict[str, list[object]] = {
        "recipe": [str(e.audit.recipe) for e in encoders],
        "seed": [e.audit.seed for e in encoders],
        "suite": [e.audit.suite for e in encoders],
        "number of frames": [e.audit.frames for e in encoders],
    }
    return [what for what, found in values.items() if len(set(found)) > 1]


def _tables(encoders: Sequence[Encoder]) -> dict[str, list[Line]]:
    """Return the chief figure of each attack on each encoder, by section."""
    found = [sections(e.audit) for e in encoders]
    titles = dict.fromkeys(title for of_one in found for title in of_one)
    return {title: _lines([of_one.get(title, []) for of_one in found]) for title in titles}


def _lines(found: Sequence[Sequence[Pair[Finding]]]) -> list[Line]:
    by_name = [{pair.name: pair for pair in pairs} for pairs in found]
    lines = []
    for name in dict.fromkeys(name for pairs in by_name for name in pairs):
        pairs = [of_one.get(name) for of_one in by_name]
        raw = next((pair.raw for pair in pairs if pair and pair.raw), None)
        cells = [_chief(pair.veiled) if pair else None for pair in pairs]
        lines.append(Line(name, cells, _chief(raw) if raw else None))
    return sorted(lines, key=lambda line: -line.most)


def _chief(finding: Finding) -> Column:
    return finding.rows()[0][1][0]


def _scatter(encoders: Sequence[Encoder]) -> Picture | None:
    """Draw action against privacy accuracy, where the action was attacked."""
    points = [EncoderPoint(e.name, e.privacy, e.action) for e in encoders if e.action is not None]
    if not points:
        return None
    useful = next(pair for e in encoders if (pair := utility(e.audit)) is not None)
    label = encoders[0].audit.dataset.privacy_label
    levels = (encoders[0].chance_level, useful.veiled.scores.chance_level)
    said = "; ".join(
        f"{p.name}: {100 * p.privacy.value:.0f} %, action {100 * p.action.value:.0f} %"
        for p in points
    )
    return picture(
        "Action against privacy",
        encoder_points(points, label, levels),
        f"Accuracy of the strongest attack on the {label} and action accuracy. {said}.",
    )
