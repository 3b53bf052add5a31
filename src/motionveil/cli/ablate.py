"""`motionveil ablate`: ablation of BDQ (paper, section 5.1 and figure 4)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from motionveil.cli.method_options import add_comparison_arguments, compare
from motionveil.cli.options import recipe_of
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.methods import Choice
    from motionveil.spec import EncoderSpec
    from motionveil.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "encoder",
        nargs="?",
        metavar="ENCODER",
        help="a trained BDQ (default: one is trained for each split and seed)",
    )
    add_comparison_arguments(parser, "runs/ablate", protocol="paper")
    parser.add_argument(
        "--alphas",
        type=float,
        nargs="+",
        default=[],
        help="train BDQ with these adversarial weights too",
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        default=[],
        metavar="SETTING=VALUE",
        help="train with other settings too, see below; `all` for all of these",
    )
    parser.epilog = (
        "Rows: raw video; the modules B, D, Q, BD, BQ and DQ of the encoder, with its trained\n"
        "parameters frozen and fresh networks; the whole encoder; and the same with hard steps.\n\n"
        "variants, each trained like BDQ (any other setting of BDQ is accepted):\n"
        "  range_mode=clip, range_mode=batch  normalised by each clip, or by the batch\n"
        "  levels=3, levels=7, levels=31      3, 7 or 31 boundaries instead of 15\n"
        "  kernel_size=3, kernel_size=9       a window of 3 or 9 pixels instead of 5\n"
        "  learn_sigma=false                  sigma stays 1\n"
        "  channels=3                         sigma and boundaries for each of R, G, B\n\n"
        "examples:\n"
        "  motionveil ablate actors/manifest.csv\n"
        "  motionveil ablate runs/sbu sbu/manifest.csv --recipe sbu\n"
        "  motionveil ablate ut/manifest.csv --recipe ut-interaction --variants all"
        " --alphas 0 1 4"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure every row, print them, write the result and its reports."""
    recipe, given = recipe_of(arguments), _given(arguments)
    if given is not None and "alpha" in given.provenance:
        recipe = recipe.model_copy(update={"alpha": float(given.provenance["alpha"])})
    choices = _choices(arguments, recipe)
    return compare(arguments, recipe, choices, kind="ablate", encoder=given)


def _given(arguments: argparse.Namespace) -> EncoderSpec | None:
    from motionveil.spec import load_spec

    if arguments.encoder is None:
        return None
    spec = load_spec(arguments.encoder)
    if spec.method != "bdq":
        raise MotionveilError(
            f"{arguments.encoder}: an ablation needs a bdq encoder, this is {spec.name}"
        )
    return spec


def _choices(arguments: argparse.Namespace, recipe: Recipe) -> list[Choice]:
    from motionveil.experiments.train_methods import ablation_choices

    return ablation_choices(recipe, arguments.alphas, arguments.variants)
