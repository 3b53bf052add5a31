"""Who is connected to the preview: bounded in number and time, so that nobody shuts others out."""

from __future__ import annotations

import hmac
import ipaddress
import math
import secrets
import socket
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

SHORTEST_TOKEN = 16
"""Characters of a token where others can reach the preview."""

GUESSES = 10
"""Wrong tokens per minute from one address; after them, none from there is looked at."""

GUESSES_OF_ALL = 100
"""Likewise from all addresses together, but those that have had the right one before."""

T = TypeVar("T")

_MINUTE = 60.0
_MAX_ORIGINS = (
    1000  # addresses that are remembered; the one that was longest not heard is forgotten
)

MAX_WAITING = 32
"""Connections that have not said what they want, or have not yet got it."""

MAX_KEPT = 24
"""Connections that go on: streams of images, and of numbers."""

MAX_HEAD = 16_384
"""Bytes of a request."""


class Connections:
    """The open connections of a server.

    Whoever connects is let in. When too many have not been answered, the oldest of the address
    that has most of them is cut: a client that sends its request slowly, or none, makes room for
    the next, while a complete request is answered in milliseconds. Streams have their own places.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the next two
        self._waiting: dict[Any, str] = {}  # connection: origin; the oldest first
        self._kept: set[Any] = set()

    def enter(self, connection: Any, address: str) -> None:
        """Take a new connection in, and cut another if there are too many."""
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                counts = Counter(self._waiting.values())
                most = max(counts.values())
                victim = next(c for c, origin in self._waiting.items() if counts[origin] == most)
                del self._waiting[victim]
                _cut(victim)
            self._waiting[connection] = origin_of(address)

    def keep(self, connection: Any) -> bool:
        """Give a connection that goes on a place of its own; False if there is none."""
        with self._changed:
            if connection not in self._waiting or len(self._kept) >= MAX_KEPT:
                return False
            del self._waiting[connection]
            self._kept.add(connection)
            return True

    def leave(self, connection: Any) -> None:
        """Forget a connection that has ended."""
        with self._changed:
            self._waiting.pop(connection, None)
            self._kept.discard(connection)
            self._changed.notify_all()

    def hang_up(self, patience: float) -> None:
        """Give all of them some seconds to end, then cut whoever is still there."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._kept, patience)
            for connection in (*self._waiting, *self._kept):
                _cut(connection)


def origin_of(address: str) -> str:
    """Return what counts as one address: of IPv6, a network of 64 bits, for one host has it all."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def read_head(connection: socket.socket, seconds: float) -> bytes | None:
    """Read a request up to the empty line after its headers.

    Args:
        connection: Its time-out is changed.
        seconds: For all of it, however many pieces come.

    Returns:
        The request, cut short if the other end closed before; None if it is too long.

    Raises:
        TimeoutError: It did not come in time.
    """
    end, head = time.monotonic() + seconds, b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        if len(head) > MAX_HEAD:
            return None
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(4096)
        if not piece:
            break
        head += piece
    return head


def _cut(connection: Any) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that serves it


class Admission:
    """Compares tokens in constant time, and bounds how many wrong ones are looked at.

    An address that has shown `GUESSES` wrong tokens within a minute waits until the minute is over,
    with the right token too: otherwise the limit would be none. Nobody who is in is put out: a page
    that was opened with the token has a ticket, which cannot be guessed and is always let in.

    Args:
        token: What must be shown; None if nothing must.
        clock: Gives the time in seconds.

    Attributes:
        ticket: What a page that was let in may show instead of the token, as long as this runs.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = None if token is None else token.encode()
        self._clock = clock
        self.ticket = secrets.token_urlsafe(16)
        self._lock = threading.Lock()  # guards the next three
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._wrong_of_all: deque[float] = deque()
        self._known: OrderedDict[str, None] = OrderedDict()

    def admits(self, address: str, given: bytes | None, ticket: str) -> bool:
        """Return whether a request may be served; a wrong token counts as a guess.

        Args:
            given: Its token, None if it has none.

        Raises:
            TooManyGuessesError: The token was not even looked at.
        """
        if self._token is None or hmac.compare_digest(ticket.encode(), self.ticket.encode()):
            return True
        if given is None:
            return False
        origin = origin_of(address)
        with self._lock:
            wait = self._wait(origin)
            if wait > 0:
                raise TooManyGuessesError(wait)
            right = hmac.compare_digest(given, self._token)
            if right:
                _remember(self._known, origin, None)
            else:
                self._wrong_of_all.append(self._clock())
                times = self._wrong.get(origin, deque())
                times.append(self._clock())
                _remember(self._wrong, origin, times)
            return right

    def _wait(self, origin: str) -> float:
        """Return the seconds until a token from somewhere is looked at again."""
        here = self._wrong.get(origin, deque())
        waits = [self._until(here, GUESSES)]
        if origin not in self._known:
            waits.append(self._until(self._wrong_of_all, GUESSES_OF_ALL))
        return max(waits)

    def _until(self, times: deque[float], most: int) -> float:
        now = self._clock()
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        return times[0] + _MINUTE - now if len(times) >= most else 0.0


class TooManyGuessesError(Exception):
    """Too many wrong tokens came lately.

    Attributes:
        seconds: After which to come again, whole ones.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many wrong tokens; again in {seconds:.0f} s")
        self.seconds = math.ceil(seconds)


def _remember(store: OrderedDict[str, T], origin: str, value: T) -> None:
    store[origin] = value
    store.move_to_end(origin)
    if len(store) > _MAX_ORIGINS:
        store.popitem(last=False)
