"""What a preview server shows, and the site of a single stream."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from importlib import resources
from math import isfinite
from typing import Any, NamedTuple, Protocol

from motionveil.streaming.preview_screen import MAX_VIEWERS, Screen
from motionveil.streaming.status import Stat

Stats = Mapping[str, Stat]

STATS = (
    *("source", "encoder", "recogniser", "width", "height", "frames_in", "frames_out"),
    *("left_out", "dropped", "damaged", "guarded", "destinations"),
    *("guard", "fps", "latency_p50_ms", "latency_p95_ms", "seconds", "ended"),
)
"""The numbers that the page knows; no other leaves the process."""

_ANSWERS_A_SECOND = 4


class Document(NamedTuple):
    """An answer that is whole at once."""

    type: str
    text: str
    status: int = 200


class Site(Protocol):
    """What a server shows to those who may see it.

    Attributes:
        closed: Set when there is nothing more to see.
        public: Paths of documents that everybody may see, without a token.
        sign_in: A page that asks for the token; None where it is only taken from the address.
    """

    closed: threading.Event
    public: frozenset[str]
    sign_in: str | None

    def page(self) -> str:
        """Return the page, HTML with `{{nonce}}` and `{{ticket}}`."""

    def screen(self, camera: str) -> Screen | None:
        """Return what has the pictures of a camera; None if there is none of this name."""

    def numbers(self, viewer: str) -> str:
        """Return the numbers for a viewer, JSON."""

    def feed(self, viewer: str) -> Generator[str, None, None]:
        """Yield blocks of an event stream, one a second at least, until closed."""

    def document(self, path: str) -> Document | None:
        """Return another document; None if there is none at this path."""


class StreamSite:
    """One stream: its picture, its numbers once a second, and what is recognised in it.

    Args:
        stats: Gives the numbers; see `STATS`.
        answers: Gives what is recognised; None where nothing is.
    """

    public: frozenset[str] = frozenset()
    sign_in: str | None = None

    def __init__(
        self,
        screen: Screen,
        stats: Callable[[], Stats],
        answers: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._screen, self._stats, self._answers = screen, stats, answers
        self.closed = screen.closed

    def page(self) -> str:
        """Return the page."""
        return read_page(__package__, "preview.html")

    def screen(self, camera: str) -> Screen | None:
        """Return what has the pictures."""
        return self._screen if not camera else None

    def numbers(self, viewer: str, *, ended: bool = False) -> str:
        """Return those of `STATS` that are known, as JSON."""
        stats = self._stats()
        numbers = {name: json_value(stats[name]) for name in STATS if name in stats}
        viewers = self._screen.viewers
        numbers["watching"] = bool(viewer) and viewer in viewers
        numbers["room"] = len(viewers) < MAX_VIEWERS
        return json.dumps(numbers | {"ended": True} if ended else numbers)

    def feed(self, viewer: str) -> Generator[str, None, None]:
        """Yield the numbers once a second, and at last that the stream has ended.

        Where something is recognised, yield that in between, as events called `answer`.
        """
        while not self.closed.is_set():
            yield f"data: {self.numbers(viewer)}\n\n"
            if self._answers is None:
                self.closed.wait(1)
                continue
            for _ in range(_ANSWERS_A_SECOND):
                yield f"event: answer\ndata: {json.dumps(self._answers())}\n\n"
                self.closed.wait(1 / _ANSWERS_A_SECOND)
        yield f"data: {self.numbers(viewer, ended=True)}\n\n"

    def document(self, path: str) -> Document | None:
        """Return nothing."""
        return None


def read_page(package: str | None, name: str) -> str:
    """Return a page that lies in a package."""
    assert package is not None
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def json_value(value: Stat) -> Stat:
    """Return a value that JSON knows: it has no NaN and no infinity."""
    return None if isinstance(value, float) and not isfinite(value) else value
