"""How much an input may ask for, and reading texts within that; a variable raises each bound."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import Any

from motionveil.errors import MotionveilError

PIXELS = "MOTIONVEIL_MAX_PIXELS"
FRAMES = "MOTIONVEIL_MAX_FRAMES"
TEXT = "MOTIONVEIL_MAX_TEXT"
LOG_LINES = "MOTIONVEIL_MAX_LOG_LINES"


def max_pixels() -> int:
    """Return how many pixels a frame may have: 67 million (8192 x 8192), or `PIXELS`."""
    return _bound(PIXELS, 1 << 26)


def max_frames() -> int:
    """Return how many frames a file or folder may have: 10 million (four days), or `FRAMES`."""
    return _bound(FRAMES, 10_000_000)


def max_text() -> int:
    """Return how many bytes a text may have (a manifest, a result): 256 MiB, or `TEXT`."""
    return _bound(TEXT, 1 << 28)


def check_pixels(width: int, height: int, name: str) -> None:
    """Refuse frames of too many pixels, before one is decoded.

    Raises:
        MotionveilError: There are too many; says how to allow them.
    """
    if width * height > max_pixels():
        raise MotionveilError(
            f"{name}: frames of {width}x{height} are {width * height} pixels, more than"
            f" {max_pixels()}; set {PIXELS} to allow them"
        )


class LineLimit:
    """Lets at most 100 lines of a log, or `LOG_LINES`, through in a second, and counts the others.

    A server that says something of every request, or a camera that fails in a loop, would fill the
    disk. Used from any thread.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._most, self._lock = clock, _bound(LOG_LINES, 100), Lock()
        self._second, self._lines, self._left_out = 0, 0, 0

    def __call__(self) -> int | None:
        """Return None for a line that must be left out, else how many were before it."""
        with self._lock:
            second = int(self._clock())
            if second != self._second:
                self._second, self._lines = second, 0
            self._lines += 1
            if self._lines > self._most:
                self._left_out += 1
                return None
            before, self._left_out = self._left_out, 0
            return before


def read_text(file: Path, what: str) -> str:
    """Return the text of a file, UTF-8 with or without a byte order mark.

    Args:
        file: The file.
        what: What it is, for errors: "the manifest".

    Raises:
        MotionveilError: It cannot be read, is too long or is no UTF-8; names the file.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(max_text() + 1)
    except (OSError, ValueError) as error:  # a name may hold a null byte
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MotionveilError(f"{file}: cannot read {what}: {reason}") from error
    if len(data) > max_text():
        raise MotionveilError(
            f"{file}: {what} has more than {max_text()} bytes; set {TEXT} to allow it"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MotionveilError(
            f"{file}: cannot read {what}: not UTF-8 text (byte {error.start})"
        ) from error


def packaged_names(folder: str, suffix: str) -> list[str]:
    """Return the names, without suffix, of the files that come with the package in a folder."""
    files = resources.files("motionveil").joinpath(folder).iterdir()
    return sorted(f.name.removesuffix(suffix) for f in files if f.name.endswith(suffix))


def packaged_text(package: str, name: str) -> str:
    """Return a text file that lies in a package, such as a page."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def read_csv(file: Path, what: str) -> list[str]:
    """Return the lines of a CSV file, with their ends, all of whose rows can be read.

    Raises:
        MotionveilError: See `read_text`; or a row is none, as where a quote is never closed. Names
            the line on which it begins.
    """
    lines = list(io.StringIO(read_text(file, what), newline=None))
    rows, begins = csv.reader(lines, strict=True), 1
    try:
        for _ in rows:
            begins = rows.line_num + 1
    except csv.Error as error:
        raise MotionveilError(f"{file}:{begins}: cannot read this row: {error}") from error
    return lines


def read_table(
    file: Path,
    what: str,
    columns: Sequence[str] = (),
    *,
    exactly: bool = False,
    comments: bool = False,
) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the columns of a CSV file, and its rows by where they stand, `FILE:LINE`.

    Names and values are stripped, and empty lines left out.

    Args:
        columns: Those that must be there.
        exactly: There must be no others, and they must be in this order.
        comments: Leave out the lines that begin with `#`.

    Raises:
        MotionveilError: See `read_csv`; or a column or a value is missing. Names the line.
    """
    lines = read_csv(file, what)
    reader = csv.reader("" if comments and line.startswith("#") else line for line in lines)
    cells = ([cell.strip() for cell in row] for row in reader if row)
    header = next(cells, [])
    if (header != list(columns)) if exactly else not set(columns) <= set(header):
        must = "they must be" if exactly else "there must be"
        raise MotionveilError(
            f"{file}:{max(1, reader.line_num)}: found columns {','.join(header)!r}; {must}"
            f" {', '.join(columns)}"
        )
    rows = {}
    for row in cells:
        where = f"{file}:{reader.line_num}"
        if len(row) != len(header):
            raise MotionveilError(
                f"{where}: {len(row)} values, there must be {len(header)}: {','.join(header)}"
            )
        rows[where] = dict(zip(header, row, strict=True))
    return header, rows


def load_json(text: str) -> Any:
    """Read JSON.

    Raises:
        ValueError: It is none, is nested too deeply, or a number of it is too long.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _bound(variable: str, usual: int) -> int:
    written = os.environ.get(variable)
    if written is None:
        return usual
    if not (written.isascii() and written.isdecimal() and 0 < int(written[:13]) < 10**12):
        raise MotionveilError(f"{variable}={written}: must be a whole number above 0")
    return int(written)
