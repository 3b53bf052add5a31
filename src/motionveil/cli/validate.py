"""`motionveil validate`: score a frozen encoder with fresh networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from motionveil.cli.console import print_rows, print_written
from motionveil.cli.options import (
    add_experiment_arguments,
    add_recogniser_argument,
    command_line,
    experiment_words,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "encoder",
        metavar="ENCODER",
        help="a file, a run folder, or a name: bdq, raw, downsample-28, ...",
    )
    add_experiment_arguments(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/validate"),
        help="folder for results.json and report.html (default: runs/validate)",
    )
    add_recogniser_argument(parser)
    parser.epilog = "example:\n  motionveil validate bdq ut/manifest.csv --recipe ut-interaction"


def run(arguments: argparse.Namespace) -> int:
    """Validate, print the row and write the result with its report."""
    from motionveil.api import evaluate
    from motionveil.training.distributed import is_first_process

    row = evaluate(
        arguments.encoder,
        out=arguments.out,
        command=command_line(),
        recogniser=arguments.recogniser,
        **experiment_words(arguments),
    )
    if is_first_process():
        print_rows([row])
        print_written(arguments.out, "results.json", "report.html", "recogniser")
    return 0
