"""Video out of a pipe: whatever FFmpeg can read from its beginning on."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any, BinaryIO

import av

from motionveil.errors import MotionveilError
from motionveil.video.colour import RgbConverter, upright_aspect, upright_size
from motionveil.video.container_check import HEAD, begins_chunk
from motionveil.video.robust_decode import ResyncDecoder, WholeFrame, moving_pictures
from motionveil.video.timestamps import StreamClock
from motionveil.video.types import Frame, VideoInfo

_LOOK = 0.2  # seconds between looks at the stop flag while nothing comes
_TS_PACKET = 188


class PipeSource:
    """Standard input, or a named pipe. It waits, so it is not live: no frame of it need be lost.

    Damaged data are left out and reported once, since a pipe often ends a radio link; the first
    frame after them is `fresh`. A pipe that ends in the middle of a frame is an error: what
    wrote into it has failed.

    Args:
        file: What to read; standard input if None.
        name: What errors call it.
        notice: Called with one line about damaged data.

    Attributes:
        name: As in `Source`, like `live` and `info`.
        damaged: Frames left out so far since they, or others before them, were damaged.
    """

    live = False

    def __init__(
        self,
        file: BinaryIO | None = None,
        *,
        name: str = "standard input",
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self.info: VideoInfo | None = None
        self.damaged = 0
        self._file = file or sys.stdin.buffer
        self._notice = notice
        self._convert = RgbConverter(self.name)
        self._frames = 0

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the frames; see `Source.frames`. Timestamps are the stream's own.

        Raises:
            MotionveilError: There is no video in the pipe, it ends before the first frame or in
                the middle of one, its frames change in size, or it is a terminal.
        """
        if self._file.isatty():
            raise MotionveilError(f"{self.name}: a terminal, not a pipe; write video into it")
        reader = _Reader(self._file, stop)
        try:
            with av.open(reader, metadata_errors="replace") as container:
                yield from self._decoded(container, reader, stop)
        except (av.FFmpegError, OSError) as error:
            if stop.is_set():
                return
            if reader.total == 0:
                raise MotionveilError(f"{self.name}: ended before the first byte") from error
            if self._frames:
                raise self._broken(str(error.strerror)) from error
            raise MotionveilError(
                f"{self.name}: cannot be read as video: {error.strerror}; a pipe must carry what"
                " can be read from its beginning on: y4m, mpegts, matroska, not a plain mp4"
            ) from error

    def _decoded(self, container: Any, reader: _Reader, stop: Event) -> Iterator[Frame]:
        stream = moving_pictures(container, self.name)
        if stream is None:
            raise MotionveilError(f"{self.name}: no video in this pipe")
        if stream.codec_context is None:
            raise MotionveilError(f"{self.name}: the codec of this video is not known")
        decoder = ResyncDecoder(stream)
        end = before = 0
        for packet, arrived, is_whole in _packets(container, stream, reader):
            if packet.size:
                before = decoder.faults
                end = max(end, (packet.pos or 0) + packet.size)
            for intact in decoder.decode(packet, arrived, is_whole=is_whole):
                if stop.is_set():
                    return
                yield self._frame(intact, stream)
            self.damaged = decoder.damaged
            if decoder.faults == 1 and before == 0 and packet.size:
                self._notice(f"{self.name}: damaged data; left out up to the next whole picture")
        if stop.is_set():
            return
        if decoder.faults > before or _is_cut(container.format.name, reader, end):
            raise self._broken("ended in the middle of a frame")
        if self._frames == 0:
            raise MotionveilError(f"{self.name}: ended before the first frame")

    def _frame(self, intact: WholeFrame, stream: Any) -> Frame:
        size = upright_size(intact.picture)
        if self.info is None:
            self._clock = StreamClock(stream.time_base)
            rate = stream.average_rate or stream.guessed_rate or None
            aspect = upright_aspect(intact.picture, stream)
            self.info = VideoInfo(*size, rate, stream.time_base, None, aspect)
        if size != (self.info.width, self.info.height):
            raise MotionveilError(
                f"{self.name}: frame {self._frames} is {size[0]}x{size[1]},"
                " those before it are not; a video must keep its size"
            )
        pts, jumped = self._clock.stamp(intact.picture.pts, intact.picture.duration)
        self._frames += 1
        fresh = intact.fresh or jumped
        image = self._convert(intact.picture)
        return Frame(image, pts, stream.time_base, fresh, intact.arrived, aspect=self.info.aspect)

    def _broken(self, reason: str) -> MotionveilError:
        return MotionveilError(f"{self.name}: {reason}; {self._frames} frames could be read")


def _packets(container: Any, stream: Any, reader: _Reader) -> Iterator[tuple[Any, float, bool]]:
    """Yield the packets, when each arrived, and whether it is known to be whole.

    A byte too few or too many in an AVI's chunk moves all behind it, and only where the next chunk
    should begin does it show. So each packet waits there for the one after it.
    """
    if container.format.name != "avi":
        yield from ((packet, time.monotonic(), True) for packet in container.demux(stream))
        return
    held: tuple[Any, float] | None = None
    for packet in container.demux(stream):
        arrived = time.monotonic()
        if held is not None:
            behind = _behind(held[0], reader.marked)
            yield (*held, len(behind) < HEAD or begins_chunk(behind))
            held = None
        if packet.size and packet.pos is not None:
            reader.mark(packet.pos + packet.size)
            held = packet, arrived
        else:
            yield packet, arrived, True


def _behind(packet: Any, marked: bytes) -> bytes:
    """Return what follows a packet of an AVI, without the byte that makes its length even."""
    # Some writers leave that byte out.
    return marked[1:] if packet.size % 2 and not begins_chunk(marked) else marked


class _Reader:
    """Hands a pipe to FFmpeg as it comes, without waiting for a full buffer; looks at `stop`.

    Attributes:
        total: Bytes read so far.
        head: The first ones.
        marked: The bytes from the marked place on, as far as they were read: enough for the head of
            a chunk.
    """

    def __init__(self, file: BinaryIO, stop: Event) -> None:
        self._descriptor, self._stop = file.fileno(), stop
        self.total = 0
        self.head = self.marked = b""
        self._mark = 0
        self._last = b""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end, or when stopped."""
        if not self._wait():
            return b""
        data = os.read(self._descriptor, size)
        self.total += len(data)
        self._last = data
        self._keep_marked()
        if len(self.head) <= _TS_PACKET:
            self.head += data[: _TS_PACKET + 1]
        return data

    def mark(self, at: int) -> None:
        """Keep the bytes from a place on that FFmpeg has not used yet: they may just be read."""
        self._mark, self.marked = at, b""
        self._keep_marked()

    def _keep_marked(self) -> None:
        missing = HEAD + 1 - len(self.marked)
        start = self._mark + len(self.marked) - (self.total - len(self._last))
        if missing and 0 <= start < len(self._last):
            self.marked += self._last[start : start + missing]

    def _wait(self) -> bool:
        """Wait until there is something to read, or the end; False when stopped."""
        while not self._stop.is_set():
            # Windows can wait for sockets only: there the read itself waits.
            if os.name == "nt" or select.select([self._descriptor], [], [], _LOOK)[0]:
                return True
        return False


def _is_cut(format_name: str, reader: _Reader, end: int) -> bool:
    """Say whether a pipe ended in the middle of something, where FFmpeg says nothing."""
    if format_name == "yuv4mpegpipe":
        return reader.total != end
    aligned = reader.head[:1] == b"G" and reader.head[_TS_PACKET:][:1] == b"G"
    return format_name == "mpegts" and aligned and reader.total % _TS_PACKET != 0
