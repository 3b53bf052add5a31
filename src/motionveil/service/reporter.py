"""What a camera's process tells its supervisor, from a thread of its own."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from threading import Condition, Event, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.recognition import Answer
from motionveil.recognition import Event as Action
from motionveil.service.channel import LATENCIES, frame_message, message
from motionveil.streaming.status import Status

_MOST_WAITING = 1000  # lines and events, for a supervisor that hangs
_INTERVAL = 1.0  # seconds between two statuses


class Reporter:
    """Sends without ever letting the pipeline wait; of frames the newest only.

    Args:
        connection: To the supervisor.
        stop: Set when the supervisor says so, or is gone.

    Attributes:
        status: The pipeline's counts; None before the first frame.
        further: Returns further fields of a status.
        told_to_stop: Whether `stop` was set by the supervisor.
    """

    def __init__(self, connection: Connection, stop: Event) -> None:
        self.status: Status | None = None
        self.further: Callable[[], dict[str, Any]] = dict
        self.told_to_stop = False
        self._connection, self._stop = connection, stop
        self._watched = self._ending = False
        self._lines: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._frame: NDArray[np.uint8] | None = None
        self._changed = Condition()
        self._sender = Thread(target=self._send, name="report", daemon=True)
        self._sender.start()
        Thread(target=self._listen, name="listen", daemon=True).start()

    def tell(self, kind: str, **fields: Any) -> None:
        """Queue a message; see `motionveil.service.channel`."""
        with self._changed:
            self._lines.append(message(kind, **fields))
            self._changed.notify_all()

    def notice(self, text: str) -> None:
        """Queue a line for the log."""
        self.tell("notice", text=text)

    def watch(self, status: Status, image: NDArray[np.uint8]) -> None:
        """Take a veiled frame, which is copied if somebody looks, and the counts so far."""
        self.status = status
        if self._watched:
            with self._changed:
                self._frame = image.copy()
                self._changed.notify_all()

    def answer(self, answer: Answer) -> None:
        """Say nothing of single windows."""

    def event(self, event: Action) -> None:
        """Queue an event; its times become those of the wall clock."""
        now = time.time() - event.time
        self.tell(
            "event",
            label=event.label,
            action=event.kind == "action",
            probability=event.probability,
            begin=now + event.start,
            end=None if event.end is None else now + event.end,
        )

    def close(self) -> None:
        """Send the last counts and what waits, for a second at most."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._sender.join(1.0)

    def _send(self) -> None:
        due = time.monotonic()
        try:
            while not self._ending:
                with self._changed:
                    self._changed.wait_for(self._is_waited_for, max(0.0, due - time.monotonic()))
                self._send_waiting()
                if time.monotonic() >= due:
                    self._send_status()
                    due = time.monotonic() + _INTERVAL
            self._send_waiting()
            self._send_status()
        except OSError:  # the supervisor is gone; the other thread says so
            return

    def _is_waited_for(self) -> bool:
        return bool(self._lines) or self._frame is not None or self._ending

    def _send_waiting(self) -> None:
        with self._changed:
            lines, frame, self._frame = list(self._lines), self._frame, None
            self._lines.clear()
        for line in lines:
            self._connection.send_bytes(line)
        if frame is not None:
            self._connection.send_bytes(frame_message(frame))

    def _send_status(self) -> None:
        fields: dict[str, Any] = {"memory": _resident_bytes(), **self.further()}
        status = self.status
        if status is not None:
            fields["counts"] = status.snapshot()
            fields["guarded"] = dict(status.guarded)
            fields["latency"] = status.latency.at_most(LATENCIES)
            fields["latency_sum"] = status.latency.total
        self._connection.send_bytes(message("status", **fields))

    def _listen(self) -> None:
        try:
            while True:
                said = self._connection.recv_bytes()
                if said == b"stop":
                    break
                self._watched = said == b"watch"
        except (EOFError, OSError):
            pass
        self.told_to_stop = True
        self._stop.set()


def _resident_bytes() -> int:
    """Return the memory that this process has, or where that cannot be asked, the most it had."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024)
