"""`motionveil events`: simulate an event camera on a video."""

from __future__ import annotations

import argparse

from pydantic import ValidationError

from motionveil.cli.console import frame_bar
from motionveil.cli.options import count_from
from motionveil.errors import MotionveilError, describe_faults
from motionveil.events import EventSummary, simulate_video
from motionveil.methods.dvs import EventSettings

EXAMPLES = """\
destinations:
  out.txt              events as text, one `t x y p` per line (the Event Camera Dataset's format)
  out.raw              events in Prophesee's EVT 2.0
  out.mp4 out.mkv      event frames: grey, brighter where more events are positive; .mkv lossless

examples:
  motionveil events in.mp4 out.raw
  motionveil events in.mp4 out.txt --threshold 0.4 --negative 0.3
  motionveil events in.mp4 out.raw --motion
  motionveil events in.mp4 out.mkv --eps 1e-5 --threshold 0.4
  motionveil events in.mp4 out.mkv --mismatch 0.03 --leak 0.1 --shot 1 --refractory 0.0005

Thresholds are changes of ln(intensity + eps), with stored intensities in [0, 1]. Timestamps are
those of the video. Events show outlines, and images can be reconstructed from them: this is a
baseline, not a protection.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("source", metavar="SOURCE", help="a video file, or a folder of frames")
    parser.add_argument("dest", metavar="DEST", help="destination; see below")
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.2,
        help="contrast threshold (default: %(default)s)",
    )
    parser.add_argument("--negative", type=float, help="OFF-event threshold (default: same as ON)")
    parser.add_argument(
        "--eps",
        type=float,
        default=1e-3,
        help="added to intensities in [0, 1] before the logarithm; 1e-5 as in Vid2E's script"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--refractory",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="refractory period of pixels",
    )
    parser.add_argument(
        "--mismatch",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="relative standard deviation of the thresholds across pixels",
    )
    parser.add_argument(
        "--leak", type=float, default=0.0, metavar="HZ", help="rate of leak events per pixel"
    )
    parser.add_argument(
        "--shot", type=float, default=0.0, metavar="HZ", help="rate of shot noise events per pixel"
    )
    parser.add_argument(
        "--interpolate",
        type=count_from(1),
        default=1,
        metavar="N",
        help="interpolate intensity, not its logarithm, between frames, in N steps (default: 1)",
    )
    parser.add_argument(
        "--motion",
        action="store_true",
        help="interpolate between frames along the motion, in steps of at most one pixel of it",
    )
    parser.add_argument(
        "--full-scale",
        type=count_from(1),
        default=3,
        metavar="N",
        help="number of events at which an event frame saturates (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=count_from(0),
        default=0,
        help="random seed of the noise (default: 0)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Simulate, and print where the events were written and how many there are."""
    with frame_bar(arguments.source) as progress:
        summary = simulate_video(
            arguments.source, arguments.dest, read_settings(arguments), progress=progress
        )
    for line in describe_events(summary):
        print(line)
    return 0


def read_settings(arguments: argparse.Namespace) -> EventSettings:
    """Return the settings that the options ask for.

    Raises:
        MotionveilError: One is out of range; names it.
    """
    given = {
        name: getattr(arguments, name) for name in EventSettings.model_fields if name in arguments
    }
    try:
        return EventSettings(**given)
    except ValidationError as error:
        raise MotionveilError(f"--{describe_faults(error.errors())}") from error


def describe_events(summary: EventSummary) -> list[str]:
    """Say what was written, in lines for a person."""
    pairs = (summary.frames - 1) * summary.width * summary.height
    return [
        f"wrote {summary.dest}",
        f"{summary.width}x{summary.height}, {summary.frames} frames, {summary.seconds:.2f} s",
        f"{summary.events} events: {summary.positive} positive, {summary.negative} negative",
        f"{summary.rate:.4g} events/s, {summary.events / pairs:.3g} per pixel and frame",
    ]
