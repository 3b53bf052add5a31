"""The veiled stream in a browser: a page with the picture and its numbers, for setting up a camera.

Standard library and PyAV only. The module is given veiled frames and never sees another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.streaming.preview_site import Screen, Stats, StreamSite
from motionveil.streaming.site_server import SiteServer


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
        answers: Called four times a second for each page, from other threads, for what is
            recognised in the stream: see `motionveil.recognition.reports.Timeline.snapshot`.
            None where nothing is recognised.
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
        self._server.close(self._screen.close)
