"""The veiled stream in a browser: a page with the image and its numbers, for setting up a camera.

Standard library and PyAV only. The module is given veiled frames and never sees another.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from motionveil.bind_address import host_and_port, is_loopback, listening
from motionveil.errors import MotionveilError
from motionveil.streaming.preview_connections import SHORTEST_TOKEN, Admission
from motionveil.streaming.preview_server import Server
from motionveil.streaming.preview_site import SQUARE, Screen, Site, Stats, StreamSite


class Preview:
    """Shows a veiled stream in a browser; a context manager.

    `/` is the page, `/stream` the images (MJPEG), `/stats` the numbers (JSON). Images are
    encoded only while somebody watches, once for all, and every viewer gets the newest: who is
    slow misses some. Neither a browser nor the network can hold up or break whoever calls `show`.

    Without a token it binds to this machine's loopback only, and refuses requests that name
    another host (DNS rebinding). With one, every request needs it, as `?token=` or as
    `Authorization: Bearer`, and only some wrong ones per minute are looked at; see `Admission`.
    Where others can reach the address, it has `SHORTEST_TOKEN` characters or more. The connection
    is plain HTTP: on a network that others share, they can read the token and the veiled images;
    use an SSH tunnel or a TLS proxy there.

    Args:
        address: `HOST:PORT`, or `:PORT` or `PORT` on 127.0.0.1; port 0 takes any free one.
        token: What a viewer must know; needed for a host that is not loopback.
        stats: Called once per second for each page, from other threads, for the numbers in `STATS`:
            `source`, `encoder` and `guard` (why the newest frame is neutral) are words, latencies
            are in ms, `seconds` is the time since the start, `ended` is a truth value,
            `destinations` lists objects like `DestinationState`; others are counts. Each may be
            missing or None.
        answers: Called four times per second for each page, from other threads, for what is
            recognised in the stream: see `motionveil.recognition.reports.Timeline.snapshot`.
            None where nothing is recognised.
        rate: Images per second at most. They are also kept to a third of one core.

    Attributes:
        url: What to open on this machine, with the real port and the token; from another
            machine, put this one's name in the place of 127.0.0.1.
        shown: The same for messages, without the token.

    Raises:
        MotionveilError: The address is none, is taken or is not this machine's, or others could
            reach it and there is no token, or a short one.
        ValueError: The rate is not above 0.

    Examples:
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
        answers: Callable[[], Mapping[str, Any]] | None = None,
        rate: float = 15.0,
    ) -> None:
        if not rate > 0:
            raise ValueError(f"the rate is above 0, not {rate}")
        self._screen = Screen(rate)
        site = StreamSite(self._screen, stats, answers)
        self._server = SiteServer(site, address, token, option="--preview")
        self.url, self.shown = self._server.url, self._server.shown

    def __enter__(self) -> Preview:
        threading.Thread(target=self._screen.encode, name="preview-encode", daemon=True).start()
        self._server.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def show(self, image: NDArray[np.uint8], aspect: Fraction = SQUARE) -> None:
        """Take the newest frame. Costs about a microsecond, and a copy while somebody watches.

        Args:
            image: The veiled frame, uint8 (H, W, 3), RGB; may be overwritten afterwards.
            aspect: Sample aspect ratio; browsers know none in images, so they get square pixels.

        Raises:
            ValueError: The array is no RGB image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {image.dtype} {image.shape}")
        if self._screen.viewers:
            self._screen.put(image, aspect)

    def close(self) -> None:
        """Tell the pages that the stream has ended, end all connections and free the port."""
        self._server.close(self._screen.close)


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
        self._server = listening(
            f"{option} {address}", host, port, lambda family: Server((host, port), family)
        )
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
