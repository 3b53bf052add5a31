"""Live sources: a camera, or a stream out of the network, that may break off and come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event
from typing import Any, Literal, get_args

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.format import Flags

from motionveil.errors import MotionveilError
from motionveil.video.colour import RgbConverter, upright_aspect, upright_size
from motionveil.video.robust_decode import ResyncDecoder, WholeFrame, moving_pictures
from motionveil.video.timestamps import LIVE_TIME_BASE, LiveClock
from motionveil.video.types import Frame, VideoInfo

GIVE_UP = 60.0
"""Seconds without a frame after which a live source gives up, where nothing else is said."""

Decode = Literal["none", "auto", "vaapi", "cuda"]
"""What decodes: the processor, the first hardware that is there, or one kind of it."""

DECODE: tuple[Decode, ...] = get_args(Decode)

_ANSWER = 10.0  # seconds in which a connection must be there
_SILENCE = 5.0  # seconds without a packet after which a connection counts as lost
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_SHORT = Fraction(1)  # seconds that a whole video may end before it said
_MOST_A_SECOND = 1000  # a "rate" above that is the clock's, not the camera's

# Trying again does not help, and may lock an account.
_HOPELESS = (
    av.error.HTTPUnauthorizedError,
    av.error.HTTPForbiddenError,
    av.error.ProtocolNotFoundError,
    av.error.DemuxerNotFoundError,
)


@dataclass(frozen=True)
class LiveInput:
    """What FFmpeg is to open.

    Attributes:
        name: For messages; without a password.
        url: Address, or name of the device.
        format: FFmpeg's name of the input device; None to find out.
        options: FFmpeg's options.
        finite: Whether a stream that says how long it is will end as a file does.
    """

    name: str
    url: str = field(repr=False)
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    finite: bool = False


class _LostError(Exception):
    """A connection is lost; the message says why."""


class _SilentError(_LostError):
    """Nothing of use came for too long, which is no end."""


class LiveSource:
    """A camera or a network stream; connects again when the connection breaks off.

    The first frame of every connection is `fresh`, and so is the first after damaged or missing
    data, after a change of size (the frames keep the size of the first one) and after a jump of
    the stream's clock. What cannot be decoded whole is left out: see `ResyncDecoder`.

    `live` turns False once connected to a video of known length on a web server: that is read as
    fast as it is asked for, every frame of it, ends as a file does and is not begun again. A video
    of unknown length there is a stream; it ends when it has ended of itself and begins again with
    the same data.

    Args:
        source: What to open.
        give_up: Seconds without a frame after which to raise an error.
        notice: Called with one line on what happens to the connection.
        decode: See `Decode`. What is not there is replaced by the processor, and `notice` told
            what is used. Hardware makes up for damage without a word: only what is missing between
            pictures, and what FFmpeg sees in their headers, is then left out.

    Attributes:
        name: As in `Source`, like `live` and `info`.
        damaged: Frames left out so far since they, or others before them, were damaged.
    """

    def __init__(
        self,
        source: LiveInput,
        *,
        give_up: float = GIVE_UP,
        notice: Callable[[str], None] = lambda line: None,
        decode: Decode = "none",
    ) -> None:
        self.name = source.name
        self.live = True
        self.info: VideoInfo | None = None
        self.damaged = 0
        self._input = source
        self._give_up = give_up
        self._notice = notice
        self._decode = decode
        self._accelerator: HWAccel | None = None
        self._silence = min(_SILENCE, give_up)
        self._since = 0.0  # when the last frame was, or the beginning
        self._clock = LiveClock()
        self._convert = RgbConverter(self.name)
        self._ended_with: bytes | None = None  # first packet of a connection that ended of itself
        self._stored: tuple[int, int] | None = None  # size of the last picture as it came

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield frames as they come; see `Source.frames`. Timestamps are in 1/90000 s from 0.

        Raises:
            MotionveilError: No frame has come for `give_up` seconds, access is denied, or a video
                of known length cannot be read to its end.
        """
        if self._decode != "none":
            self._accelerator, text = _accelerator(self._decode)
            self._say(text)
        self._since, wait, lost = time.monotonic(), _FIRST_WAIT, None
        while not stop.is_set():
            try:
                with closing(self._connection(stop)) as connection:
                    for frame in connection:
                        if lost is not None:
                            self._say(f"connected again after {_seconds(time.monotonic() - lost)}")
                        lost, wait = None, _FIRST_WAIT
                        yield frame
                        self._since = time.monotonic()
                return
            except _LostError as error:
                lost = lost or time.monotonic()
                left = self._since + self._give_up - time.monotonic()
                if left <= 0:
                    text = f"{self.name}: no frame for {_seconds(self._give_up)}: {error}"
                    raise MotionveilError(text) from None
                wait = min(wait, left)
                what = "cannot connect" if self.info is None else "connection lost"
                self._say(f"{what}: {error}; connecting again in {_seconds(wait)}")
            stop.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _connection(self, stop: Event) -> Generator[Frame, None, None]:
        """Yield the frames of one connection until it ends, which only a finite one may."""
        with self._open() as container:
            stream = self._film(container)
            finite = self._input.finite and container.duration is not None
            self.live = not finite
            timed = not container.format.flags & Flags.no_timestamps.value
            decoder, end, earlier = ResyncDecoder(stream), None, self.damaged
            self._clock.connect(_rate(stream) if timed else None)
            first: bytes | None = None
            try:
                for packet, arrived in self._packets(container, stream, stop):
                    if first is None and packet.size:
                        first = bytes(packet)
                        # Cameras send mpjpeg; a playlist begins at the same segment for a while.
                        live = container.format.name in ("mpjpeg", "hls")
                        if self._input.finite and not live and self._ended_with == first:
                            self._say("the same video begins again: a file without a length")
                            return
                    before = decoder.faults
                    for intact in decoder.decode(packet, arrived):
                        yield self._frame(intact, stream, timed=timed, paced=not finite)
                        end = _end(intact.picture) or end
                        if stop.is_set():
                            return
                    self.damaged = earlier + decoder.damaged
                    if before == 0 and decoder.faults:
                        self._say("damaged or missing data; waiting for the next whole picture")
            except _LostError as error:
                # Without a length, the end looks like a break.
                self._ended_with = None if isinstance(error, _SilentError) else first
                if finite and self.info is not None:
                    raise MotionveilError(
                        f"{self.name}: cannot be read to its end: {error}"
                    ) from None
                raise
            if stop.is_set():
                return
            if not finite:
                self._ended_with = first
                raise _LostError("the stream ended" if end else "the stream ended before a frame")
            self._check_whole(stream, end)

    def _film(self, container: Any) -> Any:
        stream = moving_pictures(container, self.name)
        if stream is None:
            raise _LostError("it holds no video")
        if stream.codec_context is None:
            raise _LostError("the codec of its video is not known")
        return stream

    def _open(self) -> Any:
        answer, start = min(_ANSWER, self._give_up), time.monotonic()
        try:
            return av.open(
                self._input.url,
                format=self._input.format,
                options=dict(self._input.options),
                timeout=(answer, self._silence),
                metadata_errors="replace",
                hwaccel=self._accelerator,
            )
        except _HOPELESS as error:
            raise MotionveilError(f"{self.name}: {error.strerror}") from None
        # Not from the error: its text holds the address with its password.
        except (av.FFmpegError, OSError) as error:
            late = _interrupted(error, start, min(answer, self._silence))
            reason = "no answer in time" if late else error.strerror
            raise _LostError(reason or "cannot be opened") from None

    def _packets(self, container: Any, stream: Any, stop: Event) -> Iterator[tuple[Any, float]]:
        # All streams are asked for, so that we are asked too while sound comes and no picture.
        packets = container.demux()
        heard = time.monotonic()
        while not stop.is_set():
            asked = time.monotonic()
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                late = _interrupted(error, asked, self._silence)
                if late:
                    raise _SilentError(f"nothing came for {_seconds(self._silence)}") from None
                raise _LostError(error.strerror or "cannot be read") from None
            now = time.monotonic()
            if packet is None:
                return
            if packet.stream.index == stream.index:
                yield packet, now
                heard = time.monotonic()
            elif now - heard > self._silence:
                raise _SilentError(f"no picture came for {_seconds(self._silence)}")
            if now - self._since > self._give_up:
                raise _SilentError("data came, but no whole picture")

    def _frame(self, intact: WholeFrame, stream: Any, *, timed: bool, paced: bool) -> Frame:
        picture, size = intact.picture, upright_size(intact.picture)
        if self.info is None:
            rate = _rate(stream) if timed else None
            frames = None if paced else stream.frames or None
            aspect = upright_aspect(picture, stream)
            self.info = VideoInfo(*size, rate, LIVE_TIME_BASE, frames, aspect)
        pts = picture.pts * stream.time_base if timed and picture.pts is not None else None
        stamp, jumped = self._clock.stamp(pts, intact.arrived, paced=paced)
        fresh = intact.fresh or jumped or size != self._stored
        self._stored = size
        image = self._convert(picture, (self.info.width, self.info.height))
        return Frame(image, stamp, LIVE_TIME_BASE, fresh, intact.arrived, aspect=self.info.aspect)

    def _check_whole(self, stream: Any, end: Fraction | None) -> None:
        if end is None:
            raise MotionveilError(f"{self.name}: holds no frames")
        if stream.duration is None:
            return
        missing = ((stream.start_time or 0) + stream.duration) * stream.time_base - end
        if missing > _SHORT:
            raise MotionveilError(
                f"{self.name}: cut short: the last {_seconds(missing)} are missing"
            )

    def _say(self, what: str) -> None:
        self._notice(f"{self.name}: {what}")


def _accelerator(decode: Decode) -> tuple[HWAccel | None, str]:
    """Return a hardware decoder, None if there is none, and what to say of it."""
    reasons = []
    for kind in DECODE[2:] if decode == "auto" else (decode,):
        if kind not in hwdevices_available():
            reasons.append(f"this FFmpeg has no {kind}")
            continue
        try:
            HWAccel(kind).create(av.Codec("h264", "r"))  # finds and opens the device
        except (av.FFmpegError, OSError, NotImplementedError) as error:
            why = getattr(error, "strerror", None) or error
            reasons.append(f"no {kind} device can be opened ({why})")
        else:
            return HWAccel(kind), f"decoded by {kind}, and by the processor what it cannot decode"
    return None, f"decoded by the processor: {'; '.join(reasons)}"


def _interrupted(error: Exception, start: float, limit: float) -> bool:
    # At its time-out, FFmpeg often says no more than that the data are invalid.
    return isinstance(error, av.error.ExitError) or time.monotonic() - start >= limit


def _rate(stream: Any) -> Fraction | None:
    rate = stream.average_rate or stream.guessed_rate
    return rate if rate and 0 < rate <= _MOST_A_SECOND else None


def _end(picture: Any) -> Fraction | None:
    if picture.pts is None:
        return None
    return (picture.pts + (picture.duration or 0)) * picture.time_base


def _seconds(seconds: float | Fraction) -> str:
    return f"{round(float(seconds), 1):g} s"
