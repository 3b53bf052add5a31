"""Carries out a sweep: runs in this process, in several, or on a Ray cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from motionveil.atomic_write import write_text_atomically
from motionveil.datasets.console import warn
from motionveil.errors import MotionveilError
from motionveil.evaluation.executors import address_of, import_ray, ray_session
from motionveil.experiments.sweep.run_job import SweepRun, Task, give_up, run_job
from motionveil.job_store import Record

RESTARTS = 3
"""How often Ray starts a task again whose worker died."""

_GRACE = 30.0
"""Seconds that runs have to stop."""

SUMMARY = "sweep.json"
_TICK = 0.5
"""Seconds between two looks at what ended."""

_NEWS = 2.0
"""Seconds between two looks at what runs: it reads one file per run, perhaps on a shared disk."""

Submit = Callable[[Task], Future[Record | None]]
Engine = AbstractContextManager[Submit]
"""Starts tasks as soon as there is room for them; leaving it stops those that run."""

Recorded = list[tuple[SweepRun, Record]]
"""Runs, each with its record."""


class SweepProgress(NamedTuple):
    """How far a sweep is.

    Attributes:
        total, done, failed, running: Numbers of runs.
        seconds_left: Estimate from the runs done so far; None before the first.
    """

    total: int
    done: int
    failed: int
    running: int
    seconds_left: float | None = None

    def __str__(self) -> str:
        text = f"{self.done} of {self.total} done"
        text += f", {self.failed} failed" if self.failed else ""
        return text + (f", {self.running} running" if self.running else "")


@contextmanager
def local_engine(jobs: int = 1) -> Iterator[Submit]:
    """Run tasks on this machine, `jobs` at a time; one thread waits for each process."""
    stop = Event()
    pool = ThreadPoolExecutor(jobs)
    try:
        yield lambda task: pool.submit(run_job, task, stop)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def run_sweep(
    runs: Sequence[SweepRun],
    out: Path,
    engine: Engine,
    *,
    threads: str = "1",
    retry: bool = False,
    program: Sequence[str] | None = None,
    progress: Callable[[SweepProgress], None] = lambda progress: None,
) -> Recorded:
    """Carry out all runs that are not done, and write `out/sweep.json`.

    A run that another sweep holds is waited for. Several sweeps of one grid in one folder, on one
    machine or several, therefore share the work.

    Args:
        runs: The runs, as `Grid.runs` returns them.
        engine: `local_engine(jobs)` or `ray_engine(address)`.
        threads: OMP_NUM_THREADS of each run.
        retry: Try runs again that failed in an earlier sweep.
        program: What runs the words and `--out FOLDER`, such as `[python, script]`; None for
            motionveil.
        progress: Called repeatedly.

    Returns:
        Each run with its record, in their order. A failed run raises nothing.

    Raises:
        MotionveilError: A folder cannot be written, or holds another run; then nothing is changed.
        KeyboardInterrupt: The current runs are stopped; a later sweep resumes them.

    Examples:
        >>> grid = read_grid("grid.yaml", ["tradeoff"])  # doctest: +SKIP
        >>> run_sweep(grid.runs(out), out, local_engine(jobs=2))  # doctest: +SKIP
    """
    before = read_records(runs)  # first: may raise
    tasks = []
    for run, record in before:
        if record.status == "damaged":
            warn(f"{run.job.file}: cannot be read; the job is run again")
        failed = record.status == "failed"
        if record.status != "done" and (retry or not failed):
            tasks.append(
                Task(
                    run=replace(run, folder=run.folder.absolute()),
                    threads=threads,
                    directory=str(Path.cwd()),
                    tried=record.attempts if failed else 0,
                    program=tuple(program) if program is not None else None,
                )
            )
    try:
        if tasks:
            _run_all(tasks, engine, _Monitor(runs, before, tasks, progress))
    finally:
        after = read_records(runs)
        _write_summary(out, after)
    return after


def read_records(runs: Sequence[SweepRun]) -> Recorded:
    """Return each run with its record; runs nothing.

    Raises:
        MotionveilError: A folder holds another run, or one of an earlier version.
    """
    for run in runs:
        if (run.folder / "cell.json").exists() and not run.job.file.exists():
            raise MotionveilError(
                f"{run.folder}: holds a run of an earlier version of motionveil; choose another"
                " --out, or remove the folder"
            )
    return [(run, run.job.read()) for run in runs]


class _Monitor:
    """Counts the runs by status and reports progress."""

    def __init__(
        self,
        runs: Sequence[SweepRun],
        before: Recorded,
        tasks: Sequence[Task],
        report: Callable[[SweepProgress], None],
    ) -> None:
        self._total = len(runs)
        self._left = {task.run.name: task.run for task in tasks}
        self._ended = [record for run, record in before if run.name not in self._left]
        self._report = report
        self._reported: tuple[int, float] | None = None
        self._parallel = 1

    def ended(self, task: Task, record: Record) -> None:
        """Count a run."""
        del self._left[task.run.name]
        self._ended.append(record)

    def report(self) -> None:
        """Report progress when a run ended, and from time to time."""
        news = (len(self._ended), time.monotonic() // _NEWS)
        if news == self._reported:
            return
        self._reported = news
        done = [record for record in self._ended if record.status == "done"]
        running = sum(run.job.read().status == "running" for run in self._left.values())
        self._parallel = max(self._parallel, running)  # between two runs there is one fewer
        left = None
        if done:
            mean = sum(record.seconds for record in done) / len(done)
            left = mean * len(self._left) / self._parallel
        failed = len(self._ended) - len(done)
        self._report(SweepProgress(self._total, len(done), failed, running, left))


def _run_all(tasks: Sequence[Task], engine: Engine, monitor: _Monitor) -> None:
    """Carry out tasks until each has ended; one that is held elsewhere is tried again."""
    with engine as submit:
        running = {submit(task): task for task in tasks}
        while running:
            monitor.report()
            ended, _ = wait(running, _TICK, FIRST_COMPLETED)
            held = []
            for future in ended:
                task = running.pop(future)
                record = _record_of(future, task)
                if record is None:
                    held.append(task)
                else:
                    monitor.ended(task, record)
            if held:
                time.sleep(_TICK)  # else it would ask all the time whether they are free
                running |= {submit(task): task for task in held}
        monitor.report()


def _record_of(future: Future[Record | None], task: Task) -> Record | None:
    try:
        return future.result()
    except Exception as error:
        cause = getattr(error, "cause", error)  # Ray wraps what a task raised
        if isinstance(cause, MotionveilError):
            raise cause from error
        return give_up(task.run, f"{type(cause).__name__}: {str(cause).strip().splitlines()[0]}")


def _write_summary(out: Path, recorded: Recorded) -> None:
    runs = [
        {
            "name": run.name,
            "values": dict(run.values),
            "words": list(run.words),
            "status": record.status,
            "exit_status": (record.value or {}).get("exit_status"),
            "reason": record.reason,
            "seconds": record.seconds,
            "attempts": record.attempts,
        }
        for run, record in recorded
    ]
    write_text_atomically(out / SUMMARY, json.dumps({"runs": runs}, indent=1) + "\n")


@contextmanager
def ray_engine(address: str | None = None, *, cpus: int = 1, gpus: float = 0.0) -> Iterator[Submit]:
    """Run tasks on the workers of a Ray cluster, all of which see the sweep's folder.

    Args:
        address: As for `ray.init`; None for `RAY_ADDRESS`, or else a cluster of this machine that
            is not reachable from others and ends with the sweep.
        gpus: GPUs of a run, or a fraction of one.

    Raises:
        MotionveilError: Ray is not installed, the cluster cannot be reached, or a run asks for
            more than this machine has.
    """
    address = address_of(address)
    ray = import_ray()
    with ray_session(ray, address):
        if address is None:  # only a real cluster can grow
            _refuse_too_much(ray.cluster_resources(), CPU=cpus, GPU=gpus)
        remote = ray.remote(run_job).options(max_retries=RESTARTS, num_cpus=cpus, num_gpus=gpus)
        started: list[Any] = []

        def submit(task: Task) -> Future[Record | None]:
            started.append(remote.remote(task))
            future: Future[Record | None] = started[-1].future()
            return future

        try:
            yield submit
        finally:
            _stop(ray, started)


def _stop(ray: Any, started: list[Any]) -> None:
    """Cancel what has not ended, and give it time to stop."""
    _, left = ray.wait(started, num_returns=len(started), timeout=0) if started else ([], [])
    for reference in left:
        ray.cancel(reference)
    if left:
        ray.wait(left, num_returns=len(left), timeout=_GRACE)


def _refuse_too_much(available: dict[str, float], **wanted: float) -> None:
    """Raise an error when no run would ever start."""
    for name, number in wanted.items():
        if number > available.get(name, 0):
            raise MotionveilError(
                f"a run asks for {number:g} {name}, this machine has {available.get(name, 0):g}"
            )
