"""The options of `motionveil recognise` that send events over a network."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from motionveil.errors import MotionveilError
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
