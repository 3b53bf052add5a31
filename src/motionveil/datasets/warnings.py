"""Warnings for the user, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from motionveil.errors import one_line


def warn(text: str) -> None:
    """Print a warning."""
    print(f"warning: {one_line(text)}", file=sys.stderr)


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are: `a, b, c and 9 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
