"""`motionveil train`: train an encoder against its adversary."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from motionveil.cli.trial import add_trial_arguments, recipe_of, trial_of
from motionveil.errors import MotionveilError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_trial_arguments(parser)
    parser.add_argument("--alpha", type=float, help="adversarial weight (default: the recipe's)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/train"), help="run folder (default: runs/train)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.epilog = (
        "example:\n  motionveil train ut/manifest.csv --recipe ut-interaction --split fold0"
        " --out runs/ut"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train and say where the encoder is."""
    out = arguments.out
    if not arguments.resume and (out / "checkpoints").exists():
        raise MotionveilError(
            f"{out}: there is a training here already; --resume goes on with it,"
            " another --out begins a new one"
        )
    trial = trial_of(arguments, recipe_of(arguments, arguments.alpha))
    spec, curves = trial.train(trial.untrained(), out, resume=arguments.resume)
    last = curves[-1]
    print(
        f"sigma {spec.sigma:.2f}; on the training clips: action {last['accuracy_action']:.3f},"
        f" {trial.privacy_label} by frame {last['accuracy_privacy']:.3f}"
    )
    for name in ("encoder.json", "curves.csv", "checkpoints"):
        print(f"wrote {out / name}")
    # The same split, or the encoder would be scored on clips that it was trained on.
    words = ["motionveil", "validate", str(out), arguments.manifest, "--recipe", arguments.recipe]
    words += ["--split", trial.split, "--label", trial.privacy_label]
    print(f"next: {shlex.join(words)}")
    return 0
