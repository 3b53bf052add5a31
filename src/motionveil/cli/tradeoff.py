"""`motionveil tradeoff`: methods compared for action and privacy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.method_options import add_comparison_arguments, compare
from motionveil.cli.options import recipe_of
from motionveil.methods import method, method_names

if TYPE_CHECKING:
    from motionveil.methods import Choice
    from motionveil.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_comparison_arguments(parser, "runs/tradeoff")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD[:STRENGTH,...]",
        help="methods to compare (default: raw bdq-untrained bdq); see below",
    )
    parser.add_argument(
        "--alphas",
        type=float,
        nargs="+",
        help="weights of the adversary, where a method has one (default: 0, the recipe's)",
    )
    parser.add_argument(
        "--face-detector", type=Path, metavar="FILE", help="YuNet's ONNX file, for face-blur"
    )
    parser.epilog = (
        f"methods:\n{_describe_methods()}"
        "  all            all but face-blur, each at its usual strengths\n\n"
        "bdq:0,2 means two strengths, bdq-untrained BDQ before training, and\n"
        "bdq:levels=31 or dvs:0.4,refractory=0.001 other settings.\n"
        "All folds are used unless --split names one. Interrupted runs resume.\n\n"
        "examples:\n"
        "  motionveil tradeoff ut/manifest.csv --recipe ut-interaction --alphas 0 2\n"
        "  motionveil tradeoff sbu/manifest.csv --recipe sbu --methods raw bdq:0,2 unet:2 ryoo"
        " --seeds 0 1 2"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run every split and seed, print the rows, write the result and its reports."""
    recipe = recipe_of(arguments)
    choices = _choices(arguments, recipe)
    detector = arguments.face_detector
    return compare(arguments, recipe, choices, kind="tradeoff", face_detector=detector)


def _choices(arguments: argparse.Namespace, recipe: Recipe) -> list[Choice]:
    """Return what `--methods` and `--alphas` name.

    Raises:
        MotionveilError: A method is unknown or a strength out of range.
    """
    from motionveil.experiments.train_methods import default_choices, read_choices

    if not arguments.methods:
        return default_choices(recipe, arguments.alphas)
    return read_choices(arguments.methods, recipe, arguments.alphas)


def _describe_methods() -> str:
    """Return a line for each method."""
    lines = []
    for name in method_names():
        kind = method(name)
        has_strength = kind.adversarial or kind.strength is not None
        lines.append(f"  {name + ':N' * has_strength:14} {kind.help}\n")
    return "".join(lines)
