"""Writing to the standard output: y4m, which every video tool reads, or MPEG-TS, or Matroska."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import BinaryIO

from motionveil.errors import MotionveilError
from motionveil.video.codecs import LIVE_H264, Muxing
from motionveil.video.packets import ContainerSink, Packet, PacketSink
from motionveil.video.sinks import SinkOptions, register
from motionveil.video.sinks.y4m import Y4mSink
from motionveil.video.types import Sink

NAME = "standard output"

CONTAINERS = ("y4m", "mpegts", "matroska")
"""What the standard output may be."""

_OPTIONS = {"fflags": "+bitexact", "flush_packets": "1"}
_MUXING = {
    "mpegts": Muxing("mpegts", _OPTIONS),
    "matroska": Muxing("matroska", {**_OPTIONS, "live": "1", "cluster_time_limit": "1000"}),
}


class _Pipe:
    """A stream in which FFmpeg cannot seek, and which does not wait for more."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self._stream.flush()
        return len(data)


class PipeFile(ContainerSink):
    """Writes packets to an open binary stream; a slow reader makes the video wait.

    Args:
        stream: Where to write; it is not closed.
        muxing: How.
        comment: What the stream says of itself; None for nothing.
        name: What to call it in messages.
    """

    def __init__(
        self,
        stream: BinaryIO,
        muxing: Muxing,
        *,
        comment: str | None = None,
        name: str = NAME,
    ) -> None:
        super().__init__(name, LIVE_H264, muxing, comment)
        self._pipe = _Pipe(stream)

    def write(self, packet: Packet) -> None:
        """Append a packet.

        Raises:
            MotionveilError: The reader has gone.
        """
        try:
            self._mux(self._pipe, packet)
        except BrokenPipeError as error:
            raise self._gone() from error
        except OSError as error:
            raise MotionveilError(f"{self.name}: cannot write: {error.strerror}") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._muxer is None:
            if error is None:
                raise self._empty()
            return
        try:
            self._muxer.close()
        except OSError as failure:
            if error is None:
                raise self._gone() from failure

    def _gone(self) -> MotionveilError:
        return MotionveilError(f"{self.name}: whoever read it has gone, after {self.frames} frames")


def _check(dest: str, codec: str | None) -> None:
    if sys.stdout.isatty():
        raise MotionveilError("-: video on a terminal is of no use; pipe it somewhere")
    if codec not in (None, "h264"):
        raise MotionveilError(f"-: --codec {codec} is for video files")


@register(
    "-",
    "standard output: y4m, or H.264 in --format mpegts, matroska",
    takes=lambda dest: dest == "-",
    check=_check,
)
def open_standard_output(dest: str, options: SinkOptions) -> Sink | PacketSink:
    """Open the standard output."""
    if options.container == "y4m":
        return Y4mSink(
            sys.stdout.buffer, rate=options.rate, aspect=options.aspect, comment=options.comment
        )
    if options.container not in _MUXING:
        raise MotionveilError(
            f"-: no such format: {options.container!r}; there is {', '.join(CONTAINERS)}"
        )
    return PipeFile(sys.stdout.buffer, _MUXING[options.container], comment=options.comment)
