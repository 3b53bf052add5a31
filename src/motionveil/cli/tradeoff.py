"""`motionveil tradeoff`: BDQ and its rivals, compared for action and privacy."""

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
    from motionveil.experiments.contenders import Contender
    from motionveil.results import Result
    from motionveil.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_trial_arguments(parser)
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
    parser.add_argument(
        "--seeds", type=count_from(0), nargs="+", help="several seeds instead of --seed"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/tradeoff"), help="folder (default: runs/tradeoff)"
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
    """Run every split and seed, print the rows, write the result and its report."""
    from motionveil.data.manifest import Manifest
    from motionveil.experiments.tradeoff import Plan, measure_tradeoff
    from motionveil.training.processes import make_fabric

    recipe = recipe_of(arguments)
    manifest = Manifest.read(arguments.manifest)
    label = privacy_label_of(arguments, manifest)
    plan = Plan(
        manifest=manifest,
        recipe=recipe,
        contenders=_contenders(arguments, recipe),
        splits=splits_of(arguments, manifest, label),
        seeds=arguments.seeds or [arguments.seed],
        privacy_label=label,
        face_detector=arguments.face_detector,
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
    if fabric.is_global_zero:
        print_and_report(result, arguments.out)
    return 0


def print_and_report(result: Result, out: Path) -> None:
    """Print a comparison's rows, write its reports, and say where they are."""
    from motionveil.report import write_report, write_tradeoff
    from motionveil.report.pooling import Run

    print_rows(result.rows)
    _say_of_faces(result)
    print(f"wrote {out / 'results.json'}")
    print(f"wrote {write_report(result, out)}")
    for file in write_tradeoff([Run(result, out)], out):
        print(f"wrote {file}")


def _say_of_faces(result: Result) -> None:
    """Say in what share of the frames a face was found: where none was, nothing is blurred."""
    found = [row.encoder.provenance["faces"] for row in result.rows if row.method == "face-blur"]
    if found:
        total = found[0]["total"]
        share = 100 * total["with_face"] / max(1, total["frames"])
        print(f"face-blur: a face was found in {share:.1f} % of {total['frames']} frames")


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


def splits_of(arguments: argparse.Namespace, manifest: Manifest, label: str) -> list[str]:
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
