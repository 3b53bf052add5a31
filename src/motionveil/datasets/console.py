"""Progress bars and warnings, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from motionveil.errors import one_line
from motionveil.processes import usable_cores

Item = TypeVar("Item")
Made = TypeVar("Made")

PATIENCE = 2.0
"""Seconds before the bar appears."""


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield the items; show a bar on stderr after two seconds if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    began = time.monotonic()
    with Progress(
        *Progress.get_default_columns(), MofNCompleteColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(description, total=total, visible=False)
        for done, item in enumerate(items, 1):
            yield item
            bar.update(task, completed=done, visible=time.monotonic() - began > PATIENCE)


def in_threads(
    work: Callable[[Item], Made], items: Iterable[Item], description: str, workers: int | None
) -> Iterator[tuple[Item, Made]]:
    """Do some work for each item and yield the item with the result as it ends; show a bar.

    Stops at the first error. Threads suffice for video: decoding, resizing, networks and encoding
    run outside Python's lock.

    Args:
        workers: Items in parallel; one per processor if None.
    """
    pool = ThreadPoolExecutor(workers or usable_cores())
    try:
        futures = {pool.submit(work, item): item for item in items}
        for future in track(as_completed(futures), description, len(futures)):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def warn(text: str) -> None:
    """Print a warning."""
    print(f"warning: {one_line(text)}", file=sys.stderr)


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are: `a, b, c and 9 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
