"""Runs on a Ray cluster: one task per run, with its share of the cores and GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from motionveil.errors import MotionveilError
from motionveil.evaluation.ray_session import address_of, import_ray, ray_session
from motionveil.experiments.sweep.run import Submit
from motionveil.experiments.sweep.run_job import Task, run_job
from motionveil.job_store import Record

RESTARTS = 3
"""How often Ray starts a task again whose worker died."""

_GRACE = 30.0
"""Seconds that runs have to stop."""


@contextmanager
def ray_engine(address: str | None = None, *, cpus: int = 1, gpus: float = 0.0) -> Iterator[Submit]:
    """Run tasks on the workers of a Ray cluster, all of which see the sweep's folder.

    Args:
        address: As for `ray.init`; None for `RAY_ADDRESS`, or else a cluster of this machine that
            is not reachable from others and ends with the sweep.
        cpus: Cores of a run.
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
