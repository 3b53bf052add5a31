"""`motionveil train`: train an encoder against its adversary."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.dry_run import print_dry_run
from motionveil.cli.options import count_from
from motionveil.cli.trial import add_trial_arguments, data_of, recipe_of, trial_of
from motionveil.errors import MotionveilError
from motionveil.methods import Choice, choose

if TYPE_CHECKING:
    from motionveil.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_trial_arguments(parser)
    parser.add_argument(
        "--method",
        default="bdq",
        help="what to train, such as bdq, unet, ryoo:28 or bdq:levels=31 (default: bdq)",
    )
    parser.add_argument("--alpha", type=float, help="adversarial weight (default: the recipe's)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/train"), help="run folder (default: runs/train)"
    )
    parser.add_argument("--resume", action="store_true", help="resume from the run's checkpoint")
    parser.add_argument(
        "--checkpoint-every",
        type=count_from(1),
        metavar="STEPS",
        help="write a checkpoint after so many steps too (default: after each epoch)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="make a few steps, print shapes, parameters, memory and time, and write nothing",
    )
    parser.epilog = (
        "examples:\n  motionveil train ut/manifest.csv --recipe ut-interaction --split fold0"
        " --out runs/ut\n"
        "  motionveil train sbu/manifest.csv --recipe sbu --dry-run\n"
        "on 4 GPUs of one machine:\n"
        "  torchrun --nproc-per-node 4 -m motionveil train sbu/manifest.csv --recipe sbu"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train and say where the encoder is."""
    choice = choose(arguments.method)
    if not choice.method.learned or choice.untrained:
        raise MotionveilError(f"--method {arguments.method}: there is nothing to train")
    alpha = arguments.alpha if choice.alpha is None else choice.alpha
    recipe = recipe_of(arguments, alpha).for_method(choice.method)
    if arguments.dry_run:
        return _dry_run(arguments, recipe, choice)
    out = arguments.out
    if not arguments.resume and (out / "checkpoints").exists():
        raise MotionveilError(
            f"{out}: there is a training here already; --resume resumes it,"
            " another --out begins a new one"
        )
    trial = trial_of(arguments, recipe)
    spec, curves = trial.train(
        trial.untrained(choice),
        out,
        resume=arguments.resume,
        checkpoint_every=arguments.checkpoint_every,
    )
    if not trial.fabric.is_global_zero:
        return 0
    last = curves[-1]
    print(
        f"{spec.name}; on the training clips: action {last['accuracy_action']:.3f},"
        f" {trial.privacy_label} by frame {last['accuracy_privacy']:.3f}"
        + "".join(
            f", by {adversary} {last[f'accuracy_privacy_{number}']:.3f}"
            for number, adversary in enumerate(recipe.further_adversaries(), 2)
        )
    )
    for name in ("encoder.json", "curves.csv", "recipe.yaml", "checkpoints"):
        print(f"wrote {out / name}")
    # The same recipe, whatever was set in it, and the same split: or the encoder would be scored on
    # clips that it was trained on.
    words = ["motionveil", "validate", str(out), arguments.manifest]
    words += ["--recipe", str(out / "recipe.yaml")]
    words += ["--split", trial.split, "--label", trial.privacy_label]
    print(f"next: {shlex.join(words)}")
    return 0


def _dry_run(arguments: argparse.Namespace, recipe: Recipe, choice: Choice) -> int:
    """Make a few steps and print what a training will need."""
    from motionveil.training.dry_run import dry_run
    from motionveil.training.processes import make_fabric

    manifest, split, label = data_of(arguments)
    fabric = make_fabric(arguments.device, arguments.precision)
    found = dry_run(
        manifest,
        recipe,
        choice=choice,
        split=split,
        privacy_label=label,
        seed=arguments.seed,
        fabric=fabric,
        workers=arguments.workers,
    )
    if fabric.is_global_zero:
        print_dry_run(found)
    return 0
