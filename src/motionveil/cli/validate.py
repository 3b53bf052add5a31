"""`motionveil validate`: score a frozen encoder with fresh networks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.options import command_line
from motionveil.cli.table import print_rows
from motionveil.cli.trial import add_trial_arguments, recipe_of, trial_of
from motionveil.spec import EncoderSpec, load_spec

if TYPE_CHECKING:
    from motionveil.training.trial import Trial


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("encoder", metavar="ENCODER", help="a file, a run folder, bdq or raw")
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
    from motionveil.experiments.validation import validate_encoder
    from motionveil.report import write_report

    spec = load_spec(arguments.encoder)
    trial = trial_of(arguments, recipe_of(arguments))
    _warn_of_leak(spec, trial)
    result = validate_encoder(trial, spec, command=command_line())
    if not trial.fabric.is_global_zero:
        return 0
    print_rows(result.rows)
    print(f"wrote {result.save(arguments.out / 'results.json')}")
    print(f"wrote {write_report(result, arguments.out)}")
    return 0


def _warn_of_leak(spec: EncoderSpec, trial: Trial) -> None:
    """Say so when the encoder was trained on the clips that it is scored on."""
    origin = spec.provenance
    same_data = origin.get("manifest") == trial.cache.manifest.hash
    if same_data and origin.get("split") != trial.split:
        print(
            f"warning: the encoder was trained with --split {origin.get('split')}, so it has seen"
            f" the clips of {trial.split} on which it is scored now",
            file=sys.stderr,
        )
