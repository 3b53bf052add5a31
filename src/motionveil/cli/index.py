"""`motionveil index`: turn a data set as published, or your own videos, into a manifest."""

from __future__ import annotations

import argparse
import inspect
from collections import Counter
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from motionveil.atomic_write import refuse_overwriting
from motionveil.cli.options import count_from
from motionveil.datasets.console import warn
from motionveil.datasets.loaders import Loader, loaders
from motionveil.datasets.loaders.folder import DEFAULT_SHARE
from motionveil.datasets.manifest import Manifest
from motionveil.datasets.validate_manifest import find_missing, report_names, report_overlap
from motionveil.errors import MotionveilError

OPTIONS = {
    "split": "--split",
    "share": "--share",
    "non_gestures": "--with-non-gestures",
    "pauses": "--with-pauses",
    "attributes": "--with-attributes",
}
"""Options of some data sets only, by the argument of their index function."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    known = loaders()
    parser.add_argument("kind", metavar="KIND", choices=known, help=", ".join(known))
    parser.add_argument("root", metavar="ROOT", help="the data set's folder (csv: the file)")
    parser.add_argument(
        "-o",
        "--out",
        default="manifest.csv",
        metavar="CSV",
        help="output file; its .json is written beside it (default: manifest.csv)",
    )
    parser.add_argument("--split", metavar="WAY", help="split, see below (default: the first)")
    parser.add_argument(
        "--share",
        type=float,
        help=f"folder, csv, pa-hmdb51: share of clips for validation (default: {DEFAULT_SHARE})",
    )
    parser.add_argument(
        "--seed",
        type=count_from(0),
        default=0,
        help="random seed of the split, or of the synthetic data (default: 0)",
    )
    parser.add_argument(
        "--with-non-gestures",
        action="store_true",
        default=None,
        dest="non_gestures",
        help="ipn: keep segments without a gesture, as background",
    )
    parser.add_argument(
        "--with-pauses",
        action="store_true",
        default=None,
        dest="pauses",
        help="actors: footage with pauses between the actions, which are the background",
    )
    parser.add_argument(
        "--with-attributes",
        action="store_true",
        default=None,
        dest="attributes",
        help="actors: also label tall, long_hair, long_sleeves and shorts",
    )
    parser.add_argument(
        "--background",
        metavar="ACTION",
        help="action label of clips without an action: learned as a class of its own, not scored",
    )
    parser.epilog = (
        f"kinds and their splits:\n{_help()}\n\n"
        "examples:\n  motionveil index actors actors -o actors/manifest.csv\n"
        "  motionveil index folder videos/ -o videos/manifest.csv\n"
        "  motionveil index kth kth/ --split scenario -o kth/manifest.csv"
    )


def _help() -> str:
    lines = []
    for name, loader in loaders().items():
        lines.append(f"  {name:<16}{loader.help}")
        lines += [f"    --split {way:<12}{line}" for way, line in loader.splits.items()]
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> int:
    """Write the manifest, and print its clips by action and label, and warnings."""
    loader = loaders()[arguments.kind]
    refuse_overwriting([arguments.out], [arguments.root])
    manifest = loader.index(arguments.root, **_options(arguments, loader))
    if arguments.background is not None:
        manifest = replace(manifest, background=arguments.background)
    written = manifest.write(arguments.out)
    console = Console(markup=False)  # a class may be called "[red]"
    for label in manifest.privacy_labels:
        table, legend = _table(manifest, label, console.width)
        console.print(table)
        for line in legend:
            print(line)
    splits = Counter(clip.split for clip in manifest.clips)
    in_order = sorted(splits.items(), key=lambda item: (len(item[0]), item[0]))  # fold2, fold10
    print(f"{len(manifest.clips)} clips: {', '.join(f'{n} {split}' for split, n in in_order)}")
    for line in (*find_missing(manifest), *report_names(manifest), *report_overlap(manifest)):
        warn(line)
    print(f"wrote {written} and {written.with_suffix('.json').name}")
    return 0


def _options(arguments: argparse.Namespace, loader: Loader) -> dict[str, object]:
    """Return the options that a loader takes.

    Raises:
        MotionveilError: An option was given that it does not take.
    """
    options: dict[str, object] = {"seed": arguments.seed} if _takes(loader, "seed") else {}
    for name, option in OPTIONS.items():
        value = getattr(arguments, name)
        if value is None:
            continue
        if not _takes(loader, name):
            able = [k for k, other in loaders().items() if _takes(other, name)]
            raise MotionveilError(f"{option} is for {', '.join(able)}, not for {loader.name}")
        options[name] = value
    return options


def _takes(loader: Loader, option: str) -> bool:
    return option in inspect.signature(loader.index).parameters


def _table(manifest: Manifest, label: str, width: int) -> tuple[Table, list[str]]:
    """Count the clips of each action (columns) and each name of a privacy label (rows).

    Args:
        manifest: The clips.
        label: The privacy label.
        width: Characters of a line. Where the actions' names do not fit, columns have numbers.

    Returns:
        The table, and what its numbers mean.
    """
    counts = Counter((clip.privacy[label], clip.action) for clip in manifest.clips)
    names = manifest.names_of(label)
    headings, legend = list(manifest.actions), []
    first = max(map(len, (label, *names)))
    if first + sum(len(name) + 3 for name in (*headings, "all")) + 4 > width:
        legend = [f"{number}: {name}" for number, name in enumerate(manifest.actions, 1)]
        headings = [str(number) for number in range(1, len(headings) + 1)]
    table = Table()
    for heading in (label, *headings, "all"):
        table.add_column(heading, overflow="fold")
    for name in names:
        row = [counts[name, action] for action in manifest.actions]
        table.add_row(name, *map(str, row), str(sum(row)))
    sums = Counter(clip.action for clip in manifest.clips)
    table.add_section()
    table.add_row("all", *(str(sums[a]) for a in manifest.actions), str(len(manifest.clips)))
    return table, legend
