"""Options of the commands that write veiled video: destinations, and the preview."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError, one_line
from motionveil.secret import expand_variables, line_of, secret
from motionveil.spec import UNTRAINED_NOTE, EncoderSpec
from motionveil.streaming import VeilSummary
from motionveil.streaming.folder import FolderSummary
from motionveil.streaming.status import Stat, Status
from motionveil.video import Destination, DestinationState, Segments
from motionveil.video.sinks.standard_output import CONTAINERS

_TOLD = ("data", "privacy_label", "alpha")
"""What of an encoder's provenance is printed."""

Show = Callable[[Status, NDArray[np.uint8]], None]

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def add_destination_arguments(parser: argparse.ArgumentParser, written: str, file: str) -> None:
    """Declare the options.

    Args:
        parser: Where to declare them.
        written: How the option or argument that names destinations is written, such as `DEST`.
        file: The option that reads one from a file, such as `--dest-file`.
    """
    usual = Segments()
    parser.set_defaults(dest_file_option=file)
    parser.add_argument(
        file,
        dest="dest_file",
        metavar="FILE",
        action="append",
        default=[],
        help=f"read one more {written} from a file, such as a URL with a password; repeatable",
    )
    parser.add_argument(
        "--format",
        choices=CONTAINERS,
        default=CONTAINERS[0],
        help="format of the destination - (default: %(default)s)",
    )
    parser.add_argument(
        "--segment",
        type=_unit(_SECONDS, "duration", "90, 10m or 1h"),
        default=usual.length,
        metavar="DURATION",
        help="length of the files of a recording with the time in its name: 90, 10m, 1h"
        f" (default: {usual.length / 60:g}m)",
    )
    parser.add_argument(
        "--keep",
        type=_unit(_SECONDS, "duration", "12h or 7d"),
        metavar="DURATION",
        help="delete such files when they are older than this: 12h, 7d (default: keep all)",
    )
    parser.add_argument(
        "--keep-size",
        type=_unit(_BYTES, "size", "500M or 20G"),
        metavar="BYTES",
        help="delete the oldest of them beyond this total size: 500M, 20G (default: keep all)",
    )


def destinations(
    arguments: argparse.Namespace, written: Sequence[str], *, codec: str | None = None
) -> list[Destination]:
    """Return the destinations that were asked for, with variables and files in their places.

    Args:
        arguments: Those of the command.
        written: Destinations of the command line.
        codec: As in `Destination`.

    Raises:
        MotionveilError: A variable is not set, a file cannot be read, or an option is for a kind of
            destination that is not there.
    """
    found = [expand_variables(dest) for dest in written]
    found += [line_of(file, arguments.dest_file_option) for file in arguments.dest_file]
    if arguments.format != CONTAINERS[0] and "-" not in found:
        raise MotionveilError(f"--format {arguments.format}: is for the destination -")
    most = arguments.keep_size
    segments = Segments(
        arguments.segment, arguments.keep, None if most is None else max(1, round(most))
    )
    return [Destination(dest, codec, arguments.format, segments) for dest in found]


def notice(line: str) -> None:
    """Print a line about a source or a destination on the standard error."""
    print(f"motionveil: {line}", file=sys.stderr, flush=True)


def describe_destinations(states: Sequence[DestinationState]) -> list[str]:
    """Say what was written where, a line each."""
    lines = []
    for state in states:
        if len(states) == 1 and state.dropped == 0 and state.trouble is None:
            lines += [] if state.name == "standard output" else [f"wrote {state.name}"]
            continue
        trouble = "" if state.trouble is None else f"; {state.trouble}"
        lines.append(f"wrote {state.name}: {state.frames} frames, {state.dropped} dropped{trouble}")
    return lines


def _unit(units: Mapping[str, float], what: str, example: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]?)", text)
        if found is None or found[2] not in units or float(found[1]) <= 0:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}; write {example}")
        return float(found[1]) * units[found[2]]

    return read


def add_preview_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--preview` and the options of its token."""
    parser.add_argument(
        "--preview", metavar="HOST:PORT", help="show the veiled stream in a browser"
    )
    parser.add_argument(
        "--preview-token",
        metavar="TOKEN",
        help="password for viewers, 16 characters or more; required beyond 127.0.0.1",
    )
    parser.add_argument(
        "--preview-token-file",
        metavar="FILE",
        help="read the token from a file, which keeps it secret",
    )


def read_preview_token(arguments: argparse.Namespace) -> None:
    """Put the real token in its place; see `secret`."""
    arguments.preview_token = secret(
        arguments.preview_token, arguments.preview_token_file, "--preview-token"
    )


@contextmanager
def open_preview(
    arguments: argparse.Namespace,
    names: Mapping[str, str],
    say: Callable[[str], None],
    answers: Callable[[], Mapping[str, Any]] | None = None,
) -> Iterator[Show]:
    """Serve the preview if it is wanted, and yield what shows a frame there.

    Args:
        arguments: Those of the command.
        names: The stream's `source`, `encoder` and the like; see `STATS`.
        say: Called with a line that says where it is.
        answers: See `Preview`.
    """
    if arguments.preview is None:
        yield lambda status, image: None
        return
    from motionveil.streaming.preview_buffer import Preview

    newest: list[Status] = []

    def stats() -> dict[str, Stat]:
        return {**names, **(newest[-1].snapshot() if newest else {})}

    with Preview(
        arguments.preview, token=arguments.preview_token, stats=stats, answers=answers
    ) as preview:
        say(f"preview at {preview.shown}")

        def show(status: Status, image: NDArray[np.uint8]) -> None:
            newest[:] = [status]
            preview.show(image, status.aspect)

        yield show


def describe_encoder(spec: EncoderSpec) -> str:
    """Return an encoder's method and what of its provenance tells where it fits, in one line."""
    known = spec.provenance
    facts = [one_line(f"{name} {known[name]}") for name in _TOLD if _is_short(known.get(name))]
    geometry = [] if spec.geometry is None else [str(spec.geometry)]
    origin = "of unknown provenance" if spec.kind.learned else "nothing is learned"
    origin = UNTRAINED_NOTE if spec.is_untrained else origin
    hub = [spec.origin] if spec.origin else []
    return ", ".join([spec.name, *geometry, *(facts or [origin]), *hub])


def describe_summary(summary: VeilSummary) -> list[str]:
    """Say what was written, in lines for a person."""
    info, rate = summary.info, summary.rate
    reasons = ", ".join(f"{reason} {number}" for reason, number in summary.guarded.items())
    damaged = f", {summary.damaged} damaged" if summary.damaged else ""
    lines = describe_destinations(summary.destinations)
    lines.append(
        f"{summary.frames_in} frames in: {summary.taken} taken, {summary.left_out} left out by"
        f" rate, {summary.dropped} dropped{damaged}; {sum(summary.guarded.values())}"
        f" guarded{f' ({reasons})' if reasons else ''}; {summary.frames_out} written"
    )
    lines.append(
        f"{info.width}x{info.height} at {_told(info.rate)} in,"
        f" {summary.width}x{summary.height} at {_told(rate)} out, {summary.seconds:.1f} s"
    )
    if summary.latency_p50 is not None and summary.latency_p95 is not None:
        p50, p95 = summary.latency_p50 * 1e3, summary.latency_p95 * 1e3
        lines.append(f"latency p50 {p50:.3g} ms, p95 {p95:.3g} ms, from arrival to written")
    return lines


def describe_folder(summary: FolderSummary) -> list[str]:
    """Say what became of a folder's videos, in lines for a person."""
    lines = [
        line
        for veiled in summary.veiled.values()
        for line in describe_destinations(veiled.destinations)
    ]
    frames = sum(veiled.frames_out for veiled in summary.veiled.values())
    guarded = sum(sum(veiled.guarded.values()) for veiled in summary.veiled.values())
    lines.append(
        f"{len(summary.veiled)} videos veiled ({frames} frames, {guarded} guarded),"
        f" {len(summary.skipped)} there already, {len(summary.failed)} failed"
    )
    return lines


def _told(rate: Fraction | None) -> str:
    if rate is None:
        return "unknown frames/s"
    exact = f" ({rate})" if rate.denominator > 1 else ""
    return f"{float(rate):.6g}{exact} frames/s"


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= 40
