"""Writing to standard output: YUV4MPEG2, or encoded video."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.video.codecs import LIVE_H264, Muxing
from motionveil.video.packets import ContainerSink, Packet, PacketSink
from motionveil.video.sinks import DEFAULT_RATE, SinkOptions, register
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
        comment: What the stream says of itself; None for no comment.
    """

    def __init__(
        self,
        stream: BinaryIO,
        muxing: Muxing,
        *,
        comment: str | None = None,
    ) -> None:
        super().__init__(NAME, LIVE_H264, muxing, comment)
        self._pipe = _Pipe(stream)

    def write(self, packet: Packet) -> None:
        """Append a packet.

        Raises:
            MotionveilError: The reader has gone.
        """
        with _writing(self):
            self._mux(self._pipe, packet)

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
                raise _gone(self) from failure


@contextmanager
def _writing(sink: PipeFile | Y4mSink) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _gone(sink) from error
    except OSError as error:
        raise MotionveilError(f"{sink.name}: cannot write: {error.strerror}") from error


def _gone(sink: PipeFile | Y4mSink) -> MotionveilError:
    return MotionveilError(f"{sink.name}: whoever read it has gone, after {sink.frames} frames")


def _check(dest: str, codec: str | None) -> None:
    name = getattr(sys.stdout, "name", None)  # which no stream in memory has
    if sys.stdout is None or name == os.devnull:  # as `cli.main` replaces a closed one
        raise MotionveilError("-: the standard output is closed")
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


class Y4mSink:
    """Writes frames to an open binary stream as YUV4MPEG2, 4:4:4; a context manager.

    The format has one constant rate and no timestamps: of video with a variable rate every frame
    is there, but not when it was taken. Colours are BT.601 in limited range, as readers assume.

    Args:
        stream: Where to write, such as `sys.stdout.buffer`; it is flushed, not closed.
        rate: Frames a second; 25 if None.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown.
        comment: What the stream says of itself; None for no comment.

    Raises:
        MotionveilError: The reader has gone, or the size has changed.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        rate: Fraction | None = None,
        aspect: Fraction = Fraction(1),
        comment: str | None = None,
    ) -> None:
        self.name = NAME
        self.rate = rate or DEFAULT_RATE
        self.frames = 0
        self._aspect, self._comment = aspect, comment
        self._stream = stream
        self._shape: tuple[int, ...] | None = None
        self._converter = VideoReformatter()

    def __enter__(self) -> Y4mSink:
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        """Append a frame, uint8 (H, W, 3), RGB; `pts` has no place in the format."""
        if self._shape not in (None, image.shape):
            raise MotionveilError(f"{self.name}: the size of the frames has changed")
        with _writing(self):
            if self._shape is None:
                self._stream.write(self._header(image))
            self._stream.write(b"FRAME\n")
            self._stream.write(self._planes(image).data)
            self._stream.flush()
        self._shape = image.shape
        self.frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self.frames == 0:
            raise MotionveilError(f"{self.name}: no frames to write")

    def _header(self, image: NDArray[np.uint8]) -> bytes:
        height, width = image.shape[:2]
        rate = f"{self.rate.numerator}:{self.rate.denominator}"
        aspect = f"{self._aspect.numerator}:{self._aspect.denominator}"
        # A comment ends at the first space.
        comment = "" if self._comment is None else f" X{self._comment.replace(' ', '_')}"
        header = f"YUV4MPEG2 W{width} H{height} F{rate} Ip A{aspect} C444{comment}\n"
        return header.encode("ascii", "replace")

    def _planes(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._converter.reformat(frame, format="yuv444p", dst_colorspace=Colorspace.ITU601)
        return np.ascontiguousarray(frame.to_ndarray())  # (3, H, W)
