"""Running a sweep: every cell once, whichever engine runs them and however often it is started."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

from motionveil.data.remarks import remark
from motionveil.experiments.sweep.attempt import Task
from motionveil.experiments.sweep.cells import Cell, Record, read_record, standing
from motionveil.files import write_text_atomically

SUMMARY = "sweep.json"
_TICK = 0.5
"""Seconds between two looks at what ended."""

_NEWS = 2.0
"""Seconds between two looks at what runs: it reads a file a cell, on a shared disk perhaps."""


class Engine(Protocol):
    """What runs cells: `LocalEngine`, `RayEngine`. Leaving it stops what still runs."""

    def __enter__(self) -> Engine: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def submit(self, task: Task) -> None:
        """Run a cell as soon as there is room."""

    def ended(self, patience: float) -> list[tuple[Task, Record | None]]:
        """Return what ended within so many seconds; None for what another process holds."""


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes:
        total, done, failed, running: Numbers of cells.
        seconds_left: What the rest will take, as long as the cells done so far; None before.
    """

    total: int
    done: int
    failed: int
    running: int
    seconds_left: float | None

    def __str__(self) -> str:
        text = f"{self.done} of {self.total} done"
        text += f", {self.failed} failed" if self.failed else ""
        return text + (f", {self.running} running" if self.running else "")


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        cell: The cell.
        status: See `standing`.
        record: Its record; None where there is none that can be read.
    """

    cell: Cell
    status: str
    record: Record | None


def run_sweep(
    cells: Sequence[Cell],
    out: Path,
    engine: Engine,
    *,
    threads: str = "1",
    retry: bool = False,
    program: Sequence[str] | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> list[Outcome]:
    """Run all cells that are not done, and write `out/sweep.json`.

    A cell that another sweep is running is waited for, not run. So several sweeps of the same
    grid in the same folder, on one machine or several, share the work.

    Args:
        cells: The cells, as `Grid.cells` returns them.
        out: Folder of the sweep.
        engine: What runs them.
        threads: OMP_NUM_THREADS of each.
        retry: Run cells again that had failed before this sweep.
        program: What runs a cell's words and `--out FOLDER`, such as `[python, script]`; None for
            motionveil.
        progress: Called again and again.

    Returns:
        What became of each cell, in their order. A failed cell raises nothing.

    Raises:
        MotionveilError: A folder cannot be written, or holds a cell with other words; then
            nothing of it is changed.
        KeyboardInterrupt: The cells that ran are stopped, and go on in a later sweep.

    Example:
        >>> grid = read_grid("grid.yaml", ["tradeoff"])  # doctest: +SKIP
        >>> run_sweep(grid.cells(out), out, LocalEngine(jobs=2))  # doctest: +SKIP
    """
    before = {cell.name: read_record(cell) for cell in cells}  # first: may raise
    for cell in cells:
        if before[cell.name] is None and cell.file.exists():
            remark(f"{cell.file}: cannot be read; the cell is run again")
    tasks = []
    for cell in cells:
        record = before[cell.name]
        failed = record is not None and record.status == "failed"
        if (record is not None and record.status == "done") or (failed and not retry):
            continue
        tasks.append(
            Task(
                cell=replace(cell, folder=cell.folder.absolute()),
                threads=threads,
                here=str(Path.cwd()),
                tried=record.attempts if record is not None and failed else 0,
                program=tuple(program) if program is not None else None,
            )
        )
    try:
        if tasks:
            _run_all(tasks, engine, _Watch(cells, before, tasks, progress))
    finally:
        outcomes = look(cells)
        _write_summary(out, outcomes)
    return outcomes


def look(cells: Sequence[Cell]) -> list[Outcome]:
    """Return how the cells stand, running nothing.

    Raises:
        MotionveilError: A folder holds a cell with other words.
    """
    return [Outcome(cell, standing(cell), read_record(cell)) for cell in cells]


class _Watch:
    """Counts how the cells stand, and tells."""

    def __init__(
        self,
        cells: Sequence[Cell],
        before: dict[str, Record | None],
        tasks: Sequence[Task],
        tell: Callable[[Progress], None],
    ) -> None:
        self._total = len(cells)
        self._left = {task.cell.name: task.cell for task in tasks}
        self._ended = [
            record
            for name, record in before.items()
            if record is not None and name not in self._left
        ]
        self._tell = tell
        self._told: tuple[int, float] | None = None
        self._at_once = 1

    def ended(self, task: Task, record: Record) -> None:
        """Count a cell."""
        del self._left[task.cell.name]
        self._ended.append(record)

    def tell(self) -> None:
        """Tell how far it is, when something ended, and from time to time."""
        news = (len(self._ended), time.monotonic() // _NEWS)
        if news == self._told:
            return
        self._told = news
        done = [record for record in self._ended if record.status == "done"]
        found = [read_record(cell) for cell in self._left.values()]
        running = sum(record is not None and record.status == "running" for record in found)
        self._at_once = max(self._at_once, running)  # between two cells one fewer runs
        left = None
        if done:
            seconds = sum(record.seconds for record in done) / len(done)
            left = seconds * len(self._left) / self._at_once
        failed = len(self._ended) - len(done)
        self._tell(Progress(self._total, len(done), failed, running, left))


def _run_all(tasks: Sequence[Task], engine: Engine, watch: _Watch) -> None:
    """Run tasks until each has ended; one that is held elsewhere is tried again."""
    with engine:
        for task in tasks:
            engine.submit(task)
        left = len(tasks)
        while left:
            watch.tell()
            held = []
            for task, record in engine.ended(_TICK):
                if record is None:
                    held.append(task)
                else:
                    left -= 1
                    watch.ended(task, record)
            if held:
                time.sleep(_TICK)  # or we would ask for nothing else than whether they are free
            for task in held:
                engine.submit(task)
        watch.tell()


def _write_summary(out: Path, outcomes: Sequence[Outcome]) -> None:
    cells = [
        {
            "name": outcome.cell.name,
            "values": dict(outcome.cell.values),
            "words": list(outcome.cell.words),
            "status": outcome.status,
            "exit_status": outcome.record.exit_status if outcome.record else None,
            "seconds": outcome.record.seconds if outcome.record else 0.0,
            "attempts": outcome.record.attempts if outcome.record else 0,
        }
        for outcome in outcomes
    ]
    write_text_atomically(out / SUMMARY, json.dumps({"cells": cells}, indent=1) + "\n")
