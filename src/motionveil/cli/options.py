"""Options that commands share."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable


def add_common(parser: argparse.ArgumentParser) -> None:
    """Declare `--device`, `--seed` and `--workers`."""
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)"
    )
    parser.add_argument("--seed", type=count_from(0), default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--workers",
        type=count_from(1),
        metavar="N",
        help="number of videos decoded in parallel (default: one per core)",
    )


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--give-up` and `--decode`, of cameras and streams."""
    from motionveil.video.live import DECODE

    parser.add_argument(
        "--give-up",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="stop when a camera or stream has sent nothing for this time (default: %(default)g)",
    )
    parser.add_argument(
        "--decode",
        choices=DECODE,
        default="none",
        help="hardware that decodes a camera or stream; auto: the first that is there; without it,"
        " the processor (default: %(default)s)",
    )


def count_from(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` on, for argparse."""

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() else -1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return value

    return read


def command_line() -> str:
    """Return the command line as it was typed, for the record."""
    return shlex.join(["motionveil", *sys.argv[1:]])
