"""Where veiled video goes: one kind of destination a file, which registers itself.

A kind of another package is a module, or a function, in the entry point group `motionveil.sinks`;
importing it registers it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.plugins import load_entry_points
from motionveil.video.codecs import unknown_format
from motionveil.video.types import Sink

GROUP = "motionveil.sinks"
DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class SinkOptions:
    """What a sink is told of the video that it is to write.

    Attributes:
        time_base: Seconds that one unit of a timestamp lasts.
        rate: Frames per second, None if not known.
        codec: `"h264"`, `"ffv1"` or `"vp9"`, where the format leaves a choice.
        live: A recording that cannot be repeated; see `VideoSink`.
        aspect: Sample aspect ratio, for formats that store it.
        comment: Comment to store in the output; None for none.
    """

    time_base: Fraction
    rate: Fraction | None = None
    codec: str | None = None
    live: bool = False
    aspect: Fraction = Fraction(1)
    comment: str | None = None


Open = TypeVar("Open", bound=Callable[[str, SinkOptions], Sink])


def no_codec(dest: str, codec: str | None) -> None:
    """Raise an error if a codec is given: the check of kinds that have no choice of codecs."""
    if codec is not None:
        raise MotionveilError(f"{dest}: --codec {codec} is for video files")


@dataclass(frozen=True)
class SinkKind:
    """A kind of destination.

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
    open: Callable[[str, SinkOptions], Sink]
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

    Example:
        >>> @register("udp://", "a socket", takes=lambda d: d[:6] == "udp://")  # doctest: +SKIP
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
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    load_entry_points(GROUP)
    return list(_KINDS.values())


def check_dest(dest: str, *, codec: str | None = None) -> None:
    """Raise an error for an invalid destination, before anything is read.

    Args:
        dest: As for `open_sink`.
        codec: As for `SinkOptions`.

    Raises:
        MotionveilError: No kind of destination takes it, or the codec does not go with it.
    """
    _kind_of(dest).check(dest, codec)


def open_sink(
    dest: str,
    *,
    rate: Fraction | None,
    time_base: Fraction,
    codec: str | None = None,
    live: bool = False,
    aspect: Fraction = Fraction(1),
    comment: str | None = None,
) -> Sink:
    """Open a destination; use it as a context manager.

    Args:
        dest: A file name ending in `.mp4`, `.mkv` or `.webm`; a folder of images, written with a
            slash at its end; `-`, the standard output as y4m; a virtual camera, `/dev/videoN`; or
            a destination that a plugin takes.
        rate, time_base, codec, live, aspect, comment: See `SinkOptions`.

    Raises:
        MotionveilError: No kind of destination takes it, or the codec does not go with it.
    """
    kind = _kind_of(dest)
    kind.check(dest, codec)
    return kind.open(dest, SinkOptions(time_base, rate, codec, live, aspect, comment))


def _kind_of(dest: str) -> SinkKind:
    for kind in sinks():
        if kind.takes(dest):
            return kind
    if "://" in dest:
        raise MotionveilError(f"{shown(dest)}: veiled video goes to files and pipes, to no address")
    raise unknown_format(Path(dest))
