"""The veiled stream in a browser: a page with the picture and its numbers, for setting up a camera.

Standard library and PyAV only. The module is given veiled frames and never sees another.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from motionveil.bind_address import host_and_port, not_taken
from motionveil.errors import MotionveilError
from motionveil.streaming.preview_admission import SHORTEST_TOKEN, Admission
from motionveil.streaming.preview_screen import Screen
from motionveil.streaming.preview_server import Server, Stats, is_loopback


class Preview:
    """Shows a veiled stream in a browser; a context manager.

    `/` is the page, `/stream` the pictures (MJPEG), `/stats` the numbers (JSON). Pictures are
    encoded only while somebody watches, once for all, and every viewer gets the newest: who is
    slow misses some. Neither a browser nor the network can hold up or break whoever calls `show`.

    Without a token it binds to this machine's loopback only, and refuses requests that name
    another host (DNS rebinding). With one, every request needs it, as `?token=` or as
    `Authorization: Bearer`, and only some wrong ones a minute are looked at; see `Admission`.
    Where others can reach the address, it has `SHORTEST_TOKEN` characters or more. The connection
    is plain HTTP: on a network that others share, they can read the token and the veiled pictures;
    use an SSH tunnel or a TLS proxy there.

    Args:
        address: `HOST:PORT`, or `:PORT` or `PORT` on 127.0.0.1; port 0 takes any free one.
        token: What a viewer must know; needed for a host that is not loopback.
        stats: Called once a second for each page, from other threads, for the numbers in `STATS`:
            `source`, `encoder` and `guard` (why the newest frame is neutral) are words, latencies
            are in ms, `seconds` is the time since the start, `ended` is a truth value,
            `destinations` lists objects like `DestinationState`; others are counts. Each may be
            missing or None.
        rate: Pictures a second at most. They are also kept to a third of one core.

    Attributes:
        url: What to open on this machine, with the real port and the token; from another
            machine, put this one's name in the place of 127.0.0.1.
        shown: The same for messages, without the token.

    Raises:
        MotionveilError: The address is none, is taken or is not this machine's, or others could
            reach it and there is no token, or a short one.
        ValueError: The rate is not above 0.

    Example:
        >>> frame = np.full((48, 64, 3), 119, np.uint8)
        >>> with Preview("127.0.0.1:0", stats=lambda: {"source": "camera:0"}) as preview:
        ...     preview.show(frame)
        ...     preview.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        stats: Callable[[], Stats] = dict,
        rate: float = 15.0,
    ) -> None:
        if not rate > 0:
            raise ValueError(f"the rate is above 0, not {rate}")
        host, port = host_and_port("--preview", address, 8080)
        if token is not None:
            _check_token(token, 1 if is_loopback(host) else SHORTEST_TOKEN)
        if token is None and not is_loopback(host):
            raise MotionveilError(
                f"--preview {address} can be seen by others: give --preview-token-file, or keep to"
                f" this machine with 127.0.0.1:{port}"
            )
        self._screen = Screen(rate)
        self._server = _listen(address, host, port)
        self._server.serve(self._screen, stats, Admission(token), loopback=is_loopback(host))
        port = self._server.server_address[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self.shown = self.url if token is None else f"{self.url}?token=..."
        if token is not None:
            self.url += f"?token={quote(token, safe='')}"
        self._running = False

    def __enter__(self) -> Preview:
        self._running = True
        for work, name in ((self._screen.encode, "encode"), (self._server.serve_forever, "serve")):
            threading.Thread(target=work, name=f"preview-{name}", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def show(self, image: NDArray[np.uint8]) -> None:
        """Take the newest frame. Costs about a microsecond, and a copy while somebody watches.

        Args:
            image: The veiled frame, uint8 (H, W, 3), RGB; may be overwritten afterwards.

        Raises:
            ValueError: The array is no RGB image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {image.dtype} {image.shape}")
        if self._screen.viewers:
            self._screen.put(image)

    def close(self) -> None:
        """Tell the pages that the stream has ended, end all connections and free the port."""
        with suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        if self._running:
            self._server.shutdown()
            self._running = False
        self._server.server_close()
        self._screen.close()
        self._server.hang_up()


def _check_token(token: str, shortest: int) -> None:
    length = len(token.strip())
    if length < shortest:
        raise MotionveilError(
            f"--preview-token: has {length} characters; give {SHORTEST_TOKEN} or more that nobody"
            ' guesses, such as python3 -c "import secrets; print(secrets.token_urlsafe())" prints'
        )


def _listen(address: str, host: str, port: int) -> Server:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return Server((host, port), family)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name too long to look up
        reason = not_taken(host, port, error)
        raise MotionveilError(f"--preview {address}: {reason}") from error
