"""`motionveil verify RESULT`: a result beside the published figures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.table import in_percent, print_table

if TYPE_CHECKING:
    from motionveil.report.comparison import Comparison, Verification


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "result", metavar="RESULT", type=Path, help="a folder with a results.json, or the file"
    )
    parser.add_argument(
        "--against",
        choices=("paper",),
        default="paper",
        help="whose figures to compare with (default: paper)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the comparison as JSON too"
    )
    parser.epilog = (
        "The exit status is 0 whether the figures agree or not.\n\n"
        "example:\n  motionveil verify runs/sbu --against paper"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the table and what stands in the way of the comparison."""
    from motionveil.files import write_text_atomically
    from motionveil.published.figures import load_publication
    from motionveil.report.comparison import verify
    from motionveil.report.pooling import Run
    from motionveil.results import Result

    path = arguments.result
    stored = Run(Result.read(path), path if path.is_dir() else path.parent)
    found = verify(stored, load_publication(arguments.against))
    _print_table(found)
    for line in _notes(found):
        print(line)
    if arguments.json:
        text = found.model_dump_json(indent=1) + "\n"
        print(f"wrote {write_text_atomically(arguments.json, text)}")
    return 0


def _print_table(found: Verification) -> None:
    headings = (
        "method",
        "accuracy",
        "measured %",
        "published %",
        "difference, points",
        "verdict",
        "source",
    )
    print_table(headings, [_cells(line, found) for line in found.comparisons])


def _cells(line: Comparison, found: Verification) -> tuple[str, ...]:
    from motionveil.report.comparison import name_of

    privacy = f"{found.privacy_label} by {found.reading}"
    low, high = (100 * bound for bound in line.interval)
    return (
        name_of(line.method, line.alpha),
        "action" if line.axis == "action" else privacy,
        _percent(line.measured, line.measured_interval, line.n),
        _percent(line.published, line.published_interval, line.published_n),
        f"{100 * line.difference:+.1f} ({low:+.1f} to {high:+.1f})",
        line.verdict,
        line.source,
    )


def _percent(accuracy: float, interval: tuple[float, float], n: int) -> str:
    return f"{in_percent(accuracy, interval)}, n {n}"


def _notes(found: Verification) -> Iterator[str]:
    """Yield what has to be known to read the table."""
    yield (
        "within: the 95 % interval of the difference holds 0. These clips cannot tell the two"
        " apart; that does not show that they are equal"
    )
    for departure in found.departures:
        yield f"not the published experiment: {departure}"
    if found.departures:
        yield "so neither agreement nor difference says anything about the published figures"
    for reason in found.not_compared:
        yield f"not compared: {reason}"
    yield f"published: {found.title} ({found.page})"
    for source, said in found.sources.items():
        yield f"source {source}: {said}"
    yield f"{found.dataset}: {found.remark}"
