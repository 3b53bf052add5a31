"""Encoded frames, and what takes them: several destinations may share one encoder."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from motionveil.errors import MotionveilError
from motionveil.video.codecs import MATROSKA, Encoding, Muxing, metadata_for
from motionveil.video.matroska import DisplaySizeFile


@dataclass(frozen=True)
class Packet:
    """An encoded frame.

    Attributes:
        data: As the encoder made it.
        pts: Presentation timestamp in units of `time_base`.
        dts: Decoding timestamp likewise.
        duration: Likewise; 0 if not known.
        time_base: Seconds that one unit lasts.
        key: Whether decoding can begin here.
    """

    data: bytes
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    key: bool


class PacketSink(ABC):
    """A destination of encoded frames; a context manager.

    Args:
        name: Where they go, for messages; without a password.
        encoding: How frames are to be encoded for it.

    Attributes:
        name: See above, like `encoding`.
        realtime: Takes frames at their own time, and drops those for which there is no time.
        tick: Seconds that the format's clock counts in, which two frames must not share; None
            where that cannot be, or a recording must go on.
        frames: Frames written so far.
        dropped: Frames lost so far.
        trouble: Why it takes no frames now; None if it does.
        stream: What the packets are of: a stream of FFmpeg; None before the first packet.
    """

    realtime = False
    tick: Fraction | None = None

    def __init__(self, name: str, encoding: Encoding) -> None:
        self.name, self.encoding = name, encoding
        self.frames = self.dropped = 0
        self.trouble: str | None = None
        self.stream: Any = None

    def __enter__(self) -> PacketSink:
        return self

    @abstractmethod
    def write(self, packet: Packet) -> None:
        """Append a packet.

        Raises:
            MotionveilError: It takes none, and never will again.
        """

    def end(self) -> None:  # noqa: B027, most have nothing to do before they are left
        """Learn that nothing follows; called for all destinations before any is left."""

    @abstractmethod
    def __exit__(self, *error: Any) -> None:
        """Finish, or clear away what was begun."""


_MOST_TICKS = 1 << 31
"""Of a track's clock, from one picture of an MP4 file to the next."""


class Muxer:
    """Writes packets into a container, which keeps the sample aspect ratio of their stream.

    Args:
        where: A `Path`, an address (str) or a binary file.
        start: The timestamp that is to be 0, in units of the packets' time base.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(
        self,
        where: Any,
        muxing: Muxing,
        stream: Any,
        *,
        metadata: dict[str, str] | None = None,
        start: int = 0,
    ) -> None:
        self._file: DisplaySizeFile | None = None  # opened and closed here
        aspect = Fraction(stream.codec_context.sample_aspect_ratio or 1)
        if isinstance(where, Path) and aspect != 1 and _loses_aspect(muxing, stream):
            where = self._file = DisplaySizeFile(where.open("wb"), aspect)
        try:
            with _os_errors():
                self._container = av.open(
                    local(where) if isinstance(where, Path) else where,
                    "w",
                    format=muxing.container,
                    options=muxing.options,
                )
        except OSError:
            self._close_file()
            raise
        self._container.metadata.update(metadata or {})
        self._stream = self._container.add_stream_from_template(stream)
        self._start = start
        self._longest = _MOST_TICKS if muxing.container == "mp4" else None
        self._last: int | None = None

    def write(self, packet: Packet) -> None:
        """Append a packet.

        Raises:
            OSError: It cannot be written, or comes later after the one before than the container
                can say.
        """
        self._check_gap(packet)
        made = av.Packet(packet.data)
        made.stream = self._stream
        made.time_base = packet.time_base
        made.pts, made.dts = packet.pts - self._start, packet.dts - self._start
        made.duration = packet.duration
        made.is_keyframe = packet.key
        with _os_errors():
            self._container.mux(made)
        self._last = packet.dts

    def _check_gap(self, packet: Packet) -> None:
        if self._longest is None or self._last is None:
            return
        # Of reordered pictures, the gap is between decoding and showing.
        ticks = max(packet.dts - self._last, packet.pts - packet.dts)
        gap = ticks * packet.time_base
        if gap / self._stream.time_base >= self._longest:
            raise OSError(
                errno.EOVERFLOW,
                f"a gap of {float(gap):.0f} s, longer than an .mp4 can hold; write an .mkv",
            )

    def close(self) -> None:
        """Finish the container.

        Raises:
            OSError: It cannot be written.
        """
        try:
            with _os_errors():
                self._container.close()
        finally:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()


def _loses_aspect(muxing: Muxing, stream: Any) -> bool:
    """Whether neither container nor codec keep the sample aspect ratio; see `matroska.py`."""
    return muxing.container in MATROSKA and stream.codec_context.codec.canonical_name != "h264"


class ContainerSink(PacketSink):
    """A destination that is one container, which the first packet opens.

    Args:
        name: As in `PacketSink`, like `encoding`.
        comment: What the container says of itself; None for no comment.
    """

    def __init__(self, name: str, encoding: Encoding, muxing: Muxing, comment: str | None) -> None:
        super().__init__(name, encoding)
        self._muxing = muxing
        self._metadata = metadata_for(muxing.container, comment)
        self._muxer: Muxer | None = None

    def _mux(self, where: Any, packet: Packet) -> None:
        """Append a packet to the container at a place; see `Muxer`."""
        if self._muxer is None:
            self._muxer = Muxer(where, self._muxing, self.stream, metadata=self._metadata)
        self._muxer.write(packet)
        self.frames += 1

    def _empty(self) -> MotionveilError:
        return MotionveilError(f"{self.name}: no frames to write")


def local(path: Path) -> str:
    """Return a path as it is given to FFmpeg, so that it takes no colon for a network protocol."""
    return str(path) if path.is_absolute() else f"./{path}"


@contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error
