"""Who is connected to the preview: bounded in number and time, so that nobody shuts others out."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

MAX_WAITING = 32
"""Connections that have not said what they want, or have not yet got it."""

MAX_KEPT = 24
"""Connections that go on: streams of pictures, and of numbers."""

MAX_HEAD = 16_384
"""Bytes of a request."""


class Connections:
    """The open connections of a server.

    Whoever connects is let in. When too many have not been answered, the oldest of the address
    that has most of them is cut: who dribbles a request, or sends none, makes room for the next,
    and an answer takes milliseconds from whoever asks at once. What goes on has places of its own.
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
