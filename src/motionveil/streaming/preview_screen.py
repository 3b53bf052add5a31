"""The newest veiled frame, its JPEG, and who watches: between the pipeline and the browsers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

MAX_VIEWERS = 8
"""Streams of pictures at a time; a further one is refused."""

_JPEG_SCALE = 3  # the codec's quantiser scale, 2 to 31; about quality 90


class Screen:
    """Takes frames, encodes the newest while somebody watches, and hands it to every viewer.

    Args:
        rate: Pictures a second at most.

    Attributes:
        viewers: The names that those who watch gave themselves.
        closed: Set when there is nothing more to see.
    """

    def __init__(self, rate: float) -> None:
        self.viewers: list[str] = []
        self.closed = threading.Event()
        self._interval = 1 / rate
        self._frame = threading.Condition()  # held for a copy at most; guards the next two
        self._newest: NDArray[np.uint8] | None = None
        self._fresh = False
        self._picture = threading.Condition()  # guards the next two and the viewers
        self._jpeg: bytes | None = None
        self._number = 0

    def put(self, image: NDArray[np.uint8]) -> None:
        """Copy a frame, uint8 (H, W, 3), in the place of the one before."""
        with self._frame:
            if self._newest is None or self._newest.shape != image.shape:
                self._newest = np.empty(image.shape, np.uint8)
            np.copyto(self._newest, image)
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
            if self.closed.is_set():
                return
            started = time.monotonic()
            if self.viewers and frame is not None:
                data = jpeg(frame)
                self._publish(data)
            cost = time.monotonic() - started
            self.closed.wait(max(self._interval, 3 * cost) - cost)

    def _publish(self, jpeg: bytes) -> None:
        with self._picture:
            if self.viewers:
                self._jpeg, self._number = jpeg, self._number + 1
                self._picture.notify_all()

    def picture(self, after: int, timeout: float) -> tuple[int, bytes] | None:
        """Wait for a picture newer than number `after`.

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
    """Encodes RGB frames as JPEG, 4:4:4."""

    def __init__(self) -> None:
        self._codec: Any = None
        self._converter = VideoReformatter()
        self._frames = 0

    def __call__(self, image: NDArray[np.uint8]) -> bytes:
        height, width = image.shape[:2]
        if self._codec is None or (self._codec.height, self._codec.width) != (height, width):
            self._codec = av.CodecContext.create("mjpeg", "w")
            self._codec.width, self._codec.height = width, height
            self._codec.pix_fmt, self._codec.time_base = "yuvj444p", Fraction(1, 25)
            self._codec.qmin = self._codec.qmax = _JPEG_SCALE
            self._codec.thread_count = 1  # with more, it gives the frame before last
            self._codec.options = {"flags": "+bitexact"}  # no note of who made it
        frame = self._converter.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"),
            format="yuvj444p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
        )
        frame.pts = self._frames
        self._frames += 1
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
