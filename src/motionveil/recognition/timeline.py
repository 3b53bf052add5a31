"""What was recognised in the last minute, for those who look at it from another thread."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from threading import Lock
from typing import Any

from motionveil.recognition.answers import Answer, Event
from motionveil.recognition.reports import event_fields

SECONDS = 60.0
"""How far back a timeline goes."""


class Timeline:
    """Remembers the newest answer and the events of the last minute of a stream; a receiver."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ended: deque[Event] = deque()
        self._current: Event | None = None
        self._answer: Answer | None = None

    def answer(self, answer: Answer) -> None:
        """Take the answer of a window."""
        with self._lock:
            self._answer = answer

    def event(self, event: Event) -> None:
        """Take an event that begins or ends."""
        with self._lock:
            if event.end is None:
                self._current = event
                return
            self._current = None
            self._ended.append(event)
            while self._ended and _end(self._ended[0]) < event.end - SECONDS:
                self._ended.popleft()

    def snapshot(self) -> dict[str, Any]:
        """Return what is known now.

        Returns:
            `time`, of the source in seconds; `seconds`, how far back the events go; `label`, `kind`
            and `probability` of what goes on, None before anything was told; `events`, those of the
            last minute in order, each with the fields of `event_fields`. An event that goes on
            ends at `time`; its probability is the newest.
        """
        with self._lock:
            answer, current, ended = self._answer, self._current, tuple(self._ended)
        if answer is None:
            return {"time": 0.0, "seconds": SECONDS, "label": None, "events": []}
        now: dict[str, Any] = {"label": None, "kind": None, "probability": None}
        if current is not None:
            if (current.kind, current.label) == (answer.kind, answer.label):
                current = replace(current, probability=answer.probability)
            now = {name: event_fields(current, 1)[name] for name in now}
            ended = (*ended, replace(current, end=max(answer.time, current.start)))
        events = [event_fields(event, 1) for event in ended if _end(event) > answer.time - SECONDS]
        return {"time": round(answer.time, 3), "seconds": SECONDS, **now, "events": events}


def _end(event: Event) -> float:
    return event.start if event.end is None else event.end
