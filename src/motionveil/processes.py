"""Work in several processes, of which one may be killed; and how many cores there are for them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return how many cores this process may use: a container or `taskset` may leave it fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_processes(
    work: Callable[..., Result],
    calls: Mapping[Key, tuple[Any, ...]],
    jobs: int,
    *,
    begin: Callable[..., None],
    given: tuple[Any, ...] = (),
    terminate: bool = False,
) -> Iterator[tuple[Key, Result | None]]:
    """Call a function with each of several lists of arguments, and yield what ends, as it ends.

    A process that is killed (a crash of a decoder, no memory) takes the others with it. Who did it
    is one of the first that had not ended: each of these runs again alone, and then the others
    together.

    Args:
        work: A function of a module; gives no None.
        calls: By the keys under which results are returned.
        jobs: Parallel processes. They are spawned, since a forked copy of running threads is not
            safe.
        begin, given: Called in each process first, and with what.
        terminate: End what runs where the iteration is given up; else it is waited for.

    Yields:
        Each key with its result, or with None where its process was killed.
    """
    left = dict(calls)
    while left:
        for key, result in _in_pool(work, left, jobs, begin, given, terminate):
            del left[key]
            yield key, result
        for key in list(left)[:jobs]:
            alone = {key: left.pop(key)}
            yield key, dict(_in_pool(work, alone, 1, begin, given, terminate)).get(key)


def _in_pool(
    work: Callable[..., Result],
    calls: Mapping[Key, tuple[Any, ...]],
    jobs: int,
    begin: Callable[..., None],
    given: tuple[Any, ...],
    terminate: bool,
) -> Iterator[tuple[Key, Result]]:
    """Yield what ends before a process is killed, if one is."""
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(calls)), spawn, begin, given)
    futures: dict[Future[Result], Key] = {}
    try:
        try:
            for key, call in calls.items():
                futures[pool.submit(work, *call)] = key
        except BrokenExecutor:
            pass  # one was killed already
        for future in as_completed(futures):
            try:
                result = future.result()
            except BrokenExecutor:
                continue
            yield futures[future], result
    except BaseException:
        if terminate:
            for child in multiprocessing.active_children():
                child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
