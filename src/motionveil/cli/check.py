"""`motionveil check`: validate a manifest by decoding all its clips."""

from __future__ import annotations

import argparse
import sys

from motionveil.datasets.console import warn
from motionveil.datasets.manifest import Manifest
from motionveil.datasets.validate_manifest import (
    find_faulty_clips,
    find_missing,
    report_names,
    report_overlap,
)
from motionveil.errors import MotionveilError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("manifest", metavar="MANIFEST", help="a manifest.csv")
    parser.add_argument(
        "--frames",
        type=int,
        default=16,
        metavar="T",
        help="frames per clip of the recipe (default: 16)",
    )
    parser.epilog = (
        "A missing or unreadable clip is a fault, and the exit status 1. A clip with fewer than"
        "\nT frames is a warning: training repeats its last frame. Warnings are also printed"
        "\nfor missing parts of a published data set, for overlap of a split's parts and for labels"
        "\nthat have one value only or values that look alike."
        "\n\nexample:\n  motionveil check manifest.csv --frames 32"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check a manifest; return 1 if a clip cannot be used."""
    if arguments.frames < 1:
        raise MotionveilError(f"--frames is {arguments.frames}, it must be 1 or more")
    manifest = Manifest.read(arguments.manifest)
    faults = find_faulty_clips(manifest, arguments.frames)
    unusable = [fault.message for fault in faults if not fault.usable]
    warnings = [fault.message for fault in faults if fault.usable]
    warnings += [*find_missing(manifest), *report_names(manifest), *report_overlap(manifest)]
    for message in unusable:
        print(message, file=sys.stderr)
    for message in warnings:
        warn(message)
    print(
        f"{arguments.manifest}: {len(manifest.clips)} clips, {len(unusable)} faults,"
        f" {len(warnings)} warnings"
    )
    return 1 if unusable else 0
