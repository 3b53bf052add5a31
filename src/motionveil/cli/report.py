"""`motionveil report RUN...`: figures and HTML out of stored results."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="a folder with a results.json, or the file",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: report.html in the first run's folder)",
    )
    parser.epilog = (
        "examples:\n"
        "  motionveil report runs/quickstart\n"
        "  motionveil report runs/seed-0 runs/seed-1 runs/seed-2 -o seeds.html\n\n"
        "Runs on the same data set are pooled in one section; nothing is run again."
    )


def run(arguments: argparse.Namespace) -> int:
    """Read the results, write one page, print where it is."""
    from motionveil.report import write_joint_report
    from motionveil.report.page import FILE_NAME
    from motionveil.report.pooling import Run
    from motionveil.results import Result

    runs = [
        Run(Result.read(path), path if path.is_dir() else path.parent) for path in arguments.runs
    ]
    target = arguments.out or runs[0].folder
    print(write_joint_report(runs, target / FILE_NAME if target.is_dir() else target))
    return 0
