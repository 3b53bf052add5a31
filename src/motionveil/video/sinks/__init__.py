"""Where veiled video goes: one kind of destination a file, which registers itself.

A kind of another package is a module, or a function, in the entry point group `motionveil.sinks`;
importing it registers it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.plugins import import_modules, load_entry_points
from motionveil.video.codecs import unknown_format
from motionveil.video.destinations import Destinations
from motionveil.video.packets import PacketSink
from motionveil.video.types import Sink

GROUP = "motionveil.sinks"
DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class Segments:
    """How a recording is cut into files, and which of them are kept.

    Attributes:
        length: Seconds after which a file ends, at the next key frame.
        keep: Seconds after which a file is deleted; None to keep all.
        most: Bytes that all files together may have before the oldest are deleted; None for any.
    """

    length: float = 600.0
    keep: float | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("length", self.length), ("keep", self.keep), ("most", self.most)):
            if value is not None and value <= 0:
                raise MotionveilError(f"segments: {name} must be above 0, not {value:g}")


@dataclass(frozen=True)
class SinkOptions:
    """The properties of the video that a sink writes.

    Attributes:
        time_base: Seconds that one unit of a timestamp lasts.
        rate: Frames per second, None if not known.
        codec: `"h264"`, `"ffv1"` or `"vp9"`, where the format leaves a choice.
        live: A recording that cannot be repeated; see `VideoSink`.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown. A sink that
            cannot keep it refuses any but 1.
        comment: Comment to store in the output; None for none.
        container: `"y4m"`, `"mpegts"` or `"matroska"`, of the standard output.
        segments: Of files that are cut.
        notice: Called with one line when a destination fails that is tried again, and when it takes
            frames again.
    """

    time_base: Fraction
    rate: Fraction | None = None
    codec: str | None = None
    live: bool = False
    aspect: Fraction = Fraction(1)
    comment: str | None = None
    container: str = "y4m"
    segments: Segments = Segments()
    notice: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Destination:
    """A destination, and what is chosen for it alone.

    Attributes:
        to: How it is written; see `open_sink`. May hold a password.
        codec: As in `SinkOptions`, like the others.
        literal: `%H` and the like in the name stand for themselves and not for the time.
    """

    to: str = field(repr=False)
    codec: str | None = None
    container: str = "y4m"
    segments: Segments = Segments()
    literal: bool = False


Open = TypeVar("Open", bound=Callable[[str, SinkOptions], Sink | PacketSink])


def no_codec(dest: str, codec: str | None) -> None:
    """Raise an error if a codec is given: the check of kinds that have no choice of codecs."""
    if codec is not None:
        raise MotionveilError(f"{dest}: --codec {codec} is for video files")


@dataclass(frozen=True)
class SinkKind:
    """A kind of destination.

    Its sink takes frames; or packets, which are encoded for all that take them encoded alike.

    Attributes:
        example: How a destination of this kind is written, for the help.
        help: One line.
        open: From a destination and the options to its sink.
        takes: Whether a destination is of this kind.
        check: Raises `MotionveilError` if a destination, or the codec with it, is invalid; called
            before anything is read.
    """

    example: str
    help: str
    open: Callable[[str, SinkOptions], Sink | PacketSink]
    takes: Callable[[str], bool]
    check: Callable[[str, str | None], None] = no_codec


_KINDS: dict[str, SinkKind] = {}


def register(
    example: str,
    help: str,
    *,
    takes: Callable[[str], bool],
    check: Callable[[str, str | None], None] = no_codec,
) -> Callable[[Open], Open]:
    """Return a decorator that registers a function that opens sinks; see `SinkKind`.

    Raises:
        ValueError: The example is taken.

    Examples:
        >>> @register("tcp://", "a socket", takes=lambda d: d[:6] == "tcp://")  # doctest: +SKIP
        ... def open_socket(dest: str, options: SinkOptions) -> Sink: ...
    """

    def decorate(open: Open) -> Open:
        if example in _KINDS:
            raise ValueError(f"there is a sink {example!r} already")
        _KINDS[example] = SinkKind(example, help, open, takes, check)
        return open

    return decorate


def sinks() -> list[SinkKind]:
    """Return all kinds of destinations, those of plugins last."""
    import_modules(__name__)
    load_entry_points(GROUP)
    return list(_KINDS.values())


Written = str | Destination
"""A destination as it may be given; a string stands for itself and the usual choices."""


def check_dest(*dests: Written, codec: str | None = None) -> None:
    """Raise an error for invalid destinations, before anything is read.

    Args:
        dests: As for `open_sink`.
        codec: Likewise.

    Raises:
        MotionveilError: No kind of destination takes one, the codec does not go with it, or it is
            given twice.
    """
    seen: set[str] = set()
    for dest in _destinations(dests, codec):
        _kind_of(dest).check(dest.to, dest.codec)
        place = dest.to if "://" in dest.to else os.path.realpath(dest.to)
        if place in seen:
            raise MotionveilError(f"{shown(dest.to)}: is given twice")
        seen.add(place)


def open_sink(
    *dests: Written,
    rate: Fraction | None,
    time_base: Fraction,
    codec: str | None = None,
    live: bool = False,
    aspect: Fraction = Fraction(1),
    comment: str | None = None,
    pace: bool = False,
    notice: Callable[[str], None] = lambda line: None,
) -> Destinations:
    """Open one or more destinations; use the result as a context manager.

    `rate`, `time_base`, `live`, `aspect` and `comment` are those of `SinkOptions`.

    Args:
        dests: Each a file name ending in `.mp4`, `.mkv` or `.webm`; such a name with `%H` and the
            like for the time, for files that are cut; a folder of images, written with a slash at
            its end; a playlist for HLS, ending in `.m3u8`; an address, `rtsp://`, `rtmp://`,
            `udp://` or `srt://`; `-`, the standard output; a virtual camera, `/dev/videoN`; or a
            destination that a plugin takes.
        codec: Of destinations that are given as strings; see `SinkOptions`.
        pace: See `Destinations`.
        notice: Called with one line on what happens to a destination while the others go on.

    Raises:
        MotionveilError: As `check_dest`.
    """
    check_dest(*dests, codec=codec)
    opened = [
        _kind_of(dest).open(
            dest.to,
            SinkOptions(
                time_base,
                rate,
                dest.codec,
                live,
                aspect,
                comment,
                dest.container,
                dest.segments,
                notice,
            ),
        )
        for dest in _destinations(dests, codec)
    ]
    return Destinations(
        opened,
        rate=rate or DEFAULT_RATE,
        time_base=time_base,
        aspect=aspect,
        pace=pace,
        notice=notice,
    )


def _destinations(dests: Sequence[Written], codec: str | None) -> list[Destination]:
    return [Destination(dest, codec) if isinstance(dest, str) else dest for dest in dests]


def _kind_of(written: Destination) -> SinkKind:
    dest = written.to
    asked = dest.replace("%", "_") if written.literal else dest
    for kind in sinks():
        if kind.takes(asked):
            return kind
    if "://" in dest:
        raise MotionveilError(
            f"{shown(dest)}: veiled video goes to no such address; it goes to rtsp://, rtmp://,"
            " udp:// and srt://"
        )
    raise unknown_format(Path(dest))
