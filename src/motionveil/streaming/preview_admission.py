"""Who may see the preview: what proves it, and how often it may be guessed."""

from __future__ import annotations

import hmac
import math
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

from motionveil.streaming.preview_connections import origin_of

SHORTEST_TOKEN = 16
"""Characters of a token where others can reach the preview."""

GUESSES = 10
"""Wrong tokens a minute from one address; after them, none from there is looked at."""

GUESSES_OF_ALL = 100
"""Likewise from all addresses together, but those that have had the right one before."""

T = TypeVar("T")

_MINUTE = 60.0
_MAX_ORIGINS = (
    1000  # addresses that are remembered; the one that was longest not heard is forgotten
)


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
            address: Where it comes from.
            given: Its token, None if it has none.
            ticket: Its ticket, or "".

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
