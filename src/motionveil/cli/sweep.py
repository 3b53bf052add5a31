"""`motionveil sweep GRID`: run a command over a grid of values, here or on a Ray cluster."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from motionveil.cli.console import print_table
from motionveil.cli.options import (
    add_job_arguments,
    duration,
    engine_of,
    refuse_contradictions,
    show_failures,
    show_progress,
    threads_of,
)
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.experiments.sweep.grid import Grid
    from motionveil.experiments.sweep.run import Recorded
    from motionveil.experiments.sweep.run_job import SweepRun

EXAMPLES = """\
grid.yaml:
  command: tradeoff
  arguments: [ut/manifest.csv, --recipe, ut-interaction]
  axes:
    --seed: [0, 1, 2]
    --set adversarial.lr: [0.001, 0.003]

examples:
  motionveil sweep grid.yaml --list
  motionveil sweep grid.yaml --jobs 2
  motionveil sweep grid.yaml --engine ray --address auto --out /shared/sweep

Each run has a folder with its log and its result. Finished runs are skipped, so an interrupted
sweep resumes when it is started again; --retry runs failed ones again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("grid", type=Path, metavar="GRID", help="grid.yaml, see below")
    parser.add_argument(
        "--out", type=Path, help="folder of the runs (default: runs/ and the grid's name)"
    )
    add_job_arguments(parser, jobs="runs")
    parser.add_argument(
        "--list", action="store_true", help="print the runs and their status; run nothing"
    )
    parser.epilog = EXAMPLES


def run(arguments: argparse.Namespace) -> int:
    """Run the sweep, print its runs and why some failed, write the reports."""
    from motionveil.experiments.sweep.run import SUMMARY, read_records, run_sweep
    from motionveil.process_hardening import stopping

    refuse_contradictions(arguments)
    grid, runs, out = _plan(arguments)
    if arguments.list:
        _print_runs(read_records(runs))
        return 0
    engine = engine_of(arguments, cpus=grid.cpus or 1, gpus=grid.gpus)
    # SIGTERM is what clusters and service managers send: it stops the runs as Ctrl-C does.
    with stopping(Event(), at_once=True), show_progress() as progress:
        recorded = run_sweep(
            runs,
            out,
            engine,
            threads=threads_of(arguments, grid.cpus),
            retry=arguments.retry,
            progress=progress,
        )
    _print_runs(recorded)
    print(f"wrote {out / SUMMARY}")
    _report([run for run, record in recorded if record.status == "done"], out)
    return 1 if show_failures(recorded) else 0


def _plan(arguments: argparse.Namespace) -> tuple[Grid, list[SweepRun], Path]:
    """Return the grid, its runs and their folder.

    Raises:
        MotionveilError: The grid is wrong, or its command does not accept the arguments of a run.
    """
    from motionveil.cli import COMMANDS
    from motionveil.experiments.sweep.grid import read_grid

    grid = read_grid(arguments.grid, [name for name in COMMANDS if name != "sweep"])
    out = arguments.out or Path("runs") / arguments.grid.stem
    try:
        runs = grid.runs(out)
    except MotionveilError as error:
        raise MotionveilError(f"{arguments.grid}: {error}") from error
    for run in runs:
        _check_words(run, arguments.grid)
    return grid, runs, out


def _check_words(run: SweepRun, grid: Path) -> None:
    """Parse a run's arguments as its command will, before anything runs."""
    name, *words = run.words
    parser = argparse.ArgumentParser(prog=f"motionveil {name}", allow_abbrev=False)
    import_module(f"motionveil.cli.{name}").add_arguments(parser)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
            parser.parse_args([*words, "--out", str(run.folder)])
    except SystemExit as error:
        said = complaint.getvalue().strip().splitlines()[-1:] or ["asks for help"]
        raise MotionveilError(f"{grid}: run {run.name}: {said[0]}") from error


def _print_runs(recorded: Recorded) -> None:
    rows = []
    for run, record in recorded:
        attempts = (duration(record.seconds), str(record.attempts)) if record.attempts else ("", "")
        rows.append((run.name, record.status, *attempts))
    print_table(("run", "status", "time", "attempts"), rows, width=200)


def _report(done: Sequence[SweepRun], out: Path) -> None:
    """Write the reports of what left results."""
    if not any((run.folder / "results.json").exists() for run in done):
        return
    from motionveil.experiments.sweep.grid import write_pages

    for page, settings in write_pages(done, out):
        print(f"wrote {page}{f' ({settings})' if settings else ''}")
