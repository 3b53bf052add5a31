"""`motionveil verify RESULT`: a result beside the published figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.console import in_percent, print_table

if TYPE_CHECKING:
    from motionveil.report.published_rows import Comparison, Verification


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "result", metavar="RESULT", type=Path, help="a folder with a results.json, or the file"
    )
    parser.add_argument(
        "--against",
        choices=("paper",),
        default="paper",
        help="published figures for comparison (default: paper)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the comparison as JSON"
    )
    parser.epilog = (
        "The exit status is 0 whether the figures agree or not.\n\n"
        "example:\n  motionveil verify runs/sbu --against paper"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the tables and their sources, write the JSON."""
    from motionveil.atomic_write import refuse_overwriting, write_text_atomically
    from motionveil.published import load_publication
    from motionveil.report.aggregate import StoredResult
    from motionveil.report.published_rows import verify

    path = arguments.result
    if arguments.json:
        refuse_overwriting([arguments.json], [path, path / "results.json"])
    found = verify(StoredResult.read(path), load_publication(arguments.against))
    _print(found)
    if arguments.json:
        text = found.model_dump_json(indent=1) + "\n"
        print(f"wrote {write_text_atomically(arguments.json, text)}")
    return 0


def _print(found: Verification) -> None:
    headings = ("method", "accuracy", "measured %", "published %", "difference, points", "verdict")
    print_table((*headings, "source"), [_cells(line, found) for line in found.comparisons])
    print("within: the 95 % interval of the difference holds 0; this does not show equality")
    if found.departures:
        print("\nnot the published experiment:")
        lines = [(d.field, d.here, d.published) for d in found.departures]
        print_table(("field", "this result", "published"), lines, width=240)
    for name, reason in found.not_compared.items():
        print(f"not compared: {name}: {reason}")
    print(f"\npublished: {found.title} ({found.page})")
    for source, text in found.sources.items():
        print(f"source {source}: {text}")
    print(f"{found.dataset}: {found.remark}")


def _cells(line: Comparison, found: Verification) -> tuple[str, ...]:
    from motionveil.report.published_rows import name_of

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
