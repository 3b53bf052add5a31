"""Serving a site: where it listens, who may see it, its start and its end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from motionveil.bind_address import host_and_port, not_taken
from motionveil.errors import MotionveilError
from motionveil.streaming.preview_connections import SHORTEST_TOKEN, Admission
from motionveil.streaming.preview_server import Server, is_loopback
from motionveil.streaming.preview_site import Site


class SiteServer:
    """Serves a site over plain HTTP, each connection in a thread; see `Preview` for who may see it.

    Args:
        address: As for `Preview`.
        token: Likewise.
        option: What errors call the address, such as `"--preview"`.
        token_option: What errors call the token.

    Attributes:
        url: What to open on this machine, with the real port and the token.
        shown: The same for messages, without the token.

    Raises:
        MotionveilError: The address is none, is taken or is not this machine's, or others could
            reach it and there is no token, or a short one.
    """

    def __init__(
        self,
        site: Site,
        address: str,
        token: str | None,
        *,
        option: str,
        token_option: str = "--preview-token",
        file_option: str = "--preview-token-file",
    ) -> None:
        host, port = host_and_port(option, address, 8080)
        if token is not None:
            _check_token(token, 1 if is_loopback(host) else SHORTEST_TOKEN, token_option)
        if token is None and not is_loopback(host):
            raise MotionveilError(
                f"{option} {address} can be seen by others: give {file_option}, or keep to"
                f" this machine with 127.0.0.1:{port}"
            )
        self._server = _listen(option, address, host, port)
        self._server.serve(site, Admission(token), loopback=is_loopback(host))
        port = self._server.server_address[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self.shown = self.url if token is None else f"{self.url}?token=..."
        if token is not None:
            self.url += f"?token={quote(token, safe='')}"
        self._running = False

    def start(self) -> None:
        """Begin to serve, in a thread."""
        self._running = True
        threading.Thread(
            target=self._server.serve_forever, name="preview-serve", daemon=True
        ).start()

    def close(self, close_site: Callable[[], None]) -> None:
        """Free the port, end the site, and then all connections.

        Args:
            close_site: Sets the site's `closed`.
        """
        with suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        if self._running:
            self._server.shutdown()
            self._running = False
        self._server.server_close()
        close_site()
        self.hang_up()

    def hang_up(self) -> None:
        """Let the pages learn of the end, then close the connections that are left."""
        self._server.hang_up()


def _check_token(token: str, shortest: int, option: str) -> None:
    length = len(token.strip())
    if length < shortest:
        raise MotionveilError(
            f"{option}: has {length} characters; give {SHORTEST_TOKEN} or more that nobody"
            ' guesses, such as python3 -c "import secrets; print(secrets.token_urlsafe())" prints'
        )


def _listen(option: str, address: str, host: str, port: int) -> Server:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return Server((host, port), family)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name too long to look up
        reason = not_taken(host, port, error)
        raise MotionveilError(f"{option} {address}: {reason}") from error
