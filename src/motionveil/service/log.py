"""What a service says of itself: lines of text, or of JSON for programs that collect logs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Literal, TextIO

from motionveil.limits import LineLimit

Level = Literal["info", "warning", "error"]


class Log:
    """Writes whole lines, from any thread; see `LineLimit` for how many.

    Args:
        as_json: One object a line: `at` (UTC), `level`, `camera` if it is about one, `message`.
        output: Where to; standard error if None.
    """

    def __init__(self, *, as_json: bool, output: TextIO | None = None) -> None:
        self._as_json, self._output = as_json, output or sys.stderr
        self._lock, self._limit = Lock(), LineLimit()

    def __call__(self, text: str, *, camera: str | None = None, level: Level = "info") -> None:
        """Write a line."""
        left_out = self._limit()
        if left_out is None:
            return
        lines = [self._line(text, camera, level)]
        if left_out:
            lines.insert(0, self._line(f"{left_out} lines were left out", None, "warning"))
        with self._lock:
            print(*lines, sep="\n", file=self._output, flush=True)

    def of(self, camera: str) -> Callable[[str, Level], None]:
        """Return what writes lines about a camera."""
        return lambda text, level: self(text, camera=camera, level=level)

    def _line(self, text: str, camera: str | None, level: Level) -> str:
        return self._json(text, camera, level) if self._as_json else _text(text, camera, level)

    def _json(self, text: str, camera: str | None, level: Level) -> str:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        about = {} if camera is None else {"camera": camera}
        return json.dumps({"at": at, "level": level, **about, "message": text}, ensure_ascii=False)


def _text(text: str, camera: str | None, level: Level) -> str:
    about = "" if camera is None else f"{camera}: "
    return f"motionveil: {about}{'' if level == 'info' else f'{level}: '}{text}"
