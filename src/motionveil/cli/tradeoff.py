"""`motionveil tradeoff`: BDQ and its rivals, compared for action and privacy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.comparison import add_comparison_arguments, compare
from motionveil.cli.trial import recipe_of

if TYPE_CHECKING:
    from motionveil.experiments.contenders import Contender
    from motionveil.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_comparison_arguments(parser, "runs/tradeoff")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD[:STRENGTH,...]",
        help="what to compare (default: raw bdq-untrained bdq); see below",
    )
    parser.add_argument(
        "--alphas",
        type=float,
        nargs="+",
        help="adversarial weights of bdq and unet (default: 0, the recipe's)",
    )
    parser.add_argument(
        "--face-detector", type=Path, metavar="FILE", help="YuNet's ONNX file, for face-blur"
    )
    parser.epilog = (
        "methods:\n"
        "  raw            raw video\n"
        "  bdq-untrained  BDQ before training: protects nothing\n"
        "  bdq:0,2        BDQ, trained with alpha 0 and 2\n"
        "  unet:0,2       the filter network of Wu et al., trained with alpha 0 and 2\n"
        "  ryoo:28,14     down-sampling after learned transformations (Ryoo et al.), pixels\n"
        "  downsample:28  plain down-sampling, pixels\n"
        "  blur:4         Gaussian blur, sigma in pixels\n"
        "  pixelate:8     mosaic, pixels of a block\n"
        "  dvs:0.4,2.4    simulated event camera, threshold\n"
        "  face-blur      faces found by a detector are blurred; needs --face-detector\n"
        "  all            all but face-blur, each with its usual strengths\n\n"
        "All folds are gone through unless --split names one. A stopped run goes on.\n\n"
        "examples:\n"
        "  motionveil tradeoff ut/manifest.csv --recipe ut-interaction --alphas 0 2\n"
        "  motionveil tradeoff sbu/manifest.csv --recipe sbu --methods raw bdq:0,2 unet:2 ryoo"
        " --seeds 0 1 2"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run every split and seed, print the rows, write the result and its reports."""
    recipe = recipe_of(arguments)
    contenders = _contenders(arguments, recipe)
    detector = arguments.face_detector
    return compare(arguments, recipe, contenders, kind="tradeoff", face_detector=detector)


def _contenders(arguments: argparse.Namespace, recipe: Recipe) -> list[Contender]:
    """Return what `--methods` and `--alphas` name.

    Raises:
        MotionveilError: A method is unknown or a strength out of range.
    """
    from motionveil.experiments.contenders import (
        ADVERSARIAL,
        of_strengths,
        read_contenders,
        usual,
    )

    if not arguments.methods:
        return usual(recipe, arguments.alphas)
    found: list[Contender] = []
    for word in arguments.methods:
        if word in ADVERSARIAL and arguments.alphas:
            found += of_strengths(word, arguments.alphas)
        else:
            found += read_contenders([word], recipe)
    return list(dict.fromkeys(found))
