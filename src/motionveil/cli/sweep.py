"""`motionveil sweep GRID`: run every cell of a grid, here or on a Ray cluster."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from motionveil.cli.dry_run import duration
from motionveil.cli.options import count_from
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.experiments.sweep.cells import Cell
    from motionveil.experiments.sweep.grid import Grid
    from motionveil.experiments.sweep.run import Engine, Outcome
    from motionveil.experiments.sweep.run import Progress as Standing

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

_LAST_LINES = 5
"""Lines of a failed cell's log that are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("grid", type=Path, metavar="GRID", help="grid.yaml, see below")
    parser.add_argument(
        "--out", type=Path, help="folder of the cells (default: runs/ and the grid's name)"
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine, or tasks of a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--jobs", type=count_from(1), metavar="N", help="cells at once, local only (default: 1)"
    )
    parser.add_argument(
        "--address", help="of the Ray cluster, or auto (default: one of this machine, for now)"
    )
    parser.add_argument("--retry", action="store_true", help="run failed cells again")
    parser.add_argument(
        "--list", action="store_true", help="print the cells and how they stand; run nothing"
    )
    parser.epilog = EXAMPLES


def run(arguments: argparse.Namespace) -> int:
    """Run the sweep, print its cells, show why some failed, write the reports."""
    from motionveil.capture.process import stopping
    from motionveil.experiments.sweep.run import SUMMARY, look, run_sweep

    _refuse_contradictions(arguments)
    grid, cells, out = _plan(arguments)
    if arguments.list:
        _print_cells(look(cells))
        return 0
    engine = _engine(arguments, grid)
    # SIGTERM is what clusters and service managers send: it stops the cells as Ctrl-C does.
    with stopping(Event(), at_once=True), _telling() as tell:
        outcomes = run_sweep(
            cells,
            out,
            engine,
            threads=_threads(arguments, grid),
            retry=arguments.retry,
            progress=tell,
        )
    _print_cells(outcomes)
    print(f"wrote {out / SUMMARY}")
    _report([o.cell for o in outcomes if o.status == "done"], out)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    _show_failures(failed)
    return 1 if failed else 0


def _refuse_contradictions(arguments: argparse.Namespace) -> None:
    if arguments.engine == "local" and arguments.address is not None:
        raise MotionveilError(f"--address {arguments.address}: it goes with --engine ray")
    if arguments.engine == "ray" and arguments.jobs is not None:
        raise MotionveilError(
            f"--jobs {arguments.jobs}: it goes with --engine local; on Ray the grid's cpus and"
            " gpus say how many cells there is room for"
        )


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


def _engine(arguments: argparse.Namespace, grid: Grid) -> Engine:
    if arguments.engine == "ray":
        from motionveil.experiments.sweep.ray_engine import RayEngine

        return RayEngine(arguments.address, cpus=grid.cpus or 1, gpus=grid.gpus)
    from motionveil.experiments.sweep.local import LocalEngine

    return LocalEngine(arguments.jobs or 1)


def _threads(arguments: argparse.Namespace, grid: Grid) -> str:
    """Return OMP_NUM_THREADS of a cell: the user's, the grid's, or a share of this machine."""
    own = os.environ.get("OMP_NUM_THREADS")
    if own:
        return own
    if grid.cpus is not None:
        return str(grid.cpus)
    if arguments.engine == "ray":
        return "1"
    return str(max(1, (os.cpu_count() or 1) // (arguments.jobs or 1)))


@contextlib.contextmanager
def _telling() -> Iterator[Callable[[Standing], None]]:
    """Yield what tells on stderr how far a sweep is: a bar, or lines where that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(standing: Standing) -> None:
            ended = standing.done + standing.failed
            bar.update(task, total=standing.total, completed=ended, description=_line(standing))

        yield tell


class _Lines:
    """Prints a line when something begins and whenever a cell has ended."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def __call__(self, standing: Standing) -> None:
        now = (standing.done, standing.failed)
        begun = standing.running or sum(now)
        if begun and now != self._last:
            print(_line(standing), file=sys.stderr, flush=True)
            self._last = now


def _line(standing: Standing) -> str:
    left = standing.seconds_left
    return str(standing) + (f" ({duration(left)} left)" if left else "")


def _print_cells(outcomes: Sequence[Outcome]) -> None:
    """Print a line a cell."""
    table = Table(box=None, pad_edge=False)
    for heading in ("cell", "status", "time", "attempts"):
        table.add_column(heading, no_wrap=True)
    for outcome in outcomes:
        record = outcome.record
        told = (duration(record.seconds), str(record.attempts)) if record else ("", "")
        table.add_row(outcome.cell.name, outcome.status, *told)
    console = Console(width=None if Console().is_terminal else 200)
    console.print(table, highlight=False)


def _report(done: Sequence[Cell], out: Path) -> None:
    """Write the reports of what left results."""
    if not any((cell.folder / "results.json").exists() for cell in done):
        return
    from motionveil.experiments.sweep.pages import write_pages

    for page, settings in write_pages(done, out):
        print(f"wrote {page}{f' ({settings})' if settings else ''}")


def _show_failures(failed: Sequence[Outcome]) -> None:
    """Say where each failed cell's log is and how it ends."""
    for outcome in failed:
        record = outcome.record
        why = f"exit status {record.exit_status}" if record is not None else "unknown"
        if record is not None and record.fault:
            why = record.fault
        print(f"\nfailed: {outcome.cell.name}: {why}, see {outcome.cell.log}", file=sys.stderr)
        for line in _last_lines(outcome.cell.log):
            print(f"    {line}", file=sys.stderr)
    if failed:
        print("\n--retry runs failed cells again", file=sys.stderr)


def _last_lines(log: Path) -> list[str]:
    """Return the end of a log; of progress that was written over itself, the last state."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ["(there is no log)"]
    return [line for line in lines if line.strip()][-_LAST_LINES:]
