"""A progress bar over frames."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from motionveil.errors import one_line


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
