"""Cells on this machine, several at once."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event
from types import TracebackType

from motionveil.experiments.sweep.attempt import Task, run_cell
from motionveil.experiments.sweep.cells import Record


class LocalEngine:
    """Runs cells as processes of this machine; a thread waits for each.

    Args:
        jobs: Cells at once.
    """

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs

    def __enter__(self) -> LocalEngine:
        self._stop = Event()
        self._pool = ThreadPoolExecutor(self._jobs)
        self._begun: dict[Future[Record | None], Task] = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what still runs; it is stopped when this returns."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def submit(self, task: Task) -> None:
        """Run a cell as soon as there is room."""
        self._begun[self._pool.submit(run_cell, task, self._stop)] = task

    def ended(self, patience: float) -> list[tuple[Task, Record | None]]:
        """Return what ended, waiting at most `patience` seconds; see `run_cell` for None.

        Raises:
            MotionveilError: See `run_cell`.
        """
        ended, _ = wait(self._begun, patience, FIRST_COMPLETED)
        return [(self._begun.pop(future), future.result()) for future in ended]
