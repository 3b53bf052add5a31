"""`motionveil index`: turn a data set as published, or a user's own videos, into a manifest."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from motionveil.data import folder, ut_interaction
from motionveil.data.manifest import Manifest

KINDS: dict[str, tuple[str, Callable[[argparse.Namespace], Manifest]]] = {
    "ut-interaction": (
        "UT-Interaction, segmented set 1; ROOT holds segmented_set1; three folds",
        lambda given: ut_interaction.index(given.root),
    ),
    "folder": (
        "your own videos, ROOT/<action>/<person>/*.mp4",
        lambda given: folder.index(given.root, share=given.share, seed=given.seed),
    ),
    "csv": (
        "ROOT is a CSV with the columns path, action and one or more privacy labels",
        lambda given: folder.index_csv(given.root, share=given.share, seed=given.seed),
    ),
}
"""Every kind of data set: a line of help, and what makes its manifest."""


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
        "--share",
        type=float,
        default=folder.DEFAULT_SHARE,
        help=f"folder, csv: share of clips for validation (default: {folder.DEFAULT_SHARE})",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="folder, csv: seed of the split (default: 0)"
    )
    kinds = "\n".join(f"  {name:<16}{line}" for name, (line, _) in KINDS.items())
    parser.epilog = (
        f"kinds:\n{kinds}\n\nexample:\n  motionveil index folder videos/ -o videos/manifest.csv"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the manifest, and print how many clips there are of what."""
    _, make = KINDS[arguments.kind]
    manifest = make(arguments)
    written = manifest.write(arguments.out)
    console = Console()
    for label in manifest.privacy_labels:
        console.print(_table(manifest, label))
    splits = Counter(clip.split for clip in manifest.clips)
    print(
        f"{len(manifest.clips)} clips: "
        + ", ".join(f"{count} {split}" for split, count in sorted(splits.items()))
    )
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
