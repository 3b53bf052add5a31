"""Decoding a video file: every frame with its timestamp, or an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from motionveil.errors import MotionveilError
from motionveil.video.colour import upright_aspect
from motionveil.video.container_check import avi_broken_at, broken_at, missing_bytes
from motionveil.video.robust_decode import DamagedError, StrictDecoder, moving_pictures
from motionveil.video.timestamps import StreamClock
from motionveil.video.types import Decoded

# Codecs of which every packet is a picture that is shown, at its own time.
_ALL_SHOWN = frozenset({"h264", "hevc"})


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and yield its container and its first stream of moving pictures.

    Raises:
        MotionveilError: There is no such file, or no video in it.
    """
    if not path.is_file():
        raise MotionveilError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise MotionveilError(f"{path}: the file is empty")
    try:
        # "file:" keeps a colon in a name from being taken for a network protocol.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except av.EOFError as error:
        raise MotionveilError(f"{path}: {_cut_short(path) or 'holds no frames'}") from error
    except (av.FFmpegError, OSError) as error:
        reason = _cut_short(path) or f"cannot be read as video: {error.strerror}"
        raise MotionveilError(f"{path}: {reason}") from error
    with container:
        yield container, _video_stream(path, container)


def _video_stream(path: Path, container: Any) -> Any:
    stream = moving_pictures(container, str(path))
    if container.format.name == "tty":
        raise MotionveilError(f"{path}: a text file, not a video")
    if stream is None:
        if reason := _cut_short(path):  # before what says what it holds
            raise MotionveilError(f"{path}: {reason}")
        sound = " (it holds sound only)" if container.streams.audio else ""
        raise MotionveilError(f"{path}: no video in this file{sound}")
    if stream.codec_context is None:
        raise MotionveilError(f"{path}: the codec of this video is not known")
    return stream


def decode_file(path: Path) -> Iterator[Decoded]:
    """Decode a file's frames in the order in which they are shown.

    Raises:
        MotionveilError: The file cannot be opened, is damaged, is cut short (it holds fewer bytes
            than its container declares) or holds no frame; the message says how many frames
            could be read. They have been yielded by then.
    """
    frames = 0
    with opened(path) as (container, stream):
        clock = StreamClock(stream.time_base)
        # AVI stores no presentation times: it shows a frame a slot, in the order in which they
        # leave the decoder. The library guesses times, and with reordered (B) frames guesses wrong.
        slots = container.format.name == "avi"
        for picture in _pictures(path, container, stream):
            pts = picture.dts if slots or picture.pts is None else picture.pts
            stamp, anew = clock.stamp(pts, picture.duration)
            aspect = upright_aspect(picture, stream)
            yield Decoded(picture, stamp, stream.time_base, aspect, anew)
            frames += 1
    reason, broken = _cut_short(path), broken_at(path)
    if broken is None and container.format.name == "avi":
        broken = avi_broken_at(path)
    if broken is not None:
        reason = reason or f"damaged at byte {broken}"
    if reason:
        raise MotionveilError(f"{path}: {reason}; {frames} frames could be read")
    if frames == 0:
        raise MotionveilError(f"{path}: holds no frames")


def _pictures(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    decoder = StrictDecoder(stream, threads="AUTO")
    frames, end = 0, _End()
    try:
        for packet in container.demux(stream):
            if not decoder.follows(packet):
                raise DamagedError("a picture is missing")
            end.expect(packet)
            for picture in decoder.decode(packet):
                yield picture
                end.show(picture)
                frames += 1
        if stream.codec_context.name in _ALL_SHOWN and end.is_missing():
            raise DamagedError("the last pictures cannot be decoded")
    except (DamagedError, av.FFmpegError, OSError) as error:
        what = str(error) if isinstance(error, DamagedError) else error.strerror
        reason = _cut_short(path) or f"damaged: {what}"
        raise MotionveilError(f"{path}: {reason}; {frames} frames could be read") from error


class _End:
    """Notices that the last pictures never left the decoder.

    When the library empties a decoder that works on several pictures at once, it keeps an error to
    itself, and all that follows.
    """

    def __init__(self) -> None:
        self._expected: int | None = None
        self._decoded: int | None = None
        self._shown: list[int] = []  # of the last two

    def expect(self, packet: Any) -> None:
        if packet.size and packet.pts is not None and not packet.is_discard:
            if None not in (self._decoded, packet.dts) and packet.dts < self._decoded:
                self._expected = None  # the clock has started anew
            self._decoded = packet.dts
            self._expected = max(packet.pts, self._expected or packet.pts)

    def show(self, picture: Any) -> None:
        if picture.pts is not None:
            self._shown = [*self._shown[-1:], picture.pts]

    def is_missing(self) -> bool:
        if self._expected is None or len(self._shown) < 2:
            return False
        before, last = self._shown
        # A picture may come in two packets, one a field, half its time apart.
        return self._expected - last > 0.75 * (last - before) > 0


def _cut_short(path: Path) -> str | None:
    missing = missing_bytes(path)
    return f"cut short: {missing} of the bytes it declares are missing" if missing else None
