"""Receivers over a network. One file per kind; each is found by itself.

An external package adds a kind by the entry point group `motionveil.receivers`, which names a
subclass of `RemoteReceiver`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar
from urllib.parse import SplitResult, urlsplit

from motionveil.errors import MotionveilError
from motionveil.plugins import classes_in, load_entry_points
from motionveil.recognition.answers import Answer, Event
from motionveil.recognition.delivery import Delivery
from motionveil.recognition.reports import JsonReport

__all__ = ["RemoteReceiver", "receiver_kinds", "split_address"]

GROUP = "motionveil.receivers"


@cache
def receiver_kinds() -> dict[str, type[RemoteReceiver]]:
    """Return the kinds of remote receivers, by the names of their options.

    Raises:
        MotionveilError: An entry point is no such kind, or two kinds have one name.
    """
    found = {kind.option: kind for kind in classes_in(__name__, RemoteReceiver)}
    for name, value in load_entry_points(GROUP).items():
        if not (isinstance(value, type) and issubclass(value, RemoteReceiver)):
            raise MotionveilError(f"plugin {name}: must be a subclass of RemoteReceiver")
        if value.option in found:
            raise MotionveilError(f"plugin {name}: there is a receiver {value.option!r} already")
        found[value.option] = value
    return dict(sorted(found.items()))


def split_address(address: str, ports: Mapping[str, int], wrong: str) -> tuple[SplitResult, int]:
    """Return an address's parts and its port.

    Args:
        ports: The usual port of each scheme that there is.
        wrong: What to say of one that is no such address.

    Raises:
        MotionveilError: It is none.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise MotionveilError(wrong) from None
    if parts.scheme not in ports or not parts.hostname:
        raise MotionveilError(wrong)
    return parts, ports[parts.scheme] if port is None else port


class RemoteReceiver(ABC):
    """A remote receiver, called with each event that begins or ends. A context manager.

    A kind is a file of `motionveil.recognition.remote` with a subclass, or an entry point of the
    group `motionveil.receivers`. Its constructor takes what `__init__` takes here, and sets
    `name` and `delivery`.

    Args:
        address: Where it is.
        source: The source's name, without passwords.
        which: Which of several sources it is: a number from 1, or a name; None if there is one.
        top: How many classes an event lists.
        notice: Takes lines about receivers that fail, and the count at the end.

    Attributes:
        name: What notices call it, without passwords.
        delivery: Its queue.
    """

    option: ClassVar[str]
    """Name of the option of `motionveil recognise`, without dashes."""

    metavar: ClassVar[str]
    """What stands for the address in the option's help."""

    help: ClassVar[str]
    """The option's help."""

    name: str
    delivery: Delivery[Any]

    def __init__(
        self,
        address: str,
        source: str,
        *,
        which: int | str | None = None,
        top: int = 1,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._source, self._top, self._notice = source, top, notice

    @classmethod
    @abstractmethod
    def check(cls, address: str) -> None:
        """Raise MotionveilError if it is no address of this kind."""

    @abstractmethod
    def event(self, event: Event) -> None:
        """Queue an event; never waits."""

    def answer(self, answer: Answer) -> None:  # noqa: B027, most kinds tell of events only
        """Say nothing of single windows."""

    def line(self, event: Event) -> str:
        """Return an event as a line of JSON, as `motionveil recognise --json` writes it."""
        lines: list[str] = []
        JsonReport(lines.append, self._source, top=self._top).event(event)
        return lines[0]

    def __enter__(self) -> RemoteReceiver:
        return self

    def __exit__(self, *error: Any) -> None:
        self._notice(f"{self.name}: {self.delivery.close()}")
