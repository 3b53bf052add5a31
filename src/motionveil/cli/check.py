"""`motionveil check`: decode and count every clip of a manifest."""

from __future__ import annotations

import argparse
import sys

from motionveil.data.check import find_faulty_clips
from motionveil.data.manifest import Manifest
from motionveil.errors import MotionveilError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("manifest", metavar="MANIFEST", help="a manifest.csv")
    parser.add_argument(
        "--frames",
        type=int,
        default=16,
        metavar="T",
        help="frames that the recipe takes from a clip (default: 16)",
    )
    parser.epilog = (
        "A missing or unreadable clip is a fault, and the exit status 1. A clip with fewer than"
        "\nT frames is a warning: training holds its last frame."
        "\n\nexample:\n  motionveil check manifest.csv --frames 32"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check a manifest; return 1 if a clip cannot be used."""
    if arguments.frames < 1:
        raise MotionveilError(f"--frames is {arguments.frames}, it must be 1 or more")
    manifest = Manifest.read(arguments.manifest)
    faults = find_faulty_clips(manifest, arguments.frames)
    for fault in faults:
        print(f"warning: {fault.message}" if fault.usable else fault.message, file=sys.stderr)
    unusable = sum(not fault.usable for fault in faults)
    print(
        f"{arguments.manifest}: {len(manifest.clips)} clips, {unusable} faults,"
        f" {len(faults) - unusable} warnings"
    )
    return 1 if unusable else 0
