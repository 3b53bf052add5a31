"""`motionveil train`: train an encoder against its adversary."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from motionveil.cli.console import print_written
from motionveil.cli.options import (
    add_experiment_arguments,
    add_recogniser_argument,
    count_from,
    experiment_words,
    print_dry_run,
    settings_of,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment_arguments(parser)
    parser.add_argument(
        "--method",
        default="bdq",
        help="method to train, such as bdq, unet, ryoo:28 or bdq:levels=31 (default: bdq)",
    )
    parser.add_argument("--alpha", type=float, help="adversarial weight (default: the recipe's)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/train"), help="run folder (default: runs/train)"
    )
    add_recogniser_argument(parser)
    parser.add_argument("--resume", action="store_true", help="resume from the run's checkpoint")
    parser.add_argument(
        "--checkpoint-every",
        type=count_from(1),
        metavar="STEPS",
        help="also write a checkpoint every STEPS steps (default: after each epoch only)",
    )
    parser.add_argument(
        "--log-to",
        action="append",
        default=[],
        metavar="TRACKER",
        help="also log each epoch to tensorboard:DIR, wandb:DIR (offline) or your own function,"
        " file.py:function; can be given several times",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="run a few steps and print shapes, parameters, memory and time; write nothing",
    )
    parser.epilog = (
        "examples:\n  motionveil train ut/manifest.csv --recipe ut-interaction --split fold0"
        " --out runs/ut\n"
        "  motionveil train sbu/manifest.csv --recipe sbu --dry-run\n"
        "  motionveil train manifest.csv --out runs/1 --log-to tensorboard:runs/1/tensorboard\n"
        "on 4 GPUs of one machine:\n"
        "  torchrun --nproc-per-node 4 -m motionveil train sbu/manifest.csv --recipe sbu"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train and say where the encoder is."""
    from motionveil.api import train
    from motionveil.training.distributed import is_first_process

    if arguments.dry_run:
        return _dry_run(arguments)
    out = arguments.out
    run = train(
        out=out,
        method=arguments.method,
        alpha=arguments.alpha,
        resume=arguments.resume,
        recogniser=arguments.recogniser,
        checkpoint_every=arguments.checkpoint_every,
        log_to=arguments.log_to,
        **experiment_words(arguments),
    )
    if not is_first_process():
        return 0
    origin, last = run.spec.provenance, run.curves[-1]
    split, label = origin["split"], origin["privacy_label"]
    print(
        f"{run.spec.name}; on the training clips: action {last['accuracy_action']:.3f},"
        f" {label} by frame {last['accuracy_privacy']:.3f}"
        + "".join(
            f", by {adversary} {last[f'accuracy_privacy_{number}']:.3f}"
            for number, adversary in enumerate(origin.get("further_adversaries", []), 2)
        )
    )
    print_written(
        out, "encoder.json", "curves.csv", "recipe.yaml", "checkpoints", "recogniser"
    )  # what cannot veil a stream has no recogniser
    # The same recipe, whatever was set in it, and the same split: or the encoder would be scored on
    # clips that it was trained on.
    words = ["motionveil", "validate", str(out), arguments.manifest]
    words += ["--recipe", str(out / "recipe.yaml"), "--split", split, "--label", label]
    print(f"next: {shlex.join(words)}")
    return 0


def _dry_run(arguments: argparse.Namespace) -> int:
    """Make a few steps and print what a training will need."""
    from motionveil.training.distributed import make_fabric
    from motionveil.training.dry_run import dry_run
    from motionveil.training.experiment import open_data, training_of
    from motionveil.training.loop import find_trackers

    find_trackers(arguments.log_to)
    choice, recipe = training_of(
        arguments.method, arguments.recipe, settings_of(arguments), arguments.alpha
    )
    manifest, split, label = open_data(arguments.manifest, arguments.split, arguments.label)
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
