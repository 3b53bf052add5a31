"""`motionveil index`: turn a data set as published, or one's own videos, into a manifest."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from motionveil.cli.options import count_from
from motionveil.data import folder, ipn, kth, sbu, ut_interaction
from motionveil.data.actors import make_actors
from motionveil.data.check import find_missing
from motionveil.data.leakage import report_leakage
from motionveil.data.manifest import Manifest
from motionveil.data.remarks import remark
from motionveil.errors import MotionveilError


class Kind(NamedTuple):
    """A kind of data set.

    Attributes:
        line: A line of help.
        make: Makes its manifest.
        splits: The ways to split it and a line of help for each, the default first; none where
            there is no choice.
    """

    line: str
    make: Callable[[argparse.Namespace], Manifest]
    splits: Mapping[str, str] = {}


KINDS: dict[str, Kind] = {
    "sbu": Kind(
        "SBU Kinect Interaction; ROOT holds the sets, s01s02/01/001",
        lambda given: sbu.index(given.root, split=given.split, seed=given.seed),
        sbu.SPLITS,
    ),
    "kth": Kind(
        f"KTH; ROOT holds {kth.LIST} and a folder for each action",
        lambda given: kth.index(given.root, split=given.split, seed=given.seed),
        kth.SPLITS,
    ),
    "ipn": Kind(
        "IPN Hand; ROOT holds annotations and frames or videos",
        lambda given: ipn.index(
            given.root,
            split=given.split,
            seed=given.seed,
            non_gestures=given.with_non_gestures,
        ),
        ipn.SPLITS,
    ),
    "ut-interaction": Kind(
        "UT-Interaction, segmented set 1; ROOT holds segmented_set1; three folds",
        lambda given: ut_interaction.index(given.root),
    ),
    "actors": Kind(
        "the built-in data: films drawn people into ROOT/seedN, see --seed",
        lambda given: make_actors(given.root, seed=given.seed),
    ),
    "folder": Kind(
        "your own videos, ROOT/<action>/<person>/*.mp4",
        lambda given: folder.index(given.root, share=given.share, seed=given.seed),
    ),
    "csv": Kind(
        "ROOT is a CSV with the columns path, action and one or more privacy labels",
        lambda given: folder.index_csv(given.root, share=given.share, seed=given.seed),
    ),
}
"""Every kind of data set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", metavar="KIND", choices=KINDS, help=", ".join(KINDS))
    parser.add_argument("root", metavar="ROOT", help="the data set's folder (csv: the file)")
    parser.add_argument(
        "-o",
        "--out",
        default="manifest.csv",
        metavar="CSV",
        help="where the manifest goes, its .json beside it (default: manifest.csv)",
    )
    parser.add_argument(
        "--split", metavar="WAY", help="which way to split, see below (default: the first)"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=folder.DEFAULT_SHARE,
        help=f"folder, csv: share of clips for validation (default: {folder.DEFAULT_SHARE})",
    )
    parser.add_argument(
        "--seed",
        type=count_from(0),
        default=0,
        help="of a split, or of people, that are drawn (default: 0)",
    )
    parser.add_argument(
        "--with-non-gestures",
        action="store_true",
        help="ipn: keep the segments without a gesture, as an action of their own",
    )
    parser.epilog = (
        f"kinds, and the ways to split them:\n{_help()}\n\n"
        "examples:\n  motionveil index actors actors -o actors/manifest.csv\n"
        "  motionveil index folder videos/ -o videos/manifest.csv\n"
        "  motionveil index kth kth/ --split scenario -o kth/manifest.csv"
    )


def _help() -> str:
    lines = []
    for name, kind in KINDS.items():
        lines.append(f"  {name:<16}{kind.line}")
        lines += [f"    --split {way:<12}{line}" for way, line in kind.splits.items()]
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> int:
    """Write the manifest, and print how many clips there are of what, and what to beware of."""
    kind = KINDS[arguments.kind]
    if arguments.split and not kind.splits:
        raise MotionveilError(
            f"--split {arguments.split}: {arguments.kind} has one way only; --split is for"
            f" {', '.join(name for name, other in KINDS.items() if other.splits)}"
        )
    if arguments.with_non_gestures and arguments.kind != "ipn":
        raise MotionveilError(f"--with-non-gestures is for ipn; {arguments.kind} has no such thing")
    arguments.split = arguments.split or next(iter(kind.splits), None)
    manifest = kind.make(arguments)
    written = manifest.write(arguments.out)
    console = Console()
    for label in manifest.privacy_labels:
        console.print(_table(manifest, label))
    splits = Counter(clip.split for clip in manifest.clips)
    in_order = sorted(splits.items(), key=lambda item: (len(item[0]), item[0]))  # fold2, fold10
    print(f"{len(manifest.clips)} clips: {', '.join(f'{n} {split}' for split, n in in_order)}")
    for line in (*find_missing(manifest), *report_leakage(manifest)):
        remark(line)
    print(f"wrote {written} and {written.with_suffix('.json').name}")
    return 0


def _table(manifest: Manifest, label: str) -> Table:
    """Count the clips of each action (columns) and each name of a privacy label (rows)."""
    counts = Counter((clip.privacy[label], clip.action) for clip in manifest.clips)
    table = Table()
    for heading in (label, *manifest.actions, "all"):
        table.add_column(heading, overflow="fold")
    for name in manifest.names_of(label):
        row = [counts[name, action] for action in manifest.actions]
        table.add_row(name, *map(str, row), str(sum(row)))
    sums = Counter(clip.action for clip in manifest.clips)
    table.add_section()
    table.add_row("all", *(str(sums[a]) for a in manifest.actions), str(len(manifest.clips)))
    return table
