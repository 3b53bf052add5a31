"""What commands print: tables, and a progress bar over frames."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from motionveil.errors import one_line
from motionveil.results import Accuracy, Row, attribute_lines, describe_order


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int = 160,
    numbers: bool = False,
) -> None:
    """Print a table without lines.

    Args:
        headings: Of the columns.
        rows: As many texts each.
        width: Of the page where the output is no terminal, in characters.
        numbers: Whether all columns but the first stand to the right.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if numbers and place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(one_line(cell)) for cell in row))
    Console(width=None if Console().is_terminal else width).print(table, highlight=False)


def print_written(folder: Path, *names: str) -> None:
    """Say which of these files and folders of a run are there."""
    for name in names:
        if (folder / name).exists():
            print(f"wrote {folder / name}")


def in_percent(share: float, interval: tuple[float, float]) -> str:
    """Return a share and its interval, such as `12.5 (8-19)`."""
    low, high = interval
    return f"{100 * share:.1f} ({100 * low:.0f}-{100 * high:.0f})"


def print_rows(rows: Sequence[Row]) -> None:
    """Print a line per row: accuracies in %, with their 95 % intervals."""
    label = rows[0].privacy.label
    many = len({(row.seed, row.split) for row in rows}) > 1
    headings = ["method", "alpha", *(["seed", "split"] if many else [])]
    headings += ["n", "action %", f"{label} by frame %", f"{label} by clip %"]
    attacked = any(row.attackers for row in rows)
    headings += ["strongest %", "attacker"] if attacked else []
    lines = [_cells(row, many) + (_strongest(row) if attacked else []) for row in rows]
    print_table(headings, lines, width=160)
    chance_level = rows[0].privacy.frame.chance_level
    print(f"chance level ({label}): {100 * chance_level:.1f} %")
    _print_attributes(rows)
    print(f"order: {describe_order(rows)}")


def _print_attributes(rows: Sequence[Row]) -> None:
    """Print cMAP and macro F1 of each row, and the figures of each attribute below."""
    lines = [
        [
            f"{row.method}, {by_clip.name}",
            in_percent(by_frame.average_precision, by_frame.average_precision_interval),
            in_percent(by_clip.average_precision, by_clip.average_precision_interval),
            f"{100 * by_clip.prevalence:.1f}",
            in_percent(by_frame.f1, by_frame.f1_interval),
            in_percent(by_clip.f1, by_clip.f1_interval),
            f"{100 * by_clip.f1_chance:.1f}",
        ]
        for row in rows
        for by_frame, by_clip in attribute_lines(row.privacy.attributes)
    ]
    if lines:
        headings = ["attribute", "AP by frame %", "AP by clip %", "prevalence %"]
        headings += ["F1 by frame %", "F1 by clip %", "F1 of always yes %"]
        print_table(headings, lines)


def _cells(row: Row, many: bool) -> list[str]:
    return [
        row.method,
        "" if row.alpha is None else f"{row.alpha:g}",
        *([str(row.seed), row.split] if many else []),
        str(row.action.n),
        _percent(row.action),
        _percent(row.privacy.frame),
        _percent(row.privacy.clip),
    ]


def _strongest(row: Row) -> list[str]:
    """Return the strongest attacker's accuracy and name; dashes where there were no attackers."""
    return [_percent(row.strongest[1]), row.strongest[0]] if row.strongest else ["–", "–"]


def _percent(accuracy: Accuracy) -> str:
    return in_percent(accuracy.accuracy, accuracy.interval)


@contextmanager
def frame_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback that draws a progress bar, if stderr is a terminal.

    Args:
        name: Label of the bar. The callback takes the number of frames done and the total, None
            if that is unknown.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(one_line(name)), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
