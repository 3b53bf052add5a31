"""Events as HTTP requests: one POST of JSON each."""

from __future__ import annotations

import base64
import http.client
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import ClassVar
from urllib.parse import unquote

from motionveil._version import __version__
from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Event
from motionveil.recognition.delivery import Delivery, RefusedError
from motionveil.recognition.remote import RemoteReceiver, split_address

LIMIT = 5.0
"""Seconds that a request may take."""

_PORTS = {"http": 80, "https": 443}
_MAY_PASS = (408, 425, 429)  # of 400 to 499, those that ask to come again


@dataclass(frozen=True)
class _Target:
    secure: bool
    host: str
    port: int
    path: str
    headers: dict[str, str]


class Webhook(RemoteReceiver):
    """Sends each event as one HTTP POST.

    Statuses 200 to 299 confirm it; 408, 425, 429, 500 to 599 and no answer have it sent again;
    others refuse it. Redirections are not followed: they could take a password elsewhere. Names
    and passwords in the address (`https://name:password@host/path`) become Basic authentication.
    """

    option: ClassVar[str] = "webhook"
    metavar: ClassVar[str] = "URL"
    help: ClassVar[str] = "POST each event as JSON to this address; ${NAME} in it is a variable"

    def __init__(
        self,
        address: str,
        source: str,
        *,
        which: int | str | None = None,
        top: int = 1,
        notice: Callable[[str], None] = lambda line: None,
        limit: float = LIMIT,
        first_wait: float = 0.5,
    ) -> None:
        super().__init__(address, source, which=which, top=top, notice=notice)
        self._target, self._limit = _parse(address), limit
        self.name = f"webhook {shown(address)}"
        self.delivery: Delivery[str] = Delivery(
            self.name, self._send, notice=notice, first_wait=first_wait
        )

    @classmethod
    def check(cls, address: str) -> None:
        """Raise MotionveilError if it is no address of http or https."""
        _parse(address)

    def event(self, event: Event) -> None:
        """Queue an event; never waits."""
        self.delivery.put(self.line(event))

    def _send(self, line: str) -> None:
        with _connected(self._target, self._limit) as connection:
            connection.request("POST", self._target.path, line.encode(), self._target.headers)
            status = connection.getresponse().status
        if 200 <= status < 300:
            return
        if status >= 500 or status in _MAY_PASS:
            raise OSError(f"answers with status {status}")
        raise RefusedError(f"status {status}")


@contextmanager
def _connected(target: _Target, limit: float) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection that is cut off after so many seconds, whatever trickles in."""
    kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
    connection = kind(target.host, target.port, timeout=limit)
    cut: list[bool] = []

    def cut_off() -> None:
        cut.append(True)
        held = connection.sock
        if held is not None:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    timer = Timer(limit, cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield connection
    except Exception as error:
        if cut:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
        connection.close()


def _parse(address: str) -> _Target:
    wrong = (
        f"--webhook {shown(address)}: no address; write one such as http://192.0.2.7:8123/api/hook"
        " or https://..., with what is not ASCII as %xx"
    )
    if not re.fullmatch(r"[!-~]+", address):
        raise MotionveilError(wrong)
    parts, port = split_address(address, _PORTS, wrong)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"motionveil/{__version__}",
        "Connection": "close",
    }
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme == "https", str(parts.hostname), port, path, headers)
