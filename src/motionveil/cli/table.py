"""The table of accuracies that several commands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from motionveil.results import Accuracy, Row


def print_rows(rows: Sequence[Row]) -> None:
    """Print a line a row: accuracies in %, with their 95 % intervals."""
    label = rows[0].privacy.label
    table = Table(box=None, pad_edge=False)
    many = len({(row.seed, row.split) for row in rows}) > 1
    headings = ["method", "alpha", *(["seed", "split"] if many else [])]
    for heading in (*headings, "n", "action %", f"{label} by frame %", f"{label} by clip %"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        where = [str(row.seed), row.split] if many else []
        table.add_row(
            row.method,
            "" if row.alpha is None else f"{row.alpha:g}",
            *where,
            str(row.action.n),
            _percent(row.action),
            _percent(row.privacy.frame),
            _percent(row.privacy.clip),
        )
    floor = rows[0].privacy.frame.floor
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    console.print(f"guessing the commonest {label} scores {100 * floor:.1f} %", highlight=False)


def _percent(accuracy: Accuracy) -> str:
    low, high = accuracy.interval
    return f"{100 * accuracy.accuracy:.1f} ({100 * low:.0f}-{100 * high:.0f})"
