"""The report: one HTML file that holds its figures, pictures, video and style."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from motionveil._version import __version__
from motionveil.files import write_text_atomically
from motionveil.report import figures, tables, verdict
from motionveil.report.media import Medium, data_uri, media
from motionveil.report.pooling import BDQ, RAW, Method, Run, by_labels, check, pool
from motionveil.results import Result

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
    return write_text_atomically(target, _render([_section(group) for group in by_labels(runs)]))


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its image, the words that stand for it, and what it shows."""

    title: str
    uri: str
    alt: str


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
    return {
        "data": data,
        "results": [run.result for run in runs],
        "headline": verdict.headline(methods, data.privacy_label),
        "findings": verdict.findings(methods, data.privacy_label),
        "tradeoff": _tradeoff(methods, data.privacy_label),
        "measures": tables.measures(methods, data.privacy_label),
        "rows": [(tables.row_name(row, m.rows), row) for m in methods for row in m.rows],
        "pooled": len(rows) > len(methods),
        "modes": tables.batchnorm_modes(methods),
        "numbers": tables.numbers(methods),
        "steps": _steps(methods),
        "trainings": _trainings(methods, data.privacy_label, len(data.privacy_names)),
        "media": shown,
        "classes": tables.per_class(methods, data.actions, data.privacy_label, data.privacy_names),
        "confusions": tables.confusions([raw, judged], data.actions),
        "judged": judged,
        "seeds": sorted({row.seed for row in rows}),
        "training": " or ".join(
            str(n) for n in sorted({train for train, _ in data.parts.values()})
        ),
        "clips": max(method.action.n for method in methods),
    }


def _tradeoff(methods: Sequence[Method], privacy_label: str) -> Picture:
    points = "; ".join(
        f"{m.label}: action {verdict.percent(m.action.accuracy)},"
        f" {privacy_label} {verdict.percent(m.frame.accuracy)}"
        for m in methods
    )
    return _picture(
        "The trade-off",
        figures.tradeoff(methods, privacy_label),
        f"Scatter plot of {privacy_label} accuracy by frame against action accuracy. {points}.",
    )


def _picture(title: str, figure: Any, alt: str) -> Picture:
    return Picture(title, data_uri(figures.to_svg(figure), "image/svg+xml"), alt)


def _steps(methods: Sequence[Method]) -> list[Picture]:
    """The learned quantisation steps of each trained encoder."""
    drawn = []
    for method, (colour, _) in zip(methods, figures.styles(methods), strict=True):
        for row in method.rows:
            if method.method != BDQ or row.encoder.boundaries is None:
                continue
            name = tables.row_name(row, method.rows)
            boundaries = ", ".join(f"{b:.2f}" for b in row.encoder.boundaries)
            alt = f"Learned against initial quantisation steps. Learned boundaries: {boundaries}."
            drawn.append(_picture(name, figures.quantisation(row.encoder, colour), alt))
    return drawn


def _trainings(methods: Sequence[Method], privacy_label: str, classes: int) -> list[Training]:
    trainings = []
    for method, (colour, _) in zip(methods, figures.styles(methods), strict=True):
        for row in method.rows:
            name = tables.row_name(row, method.rows)
            panels = [
                _picture(title, figure, f"{name}: {title.lower()}, over {len(row.curves)} epochs.")
                for title, figure in figures.curve_panels(row, privacy_label, classes, colour)
            ]
            if panels:
                trainings.append(Training(name, panels))
    return trainings


def _media(runs: Sequence[Run]) -> list[Medium]:
    return [medium for run in runs for medium in media(run.result.media, run.folder)]


def _duration(seconds: float) -> str:
    """Return a time for people: `42 s`, `9 min 12 s`, `3 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _render(sections: list[dict[str, Any]]) -> str:
    # Every text of a result is a stranger's: autoescape, and the page's policy forbids scripts
    # and any address but data:.
    environment = Environment(
        loader=PackageLoader("motionveil.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    environment.filters["duration"] = _duration
    environment.filters["pretty"] = lambda value: json.dumps(
        value, indent=2, ensure_ascii=False, default=str
    )
    style = resources.files("motionveil.report").joinpath("style.css").read_text(encoding="utf-8")
    names = " and ".join(dict.fromkeys(section["data"].name for section in sections))
    return environment.get_template("template.html").render(
        sections=sections, style=style, names=names, version=__version__
    )
