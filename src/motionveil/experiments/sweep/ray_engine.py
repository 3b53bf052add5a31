"""Cells on a Ray cluster: a task a cell, with its share of the cores and GPUs."""

from __future__ import annotations

import logging
import os
import socket
import time
from types import TracebackType
from typing import Any

from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.attempt import Task, give_up, run_cell
from motionveil.experiments.sweep.cells import Record

RESTARTS = 3
"""How often Ray starts a task again whose worker died."""

_GRACE = 30.0
"""Seconds that cells have to stop; their tethers stop them sooner."""

_STORE = 100 * 2**20
"""Bytes of a local cluster's object store, near the least: results go by files."""


class RayEngine:
    """Runs cells on the workers of a Ray cluster, all of which see the sweep's folder.

    Args:
        address: As for `ray.init`; None for `RAY_ADDRESS`, or else a cluster of this machine that
            listens to no other and ends with the sweep.
        cpus: Cores of a cell.
        gpus: GPUs of a cell, or a fraction of one.

    Raises:
        MotionveilError: Ray is not installed.
    """

    def __init__(self, address: str | None = None, *, cpus: int = 1, gpus: float = 0.0) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self._address = address or os.environ.get("RAY_ADDRESS")
        if self._address is None:
            # Ray's own way, on Linux too, to say that there are no other machines: without it the
            # cluster listens on the network.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        try:
            import ray
        except ImportError as error:
            raise MotionveilError(
                "--engine ray: Ray is not installed: pip install 'motionveil[sweep]'"
            ) from error
        self._ray = ray
        self._share = {"num_cpus": cpus, "num_gpus": gpus}

    def __enter__(self) -> RayEngine:
        _refuse_unreachable(self._address)
        try:
            if self._address is None:
                self._ray.init(
                    address="local",
                    include_dashboard=False,
                    object_store_memory=_STORE,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            else:
                self._ray.init(
                    address=self._address, log_to_driver=False, logging_level=logging.ERROR
                )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise MotionveilError(f"{self._address}: cannot use this Ray: {error}") from error
        self._begun: dict[Any, Task] = {}
        try:
            self._refuse_too_much()
        except MotionveilError:
            self._ray.shutdown()
            raise
        self._run = self._ray.remote(run_cell).options(max_retries=RESTARTS, **self._share)
        return self

    def _refuse_too_much(self) -> None:
        """Raise an error when no cell would ever start; only a real cluster can grow."""
        there = self._ray.cluster_resources()
        for name, wanted in (("CPU", self._share["num_cpus"]), ("GPU", self._share["num_gpus"])):
            if self._address is None and wanted > there.get(name, 0):
                raise MotionveilError(
                    f"a cell asks for {wanted:g} {name}, this machine has {there.get(name, 0):g}"
                )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what still runs, and leave the cluster."""
        left = list(self._begun)
        for reference in left:
            self._ray.cancel(reference)
        if left:
            self._ray.wait(left, num_returns=len(left), timeout=_GRACE)
        self._ray.shutdown()

    def submit(self, task: Task) -> None:
        """Run a cell as soon as the cluster has room."""
        self._begun[self._run.remote(task)] = task

    def ended(self, patience: float) -> list[tuple[Task, Record | None]]:
        """Return what ended, waiting at most `patience` seconds; see `run_cell` for None.

        Raises:
            MotionveilError: See `run_cell`.
        """
        ended, _ = self._ray.wait(list(self._begun), timeout=patience)
        return [(task, self._outcome(ref, task)) for ref, task in self._taken(ended)]

    def _taken(self, references: list[Any]) -> list[tuple[Any, Task]]:
        return [(reference, self._begun.pop(reference)) for reference in references]

    def _outcome(self, reference: Any, task: Task) -> Record | None:
        try:
            record: Record | None = self._ray.get(reference)
            return record
        except self._ray.exceptions.RayTaskError as error:  # what `run_cell` raised over there
            if isinstance(error.cause, MotionveilError):
                raise error.cause from error
            raise
        except self._ray.exceptions.RayError as error:
            fault = str(error).strip().splitlines()[0]
            return _give_up(task, f"Ray: {fault} (started {RESTARTS + 1} times)")


def _refuse_unreachable(address: str | None) -> None:
    """Raise an error when nothing listens at `HOST:PORT`; Ray says so after minutes only."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit() or "/" in host:  # none, `auto`, `ray://`
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise MotionveilError(f"{address}: no Ray cluster listens here: {error}") from error


def _give_up(task: Task, fault: str) -> Record | None:
    """Record a failure once the tether of the last worker has let the cell go."""
    end = time.monotonic() + _GRACE
    while time.monotonic() < end:
        record = give_up(task.cell, fault)
        if record is not None:
            return record
        time.sleep(0.5)
    return None
