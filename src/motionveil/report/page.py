"""The report: one HTML file that holds its figures, pictures, video and style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionveil.files import write_text_atomically
from motionveil.report import ranking, tables, verdict
from motionveil.report.curve_figures import curve_panels
from motionveil.report.figures import contested, styles
from motionveil.report.frontier import Contest, contest
from motionveil.report.media import Medium, media
from motionveil.report.pooling import RAW, Method, Run, by_labels, check, pool
from motionveil.report.printed import printed_for, rows_of
from motionveil.report.rendering import Picture, picture, render, steps
from motionveil.report.tradeoff_figure import tradeoff
from motionveil.results import Dataset, Result

FILE_NAME = "report.html"


def write_report(result: Result, folder: Path) -> Path:
    """Write a result's report as `folder/report.html`, one file that needs nothing else.

    The page holds its figures as SVG, its pictures and video as data URIs and its style; it
    loads nothing from the network and runs no script. Equal results give equal bytes.

    Args:
        result: What to report.
        folder: Where the result's media lie and the page goes.

    Returns:
        The path of the page.

    Raises:
        MotionveilError: The result holds no rows, contradicts itself, or names media that are
            not plain pictures or videos of the folder; or the page cannot be written.

    Example:
        >>> write_report(Result.read("runs/quickstart"), Path("runs/quickstart"))  # doctest: +SKIP
        PosixPath('runs/quickstart/report.html')
    """
    return write_joint_report([Run(result, folder)], folder / FILE_NAME)


def write_joint_report(runs: Sequence[Run], target: Path) -> Path:
    """Write one report of several runs; runs on the same labels are pooled in one section.

    Args:
        runs: At least one.
        target: The HTML file to write.

    Returns:
        `target`.

    Raises:
        MotionveilError: As for `write_report`.
    """
    for run in runs:
        check(run)
    sections = [_section(group) for group in by_labels(runs)]
    names = " and ".join(dict.fromkeys(section["data"].name for section in sections))
    return write_text_atomically(target, render("template.html", sections=sections, names=names))


@dataclass(frozen=True)
class Training:
    """The curves of one encoder's training."""

    name: str
    panels: list[Picture]


def _section(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that the template says about one data set."""
    data = runs[0].result.dataset
    shown = _media(runs)  # first, since a fault there should not wait for the figures
    methods = pool([run.result for run in runs])
    rows = [row for method in methods for row in method.rows]
    judged = verdict.judged(methods)
    raw = verdict.find(methods, RAW)
    # With one family there is nobody to be ahead of.
    compared = contest(methods) if contested(methods) else None
    standing = ranking.family_sentences(compared) if compared else []
    return {
        "data": data,
        "results": [run.result for run in runs],
        "headline": verdict.headline(methods, data.privacy_label),
        "findings": verdict.findings(methods, data.privacy_label, standing),
        "tradeoff": _tradeoff(methods, data),
        "contest": compared and _contest(compared, data.privacy_label),
        "published": printed_for(data),
        "measures": tables.measures(methods, data.privacy_label),
        "rows": [(tables.row_name(row, m.rows), row) for m in methods for row in m.rows],
        "pooled": len(rows) > len(methods),
        "modes": tables.batchnorm_modes(methods),
        "numbers": tables.numbers(methods),
        "steps": steps(methods),
        "trainings": _trainings(methods, data.privacy_label, len(data.privacy_names)),
        "media": shown,
        "classes": tables.per_class(methods, data.actions, data.privacy_label, data.privacy_names),
        "confusions": tables.confusions([raw, judged], data.actions),
        "raw": raw is not None,
        "adversarial": any(method.adversarial for method in methods),
        "seeds": sorted({row.seed for row in rows}),
        "training": " or ".join(
            str(n) for n in sorted({train for train, _ in data.parts.values()})
        ),
        "collapsed": {name: why for r in runs for name, why in r.result.collapsed.items()},
        "clips": max(method.action.n for method in methods),
    }


def _tradeoff(methods: Sequence[Method], data: Dataset) -> Picture:
    label = data.privacy_label
    points = "; ".join(
        f"{m.label}: action {verdict.percent(m.action.accuracy)},"
        f" {label} {verdict.percent(m.frame.accuracy)}"
        for m in methods
    )
    return picture(
        "The trade-off",
        tradeoff(methods, label, rows_of(printed_for(data))),
        f"Scatter plot of {label} accuracy by frame against action accuracy. {points}.",
    )


def _contest(compared: Contest, privacy_label: str) -> dict[str, Any]:
    """What the template says about who is ahead."""
    return {
        "sentences": [
            ranking.front_sentence(compared, privacy_label),
            *ranking.point_sentences(compared),
        ],
        "areas": ranking.area_lines(compared),
        "draws": compared.draws,
        "obstacle": compared.obstacle,
    }


def _trainings(methods: Sequence[Method], privacy_label: str, classes: int) -> list[Training]:
    trainings = []
    for method, (colour, _) in zip(methods, styles(methods), strict=True):
        for row in method.rows:
            name = tables.row_name(row, method.rows)
            panels = [
                picture(title, figure, f"{name}: {title.lower()}, over {len(row.curves)} epochs.")
                for title, figure in curve_panels(row, privacy_label, classes, colour)
            ]
            if panels:
                trainings.append(Training(name, panels))
    return trainings


def _media(runs: Sequence[Run]) -> list[Medium]:
    return [medium for run in runs for medium in media(run.result.media, run.folder)]
