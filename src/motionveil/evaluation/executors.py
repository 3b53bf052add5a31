"""Where jobs run: in this process, in several, or on Ray."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

from motionveil.errors import MotionveilError

_STORE = 100 * 2**20
"""Bytes of a local cluster's object store, near the least: results go by files."""

Work = Callable[..., str]
"""A function of a module, which gives the fault; an empty text where there is none."""

Ended = Iterator[tuple[int, str]]
"""The place of what has ended, and its fault."""

Run = Callable[[Work, Sequence[tuple[Any, ...]]], Ended]
"""Calls a function with each of several lists of arguments."""


def in_this_process(work: Work, calls: Sequence[tuple[Any, ...]]) -> Ended:
    """Yield what ends, one after the other."""
    for place, arguments in enumerate(calls):
        yield place, work(*arguments)


def in_processes(jobs: int, threads: int) -> Run:
    """Return what makes the calls in `jobs` processes, with so many threads each.

    They are spawned and end with this one. Ctrl-C stops them, and keeps what is done. Where a
    process is killed, which breaks the pool, what had not ended runs again, each call alone: only
    what kills its process then fails.
    """

    def run(work: Work, calls: Sequence[tuple[Any, ...]]) -> Ended:
        left = dict(enumerate(calls))
        for place, fault in _in_pool(work, dict(left), jobs, threads):
            del left[place]
            yield place, fault
        for place, call in left.items():
            ended = dict(_in_pool(work, {place: call}, 1, threads))
            yield place, ended.get(place, "its process ended abruptly, for its memory perhaps")

    return run


def _in_pool(work: Work, calls: Mapping[int, tuple[Any, ...]], jobs: int, threads: int) -> Ended:
    """Yield what ends in a pool of processes, up to where a process is killed."""
    pool = ProcessPoolExecutor(
        min(jobs, len(calls)) or 1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
        initargs=(threads,),
    )
    try:
        places = {pool.submit(work, *call): place for place, call in calls.items()}
        for future in as_completed(places):
            try:
                fault = future.result()
            except BrokenExecutor:
                continue
            yield places[future], fault
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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


def on_ray(address: str | None) -> Run:
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
