"""`motionveil report RUN...`: figures and HTML out of stored results."""

from __future__ import annotations

import argparse
from pathlib import Path

from motionveil.cli.audit import add_show_raw
from motionveil.errors import MotionveilError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="a folder with a results.json or an audit.json, or the file",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: report.html, or audit.html, in the first run's folder)",
    )
    add_show_raw(parser)
    parser.epilog = (
        "examples:\n"
        "  motionveil report runs/quickstart\n"
        "  motionveil report runs/seed-0 runs/seed-1 runs/seed-2 -o seeds.html\n"
        "  motionveil report runs/audit --show-raw\n\n"
        "Runs on the same data set are pooled in one section; nothing is run again."
    )


def run(arguments: argparse.Namespace) -> int:
    """Read the results, or the audit, write one page, print where it is."""
    audits = [path for path in arguments.runs if _is_audit(path)]
    if audits:
        return _report_audit(arguments)
    if arguments.show_raw:
        raise MotionveilError("--show-raw: it goes with an audit")
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


def _is_audit(path: Path) -> bool:
    from motionveil.findings import FILE_NAME

    if path.is_dir():
        return (path / FILE_NAME).exists() and not (path / "results.json").exists()
    return path.name == FILE_NAME


def _report_audit(arguments: argparse.Namespace) -> int:
    from motionveil.findings import Audit
    from motionveil.report import write_audit
    from motionveil.report.audit_page import AUDIT_FILE

    if len(arguments.runs) > 1:
        raise MotionveilError(
            f"{len(arguments.runs)} runs with an audit among them; an audit has a page of its own"
        )
    (path,) = arguments.runs
    folder = path if path.is_dir() else path.parent
    target = arguments.out or folder
    page = target / AUDIT_FILE if target.is_dir() else target
    print(write_audit(Audit.read(path), folder, page, show_raw=arguments.show_raw))
    return 0
