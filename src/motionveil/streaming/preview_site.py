"""The newest veiled frame as JPEG, who watches it, and the site that shows it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from math import isfinite
from typing import Any, NamedTuple, Protocol

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from motionveil.limits import packaged_text
from motionveil.streaming.status import Stat

MAX_VIEWERS = 8
"""Parallel streams of images; a further one is refused."""

_JPEG_SCALE = 3  # the codec's quantiser scale, 2 to 31; about quality 90

Stats = Mapping[str, Stat]

STATS = (
    *("source", "encoder", "recogniser", "width", "height", "frames_in", "frames_out"),
    *("left_out", "dropped", "damaged", "guarded", "destinations"),
    *("guard", "fps", "latency_p50_ms", "latency_p95_ms", "seconds", "ended"),
)
"""The numbers that the page knows; no other leaves the process."""

_ANSWERS_A_SECOND = 4

SQUARE = Fraction(1)
"""The sample aspect ratio of most video."""


class Document(NamedTuple):
    """An answer that is whole at once."""

    type: str
    text: str
    status: int = 200


class Site(Protocol):
    """What a server shows to those who may see it.

    Attributes:
        closed: Set when there is nothing more to see.
        public: Paths of documents that everybody may see, without a token.
        sign_in: A page that asks for the token; None where it is only taken from the address.
    """

    closed: threading.Event
    public: frozenset[str]
    sign_in: str | None

    def page(self) -> str:
        """Return the page, HTML with `{{nonce}}` and `{{ticket}}`."""

    def screen(self, camera: str) -> Screen | None:
        """Return what has the images of a camera; None for an unknown name."""

    def numbers(self, viewer: str) -> str:
        """Return the numbers for a viewer, JSON."""

    def feed(self, viewer: str) -> Generator[str, None, None]:
        """Yield blocks of an event stream, one per second at least, until closed."""

    def document(self, path: str) -> Document | None:
        """Return another document; None if there is none at this path."""


class StreamSite:
    """One stream: its image, its numbers once per second, and what is recognised in it.

    Args:
        stats: Gives the numbers; see `STATS`.
        answers: Gives what is recognised; None where nothing is.
    """

    public: frozenset[str] = frozenset()
    sign_in: str | None = None

    def __init__(
        self,
        screen: Screen,
        stats: Callable[[], Stats],
        answers: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._screen, self._stats, self._answers = screen, stats, answers
        self.closed = screen.closed

    def page(self) -> str:
        """Return the page."""
        return packaged_text("motionveil.streaming", "preview.html")

    def screen(self, camera: str) -> Screen | None:
        """Return what has the images."""
        return self._screen if not camera else None

    def numbers(self, viewer: str, *, ended: bool = False) -> str:
        """Return those of `STATS` that are known, as JSON."""
        stats = self._stats()
        numbers = {name: json_value(stats[name]) for name in STATS if name in stats}
        viewers = self._screen.viewers
        numbers["watching"] = bool(viewer) and viewer in viewers
        numbers["room"] = len(viewers) < MAX_VIEWERS
        return json.dumps(numbers | {"ended": True} if ended else numbers)

    def feed(self, viewer: str) -> Generator[str, None, None]:
        """Yield the numbers once per second, and at last that the stream has ended.

        Where something is recognised, yield that in between, as events called `answer`.
        """
        while not self.closed.is_set():
            yield f"data: {self.numbers(viewer)}\n\n"
            if self._answers is None:
                self.closed.wait(1)
                continue
            for _ in range(_ANSWERS_A_SECOND):
                yield f"event: answer\ndata: {json.dumps(self._answers())}\n\n"
                self.closed.wait(1 / _ANSWERS_A_SECOND)
        yield f"data: {self.numbers(viewer, ended=True)}\n\n"

    def document(self, path: str) -> Document | None:
        """Return nothing."""
        return None


def json_value(value: Stat) -> Stat:
    """Return a value that JSON knows: it has no NaN and no infinity."""
    return None if isinstance(value, float) and not isfinite(value) else value


class Screen:
    """Takes frames, encodes the newest while somebody watches, and hands it to every viewer.

    Args:
        rate: Images per second at most.

    Attributes:
        viewers: The names that those who watch gave themselves.
        closed: Set when there is nothing more to see.
    """

    def __init__(self, rate: float) -> None:
        self.viewers: list[str] = []
        self.closed = threading.Event()
        self._interval = 1 / rate
        self._frame = threading.Condition()  # held for a copy at most; guards the next three
        self._newest: NDArray[np.uint8] | None = None
        self._aspect, self._fresh = SQUARE, False
        self._picture = threading.Condition()  # guards the next two and the viewers
        self._jpeg: bytes | None = None
        self._number = 0

    def put(self, image: NDArray[np.uint8], aspect: Fraction = SQUARE) -> None:
        """Copy a frame, uint8 (H, W, 3), in the place of the one before; see `Preview.show`."""
        with self._frame:
            if self._newest is None or self._newest.shape != image.shape:
                self._newest = np.empty(image.shape, np.uint8)
            np.copyto(self._newest, image)
            self._aspect = aspect
            self._fresh = True
            self._frame.notify()

    def encode(self) -> None:
        """Make JPEGs of the newest frame until closed; a thread of its own."""
        jpeg = _Jpeg()
        frame: NDArray[np.uint8] | None = None
        while True:
            with self._frame:
                self._frame.wait_for(lambda: self._fresh or self.closed.is_set())
                # The two buffers change places, so that `put` never waits for the codec.
                frame, self._newest, self._fresh = self._newest, frame, False
                aspect = self._aspect
            if self.closed.is_set():
                return
            started = time.monotonic()
            if self.viewers and frame is not None:
                data = jpeg(frame, aspect)
                self._publish(data)
            cost = time.monotonic() - started
            self.closed.wait(max(self._interval, 3 * cost) - cost)

    def _publish(self, jpeg: bytes) -> None:
        with self._picture:
            if self.viewers:
                self._jpeg, self._number = jpeg, self._number + 1
                self._picture.notify_all()

    def picture(self, after: int, timeout: float) -> tuple[int, bytes] | None:
        """Wait for an image newer than number `after`.

        Returns:
            Its number and the JPEG; None if there is none within `timeout` seconds, or closed.
        """
        with self._picture:
            self._picture.wait_for(lambda: self._newer(after) or self.closed.is_set(), timeout)
            jpeg = self._newer(after)
            return (self._number, jpeg) if jpeg else None

    def _newer(self, after: int) -> bytes | None:
        return self._jpeg if self._number > after else None

    @contextmanager
    def watch(self, name: str) -> Iterator[bool]:
        """Count a viewer for the length of the block; yields whether there is room for it."""
        with self._picture:
            room = len(self.viewers) < MAX_VIEWERS
            if room:
                self.viewers.append(name)
        try:
            yield room
        finally:
            if room:
                self._leave(name)

    def _leave(self, name: str) -> None:
        with self._picture:
            self.viewers.remove(name)
            if not self.viewers:
                self._jpeg = None  # the next viewer, in an hour perhaps, must not get an old one

    def close(self) -> None:
        """Let everybody who waits go."""
        self.closed.set()
        for condition in (self._frame, self._picture):
            with condition:
                condition.notify_all()


class _Jpeg:
    """Encodes RGB frames as JPEG, 4:4:4, scaled to square pixels."""

    def __init__(self) -> None:
        self._codec: Any = None
        self._converter = VideoReformatter()
        self._frames = 0

    def __call__(self, image: NDArray[np.uint8], aspect: Fraction) -> bytes:
        height, width = image.shape[0], max(1, round(image.shape[1] * aspect))
        if self._codec is None or (self._codec.height, self._codec.width) != (height, width):
            self._codec = av.CodecContext.create("mjpeg", "w")
            self._codec.width, self._codec.height = width, height
            self._codec.pix_fmt, self._codec.time_base = "yuvj444p", Fraction(1, 25)
            self._codec.qmin = self._codec.qmax = _JPEG_SCALE
            self._codec.thread_count = 1  # with more, it gives the frame before last
            self._codec.options = {"flags": "+bitexact"}  # no note of who made it
        frame = self._converter.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"),
            width,
            height,
            format="yuvj444p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
        )
        frame.pts = self._frames
        self._frames += 1
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
