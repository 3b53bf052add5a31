"""Comparing methods: what `tradeoff` and `ablate` share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.console import print_rows
from motionveil.cli.options import add_experiment_arguments, command_line, count_from
from motionveil.datasets.console import warn
from motionveil.datasets.manifest import choose_label, choose_name
from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.datasets.manifest import Manifest
    from motionveil.methods import Choice
    from motionveil.results import Result
    from motionveil.spec import EncoderSpec
    from motionveil.training.recipe import Recipe


PROTOCOLS = ("strongest", "paper")


def add_comparison_arguments(
    parser: argparse.ArgumentParser, out: str, protocol: str = "strongest"
) -> None:
    """Declare the shared arguments; `out` and `protocol` are their defaults."""
    add_experiment_arguments(parser)
    parser.add_argument(
        "--seeds", type=count_from(0), nargs="+", help="several seeds instead of --seed"
    )
    parser.add_argument("--out", type=Path, default=Path(out), help=f"folder (default: {out})")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=protocol,
        help="strongest: several attackers on each row, trained until they are saturated; paper:"
        f" the published action and privacy networks alone (default: {protocol})",
    )
    parser.add_argument(
        "--jobs",
        type=count_from(1),
        default=1,
        metavar="N",
        help="number of attackers of a row in parallel (default: 1)",
    )


def compare(
    arguments: argparse.Namespace,
    recipe: Recipe,
    choices: Sequence[Choice],
    *,
    kind: str,
    face_detector: Path | None = None,
    encoder: EncoderSpec | None = None,
) -> int:
    """Measure methods on every split and seed, print the rows, write the result and reports.

    Args:
        arguments: The command's.
        recipe: The recipe.
        choices: The methods.
        kind: What the result calls the experiment.
        face_detector, encoder: As in `Plan`.

    Raises:
        MotionveilError: As `measure_tradeoff`.
    """
    from motionveil.api import threads_each
    from motionveil.datasets.manifest import Manifest
    from motionveil.evaluation.executors import in_processes, in_this_process
    from motionveil.evaluation.suites import attackers
    from motionveil.evaluation.validation import warn_of_leak
    from motionveil.experiments.tradeoff import Plan, measure_tradeoff
    from motionveil.training.distributed import make_fabric

    manifest = Manifest.read(arguments.manifest)
    label = choose_label(arguments.label, manifest)
    plan = Plan(
        manifest=manifest,
        recipe=recipe,
        choices=choices,
        splits=_splits(arguments, manifest, label),
        seeds=arguments.seeds or [arguments.seed],
        privacy_label=label,
        face_detector=face_detector,
        encoder=encoder,
        attackers=attackers(recipe) if arguments.protocol == "strongest" else (),
        precision=arguments.precision,
    )
    if encoder is not None:
        for split in plan.splits:
            warn_of_leak(encoder, manifest, split)
    fabric = make_fabric(arguments.device, arguments.precision)
    jobs = arguments.jobs
    result = measure_tradeoff(
        plan,
        arguments.out,
        fabric,
        kind=kind,
        command=command_line(),
        workers=arguments.workers,
        run=in_processes(jobs, threads_each(jobs)) if jobs > 1 else in_this_process,
    )
    if fabric.is_global_zero:
        _print_and_report(result, arguments.out)
    return 1 if result.collapsed else 0


def _print_and_report(result: Result, out: Path) -> None:
    from motionveil.report import write_report, write_tradeoff
    from motionveil.report.aggregate import StoredResult

    print_rows(result.rows)
    _say_of_faces(result)
    print(f"wrote {out / 'results.json'}")
    print(f"wrote {write_report(result, out)}")
    for file in write_tradeoff([StoredResult(result, out)], out):
        print(f"wrote {file}")
    for name, reason in result.collapsed.items():
        print(f"\nno row: {name}: {reason}", file=sys.stderr)


def _say_of_faces(result: Result) -> None:
    """Say in what share of the frames a face was found: where none was, nothing is blurred."""
    found = [row.encoder.provenance["faces"] for row in result.rows if row.method == "face-blur"]
    if found:
        total = found[0]["total"]
        share = 100 * total["with_face"] / max(1, total["frames"])
        print(f"face-blur: a face was found in {share:.1f} % of {total['frames']} frames")


def _splits(arguments: argparse.Namespace, manifest: Manifest, label: str) -> list[str]:
    """Return the split named, or all under which the label can be recognised.

    Raises:
        MotionveilError: There is no such split, or the label can be recognised under none.
    """
    from motionveil.datasets.validate_manifest import refuse_unlearnable

    one = choose_name(arguments.split, manifest.splits(), "--split", arguments.manifest)
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
        warn(f"{refusal}; it is left out")
    return kept
