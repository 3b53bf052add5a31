"""Event streams on disk: the plain text of the Event Camera Dataset, and Prophesee's EVT 2.0.

- `.txt`: a line an event, `t x y p`: seconds, column, row, 1 for brighter and 0 for darker
  (Mueggler et al., "The event-camera dataset and simulator", IJRR 2017).
- `.raw`: EVT 2.0 (https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html): a header of
  text, then little-endian words of 32 bits, the type in the upper four.

Both hold whole microseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from motionveil.atomic_write import atomic_path
from motionveil.errors import MotionveilError
from motionveil.events.camera import EVENT, Events

SUFFIXES = (".txt", ".raw")
"""Names of event streams end so."""

CHUNK = 65536
"""Lines or words that are read at once."""

EVT2_LARGEST = 2048
"""Columns and rows that the 11 bits of EVT 2.0 can number."""

_CD_OFF, _CD_ON, _TIME_HIGH = 0x0, 0x1, 0x8
_LOW_BITS = 6  # of the time, in the event's own word; the 28 above stand in a word before it
_HIGH_BITS = 28

Write = Callable[[Events], None]
"""Appends events to a stream."""


@contextmanager
def event_writer(path: str | os.PathLike[str], *, width: int, height: int) -> Iterator[Write]:
    """Open an event stream for writing and yield the function that appends events to it.

    The file appears under its name when the block ends well; a failure leaves nothing behind, and
    an earlier file as it was.

    Args:
        path: Where to write; `.txt` or `.raw` chooses the format.

    Yields:
        A function that takes a structured array of `EVENT`, as often as there are events to write.

    Raises:
        MotionveilError: The suffix is neither, the sensor is too large for EVT 2.0, nothing can be
            written there; and by the function: an event is outside the sensor, or its time is
            negative or before that of the event before.

    Examples:
        >>> events = np.array([(3, 4, 1000, 1)], EVENT)
        >>> with event_writer("out.raw", width=640, height=480) as write:  # doctest: +SKIP
        ...     write(events)
    """
    target = Path(path)
    check_stream(target, width, height)
    with atomic_path(target) as part:
        file = part.open("wb")
        encode = _Evt2(file, width, height) if target.suffix.lower() == ".raw" else _Text(file)
        latest = 0

        def write(events: Events) -> None:
            nonlocal latest
            latest = _check_events(target, events, latest, width, height)
            with _telling(target):
                encode(events)

        try:
            yield write
            with _telling(target):  # what is left is written now, and the disk may be full
                file.close()
        finally:
            with suppress(OSError):  # the first error is the one to tell
                file.close()


def check_stream(path: Path, width: int = 1, height: int = 1) -> None:
    """Refuse an event stream that cannot be written, before anything is read.

    Raises:
        MotionveilError: The suffix is unknown, or the sensor is too large for EVT 2.0.
    """
    _check_suffix(path)
    if path.suffix.lower() == ".raw" and max(width, height) > EVT2_LARGEST:
        raise MotionveilError(
            f"{path}: {width}x{height} pixels; EVT 2.0 numbers no more than {EVT2_LARGEST} columns"
            " or rows: write .txt"
        )


def read_events(path: str | os.PathLike[str]) -> Iterator[Events]:
    """Yield the events of a stream, in pieces.

    Of EVT 2.0, words that are no events (triggers and others) are passed over, and so are events
    before the first word that tells the time. Its 34 bits of microseconds start again after 4.8
    hours; the times given go on.

    Args:
        path: A `.txt` or a `.raw` file.

    Yields:
        Structured arrays of `EVENT`, none empty.

    Raises:
        MotionveilError: The file is missing, of another format, damaged or cut short.
    """
    source = Path(path)
    _check_suffix(source)
    if not source.is_file():
        raise MotionveilError(f"{source}: no such file")
    read = _read_evt2 if source.suffix.lower() == ".raw" else _read_text
    with source.open("rb") as file:
        for events in read(source, file):
            if len(events):
                yield events


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise MotionveilError(
            f"{path}: an event stream is a .txt (t x y p a line) or a .raw (EVT 2.0)"
        )


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except OSError as error:
        raise MotionveilError(f"{path}: cannot write: {error.strerror}") from error


def _check_events(path: Path, events: Events, latest: int, width: int, height: int) -> int:
    """Refuse events that no reader could place; return the time of the last one."""
    if len(events) == 0:
        return latest
    times = events["t"]
    if times[0] < latest or np.any(times[1:] < times[:-1]):
        raise MotionveilError(f"{path}: times of events must be 0 us or more and never go back")
    if events["x"].max() >= width or events["y"].max() >= height:
        raise MotionveilError(
            f"{path}: an event at column {events['x'].max()}, row {events['y'].max()};"
            f" the sensor has {width}x{height} pixels"
        )
    return int(times[-1])


class _Text:
    """Writes lines; nine decimals, as in the data set, of which six can differ from 0."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __call__(self, events: Events) -> None:
        lines = [
            f"{t // 1_000_000}.{t % 1_000_000:06d}000 {x} {y} {p}\n"
            for x, y, t, p in events.tolist()
        ]
        self._file.write("".join(lines).encode("ascii"))


def _read_text(path: Path, file: IO[bytes]) -> Iterator[Events]:
    first = 1
    while lines := list(islice(file, CHUNK)):
        try:
            columns = np.loadtxt(lines, ndmin=2, comments=None)
        except ValueError:
            columns = np.empty((0, 0))
        if len(columns) != len(lines) or not _are_events(columns):
            raise _line_fault(path, lines, first)
        events = np.empty(len(columns), EVENT)
        events["t"] = np.rint(columns[:, 0] * 1e6)
        for number, name in enumerate(("x", "y", "p"), 1):
            events[name] = columns[:, number]
        yield events
        first += len(lines)


def _are_events(columns: NDArray[Any]) -> bool:
    if (
        columns.shape[1] != 4
        or not columns.size
        or not np.isfinite(columns).all()
        or columns.min() < 0
    ):
        return False
    places, polarities = columns[:, 1:3], columns[:, 3]
    whole = bool((places == np.floor(places)).all() and places.max() <= 0xFFFF)
    return whole and bool(np.isin(polarities, (0, 1)).all())


def _line_fault(path: Path, lines: list[bytes], first: int) -> MotionveilError:
    """Name the first line that is no event."""
    faulty = next(number for number, line in enumerate(lines) if not _is_event(line))
    shown = lines[faulty].decode("utf-8", "replace").strip()[:40]
    return MotionveilError(
        f"{path}: line {first + faulty} is {shown!r},"
        " an event is: seconds column row polarity (0 or 1)"
    )


def _is_event(line: bytes) -> bool:
    try:
        return _are_events(np.array([[float(word) for word in line.split()]]))
    except ValueError:
        return False


class _Evt2:
    """Writes EVT 2.0: a word an event, and one that tells the upper bits of the time when new."""

    def __init__(self, file: IO[bytes], width: int, height: int) -> None:
        self._file = file
        self._high = -1
        header = (
            f"% evt 2.0\n% format EVT2;height={height};width={width}\n"
            f"% geometry {width}x{height}\n% end\n"
        )
        file.write(header.encode("ascii"))

    def __call__(self, events: Events) -> None:
        if len(events):
            self._file.write(self._words(events).tobytes())

    def _words(self, events: Events) -> NDArray[np.uint32]:
        """Return events as words, little-endian.

        An event: type (4 bits), time (6, the lowest), column (11), row (11). Time: type, 28 bits.
        """
        times = events["t"]
        kinds = np.where(events["p"] == 1, _CD_ON, _CD_OFF)
        low = times & ((1 << _LOW_BITS) - 1)
        words = kinds << 28 | low << 22 | events["x"].astype(np.int64) << 11 | events["y"]
        highs = times >> _LOW_BITS
        new = np.flatnonzero(np.diff(highs, prepend=self._high))
        self._high = int(highs[-1])
        time_words = _TIME_HIGH << 28 | highs[new] & ((1 << _HIGH_BITS) - 1)
        return np.insert(words, new, time_words).astype("<u4")


def _read_evt2(path: Path, file: IO[bytes]) -> Iterator[Events]:
    _read_header(path, file)
    high, turns = -1, 0
    while data := file.read(4 * CHUNK):
        if len(data) % 4:
            raise MotionveilError(f"{path}: cut short: it ends within a word of 4 bytes")
        words = np.frombuffer(data, "<u4").astype(np.int64)
        kinds, is_time = words >> 28, words >> 28 == _TIME_HIGH
        told = np.concatenate([[high], words[is_time] & ((1 << _HIGH_BITS) - 1)])
        # The counter starts again from 0; a small step back is a sensor's disorder, no new start.
        falls = (told[:-1] - told[1:] > 1 << (_HIGH_BITS - 1)) & (told[:-1] >= 0)
        full = told + (np.concatenate([[0], np.cumsum(falls)]) + turns << _HIGH_BITS)
        highs = full[np.cumsum(is_time)]
        is_event = (kinds <= _CD_ON) & (told[np.cumsum(is_time)] >= 0)
        chosen = words[is_event]
        events = np.empty(len(chosen), EVENT)
        events["t"] = highs[is_event] << _LOW_BITS | chosen >> 22 & ((1 << _LOW_BITS) - 1)
        events["x"], events["y"] = chosen >> 11 & 0x7FF, chosen & 0x7FF
        events["p"] = kinds[is_event]
        yield events
        high, turns = int(told[-1]), turns + int(falls.sum())


def _read_header(path: Path, file: IO[bytes]) -> None:
    """Leave the file where its words start.

    Raises:
        MotionveilError: The header names another format.
    """
    start = file.tell()
    while (line := file.readline()).startswith(b"% "):
        start = file.tell()
        words = line.decode("utf-8", "replace").split()[1:]
        other = (words[:1] == ["evt"] and words[1:] != ["2.0"]) or (
            words[:1] == ["format"] and not words[-1].startswith("EVT2;")
        )
        if other:
            raise MotionveilError(f"{path}: {' '.join(words)}; only EVT 2.0 is read here")
        if words == ["end"]:
            break
    file.seek(start)
