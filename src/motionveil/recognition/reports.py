"""Answers written down: lines of text and of JSON, CSV, WebVTT and SRT."""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TextIO

from motionveil.atomic_write import atomic_path
from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Answer, Event

SECONDS = 60.0
"""How far back a timeline goes."""

Say = Callable[[str], None]

_DIGITS = 3  # milliseconds, and thousandths of a probability
_COLUMNS = ("source", "from", "to", "kind", "label", "probability")


def answer_fields(answer: Answer, top: int) -> dict[str, Any]:
    """Return what is written of a window's answer as JSON."""
    return _fields(answer, answer.time, top)


def event_fields(event: Event, top: int) -> dict[str, Any]:
    """Return what is written of an event as JSON; `to` is null while it goes on."""
    return _fields(event, event.end, top)


def _fields(found: Answer | Event, end: float | None, top: int) -> dict[str, Any]:
    return {
        "time": round(found.time, _DIGITS),
        "kind": found.kind,
        "label": found.label,
        "probability": round(found.probability, _DIGITS),
        "from": round(found.start, _DIGITS),
        "to": None if end is None else round(end, _DIGITS),
        **_top(found.top, top),
    }


def _top(classes: tuple[tuple[str, float], ...], top: int) -> dict[str, Any]:
    if top < 2:
        return {}
    listed = [{"label": name, "probability": round(p, _DIGITS)} for name, p in classes[:top]]
    return {"top": listed}


def describe_answer(answer: Answer) -> str:
    """Return a window's answer for a person."""
    more = ", ".join(f"{name} {p:.2f}" for name, p in answer.top[1:])
    return f"{answer.label} {answer.probability:.2f}{f' ({more})' if more else ''}"


class JsonReport:
    """Lines of JSON: one when an event begins, one when it ends, and one per window if asked for.

    Each has `state` (`"begins"`, `"ends"` or `"window"`), `source`, `at` (the wall clock, UTC) and
    the fields of `event_fields` or `answer_fields`, whose times are the source's, in seconds.

    Args:
        top: How many classes are listed.
        windows: Whether windows are reported.
    """

    def __init__(self, say: Say, source: str, *, top: int = 1, windows: bool = False) -> None:
        self._say, self._source, self._top, self._windows = say, source, top, windows

    def answer(self, answer: Answer) -> None:
        """Report a window, if windows are reported."""
        if self._windows:
            self._line("window", answer_fields(answer, self._top))

    def event(self, event: Event) -> None:
        """Tell of an event."""
        state = "begins" if event.end is None else "ends"
        self._line(state, event_fields(event, self._top))

    def _line(self, state: str, fields: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"state": state, "source": self._source, "at": at, **fields}
        self._say(json.dumps(line, ensure_ascii=False))


class TextReport:
    """Lines for a person: each event when it begins.

    Args:
        name: The source's name; None where there is one source only.
    """

    def __init__(self, say: Say, name: str | None) -> None:
        self._say, self._name = say, "" if name is None else f"{name}: "

    def answer(self, answer: Answer) -> None:
        """Say nothing."""

    def event(self, event: Event) -> None:
        """Say when an event begins."""
        if event.end is None:
            listed = event.top[1:] if event.kind == "action" else ()
            more = "".join(f", {name} {p:.2f}" for name, p in listed)
            probability = f"{event.probability:.2f}" if event.kind == "action" else ""
            line = f"{self._name}{_clock(event.start, '.')}  {event.label}  {probability}{more}"
            self._say(line.rstrip())


class CsvReport:
    """A table of the events of one source or several.

    Args:
        files: Closes the file; of sources that end it gets its name only then.
        live: Write each row at once.
    """

    def __init__(self, files: ExitStack, file: str, *, live: bool) -> None:
        self._output = _open_text(files, file, live)
        self._writer = csv.writer(self._output)
        self._writer.writerow(_COLUMNS)

    def row(self, source: str, told: Answer | Event) -> None:
        """Append a row."""
        end = told.time if isinstance(told, Answer) else told.end
        times = (f"{told.start:.{_DIGITS}f}", "" if end is None else f"{end:.{_DIGITS}f}")
        self._writer.writerow(
            (source, *times, told.kind, told.label, f"{told.probability:.{_DIGITS}f}")
        )
        self._output.flush()

    def receiver(self, source: str) -> CsvReceiver:
        """Return what takes the events of one source."""
        return CsvReceiver(self, source)


class CsvReceiver:
    """Writes the events of one source into a table when they have ended."""

    def __init__(self, table: CsvReport, source: str) -> None:
        self._table, self._source = table, source

    def answer(self, answer: Answer) -> None:
        """Write nothing."""

    def event(self, event: Event) -> None:
        """Write an event that has ended."""
        if event.end is not None:
            self._table.row(self._source, event)


class SubtitleReport:
    """Subtitles: the actions, from begin to end.

    Args:
        files: Closes the file; of a source that ends it gets its name only then.
        kind: `"vtt"` (WebVTT) or `"srt"` (SubRip).
        live: Write each at once.
    """

    def __init__(
        self, files: ExitStack, file: str, *, kind: Literal["vtt", "srt"], live: bool
    ) -> None:
        self._output, self._kind = _open_text(files, file, live), kind
        self._count = 0
        if kind == "vtt":
            self._output.write("WEBVTT\n\n")

    def answer(self, answer: Answer) -> None:
        """Write nothing."""

    def event(self, event: Event) -> None:
        """Write an action that has ended."""
        if event.end is None or event.kind != "action":
            return
        self._count += 1
        sign = "," if self._kind == "srt" else "."
        name = " ".join(event.label.split())
        if self._kind == "vtt":
            name = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        self._output.write(
            f"{self._count}\n{_clock(event.start, sign)} --> {_clock(event.end, sign)}\n"
            f"{name} {event.probability:.0%}\n\n"
        )
        self._output.flush()


def _clock(seconds: float, sign: str) -> str:
    """Return `00:01:02.500`, with the sign before the milliseconds."""
    thousandths = max(0, round(seconds * 1000))
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{sign}{rest % 1000:03d}"


def _open_text(files: ExitStack, file: str, live: bool) -> TextIO:
    """Open a UTF-8 text file: under its name at once if it is live, else when all is written."""
    try:
        path = Path(file) if live else files.enter_context(atomic_path(file))
        return files.enter_context(path.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        raise MotionveilError(f"{file}: cannot write here: {error.strerror}") from error


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
