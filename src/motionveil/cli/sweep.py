"""`motionveil sweep GRID`: run every cell of a grid, here or on a Ray cluster."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from motionveil.cli.dry_run import duration
from motionveil.cli.engine import (
    add_engine_arguments,
    engine_of,
    refuse_contradictions,
    show_failures,
    telling,
    threads_of,
)
from motionveil.cli.table import print_table
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.experiments.sweep.cells import Cell
    from motionveil.experiments.sweep.grid import Grid
    from motionveil.experiments.sweep.run import Outcome

EXAMPLES = """\
grid.yaml:
  command: tradeoff
  arguments: [ut/manifest.csv, --recipe, ut-interaction]
  axes:
    --seed: [0, 1, 2]
    --set game.lr: [0.001, 0.003]

examples:
  motionveil sweep grid.yaml --list
  motionveil sweep grid.yaml --jobs 2
  motionveil sweep grid.yaml --engine ray --address auto --out /shared/sweep

Each cell has a folder with its log and its result. Cells that are done are skipped, so a stopped
sweep goes on when it is started again; --retry runs failed cells again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("grid", type=Path, metavar="GRID", help="grid.yaml, see below")
    parser.add_argument(
        "--out", type=Path, help="folder of the cells (default: runs/ and the grid's name)"
    )
    add_engine_arguments(parser, cells="cells")
    parser.add_argument(
        "--list", action="store_true", help="print the cells and how they stand; run nothing"
    )
    parser.epilog = EXAMPLES


def run(arguments: argparse.Namespace) -> int:
    """Run the sweep, print its cells, show why some failed, write the reports."""
    from motionveil.capture.process import stopping
    from motionveil.experiments.sweep.run import SUMMARY, look, run_sweep

    refuse_contradictions(arguments)
    grid, cells, out = _plan(arguments)
    if arguments.list:
        _print_cells(look(cells))
        return 0
    engine = engine_of(arguments, cpus=grid.cpus or 1, gpus=grid.gpus)
    # SIGTERM is what clusters and service managers send: it stops the cells as Ctrl-C does.
    with stopping(Event(), at_once=True), telling() as tell:
        outcomes = run_sweep(
            cells,
            out,
            engine,
            threads=threads_of(arguments, grid.cpus),
            retry=arguments.retry,
            progress=tell,
        )
    _print_cells(outcomes)
    print(f"wrote {out / SUMMARY}")
    _report([o.cell for o in outcomes if o.status == "done"], out)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    show_failures(failed)
    return 1 if failed else 0


def _plan(arguments: argparse.Namespace) -> tuple[Grid, list[Cell], Path]:
    """Return the grid, its cells and their folder.

    Raises:
        MotionveilError: The grid is wrong, or a cell is no command line that its command takes.
    """
    from motionveil.cli import COMMANDS
    from motionveil.experiments.sweep.grid import read_grid

    grid = read_grid(arguments.grid, [name for name in COMMANDS if name != "sweep"])
    out = arguments.out or Path("runs") / arguments.grid.stem
    try:
        cells = grid.cells(out)
    except MotionveilError as error:
        raise MotionveilError(f"{arguments.grid}: {error}") from error
    for cell in cells:
        _check_words(cell, arguments.grid)
    return grid, cells, out


def _check_words(cell: Cell, grid: Path) -> None:
    """Read a cell's words as its command will, so that a slip is found before anything runs."""
    name, *words = cell.words
    parser = argparse.ArgumentParser(prog=f"motionveil {name}", allow_abbrev=False)
    import_module(f"motionveil.cli.{name}").add_arguments(parser)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
            parser.parse_args([*words, "--out", str(cell.folder)])
    except SystemExit as error:
        said = complaint.getvalue().strip().splitlines()[-1:] or ["asks for help"]
        raise MotionveilError(f"{grid}: cell {cell.name}: {said[0]}") from error


def _print_cells(outcomes: Sequence[Outcome]) -> None:
    """Print a line a cell."""
    rows = []
    for outcome in outcomes:
        record = outcome.record
        told = (duration(record.seconds), str(record.attempts)) if record else ("", "")
        rows.append((outcome.cell.name, outcome.status, *told))
    print_table(("cell", "status", "time", "attempts"), rows, width=200)


def _report(done: Sequence[Cell], out: Path) -> None:
    """Write the reports of what left results."""
    if not any((cell.folder / "results.json").exists() for cell in done):
        return
    from motionveil.experiments.sweep.pages import write_pages

    for page, settings in write_pages(done, out):
        print(f"wrote {page}{f' ({settings})' if settings else ''}")
