"""`motionveil tradeoff`: raw video, untrained BDQ and BDQ for several alphas, compared."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.options import choose, command_line, count_from
from motionveil.cli.table import print_rows
from motionveil.cli.trial import add_trial_arguments, privacy_label_of, recipe_of
from motionveil.data.remarks import remark
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.data.manifest import Manifest


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
    from motionveil.data.manifest import Manifest
    from motionveil.experiments.tradeoff import Plan, measure_tradeoff
    from motionveil.report import write_report
    from motionveil.training.processes import make_fabric

    recipe = recipe_of(arguments)
    manifest = Manifest.read(arguments.manifest)
    label = privacy_label_of(arguments, manifest)
    plan = Plan(
        manifest=manifest,
        recipe=recipe,
        alphas=arguments.alphas or sorted({0.0, recipe.alpha}),
        splits=_splits(arguments, manifest, label),
        seeds=arguments.seeds or [arguments.seed],
        privacy_label=label,
    )
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


def _splits(arguments: argparse.Namespace, manifest: Manifest, label: str) -> list[str]:
    """Return the split named, or all under which the label can be recognised.

    Raises:
        MotionveilError: There is no such split, or the label can be recognised under none.
    """
    from motionveil.data.leakage import refuse_unlearnable

    one = choose(arguments.split, manifest.splits(), "--split", arguments.manifest)
    kept, refused = [], []
    for split in [one] if arguments.split else manifest.splits():
        try:
            refuse_unlearnable(manifest, split, label)
            kept.append(split)
        except MotionveilError as error:
            refused.append(error)
    if not kept:
        raise refused[0]
    for refusal in refused:
        remark(f"{refusal}; it is left out")
    return kept
