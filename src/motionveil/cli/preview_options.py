"""The options of commands that show a veiled stream in a browser."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.secret import secret
from motionveil.streaming.status import Stat, Status

Show = Callable[[Status, NDArray[np.uint8]], None]


def add_preview_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--preview` and the options of its token."""
    parser.add_argument(
        "--preview", metavar="HOST:PORT", help="show the veiled stream in a browser"
    )
    parser.add_argument(
        "--preview-token",
        metavar="TOKEN",
        help="password for viewers, 16 characters or more; required beyond 127.0.0.1",
    )
    parser.add_argument(
        "--preview-token-file",
        metavar="FILE",
        help="read the token from a file, which keeps it secret",
    )


def read_preview_token(arguments: argparse.Namespace) -> None:
    """Put the real token in its place; see `secret`."""
    arguments.preview_token = secret(
        arguments.preview_token, arguments.preview_token_file, "--preview-token"
    )


@contextmanager
def open_preview(
    arguments: argparse.Namespace,
    names: Mapping[str, str],
    say: Callable[[str], None],
    answers: Callable[[], Mapping[str, Any]] | None = None,
) -> Iterator[Show]:
    """Serve the preview if it is wanted, and yield what shows a frame there.

    Args:
        arguments: Those of the command.
        names: The stream's `source`, `encoder` and the like; see `STATS`.
        say: Told in a line where it is.
        answers: See `Preview`.
    """
    if arguments.preview is None:
        yield lambda status, image: None
        return
    from motionveil.streaming.preview import Preview

    newest: list[Status] = []

    def stats() -> dict[str, Stat]:
        return {**names, **(newest[-1].snapshot() if newest else {})}

    with Preview(
        arguments.preview, token=arguments.preview_token, stats=stats, answers=answers
    ) as preview:
        say(f"preview at {preview.shown}")

        def show(status: Status, image: NDArray[np.uint8]) -> None:
            newest[:] = [status]
            preview.show(image)

        yield show
