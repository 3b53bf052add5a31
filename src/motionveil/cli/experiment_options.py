"""Arguments that `train`, `validate`, `audit`, `tradeoff` and `ablate` share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from motionveil.cli.options import add_common

if TYPE_CHECKING:
    from motionveil.training.recipe import Recipe


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
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
        help="set a field of the recipe, such as adversarial.lr=0.003; can be given several times",
    )
    parser.add_argument("--label", help="privacy label (default: the manifest's first)")
    parser.add_argument("--split", help="part held out (default: the manifest's first)")
    parser.add_argument("--action-weights", metavar="FILE", help="weights of the action network")
    parser.add_argument("--privacy-weights", metavar="FILE", help="weights of the privacy network")
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        dest="weights_files",
        metavar="NAME=FILE",
        help="weights of the network NAME where it is to be pretrained, or a folder of"
        " NAME.safetensors (see `motionveil weights`); can be given several times",
    )
    parser.add_argument(
        "--precision",
        choices=("32-true", "bf16-mixed"),
        default="32-true",
        help="precision of the networks; bf16-mixed needs CUDA (default: 32-true)",
    )
    add_common(parser)


def add_recogniser_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--no-recogniser`."""
    parser.add_argument(
        "--no-recogniser",
        dest="recogniser",
        action="store_false",
        help="leave no recogniser for `motionveil recognise`, which takes a training of its own",
    )


def experiment_words(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the shared arguments as `motionveil.train`, `evaluate` and `audit` take them."""
    same = ("recipe", "label", "split", "seed", "device", "precision", "workers")
    words = {name: getattr(arguments, name) for name in same}
    return {"data": arguments.manifest, "settings": settings_of(arguments), **words}


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `--set` and the weights given change in the recipe."""
    from motionveil.training.recipe import read_setting

    settings = dict(map(read_setting, arguments.settings))
    for name in ("action", "privacy"):
        weights = getattr(arguments, f"{name}_weights")
        if weights is not None:
            settings[f"{name}.weights"] = weights
    if arguments.weights_files:
        from motionveil.networks.weights import weights_by_network

        settings["weights"] = weights_by_network(arguments.weights_files)
    return settings


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe named, with what is changed in it."""
    from motionveil.training.recipe import load_recipe

    return load_recipe(arguments.recipe, settings_of(arguments))
