"""What a process that records does about signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def stopping(stop: Event, *, at_once: bool) -> Iterator[None]:
    """Within the block, let Ctrl-C and SIGTERM end the work in a defined way.

    Args:
        stop: Set by the first signal, unless `at_once`: what was read is still written. A second
            signal raises.
        at_once: Raise `KeyboardInterrupt` at the first signal, whichever of the two it is.

    Raises:
        KeyboardInterrupt: See above.
    """
    if threading.current_thread() is not threading.main_thread():  # signals go to that one only
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if at_once or stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
