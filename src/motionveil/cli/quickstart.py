"""`motionveil quickstart`: the main job on built-in data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from motionveil.cli.options import PRECISIONS, add_common, command_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--out", type=Path, default=Path("quickstart"), help="folder (default: quickstart)"
    )
    parser.add_argument(
        "--recipe", default="quickstart", help="a shipped name or a YAML file (default: quickstart)"
    )
    parser.add_argument("--alpha", type=float, help="adversarial weight (default: the recipe's)")
    parser.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        default="auto",
        help="precision of the networks (default: auto, bf16-mixed on a processor with AMX)",
    )
    add_common(parser)
    parser.epilog = "example:\n  motionveil quickstart --out quickstart --seed 1"


def run(arguments: argparse.Namespace) -> int:
    """Run the quickstart and print its table."""
    from motionveil.cli.console import print_rows, print_written
    from motionveil.experiments.quickstart import run_quickstart
    from motionveil.training.distributed import quickest_precision
    from motionveil.training.recipe import load_recipe

    precision = arguments.precision
    if precision == "auto":
        precision = quickest_precision(arguments.device)
    result = run_quickstart(
        arguments.out,
        load_recipe(arguments.recipe, alpha=arguments.alpha),
        seed=arguments.seed,
        device=arguments.device,
        precision=precision,
        workers=arguments.workers,
        command=command_line(),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print_rows(result.rows)
    # In the paper's order there is no recogniser.
    names = ("report.html", "results.json", "encoder.json", "recogniser", "veiled.mp4")
    print_written(arguments.out, *names)
    print(f"{result.seconds:.0f} seconds")
    return 0
