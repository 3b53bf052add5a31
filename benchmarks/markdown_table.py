"""Tables in Markdown, and the forms that figures have in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from motionveil.audit_results import Measured
from motionveil.results import Accuracy


class Kind(NamedTuple):
    """A kind of table.

    Attributes:
        read: Reads one of its files.
        table: Draws the table of all that was read; further words of the block come after.
    """

    read: Callable[[Path], Any]
    table: Callable[..., str]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], below: str = "") -> str:
    """Return a table with one line for each row; `below` is a line of text under it."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n".join([*lines, "", *([below, ""] if below else [])])


def figure(accuracy: Accuracy) -> str:
    """Return an accuracy in % with its interval, such as `95.4 (92 to 97)`."""
    return _with_interval(accuracy.accuracy, accuracy.interval)


def measured(found: Measured | None) -> str:
    """Return a share in % with its interval; empty for none."""
    return "" if found is None else _with_interval(found.value, found.interval)


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    low, high = (100 * bound for bound in interval)
    return f"{100 * value:.1f} ({low:.0f} to {high:.0f})"


def percent(share: float) -> str:
    """Return a share in %, with a digit."""
    return f"{100 * share:.1f}"
