"""What the benchmarks share: fair memory, times taken in turns, figures written to a file."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from motionveil.atomic_write import write_text_atomically

# By default glibc returns every large block to the system and faults it in again, page by page.
# That alone makes the released formulation look far slower than it is.
FAIR_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


class Seconds(NamedTuple):
    """How long something took.

    Attributes:
        processor: Processor time of the whole process, in seconds.
        wall: Time on the clock, in seconds.
    """

    processor: float
    wall: float


def with_fair_malloc() -> None:
    """Start this program again with glibc's malloc told to keep what it has, unless it is."""
    if any(os.environ.get(name) != value for name, value in FAIR_MALLOC.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **FAIR_MALLOC})


def seconds_of(run: Callable[[], object]) -> Seconds:
    """Call a function and return how long it took."""
    processor, wall = time.process_time(), time.perf_counter()
    run()
    return Seconds(time.process_time() - processor, time.perf_counter() - wall)


def least_seconds(todo: Mapping[str, Callable[[], object]], runs: int) -> dict[str, Seconds]:
    """Time functions in turns, and return the least of each.

    On a shared machine the longer times say more about the neighbours. The first call of each
    warms up and does not count.
    """
    times: dict[str, list[Seconds]] = {name: [] for name in todo}
    for turn in range(runs + 1):
        for name, run in todo.items():
            taken = seconds_of(run)
            if turn > 0:
                times[name].append(taken)
    return {
        name: Seconds(min(t.processor for t in taken), min(t.wall for t in taken))
        for name, taken in times.items()
    }


def write_figures(file: str | None, figures: Mapping[str, Any]) -> None:
    """Write what was measured as JSON, where a file was asked for."""
    if file:
        write_text_atomically(file, json.dumps(figures, indent=1) + "\n")
        print(f"wrote {file}")
