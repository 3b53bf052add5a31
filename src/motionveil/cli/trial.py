"""From arguments to a trial: what `train`, `validate` and `tradeoff` share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from motionveil.cli.options import add_common, choose
from motionveil.data.warnings import warn

if TYPE_CHECKING:
    from motionveil.data.manifest import Manifest
    from motionveil.spec import EncoderSpec
    from motionveil.training.recipe import Recipe
    from motionveil.training.trial import Trial


def add_trial_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the shared arguments."""
    parser.add_argument("manifest", metavar="MANIFEST", help="manifest.csv")
    parser.add_argument(
        "--recipe", default="actors", help="a shipped name or a YAML file (default: actors)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="FIELD=VALUE",
        help="set a field of the recipe, such as game.lr=0.003; can be given several times",
    )
    parser.add_argument("--label", help="privacy label (default: the manifest's first)")
    parser.add_argument("--split", help="part held out (default: the manifest's first)")
    parser.add_argument("--action-weights", metavar="FILE", help="weights of the action network")
    parser.add_argument("--privacy-weights", metavar="FILE", help="weights of the privacy network")
    parser.add_argument(
        "--precision",
        choices=("32-true", "bf16-mixed"),
        default="32-true",
        help="of the networks; bf16-mixed is for CUDA (default: 32-true)",
    )
    add_common(parser)


def recipe_of(arguments: argparse.Namespace, alpha: float | None = None) -> Recipe:
    """Return the recipe named, with what `--set`, the weights and the alpha given change in it."""
    from motionveil.training.recipe import load_recipe, read_setting

    settings = dict(map(read_setting, arguments.settings))
    for name, value in (
        ("alpha", alpha),
        ("action.weights", arguments.action_weights),
        ("privacy.weights", arguments.privacy_weights),
    ):
        if value is not None:
            settings[name] = value
    return load_recipe(arguments.recipe, settings)


def privacy_label_of(arguments: argparse.Namespace, manifest: Manifest) -> str:
    """Return the privacy label named, or the manifest's first."""
    return choose(arguments.label, manifest.privacy_labels, "--label", arguments.manifest)


def data_of(arguments: argparse.Namespace) -> tuple[Manifest, str, str]:
    """Return the manifest, the split and the privacy label that the arguments name.

    Raises:
        MotionveilError: There is no such thing, or nothing can be recognised under the split.
    """
    from motionveil.data.manifest import Manifest
    from motionveil.data.split_overlap import refuse_unlearnable

    manifest = Manifest.read(arguments.manifest)
    label = privacy_label_of(arguments, manifest)
    split = choose(arguments.split, manifest.splits(), "--split", arguments.manifest)
    refuse_unlearnable(manifest, split, label)
    return manifest, split, label


def trial_of(arguments: argparse.Namespace, recipe: Recipe) -> Trial:
    """Return the trial that the arguments describe, its clips decoded."""
    from motionveil.training.processes import make_fabric
    from motionveil.training.trial import Trial, decode_clips

    manifest, split, label = data_of(arguments)
    fabric = make_fabric(arguments.device, arguments.precision)
    cache = decode_clips(manifest, recipe, fabric, arguments.workers)
    return Trial(cache, recipe, split, label, arguments.seed, fabric)


def warn_of_leak(spec: EncoderSpec, manifest: Manifest, split: str) -> None:
    """Say so when an encoder was trained on the clips of the split that it is scored on."""
    origin = spec.provenance
    if origin.get("manifest") == manifest.hash and origin.get("split") != split:
        warn(
            f"the encoder was trained with --split {origin.get('split')}, so it has seen"
            f" the clips of {split} on which it is scored now"
        )
