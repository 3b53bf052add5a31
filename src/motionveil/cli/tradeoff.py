"""`motionveil tradeoff`: raw video, untrained BDQ and BDQ for several alphas, compared."""

from __future__ import annotations

import argparse
from pathlib import Path

from motionveil.cli.options import choose, command_line, count_from
from motionveil.cli.table import print_rows
from motionveil.cli.trial import add_trial_arguments, privacy_label_of, recipe_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_trial_arguments(parser)
    parser.add_argument(
        "--alphas", type=float, nargs="+", help="adversarial weights (default: 0, the recipe's)"
    )
    parser.add_argument(
        "--seeds", type=count_from(0), nargs="+", help="several seeds instead of --seed"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/tradeoff"), help="folder (default: runs/tradeoff)"
    )
    parser.epilog = (
        "All folds are gone through unless --split names one. A stopped run goes on.\n\n"
        "example:\n  motionveil tradeoff ut/manifest.csv --recipe ut-interaction --alphas 0 2"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run every split and seed, print the rows, write the result and its report."""
    from motionveil.data.leakage import refuse_unlearnable
    from motionveil.data.manifest import Manifest
    from motionveil.experiments.tradeoff import Plan, measure_tradeoff
    from motionveil.report import write_report
    from motionveil.training.processes import make_fabric

    recipe = recipe_of(arguments)
    manifest = Manifest.read(arguments.manifest)
    one = arguments.split
    plan = Plan(
        manifest=manifest,
        recipe=recipe,
        alphas=arguments.alphas or sorted({0.0, recipe.alpha}),
        splits=[choose(one, manifest.splits(), "--split", arguments.manifest)]
        if one
        else manifest.splits(),
        seeds=arguments.seeds or [arguments.seed],
        privacy_label=privacy_label_of(arguments, manifest),
    )
    for split in plan.splits:
        refuse_unlearnable(manifest, split, plan.privacy_label)
    fabric = make_fabric(arguments.device, arguments.precision)
    result = measure_tradeoff(
        plan,
        arguments.out,
        fabric,
        kind="tradeoff",
        command=command_line(),
        workers=arguments.workers,
    )
    if not fabric.is_global_zero:
        return 0
    print_rows(result.rows)
    print(f"wrote {arguments.out / 'results.json'}")
    print(f"wrote {write_report(result, arguments.out)}")
    return 0
