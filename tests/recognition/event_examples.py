"""Events and the counts that receivers report, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from motionveil.recognition import Event


def begins(number: int, label: str = "wave") -> Event:
    """Return an event that begins at second `number`."""
    return Event(number + 0.5, float(number), None, "action", label, 0.9, ((label, 0.9),))


def ends(number: int, label: str = "wave") -> Event:
    """Return an event that ends a second after it began."""
    return Event(number + 1.5, float(number), number + 1.0, "action", label, 0.9, ((label, 0.9),))


def wait_until(holds: Callable[[], object], seconds: float = 20.0) -> bool:
    """Return whether something came to hold within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return bool(holds())
