"""The reports of a sweep: runs that differ only in seed or fold are pooled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionveil.experiments.sweep.run_job import Run
from motionveil.report import write_joint_report
from motionveil.report.pooling import Run as ReportRun
from motionveil.results import Result

REPEATS = frozenset({"--seed", "--seeds", "--split", "--label", "--alpha", "--alphas"})
"""Axes along which the same question is asked again; a report pools them or keeps them apart."""

Method = tuple[str, float | None]
"""What a report takes for one method: its name and its alpha."""


@dataclass
class Page:
    """The runs of one report.

    Attributes:
        recipe: The recipe of all, without alpha.
        settings: The setting that each method was measured under, so that none has two.
        runs: Their results.
    """

    recipe: dict[str, Any]
    settings: dict[Method, str] = field(default_factory=dict)
    runs: list[ReportRun] = field(default_factory=list)


def write_pages(runs: Sequence[Run], out: Path) -> list[tuple[Path, str]]:
    """Write a report of all runs that left a result, or several where they must not be pooled.

    A report pools the rows of one method and alpha. That is right for seeds and folds and wrong
    for two settings of a recipe, or two encoders of one method: those get a page each.

    Args:
        runs: The runs that are done, in the order of the grid.
        out: Where the pages go: `report.html`, or `report-1.html` and so on.

    Returns:
        Each page, with the settings that it is of; none where no run left a result.

    Raises:
        MotionveilError: A result cannot be read, or contradicts itself.
    """
    pages = pages_of(runs)
    _remove_old(out)
    written = []
    for number, page in enumerate(pages, 1):
        name = "report.html" if len(pages) == 1 else f"report-{number}.html"
        settings = "; ".join(dict.fromkeys(filter(None, page.settings.values())))
        written.append((write_joint_report(page.runs, out / name), settings))
    return written


def pages_of(runs: Sequence[Run]) -> list[Page]:
    """Put each run's result on the first page where it can stand; see `write_pages`."""
    pages: list[Page] = []
    for run in runs:
        if not (run.folder / "results.json").exists():
            continue
        stored = ReportRun(Result.read(run.folder), run.folder)
        recipe = {name: value for name, value in stored.result.recipe.items() if name != "alpha"}
        setting = _setting(run)
        methods: list[Method] = [(row.method, row.alpha) for row in stored.result.rows]
        page = next((p for p in pages if _fits(p, recipe, setting, methods)), None)
        if page is None:
            page = Page(recipe)
            pages.append(page)
        page.settings.update(dict.fromkeys(methods, setting))
        page.runs.append(stored)
    return pages


def _fits(page: Page, recipe: dict[str, Any], setting: str, methods: list[Method]) -> bool:
    same = all(page.settings.get(method, setting) == setting for method in methods)
    return same and page.recipe == recipe


def _setting(run: Run) -> str:
    return ", ".join(
        f"{axis.removeprefix('--set ')}={value}"
        for axis, value in run.values.items()
        if axis not in REPEATS
    )


def _remove_old(out: Path) -> None:
    """Remove the reports of an earlier sweep, which may have been more or fewer."""
    for file in out.glob("report*.html"):
        if re.fullmatch(r"report(-\d+)?\.html", file.name):
            file.unlink(missing_ok=True)
