"""A bar of the frames that a command has done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def frame_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback that draws a bar; silent unless a person looks at the terminal.

    Args:
        name: What stands before the bar. The callback takes the frames done, and how many there
            are in all, None where that is not known.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
