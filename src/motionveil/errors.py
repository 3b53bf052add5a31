"""What motionveil raises when its input is at fault, and how such faults are described."""

from __future__ import annotations

import difflib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

DEBUG = "MOTIONVEIL_DEBUG"
"""The environment variable that shows where errors come from."""


class MotionveilError(Exception):
    """An input that cannot be used; the message names the file, the value and what would be right.

    The command line prints the message on one line and exits with status 1.
    """


def explain(error: BaseException, source: str, mask: Callable[[str], str] = str) -> str:
    """Return one line on why something failed, expected or not; with `DEBUG`, print its trace.

    Args:
        error: What was raised.
        source: What was being worked on: a file, or a command line.
        mask: Takes secrets out of what is shown.
    """
    if os.environ.get(DEBUG):
        print(mask("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    if isinstance(error, MotionveilError):
        return one_line(str(error))
    if isinstance(error, MemoryError):
        return one_line(f"{source}: there is not enough memory")
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{source}: {error.filename or 'a file or device'}: {error.strerror}")
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f", {Path(frame.filename).name}:{frame.lineno}" for frame in place)
    what = one_line(mask(str(error)))[:200]
    return one_line(
        f"{source}: an error of motionveil itself ({type(error).__name__}: {what}{where});"
        f" please report it with the trace that {DEBUG}=1 shows"
    )


def one_line(text: str) -> str:
    """Return a text with its line breaks and control characters escaped.

    What a file says of itself may move a terminal's cursor, or pass for a line of ours.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def no_such(what: str, name: object, known: Iterable[str]) -> str:
    """Return `no method 'bqd'; there are raw, bdq, flow; did you mean 'bdq'?`."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {what} {name!r}; there are {', '.join(names)}{hint}"


def describe_faults(
    faults: Sequence[Any], unknown: Callable[[str], str] | None = None, *, depth: int | None = None
) -> str:
    """Return on one line which fields are wrong, how, and what was found; the first five.

    Args:
        faults: pydantic's `ValidationError.errors()`.
        unknown: What to say of a field that does not exist, by its name with dots.
        depth: Parts of a field's name to show; None for all.
    """
    told = list(dict.fromkeys(_fault(item, unknown, depth) for item in faults))
    return "; ".join(told[:5]) + (f"; and {len(told) - 5} more" if len(told) > 5 else "")


def _fault(item: Any, unknown: Callable[[str], str] | None, depth: int | None) -> str:
    field = ".".join(str(part) for part in item["loc"][:depth])
    if unknown is not None and item["type"] == "extra_forbidden":
        return unknown(field)
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing" or not field:
        return f"{field}: {message}" if field else message
    return f"{field}: {message} (found {json.dumps(item['input'], default=str)[:80]})"
