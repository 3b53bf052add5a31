"""The options of `motionveil recognise`: windows, answers, receivers over a network."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from motionveil.cli.options import count_from
from motionveil.cli.stream_options import add_destination_arguments, add_preview_arguments
from motionveil.errors import MotionveilError
from motionveil.recognition import StreamOptions
from motionveil.recognition.remote import RemoteReceiver, receiver_kinds
from motionveil.secret import secret


def add_remote_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare one option for each kind of remote receiver."""
    for kind in receiver_kinds().values():
        parser.add_argument(f"--{kind.option}", metavar=kind.metavar, help=kind.help)


def check_remote(arguments: argparse.Namespace) -> None:
    """Raise MotionveilError for an address that is none, or where nothing would be sent."""
    for kind, address in _asked(arguments):
        if arguments.clips:
            raise MotionveilError(f"--{kind.option}: is not for --clips")
        kind.check(address)


@contextmanager
def remote_receivers(
    arguments: argparse.Namespace, source: str, which: int | None, notice: Callable[[str], None]
) -> Iterator[list[RemoteReceiver]]:
    """Yield the remote receivers of a source; the end says what they did not get.

    Args:
        arguments: Those of the command.
        source: The source's name.
        which: Which of several sources, from 1; None if there is one only.
        notice: Takes lines about them.
    """
    with ExitStack() as opened:
        yield [
            opened.enter_context(
                kind(address, source, which=which, top=arguments.top, notice=notice)
            )
            for kind, address in _asked(arguments)
        ]


def _asked(arguments: argparse.Namespace) -> Iterator[tuple[type[RemoteReceiver], str]]:
    for name, kind in receiver_kinds().items():
        address = secret(getattr(arguments, name.replace("-", "_")), None, f"--{name}")
        if address is not None:
            yield kind, address


def add_window_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how windows become labels."""
    usual = StreamOptions()
    for option, field, text in (
        ("--stride", "stride", "time between two windows"),
        ("--half-life", "half_life", "half-life of a window's weight in the moving average"),
        ("--shortest", "shortest", "time for which a label must hold before it is reported"),
    ):
        value = getattr(usual, field)
        parser.add_argument(
            option,
            type=float,
            default=value,
            metavar="SECONDS",
            help=f"{text} (default: {value:g})",
        )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability below which the answer is 'none of these' (default: the recogniser's)",
    )


def add_answer_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is done with answers."""
    parser.add_argument(
        "--top", type=count_from(1), default=1, metavar="K", help="list the K most probable actions"
    )
    parser.add_argument("--json", action="store_true", help="write lines of JSON to stdout")
    parser.add_argument(
        "--windows", action="store_true", help="with --json, also write a line for every window"
    )
    parser.add_argument("--csv", metavar="FILE", help="write a table of the events that have ended")
    parser.add_argument("--vtt", metavar="FILE", help="write the actions as WebVTT subtitles")
    parser.add_argument("--srt", metavar="FILE", help="write the actions as SRT subtitles")
    parser.add_argument(
        "--overlay",
        metavar="OUT",
        action="append",
        default=[],
        help="write the veiled video, with labels drawn into it, to a destination as for"
        " `motionveil encode`; repeatable",
    )
    add_destination_arguments(parser, "OUT", "--overlay-file")
    parser.add_argument(
        "--enlarge",
        type=count_from(1),
        default=4,
        metavar="N",
        help="draw each veiled pixel as N x N in the overlay (default: %(default)s)",
    )
    parser.add_argument("--font", metavar="FILE", help="TrueType font of the overlay's labels")
    add_preview_arguments(parser)
    add_remote_arguments(parser)


def stream_options(arguments: argparse.Namespace) -> StreamOptions:
    """Return how windows become labels."""
    return StreamOptions(
        stride=arguments.stride,
        half_life=arguments.half_life,
        shortest=arguments.shortest,
        threshold=arguments.threshold,
        top=arguments.top,
    )
