"""`motionveil validate`: score a frozen encoder with fresh networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from motionveil.cli.options import command_line
from motionveil.cli.table import print_rows
from motionveil.cli.trial import add_trial_arguments, recipe_of, trial_of, warn_of_leak
from motionveil.spec import load_spec, spec_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "encoder",
        metavar="ENCODER",
        help="a file, a run folder, or a name: bdq, raw, downsample-28, ...",
    )
    add_trial_arguments(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/validate"),
        help="folder for results.json and report.html (default: runs/validate)",
    )
    parser.epilog = "example:\n  motionveil validate bdq ut/manifest.csv --recipe ut-interaction"


def run(arguments: argparse.Namespace) -> int:
    """Validate, print the row and write the result with its report."""
    from motionveil.evaluation.validation import validation_result
    from motionveil.report import write_report

    spec = load_spec(arguments.encoder)
    trial = trial_of(arguments, recipe_of(arguments))
    if trial.fabric.is_global_zero:
        warn_of_leak(spec, trial.cache.manifest, trial.split)
    result = validation_result(
        trial, spec, folder=spec_folder(arguments.encoder), command=command_line()
    )
    if not trial.fabric.is_global_zero:
        return 0
    print_rows(result.rows)
    print(f"wrote {result.save(arguments.out / 'results.json')}")
    print(f"wrote {write_report(result, arguments.out)}")
    return 0
