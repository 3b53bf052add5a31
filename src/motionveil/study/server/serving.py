"""Running a study's server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from motionveil.addresses import not_taken
from motionveil.errors import MotionveilError
from motionveil.study.server.app import make_app
from motionveil.study.server.site import Site


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host; a name other than "localhost" may change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything is printed.

    Args:
        host: Name or address of this machine.
        port: 0 for any free one.

    Raises:
        MotionveilError: It is taken, or the host is not this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name too long to look up
        reason = not_taken(host, port, error)
        raise MotionveilError(f"--address {host}:{port}: {reason}") from error
    # Connections inherit it. Otherwise the end of each answer waits 40 ms for the beginning to be
    # acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Server(uvicorn.Server):
    """Says when it is there."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()


def serve(site: Site, listener: socket.socket, started: Callable[[], None]) -> None:
    """Serve a study until Ctrl-C or SIGTERM, then close its store. No address is logged.

    Args:
        site: The study.
        listener: From `listen`.
        started: Called when browsers can come.
    """
    config = uvicorn.Config(
        make_app(site),
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # they would only tell the participants' addresses
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
    with suppress(KeyboardInterrupt):
        _Server(config, started).run(sockets=[listener])
