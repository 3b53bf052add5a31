"""Where jobs run: in this process, in several, or on Ray."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from motionveil.errors import MotionveilError
from motionveil.processes import run_in_processes

_STORE = 100 * 2**20
"""Bytes of a local cluster's object store, near the least: results go by files."""

Work = Callable[..., str]
"""A function of a module, which gives the fault; an empty text where there is none."""

Ended = Iterator[tuple[int, str]]
"""The place of what has ended, and its fault."""

Executor = Callable[[Work, Sequence[tuple[Any, ...]]], Ended]
"""Calls a function with each of several lists of arguments."""


def in_this_process(work: Work, calls: Sequence[tuple[Any, ...]]) -> Ended:
    """Yield what ends, one after the other."""
    for place, arguments in enumerate(calls):
        yield place, work(*arguments)


def in_processes(jobs: int, threads: int) -> Executor:
    """Return what makes the calls in `jobs` processes, with so many threads each.

    They end with this one. Ctrl-C stops them, and keeps what is done. Only what kills its process
    fails with it, see `run_in_processes`.
    """

    def run(work: Work, calls: Sequence[tuple[Any, ...]]) -> Ended:
        for place, fault in run_in_processes(
            work,
            dict(enumerate(calls)),
            jobs,
            begin=_begin_worker,
            given=(threads,),
            terminate=True,
        ):
            killed = "its process ended abruptly, for its memory perhaps"
            yield place, killed if fault is None else fault

    return run


def _begin_worker(threads: int) -> None:
    import torch  # here, for a sweep that runs in processes or on Ray needs none

    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def on_ray(address: str | None) -> Executor:
    """Return what makes the calls as tasks of a Ray cluster, all of which see this folder.

    Args:
        address: As for `ray.init`; None for `RAY_ADDRESS`, or else a cluster of this machine that
            listens to no other.

    Raises:
        MotionveilError: Ray is not installed.
    """
    address = address_of(address)
    ray = import_ray()

    def run(work: Work, calls: Sequence[tuple[Any, ...]]) -> Ended:
        with ray_session(ray, address):
            task = ray.remote(work)
            places = {task.remote(*call): place for place, call in enumerate(calls)}
            while places:
                (ended,), _ = ray.wait(list(places))
                try:
                    fault = ray.get(ended)
                except ray.exceptions.RayError as error:
                    fault = f"Ray: {str(error).strip().splitlines()[0]}"
                yield places.pop(ended), fault

    return run


def import_ray() -> Any:
    """Return Ray.

    Raises:
        MotionveilError: It is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise MotionveilError(
            "--engine ray: Ray is not installed: pip install 'motionveil[sweep]'"
        ) from error
    return ray


def address_of(address: str | None) -> str | None:
    """Return the cluster's address: that given, or RAY_ADDRESS; None for one of this machine."""
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None:
        # Ray's own way, on Linux too, to say that there are no other machines: without it the
        # cluster listens on the network.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    return address


@contextmanager
def ray_session(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to Ray, and disconnect.

    Args:
        ray: The module, imported after `address_of`.
        address: Of `address_of`.

    Raises:
        MotionveilError: The cluster cannot be reached.
    """
    _refuse_unreachable(address)
    local = {"include_dashboard": False, "object_store_memory": _STORE} if address is None else {}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise MotionveilError(f"{address}: cannot use this Ray: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_unreachable(address: str | None) -> None:
    """Raise an error when nothing listens at `HOST:PORT`; Ray says so after minutes only."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit() or "/" in host:  # none, `auto`, `ray://`
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise MotionveilError(f"{address}: no Ray cluster listens here: {error}") from error
