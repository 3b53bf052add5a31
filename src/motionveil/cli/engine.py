"""Running cells: what commands that start many runs share."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from motionveil.cli.dry_run import duration
from motionveil.cli.options import count_from
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.experiments.sweep.run import Engine, Outcome
    from motionveil.experiments.sweep.run import Progress as Standing

_LAST_LINES = 5
"""Lines of a failed cell's log that are shown."""


def add_engine_arguments(parser: argparse.ArgumentParser, *, cells: str) -> None:
    """Declare `--engine`, `--jobs`, `--address`, `--retry`; `cells` is what a cell is called."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine, or tasks of a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--jobs", type=count_from(1), metavar="N", help=f"{cells} at once, local only (default: 1)"
    )
    parser.add_argument(
        "--address", help="of the Ray cluster, or auto (default: one of this machine, for now)"
    )
    parser.add_argument("--retry", action="store_true", help=f"run failed {cells} again")


def refuse_contradictions(arguments: argparse.Namespace) -> None:
    """Raise an error where the arguments of the two engines are mixed."""
    if arguments.engine == "local" and arguments.address is not None:
        raise MotionveilError(f"--address {arguments.address}: it goes with --engine ray")
    if arguments.engine == "ray" and arguments.jobs is not None:
        raise MotionveilError(
            f"--jobs {arguments.jobs}: it goes with --engine local; on Ray the cores and GPUs"
            " that each run asks for say how many there is room for"
        )


def engine_of(arguments: argparse.Namespace, *, cpus: int = 1, gpus: float = 0.0) -> Engine:
    """Return the engine that the arguments name.

    Args:
        arguments: The command's.
        cpus, gpus: What a cell asks a Ray cluster for.
    """
    if arguments.engine == "ray":
        from motionveil.experiments.sweep.ray_engine import RayEngine

        return RayEngine(arguments.address, cpus=cpus, gpus=gpus)
    from motionveil.experiments.sweep.local import LocalEngine

    return LocalEngine(arguments.jobs or 1)


def threads_of(arguments: argparse.Namespace, cpus: int | None = None) -> str:
    """Return OMP_NUM_THREADS of a cell: the user's, `cpus`, or a share of this machine."""
    own = os.environ.get("OMP_NUM_THREADS")
    if own:
        return own
    if cpus is not None:
        return str(cpus)
    if arguments.engine == "ray":
        return "1"
    return str(max(1, (os.cpu_count() or 1) // (arguments.jobs or 1)))


@contextlib.contextmanager
def telling() -> Iterator[Callable[[Standing], None]]:
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


def show_failures(failed: Sequence[Outcome]) -> None:
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
        print("\n--retry runs what has failed again", file=sys.stderr)


def _last_lines(log: Path) -> list[str]:
    """Return the end of a log; of progress that was written over itself, the last state."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ["(there is no log)"]
    return [line for line in lines if line.strip()][-_LAST_LINES:]
