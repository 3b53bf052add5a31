"""Reading, veiling and writing side by side, over bounded queues."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.streaming.geometry import repeat_pixels
from motionveil.streaming.guard import Reason
from motionveil.streaming.status import Status
from motionveil.streaming.stream_encoder import StreamEncoder
from motionveil.video import Frame, Sink, Source, VideoInfo

T = TypeVar("T")

_LOOK_AT_STOP = 0.2  # seconds


class ClosedError(Exception):
    """Nobody takes what would be put; the one who puts can stop."""


class Lane(Generic[T]):
    """A first-in, first-out queue for one thread that puts and one that takes.

    Args:
        stop: When set, the lane ends as soon as it is empty, whether or not the one who puts has
            noticed: it may hang in a read from a dead network.
    """

    def __init__(self, size: int, *, stop: Event | None = None) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._stop = stop or Event()
        self._changed = Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self.merged = 0

    def put(self, item: T, *, merge: Callable[[T, T], T] | None = None) -> None:
        """Append an item.

        Args:
            merge: What to put in the place of the oldest two items when the lane is full; None to
                wait for room instead. A live source must not wait.

        Raises:
            ClosedError: The consumer has closed the lane.
        """
        with self._changed:
            if merge is not None and len(self._items) >= self._size:
                oldest = self._items.popleft()
                if self._items:
                    self._items[0] = merge(oldest, self._items[0])
                else:
                    item = merge(oldest, item)
                self.merged += 1
            while len(self._items) >= self._size and not self._closed:
                self._changed.wait()
            if self._closed:
                raise ClosedError
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing follows; with an error, what is raised after the last item."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Stop taking: drop what is there, and tell the producer."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take items until the end; raise the error of the end, if there was one."""
        while True:
            with self._changed:
                while not self._items and not self._is_over():
                    self._changed.wait(_LOOK_AT_STOP)
                if not self._items:
                    if self._error is not None and not self._closed:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def _is_over(self) -> bool:
        return self._ended or self._closed or self._stop.is_set()


First = Literal["neutral", "drop"]
OpenOutput = Callable[[VideoInfo, Fraction], Sink]
FrameCallback = Callable[[NDArray[np.uint8]], None]

_WAITING = 8  # frames of a file that wait for the encoder, and as many for the writer
_WAITING_LIVE = 2


class _Veiled(NamedTuple):
    image: NDArray[np.uint8]
    pts: int
    time_base: Fraction
    guard: Reason | None
    arrived: float


class Pipeline:
    """Takes every frame of a source through an encoder into a sink; runs once.

    Reading, veiling and writing each have a thread of their own. A source that waits (a file, a
    pipe) loses no frame. Of one that does not (`live`) the oldest frames that nobody had time for
    are dropped and counted. Raw frames are in memory only.

    Args:
        open_output: Called with what the source is and its time base, when the first frame is
            there; returns the sink.
        enlarge: How many times each pixel is repeated, along both sides, in what is written.
        first: The first frame has no difference: write the `"neutral"` frame, or `"drop"` it.
        limit: Stop after so many frames; None for all.
        stop: Set it to end: what has been read is still written. Then a fault of the source is
            none.
        watch: Called with each frame written, in the writer's thread; the array is used again
            afterwards.
    """

    def __init__(
        self,
        source: Source,
        encoder: StreamEncoder,
        open_output: OpenOutput,
        *,
        enlarge: int = 1,
        first: First = "neutral",
        limit: int | None = None,
        stop: Event | None = None,
        watch: FrameCallback = lambda image: None,
    ) -> None:
        self.status = Status()
        self._source = source
        self._encoder = encoder
        self._open_output = open_output
        self._enlarge = enlarge
        self._first = first
        self._limit = limit
        self._stop = stop or Event()
        self._watch = watch
        size = _WAITING_LIVE if source.live else _WAITING
        self._read: Lane[Frame] = Lane(size, stop=self._stop)
        self._veiled: Lane[_Veiled] = Lane(size)
        self._spare: SimpleQueue[NDArray[np.uint8]] = SimpleQueue()

    def run(self) -> Status:
        """Run to the end of the source, and return what was done.

        Raises:
            MotionveilError: The source failed (frames before the fault are written first), or the
                sink did.
        """
        threads = [
            Thread(target=target, name=f"motionveil-{name}", daemon=True)
            for name, target in (("reader", self._read_all), ("encoder", self._veil_all))
        ]
        for thread in threads:
            thread.start()
        try:
            self._write_all()
        finally:
            self._stop.set()
            self._veiled.close()
            self._read.close()
            for thread in threads:
                thread.join(timeout=2)  # a read from a dead network may take longer; it is a daemon
            self.status.ended = True
        return self.status

    def _read_all(self) -> None:
        status = self.status
        try:
            for frame in self._source.frames(self._stop):
                if frame.arrived is None:
                    frame = frame._replace(arrived=time.monotonic())
                if status.started is None:
                    status.started = frame.arrived
                status.frames_in += 1
                # Asked for each frame: an address is known to be a film only when it has answered.
                self._read.put(frame, merge=_newest if self._source.live else None)
                status.dropped = self._read.merged
                status.damaged = self._source.damaged
                if status.frames_in == self._limit or self._stop.is_set():
                    break
        except ClosedError:
            pass
        except BaseException as error:  # raised again in the thread of `run`
            self._read.end(error)
        else:
            self._read.end()

    def _veil_all(self) -> None:
        try:
            for frame in self._read:
                veiled = self._veil(frame)
                if veiled is None:
                    self.status.left_out += 1
                else:
                    self._veiled.put(veiled)
        except ClosedError:
            pass
        except BaseException as error:  # raised again in the thread of `run`
            self._veiled.end(error)
        else:
            self._veiled.end()

    def _veil(self, frame: Frame) -> _Veiled | None:
        spare: NDArray[np.uint8] | None = None
        with suppress(Empty):
            spare = self._spare.get_nowait()
        if spare is not None and spare.shape != self._encoder.shape_of(frame.image, frame.aspect):
            spare = None
        image = self._encoder(
            frame.image, out=spare, time=frame.time, fresh=frame.fresh, aspect=frame.aspect
        )
        if image is None:
            if spare is not None:
                self._spare.put(spare)
            return None
        assert frame.arrived is not None
        guard = self._encoder.guarded
        return _Veiled(image, frame.pts, frame.time_base, guard, frame.arrived)

    def _write_all(self) -> None:
        frames = iter(self._veiled)
        start = next(frames, None)
        if start is None:
            return
        info = self._source.info
        assert info is not None, "a source knows what it is when its first frame is there"
        if self._encoder.geometry is None:  # a geometry's pixels are square
            self.status.aspect = info.aspect
        with self._open_output(info, start.time_base) as sink:
            for number, frame in enumerate(_chain(start, frames)):
                if frame.guard is not None:
                    self.status.guarded[frame.guard] += 1
                self.status.guard = frame.guard
                if number > 0 or self._first == "neutral":
                    image = repeat_pixels(frame.image, self._enlarge)
                    self.status.height, self.status.width = image.shape[:2]
                    sink.write(image, frame.pts)
                    self.status.wrote(frame.arrived)
                self._watch(frame.image)
                self._spare.put(frame.image)
            if self.status.frames_out == 0:
                raise MotionveilError(
                    f"{self._source.name}: 1 frame only, and the first is dropped"
                )


def _newest(older: Frame, newer: Frame) -> Frame:
    """Drop the older of two frames, but not the knowledge that something is missing there."""
    return newer._replace(fresh=newer.fresh or older.fresh)


def _chain(first: _Veiled, rest: Iterator[_Veiled]) -> Iterator[_Veiled]:
    yield first
    yield from rest
