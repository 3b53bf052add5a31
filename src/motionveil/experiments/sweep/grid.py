"""A grid of runs from a YAML file, and the reports of its groups."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from motionveil.errors import MotionveilError, describe_faults, no_such
from motionveil.experiments.sweep.run_job import SweepRun
from motionveil.report import write_joint_report
from motionveil.report.aggregate import StoredResult
from motionveil.yaml_file import read_yaml

REPEATS = frozenset({"--seed", "--seeds", "--split", "--label", "--alpha", "--alphas"})
"""Axes along which the same question is asked again; a report pools them or keeps them apart."""

Method = tuple[str, float | None]
"""What a report takes for one method: its name and its alpha."""

SET = "--set "
"""How the name of an axis begins that sets a field of the recipe: `--set adversarial.lr`."""

OWN = ("--out", "--resume", "--dry-run")
"""Options that a sweep sets itself, or that would leave a run without a result."""

_LONGEST = 120
"""Characters of a run's folder name; file systems take 255 bytes."""

Value = str | list[str]
"""As it is written: 007 is no 7, and `no` is no false."""

Chosen = Mapping[str, Any]
"""A value for each axis."""


class Grid(BaseModel):
    """What `grid.yaml` holds.

    Attributes:
        command: A command of motionveil that takes `--out`, such as `tradeoff`.
        arguments: Its fixed words; `{NAME}` stands for a value of the axis NAME.
        axes: The values to go through, by what they are given to: an option (`--seed`), a field of
            the recipe (`--set adversarial.lr`), or a `{NAME}` of the arguments (`encoder`). A list
            as a value is several words after the option: `--alphas: [[0, 2]]`.
        exclude: Combinations to leave out; each names values of some axes.
        cpus: Cores of a run, and its threads; None for one on Ray, and for an equal share of the
            machine otherwise.
        gpus: GPUs of a run on Ray: a fraction, or a whole number.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )

    command: str
    arguments: tuple[str, ...] = ()
    axes: dict[str, list[Value]] = Field(min_length=1)
    exclude: tuple[dict[str, Value], ...] = ()
    cpus: int | None = Field(default=None, ge=1)
    gpus: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> Grid:
        refuse_own(self.arguments)
        for axis, values in self.axes.items():
            _check_axis(axis, values, self.arguments)
        for chosen in self.exclude:
            self._check_excluded(chosen)
        if self.gpus > 1 and not self.gpus.is_integer():
            raise ValueError(f"gpus: {self.gpus:g}: over 1 only whole GPUs can be given")
        return self

    def _check_excluded(self, chosen: Chosen) -> None:
        for axis, value in chosen.items():
            if axis not in self.axes:
                raise ValueError(f"exclude: {no_such('axis', axis, self.axes)}")
            texts = [as_text(known) for known in self.axes[axis]]
            if as_text(value) not in texts:
                raise ValueError(
                    f"exclude: {axis}: {as_text(value)} is not one of {', '.join(texts)}"
                )

    def runs(self, out: Path) -> list[SweepRun]:
        """Return the runs, the last axis changing fastest, each with its folder below `out`.

        Raises:
            MotionveilError: Every combination is excluded.
        """
        runs = [self._run(chosen, out) for chosen in self._combinations()]
        if not runs:
            raise MotionveilError("exclude: it leaves no combination to run")
        return runs

    def _combinations(self) -> Iterator[Chosen]:
        for values in itertools.product(*self.axes.values()):
            chosen = dict(zip(self.axes, values, strict=True))
            if not any(_matches(chosen, excluded) for excluded in self.exclude):
                yield chosen

    def _run(self, chosen: Chosen, out: Path) -> SweepRun:
        words = [self.command, *self.arguments]
        for axis, value in chosen.items():
            if _is_placeholder(axis):
                words = [word.replace(f"{{{axis}}}", as_text(value)) for word in words]
        for axis, value in chosen.items():
            words += _option(axis, value)
        values = {axis: as_text(value) for axis, value in chosen.items()}
        return SweepRun(out / _folder_name(chosen), tuple(words), values)


def read_grid(path: str | os.PathLike[str], commands: Collection[str]) -> Grid:
    """Read and check a grid.

    Raises:
        MotionveilError: The file cannot be read, a field is wrong, or there is no such command;
            names the file, the field and, for an unknown one, those that there are.
    """
    file = Path(path)
    values = read_yaml(file, "the grid", as_written=True)
    if not isinstance(values, dict):
        raise MotionveilError(f"{file}: a grid is a list of `field: value` lines")
    try:
        grid = Grid.model_validate(values)
    except ValidationError as error:
        # A value may be of two types, and its name ends in the type that it is not.
        told = describe_faults(
            error.errors(), partial(no_such, "field", known=Grid.model_fields), depth=2
        )
        raise MotionveilError(f"{file}: {told}") from error
    if grid.command not in commands:
        raise MotionveilError(f"{file}: command: {no_such('command', grid.command, commands)}")
    return grid


def refuse_own(words: Collection[str]) -> None:
    """Raise a ValueError when words hold an option that the sweep gives itself."""
    for word in words:
        option = word.partition("=")[0]
        if option in OWN:
            raise ValueError(f"{option} cannot stand in a grid: every run has a folder of its own")


def as_text(value: Value) -> str:
    """Return a value as one word: lists joined by `+`."""
    return value if isinstance(value, str) else "+".join(value)


def _check_axis(axis: str, values: list[Value], words: Collection[str]) -> None:
    if not values:
        raise ValueError(f"axes: {axis}: no values; an axis needs one or more")
    texts = [as_text(value) for value in values]
    twice = [text for text in texts if texts.count(text) > 1]
    if twice:
        raise ValueError(f"axes: {axis}: {twice[0]} stands there twice")
    refuse_own([axis])
    if not _is_placeholder(axis):
        return
    if not any(f"{{{axis}}}" in word for word in words):
        raise ValueError(
            f"axes: {axis}: neither an option, such as --{axis}, nor a {{{axis}}} of the arguments"
        )


def _is_placeholder(axis: str) -> bool:
    return not axis.startswith("-")


def _matches(chosen: Chosen, excluded: Chosen) -> bool:
    return all(as_text(chosen[axis]) == as_text(value) for axis, value in excluded.items())


def _option(axis: str, value: Value) -> list[str]:
    """Return the words that give a value to its option; none for a placeholder."""
    if _is_placeholder(axis):
        return []
    if axis.startswith(SET):
        # What `--set` reads is YAML.
        written = value if isinstance(value, str) else f"[{', '.join(value)}]"
        return ["--set", f"{axis.removeprefix(SET).strip()}={written}"]
    values = value if isinstance(value, list) else [value]
    return [axis, *values]


def _folder_name(chosen: Chosen) -> str:
    """Return a name that can be read and typed; a hash keeps apart what would not differ."""
    name = ",".join(
        f"{axis.removeprefix(SET).strip().lstrip('-')}={as_text(value)}"
        for axis, value in chosen.items()
    )
    safe = re.sub(r"[^A-Za-z0-9._=+,@-]", "-", name)
    if safe == name and len(name) <= _LONGEST:
        return name
    return f"{safe[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


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
    runs: list[StoredResult] = field(default_factory=list)


def write_pages(runs: Sequence[SweepRun], out: Path) -> list[tuple[Path, str]]:
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


def pages_of(runs: Sequence[SweepRun]) -> list[Page]:
    """Put each run's result on the first page where it can stand; see `write_pages`."""
    pages: list[Page] = []
    for run in runs:
        if not (run.folder / "results.json").exists():
            continue
        stored = StoredResult.read(run.folder)
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


def _setting(run: SweepRun) -> str:
    return ", ".join(
        f"{axis.removeprefix(SET)}={value}"
        for axis, value in run.values.items()
        if axis not in REPEATS
    )


def _remove_old(out: Path) -> None:
    """Remove the reports of an earlier sweep, which may have been more or fewer."""
    for file in out.glob("report*.html"):
        if re.fullmatch(r"report(-\d+)?\.html", file.name):
            file.unlink(missing_ok=True)
