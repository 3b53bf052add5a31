"""Runs on a Ray cluster: one task per run, with its share of the cores and GPUs."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.run import Submit
from motionveil.experiments.sweep.run_job import Task, run_job
from motionveil.job_store import Record

RESTARTS = 3
"""How often Ray starts a task again whose worker died."""

_GRACE = 30.0
"""Seconds that runs have to stop."""

_STORE = 100 * 2**20
"""Bytes of a local cluster's object store, near the least: results go by files."""


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
    address = address or os.environ.get("RAY_ADDRESS")
    ray = _import_ray(address)
    _refuse_unreachable(address)
    local = {"include_dashboard": False, "object_store_memory": _STORE} if address is None else {}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise MotionveilError(f"{address}: cannot use this Ray: {error}") from error
    started: list[Any] = []
    try:
        if address is None:  # only a real cluster can grow
            _refuse_too_much(ray.cluster_resources(), CPU=cpus, GPU=gpus)
        remote = ray.remote(run_job).options(max_retries=RESTARTS, num_cpus=cpus, num_gpus=gpus)

        def submit(task: Task) -> Future[Record | None]:
            started.append(remote.remote(task))
            future: Future[Record | None] = started[-1].future()
            return future

        yield submit
    finally:
        _, left = ray.wait(started, num_returns=len(started), timeout=0) if started else ([], [])
        for reference in left:
            ray.cancel(reference)
        if left:
            ray.wait(left, num_returns=len(left), timeout=_GRACE)
        ray.shutdown()


def _import_ray(address: str | None) -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address is None:
        # Ray's own way, on Linux too, to say that there are no other machines: without it the
        # cluster listens on the network.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise MotionveilError(
            "--engine ray: Ray is not installed: pip install 'motionveil[sweep]'"
        ) from error
    return ray


def _refuse_too_much(available: dict[str, float], **wanted: float) -> None:
    """Raise an error when no run would ever start."""
    for name, number in wanted.items():
        if number > available.get(name, 0):
            raise MotionveilError(
                f"a run asks for {number:g} {name}, this machine has {available.get(name, 0):g}"
            )


def _refuse_unreachable(address: str | None) -> None:
    """Raise an error when nothing listens at `HOST:PORT`; Ray says so after minutes only."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit() or "/" in host:  # none, `auto`, `ray://`
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise MotionveilError(f"{address}: no Ray cluster listens here: {error}") from error
