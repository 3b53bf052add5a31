"""Keep a thread's priority where a library would change it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def kept_priority() -> Iterator[None]:
    """Restore the scheduling policy of this thread.

    SVT-AV1 gives the thread that opens its encoder the highest real-time priority where it may (as
    root), for good. Whatever that process starts inherits it: a browser and its driver can then
    keep two cores from everybody else.
    """
    if not hasattr(os, "sched_getscheduler"):  # Linux has it
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
