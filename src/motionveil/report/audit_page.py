"""The report of an audit: one HTML file that holds its figures and its style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from motionveil.atomic_write import write_text_atomically
from motionveil.audit_results import (
    AttributeRecognition,
    Audit,
    Column,
    Finding,
    LabelFinding,
    Measured,
    Recognition,
    Retrieval,
    Strongest,
    attribute_columns,
)
from motionveil.report.audit_figures import learning, main_metrics, roc
from motionveil.report.audit_view import (
    Pair,
    attacks_on,
    by_action,
    by_class,
    check,
    confusion,
    descriptions,
    lead,
    pairs_of,
    picture_of,
    sections,
    short_name,
    surest,
    utility,
)
from motionveil.report.templates import FigureImage, figure_image, render

AUDIT_FILE = "audit.html"
SummaryRow = tuple[str, str, str, list[Column]]
"""Target, video, attacker and figures."""
MOST_CURVES = 10
"""Attacks whose training is drawn."""


def write_audit(
    audit: Audit, folder: Path, target: Path | None = None, *, show_raw: bool = False
) -> Path:
    """Write an audit's report as `folder/audit.html`, one file that needs nothing else.

    The page holds its figures as SVG inside data URIs and its style; it loads nothing from the
    network and runs no script. Equal audits give equal bytes.

    Args:
        folder: Where the audit and its attacks lie.
        target: The page; `audit.html` in the folder if None.
        show_raw: Show original frames too, where attacks have left some.

    Returns:
        The path of the page.

    Raises:
        MotionveilError: The audit contradicts itself or names an image that is no plain file of an
            attack's folder, or the page cannot be written.

    Examples:
        >>> write_audit(Audit.read("runs/audit"), Path("runs/audit"))  # doctest: +SKIP
        PosixPath('runs/audit/audit.html')
    """
    check(audit, folder)
    page = _page(audit, folder, show_raw)
    return write_text_atomically(target or folder / AUDIT_FILE, page)


def _page(audit: Audit, folder: Path, show_raw: bool) -> str:
    strongest, useful = lead(audit), utility(audit)
    label = audit.dataset.privacy_label
    return render(
        "audit.html",
        audit=audit,
        label=label,
        encoder=short_name(audit.encoder),
        summary=_summary(audit),
        attributes=_attributes(audit),
        sections=[
            _section(title, pairs, audit, folder, show_raw)
            for title, pairs in sections(audit).items()
        ],
        descriptions=descriptions(audit),
        curve=_roc(audit),
        learning=_learning(audit),
        show_raw=show_raw,
        lead=strongest and strongest.veiled,
        confusions=[
            (pair.veiled.label, matrix)
            for pair in (strongest, useful)
            if pair is not None and (matrix := confusion(pair.veiled)) is not None
        ],
        classes=[
            table
            for table in (
                strongest and by_class(strongest),
                by_action(audit),
                useful and by_class(useful),
            )
            if table is not None
        ],
        surest=surest(strongest.veiled) if strongest else [],
        shown=picture_of(strongest.veiled, folder, show_raw=show_raw) if strongest else None,
        parts=audit.dataset.parts.get(audit.split),
    )


def _summary(audit: Audit) -> list[SummaryRow]:
    """Return question, video, attacker and figures: the strongest attacker on each video."""
    lines: list[SummaryRow] = []
    label = audit.dataset.privacy_label
    for video, best, of_one in _strongest(audit):
        first = next(f for f in of_one if f.name in best.chosen)
        if isinstance(first, Recognition):
            columns = _columns(audit, first, best.accuracy, len(of_one))
            lines.append((label, video, ", ".join(best.chosen), columns))
    useful = utility(audit)
    for found in (useful.veiled, useful.raw) if useful else ():
        if found is not None:
            columns = _columns(audit, found, found.scores.clip, 1)
            lines.append(("action", found.video, found.name, columns))
    searches = audit.of(Retrieval)
    for video in ("veiled", "raw"):
        there = [f for f in searches if f.video == video]
        if there:
            best_search = max(there, key=lambda f: f.rank_1.value)
            columns = _columns(audit, best_search, best_search.rank_1, len(there))
            lines.append(("re-identification", video, best_search.name, columns))
    return lines


def _strongest(audit: Audit) -> Iterator[tuple[str, Strongest, list[LabelFinding]]]:
    """Yield each video, the strongest on it, and all among which it was chosen."""
    for video, best in (("veiled", audit.strongest), ("raw", audit.strongest_raw)):
        of_one = attacks_on(audit, video)
        if best is not None and of_one:
            yield video, best, of_one


def _attributes(audit: Audit) -> list[SummaryRow]:
    """Return the strongest attacker on several attributes at once: cMAP, then each attribute."""
    lines: list[SummaryRow] = []
    for video, best, of_one in _strongest(audit):
        first = next(f for f in of_one if f.name in best.chosen)
        if best.attributes is None or not isinstance(first, AttributeRecognition):
            continue
        for line in best.attributes.lines:
            mean = line is best.attributes.mean
            p = None if first.p is None else min(1.0, first.p * len(of_one))
            columns = [
                *attribute_columns(line),
                Column(name="n", value=len(first.answers), digits=0),
                Column.share("Training accuracy, %", first.training_accuracy),
                Column(name="p, corrected", value=p if mean else None, digits=4),
                Column(name="Seed", value=audit.seed, digits=0),
            ]
            lines.append((line.name, video, ", ".join(best.chosen), columns))
    return lines


def _columns(
    audit: Audit, found: Recognition | Retrieval, accuracy: Measured, looks: int
) -> list[Column]:
    """Return the figures of a row; p is corrected for so many attackers (Bonferroni)."""
    chance, trained = accuracy.chance_level, None
    if isinstance(found, Recognition):
        n, p, trained = len(found.answers), found.scores.p, found.training_accuracy
        chance = found.scores.chance_level
    else:
        n, p = len(found.searches), found.p
    return [
        Column.share("Accuracy, %", accuracy),
        Column.share("Chance level, %", chance),
        Column(name="n", value=n, digits=0),
        Column.share("Training accuracy, %", trained),
        Column(name="p, corrected", value=min(1.0, p * looks), digits=4),
        Column(name="Seed", value=audit.seed, digits=0),
    ]


def _section(
    title: str, pairs: list[Pair[Finding]], audit: Audit, folder: Path, show_raw: bool
) -> dict[str, Any]:
    """Return what the template says of the attacks under one heading."""
    chosen = (
        audit.strongest.chosen if audit.strongest and title == audit.dataset.privacy_label else []
    )
    rows = [
        (pair.name, part, found.video, columns, found.video == "veiled" and pair.name in chosen)
        for pair in pairs
        for found in (pair.veiled, pair.raw)
        if found is not None
        for part, columns in found.rows()
    ]
    images = [
        (pair.name, picture_of(pair.veiled, folder, show_raw=show_raw))
        for pair in pairs
        if pair.veiled.picture and not isinstance(pair.veiled, Recognition)
    ]
    return {
        "title": title,
        "rows": rows,
        "headings": [column.name for column in rows[0][3]],
        "figure": _main_metrics(title, pairs),
        "images": images,
    }


def _main_metrics(title: str, pairs: Sequence[Pair[Finding]]) -> FigureImage | None:
    """Return the figure of a section whose main metric is a share with a chance level."""
    shown = [pair for pair in pairs if pair.veiled.chance_level is not None and pair.main.percent]
    if not shown:
        return None
    points = "; ".join(
        f"{pair.name}, {found.video}: {found.rows()[0][1][0].text()} %"
        for pair in shown
        for found in (pair.veiled, pair.raw)
        if found is not None
    )
    what = shown[0].main.name
    alt = f"{title}: {what}, with 95 % intervals. {points}."
    return figure_image(title, main_metrics(shown, what), alt)


def _roc(audit: Audit) -> FigureImage | None:
    pairs = pairs_of(audit.of(Retrieval))
    if not pairs:
        return None
    areas = "; ".join(f"{pair.name}: veiled {pair.veiled.area.value:.2f}" for pair in pairs)
    return figure_image("ROC curves", roc(pairs), f"ROC curves of pairs. Area under them: {areas}.")


def _learning(audit: Audit) -> FigureImage | None:
    """Return how the strongest attacks learned."""
    attacks = attacks_on(audit, "veiled")
    found = [f for f in attacks if isinstance(f, Recognition) and f.curve][:MOST_CURVES]
    if not found:
        return None
    ends = "; ".join(f"{f.name}: {100 * f.curve[-1]:.0f} %" for f in found)
    return figure_image(
        "Training accuracy", learning(found), f"Training accuracy by epoch. In the last: {ends}."
    )
