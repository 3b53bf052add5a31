"""What a process with raw frames does: no core dumps; signals end it in a defined way."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def forbid_core_dumps() -> None:
    """Keep the system from writing this process's memory to disk on a crash.

    The limit on the size of core files is not enough: Linux ignores it where a program takes the
    dumps (`|` in `/proc/sys/kernel/core_pattern`, as with systemd and apport). There the process
    is marked as not dumpable too, after which

    - nothing dumps it, with `gcore` neither, and no other process of the same user may look into
      its memory (`ptrace`: debuggers, samplers); the administrator still may;
    - its files in `/proc` belong to root, so that other processes of the same user do not see its
      environment either.

    A forked process inherits the mark; one that starts another program, as "spawn" does, has to
    call this again. `MADV_DONTDUMP` on the frames would add nothing: it is for dumps that are made.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and not _forbid_dumps_to_programs():
        print(
            "motionveil: warning: the system refuses to mark this process as not dumpable: a crash"
            " could write raw frames to disk where a program takes core dumps",
            file=sys.stderr,
        )


def _forbid_dumps_to_programs() -> bool:
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # a C library that is not to be found, or has no prctl
        return False


@contextmanager
def stopping(stop: Event, *, at_once: bool) -> Iterator[None]:
    """Within the block, let Ctrl-C, SIGTERM and SIGHUP end the work in a defined way.

    A signal that is ignored stays so: SIGHUP under `nohup`, SIGINT in a script's background.

    Args:
        stop: Set by the first signal, unless `at_once`: what was read is still written. A second
            signal raises.
        at_once: Raise `KeyboardInterrupt` at the first signal, whichever of them it is.

    Raises:
        KeyboardInterrupt: See above.
    """
    if threading.current_thread() is not threading.main_thread():  # signals go to that one only
        yield
        return

    first = True

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if at_once or stop.is_set() or not first:
            raise KeyboardInterrupt
        first = False
        # This runs in the middle of whatever the main thread does, which may hold the event's lock
        # while it waits for it: another thread sets it.
        threading.Thread(target=stop.set, daemon=True).start()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)  # the terminal is gone
    numbers = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
