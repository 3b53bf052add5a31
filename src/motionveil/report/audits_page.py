"""Audits side by side: several encoders under the same attacks, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motionveil.atomic_write import write_text_atomically
from motionveil.audit_results import (
    AttributeRecognition,
    Audit,
    Column,
    Finding,
    LabelFinding,
    Measured,
    Recognition,
    Reconstruction,
)
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
from motionveil.report.reconstructions import side_by_side
from motionveil.report.templates import FigureImage, figure_image, render

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
    def privacy(self) -> Measured | None:
        """What the strongest attack on the privacy label scores, corrected for its choice."""
        strongest = self.audit.strongest
        return strongest.accuracy if strongest else None

    @property
    def action(self) -> Measured | None:
        """Accuracy of the action network."""
        useful = utility(self.audit)
        return useful.veiled.scores.clip if useful else None

    @property
    def chance_level(self) -> float:
        """Of the privacy label; of several attributes their mean prevalence."""
        found = attacks_on(self.audit, "veiled")
        return (found[0].chance_level if found else None) or 0.0

    def columns(self, video: str = "veiled") -> list[Column]:
        """Return its row in the table of encoders; empty if the label was not attacked there."""
        best = self.audit.strongest if video == "veiled" else self.audit.strongest_raw
        if best is None:
            return []
        strongest = next(f for f in attacks_on(self.audit, video) if f.name in best.chosen)
        useful = utility(self.audit)
        action = useful and (useful.veiled if video == "veiled" else useful.raw)
        return [
            Column(name="Strongest attack", value=", ".join(best.chosen)),
            Column.share(self.measure, best.accuracy),
            Column.share("Chance level, %", strongest.chance_level),
            *(
                Column.share(f"{line.name}, %", line.average_precision)
                for line in (best.attributes.each if best.attributes else ())
            ),
            *_count_and_bits(strongest),
            Column.share("Action accuracy, %", action.scores.clip if action else None),
            Column(name="Seed", value=self.audit.seed, digits=0),
        ]

    @property
    def measure(self) -> str:
        """What the strongest attack is measured by."""
        best = self.audit.strongest
        return "cMAP, %" if best and best.attributes else "Privacy accuracy, %"


def _count_and_bits(found: LabelFinding) -> list[Column]:
    """Return the number of clips, the training accuracy and, of one label, the information."""
    accuracy = Column.share("Training accuracy, %", found.training_accuracy)
    if not isinstance(found, Recognition):
        count = len(found.answers) if isinstance(found, AttributeRecognition) else None
        return [Column(name="n", value=count, digits=0), accuracy]
    scores = found.scores
    bits = f"{max(0.0, scores.bits.value):.2f} of {scores.entropy:.2f}"
    count_column = Column(name="n", value=len(found.answers), digits=0)
    return [count_column, accuracy, Column(name="Bits", value=bits)]


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        name: The attack.
        cells: Its main metric, one for each encoder; None where it was not carried out.
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


def write_audits(
    audits: Sequence[tuple[Audit, Path]], target: Path, *, show_raw: bool = False
) -> Path:
    """Write audits of several encoders side by side, as one file that needs nothing else.

    Args:
        audits: At least two, each with the folder where it lies.
        show_raw: Show original frames too, beside reconstructions.

    Returns:
        The path of the page.

    Raises:
        MotionveilError: The audits are not of the same clips and label, one has no attack on
            veiled video, one contradicts itself, `show_raw` is asked for and no two audits have
            stored reconstructions of one clip, or the page cannot be written.

    Examples:
        >>> folders = [Path("audits/bdq"), Path("audits/dvs")]
        >>> write_audits([(Audit.read(f), f) for f in folders], Path("a.html"))  # doctest: +SKIP
        PosixPath('a.html')
    """
    encoders = _encoders(audits)
    first = encoders[0].audit
    names = {id(e.audit): e.name for e in encoders}
    rebuilt = side_by_side(
        [(names[id(audit)], audit.of(Reconstruction), folder) for audit, folder in audits],
        show_raw=show_raw,
    )
    if show_raw and rebuilt is None:
        raise MotionveilError("--show-raw: no two audits have stored reconstructions of one clip")
    page = render(
        "audits.html",
        encoders=encoders,
        strongest=[(e.name, columns) for e in encoders if (columns := e.columns())],
        raw=next((row for e in encoders if (row := e.columns("raw"))), []),
        rebuilt=rebuilt,
        several=any(e.audit.strongest and e.audit.strongest.attributes for e in encoders),
        dataset=first.dataset,
        split=first.split,
        label=first.dataset.privacy_label,
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
        if not any(finding.video == "veiled" for finding in audit.findings):
            raise MotionveilError(f"{folder}: there is no attack on veiled video in it")
    called = Counter(short_name(audit.encoder) for audit, _ in audits)
    found = []
    for audit, folder in audits:
        name = short_name(audit.encoder)
        found.append(Encoder(f"{name} ({folder.name})" if called[name] > 1 else name, audit))
    return sorted(found, key=lambda e: -1.0 if e.privacy is None else e.privacy.value)


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
    """Return the main metric of each attack on each encoder, by section."""
    found = [sections(e.audit) for e in encoders]
    titles = dict.fromkeys(title for of_one in found for title in of_one)
    return {title: _lines([of_one.get(title, []) for of_one in found]) for title in titles}


def _lines(found: Sequence[Sequence[Pair[Finding]]]) -> list[Line]:
    by_name = [{pair.name: pair for pair in pairs} for pairs in found]
    lines = []
    for name in dict.fromkeys(name for pairs in by_name for name in pairs):
        pairs = [of_one.get(name) for of_one in by_name]
        raw = next((pair.raw for pair in pairs if pair and pair.raw), None)
        cells = [_main(pair.veiled) if pair else None for pair in pairs]
        lines.append(Line(name, cells, _main(raw) if raw else None))
    return sorted(lines, key=lambda line: -line.most)


def _main(finding: Finding) -> Column:
    return finding.rows()[0][1][0]


def _scatter(encoders: Sequence[Encoder]) -> FigureImage | None:
    """Draw action against privacy accuracy, where the action was attacked."""
    points = [
        EncoderPoint(e.name, e.privacy, e.action)
        for e in encoders
        if e.action is not None and e.privacy is not None
    ]
    if not points:
        return None
    useful = next(pair for e in encoders if (pair := utility(e.audit)) is not None)
    label = encoders[0].audit.dataset.privacy_label
    several = any(e.audit.strongest and e.audit.strongest.attributes for e in encoders)
    chance = next(e.chance_level for e in encoders if e.privacy is not None)
    levels = (chance, useful.veiled.scores.chance_level)
    said = "; ".join(
        f"{p.name}: {100 * p.privacy.value:.0f} %, action {100 * p.action.value:.0f} %"
        for p in points
    )
    return figure_image(
        "Action against privacy",
        encoder_points(points, label, levels, measure="cMAP" if several else "accuracy"),
        f"{'cMAP' if several else 'Accuracy'} of the strongest attack on the {label} and action"
        f" accuracy. {said}.",
    )
