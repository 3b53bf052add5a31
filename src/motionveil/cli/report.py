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
        help="output (default: report.html, audit.html or audits.html in the first run's folder)",
    )
    add_show_raw(parser)
    parser.epilog = (
        "examples:\n"
        "  motionveil report runs/quickstart\n"
        "  motionveil report runs/seed-0 runs/seed-1 runs/seed-2 -o seeds.html\n"
        "  motionveil report runs/audit --show-raw\n"
        "  motionveil report audits/bdq audits/dvs -o audits.html\n\n"
        "Runs on the same data set are aggregated in one section; audits are shown side by side.\n"
        "Nothing is run again."
    )


def run(arguments: argparse.Namespace) -> int:
    """Read the results, or the audit, write one page, print where it is."""
    _check_page(arguments.out)
    audits = [path for path in arguments.runs if _is_audit(path)]
    if audits:
        return _report_audits(arguments)
    if arguments.show_raw:
        raise MotionveilError("--show-raw: it goes with an audit")
    from motionveil.report import write_joint_report
    from motionveil.report.aggregate import StoredResult
    from motionveil.report.page import FILE_NAME

    runs = [StoredResult.read(path) for path in arguments.runs]
    target = arguments.out or runs[0].folder
    print(write_joint_report(runs, target / FILE_NAME if target.is_dir() else target))
    return 0


def _check_page(out: Path | None) -> None:
    """Refuse a name that is no page's, such as that of the results themselves."""
    if out is not None and not out.is_dir() and out.suffix.lower() not in (".html", ".htm"):
        raise MotionveilError(f"-o {out}: a report is a page; give a folder, or FILE.html")


def _is_audit(path: Path) -> bool:
    from motionveil.audit_results import FILE_NAME

    if path.is_dir():
        return (path / FILE_NAME).exists() and not (path / "results.json").exists()
    return path.name == FILE_NAME


def _report_audits(arguments: argparse.Namespace) -> int:
    from motionveil.audit_results import Audit
    from motionveil.report import write_audit, write_audits
    from motionveil.report.audit_page import AUDIT_FILE
    from motionveil.report.audits_page import AUDITS_FILE

    results = [path for path in arguments.runs if not _is_audit(path)]
    if results:
        raise MotionveilError(f"{results[0]}: no audit, and audits have a page of their own")
    folders = [path if path.is_dir() else path.parent for path in arguments.runs]
    audits = [Audit.read(path) for path in arguments.runs]
    alone = len(audits) == 1
    target = arguments.out or folders[0]
    if target.is_dir():
        target = target / (AUDIT_FILE if alone else AUDITS_FILE)
    if alone:
        print(write_audit(audits[0], folders[0], target, show_raw=arguments.show_raw))
        return 0
    pairs = list(zip(audits, folders, strict=True))
    print(write_audits(pairs, target, show_raw=arguments.show_raw))
    return 0
