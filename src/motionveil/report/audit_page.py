"""The report of an audit: one HTML file that holds its figures and its style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from motionveil.files import write_text_atomically
from motionveil.findings import AttackFinding, Audit
from motionveil.report import audit_tables as tables
from motionveil.report.audit_confounds import judge_confound
from motionveil.report.audit_figures import accuracies, learning, roc
from motionveil.report.audit_limits import not_tried
from motionveil.report.audit_reading import Pair, Reading, read
from motionveil.report.audit_verdict import figure, findings, headline
from motionveil.report.audit_words import doing, short_name, thing
from motionveil.report.templates import Picture, percent, picture, render
from motionveil.statistics import p_value, p_words

AUDIT_FILE = "audit.html"
MOST_CURVES = 10
"""Attacks whose training is drawn."""


def write_audit(
    audit: Audit, folder: Path, target: Path | None = None, *, show_raw: bool = False
) -> Path:
    """Write an audit's report as `folder/audit.html`, one file that needs nothing else.

    The page holds its figures as SVG inside data URIs and its style; it loads nothing from the
    network and runs no script. Equal audits give equal bytes.

    Args:
        audit: What to report.
        folder: Where the audit and its attacks lie.
        target: The page; `audit.html` in the folder if None.
        show_raw: Show original frames too, where attacks have left some.

    Returns:
        The path of the page.

    Raises:
        MotionveilError: The audit contradicts itself or names a picture that is no plain file of an
            attack's folder, or the page cannot be written.

    Example:
        >>> write_audit(Audit.read("runs/audit"), Path("runs/audit"))  # doctest: +SKIP
        PosixPath('runs/audit/audit.html')
    """
    page = _page(read(audit, folder), folder, show_raw)
    return write_text_atomically(target or folder / AUDIT_FILE, page)


def _page(reading: Reading, folder: Path, show_raw: bool) -> str:
    audit, lead, useful = reading.audit, reading.lead, reading.useful
    return render(
        "audit.html",
        audit=audit,
        label=reading.label,
        encoder=short_name(audit.encoder),
        headline=headline(reading),
        findings=findings(reading),
        limits=not_tried(reading),
        measured=[
            _measured(f"The {reading.label}", "privacy", reading.privacy, reading.label),
            _measured("The action", "action", reading.action, "action"),
        ],
        beside=_by_label(reading.beside),
        crossings=_crossings(reading),
        descriptions=tables.descriptions(reading),
        searches=tables.searches(reading),
        curve=_roc(reading),
        learning=_learning(reading),
        rebuilt=tables.reconstructions(reading, folder, show_raw=show_raw),
        show_raw=show_raw,
        lead=lead and lead.veiled,
        confusions=[
            (pair.veiled.label, matrix)
            for pair in (lead, useful)
            if pair is not None and (matrix := tables.confusion(pair.veiled)) is not None
        ],
        classes=_classes(reading),
        surest=tables.surest(lead.veiled) if lead else [],
        shown=tables.picture_of(lead.veiled, folder, show_raw=show_raw) if lead else None,
        confounds=[(confound, judge_confound(confound)) for confound in audit.confounds],
        parts=audit.dataset.parts.get(audit.split),
        p_value=p_value,
        p_words=p_words,
    )


def _measured(
    title: str, target: str, pairs: list[Pair[AttackFinding]], label: str
) -> dict[str, Any]:
    """What the template says of the attacks on one label."""
    return {
        "title": title,
        "target": target,
        "label": label,
        "pairs": pairs,
        "picture": _accuracies(pairs, label) if pairs else None,
    }


def _accuracies(pairs: list[Pair[AttackFinding]], label: str) -> Picture:
    points = "; ".join(
        f"{pair.name}: veiled {figure(pair.veiled.judgement.clip)}"
        + (f", raw {figure(pair.raw.judgement.clip)}" if pair.raw else "")
        for pair in pairs
    )
    return picture(
        f"{label} recognised",
        accuracies(pairs, label),
        f"Accuracy of each attack on the {label}, by clip, with 95 % intervals. {points}.",
    )


def _by_label(pairs: list[Pair[AttackFinding]]) -> list[dict[str, Any]]:
    """What the template says of the attacks on each further label."""
    labels = dict.fromkeys(pair.veiled.label for pair in pairs)
    return [
        _measured(f"The {label}", "beside", [p for p in pairs if p.veiled.label == label], label)
        for label in labels
    ]


def _crossings(reading: Reading) -> list[dict[str, Any]]:
    """What the template says of the attacks across each column."""
    columns = dict.fromkeys(doing(pair.veiled).across for pair in reading.crossings)
    return [
        _measured(
            thing(column),
            "crossing",
            [p for p in reading.crossings if doing(p.veiled).across == column],
            reading.label,
        )
        for column in columns
    ]


def _roc(reading: Reading) -> Picture | None:
    if not reading.hunts:
        return None
    areas = "; ".join(
        f"{pair.name}: veiled {pair.veiled.area.value:.2f}"
        + (f", raw {pair.raw.area.value:.2f}" if pair.raw else "")
        for pair in reading.hunts
    )
    return picture(
        "ROC curves",
        roc(reading.hunts),
        f"ROC curves of telling pairs of one person from pairs of two. Area under them: {areas}.",
    )


def _learning(reading: Reading) -> Picture | None:
    """How the strongest attacks came to learn what they did."""
    found = [p.veiled for p in reading.privacy if p.veiled.curve][:MOST_CURVES]
    if not found:
        return None
    ends = "; ".join(f"{f.name}: {percent(f.curve[-1])}" for f in found)
    return picture(
        "How the attacks learned",
        learning(found),
        f"Accuracy in training by epoch. In the last: {ends}.",
    )


def _classes(reading: Reading) -> list[tuple[str, Any]]:
    """The accuracies class by class, each with a title."""
    found: list[tuple[str, Any]] = []
    if reading.lead is not None:
        title = f"Whose {reading.label} is recognised, by “{reading.lead.name}”"
        found.append((title, tables.by_class(reading.lead)))
        actions = tables.by_action(reading)
        if actions is not None:
            found.append((f"In which actions the {reading.label} is recognised", actions))
    if reading.useful is not None:
        title = f"Which actions are recognised, by “{reading.useful.name}”"
        found.append((title, tables.by_class(reading.useful)))
    return found
