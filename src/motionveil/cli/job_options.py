"""Options and output of the commands that run many jobs."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from motionveil.cli.dry_run import duration
from motionveil.cli.options import count_from
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.experiments.sweep.run import Engine, Recorded, SweepProgress

_LAST_LINES = 5
"""Lines of a failed run's log that are shown."""


def add_job_arguments(parser: argparse.ArgumentParser, *, jobs: str) -> None:
    """Declare `--engine`, `--jobs`, `--address`, `--retry`; `jobs` is what the jobs are called."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes on this machine, or tasks on a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--jobs",
        type=count_from(1),
        metavar="N",
        help=f"number of parallel {jobs}, local only (default: 1)",
    )
    parser.add_argument(
        "--address",
        help="address of the Ray cluster, or auto (default: a temporary cluster on this machine)",
    )
    parser.add_argument("--retry", action="store_true", help=f"run failed {jobs} again")


def refuse_contradictions(arguments: argparse.Namespace) -> None:
    """Raise an error where the arguments of the two engines are mixed."""
    if arguments.engine == "local" and arguments.address is not None:
        raise MotionveilError(f"--address {arguments.address}: it goes with --engine ray")
    if arguments.engine == "ray" and arguments.jobs is not None:
        raise MotionveilError(
            f"--jobs {arguments.jobs}: it goes with --engine local; on Ray the cores and GPUs"
            " of each run decide how many run in parallel"
        )


def engine_of(arguments: argparse.Namespace, *, cpus: int = 1, gpus: float = 0.0) -> Engine:
    """Return the engine that the arguments name; `cpus` and `gpus` are what a run asks of Ray."""
    if arguments.engine == "ray":
        from motionveil.experiments.sweep.run import ray_engine

        return ray_engine(arguments.address, cpus=cpus, gpus=gpus)
    from motionveil.experiments.sweep.run import local_engine

    return local_engine(arguments.jobs or 1)


def threads_of(arguments: argparse.Namespace, cpus: int | None = None) -> str:
    """Return OMP_NUM_THREADS of a run: the user's, `cpus`, or a share of this machine."""
    own = os.environ.get("OMP_NUM_THREADS")
    if own:
        return own
    if cpus is not None:
        return str(cpus)
    if arguments.engine == "ray":
        return "1"
    from motionveil.api import threads_each

    return str(threads_each(arguments.jobs or 1))


@contextlib.contextmanager
def show_progress() -> Iterator[Callable[[SweepProgress], None]]:
    """Yield a callback that shows a sweep's progress: a bar, or lines if stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(progress: SweepProgress) -> None:
            ended = progress.done + progress.failed
            bar.update(task, total=progress.total, completed=ended, description=_line(progress))

        yield show


class _Lines:
    """Prints a line when something begins and whenever a run has ended."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def __call__(self, progress: SweepProgress) -> None:
        now = (progress.done, progress.failed)
        if (progress.running or sum(now)) and now != self._last:
            print(_line(progress), file=sys.stderr, flush=True)
            self._last = now


def _line(progress: SweepProgress) -> str:
    left = progress.seconds_left
    return str(progress) + (f" ({duration(left)} left)" if left else "")


def show_failures(recorded: Recorded) -> int:
    """Print why runs failed, where their logs are and how these end; return how many failed."""
    from motionveil.experiments.sweep.run_job import last_lines

    failed = [(run, record) for run, record in recorded if record.status == "failed"]
    for run, record in failed:
        status = (record.value or {}).get("exit_status")
        why = record.reason if status is None else f"exit status {status}"
        print(f"\nfailed: {run.name}: {why}, see {run.log}", file=sys.stderr)
        for line in last_lines(run.log, _LAST_LINES) or ["(there is no log)"]:
            print(f"    {line}", file=sys.stderr)
    if failed:
        print("\n--retry runs what has failed again", file=sys.stderr)
    return len(failed)
