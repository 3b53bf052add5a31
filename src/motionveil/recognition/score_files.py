"""The files that a score is made of: events as lines of JSON, the truth as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motionveil.errors import MotionveilError, describe_faults
from motionveil.limits import load_json, read_table, read_text
from motionveil.recognition.answers import Kind
from motionveil.recognition.score import Segment
from motionveil.video import SyntheticSource

COLUMNS = ("from", "to", "label")

Seconds = Annotated[float, Field(allow_inf_nan=False)]


class _Line(BaseModel):
    """A line of `motionveil recognise --json`."""

    model_config = ConfigDict(populate_by_name=True)

    state: Literal["begins", "ends", "window"]
    source: str
    time: Seconds
    kind: Kind
    label: str
    probability: Annotated[float, Field(ge=0, le=1)]
    start: Seconds = Field(alias="from")
    end: Seconds | None = Field(alias="to")


def read_events(path: Path) -> tuple[list[Segment], dict[str, float]]:
    """Return the actions told, and the last time of each source, in seconds.

    An action that has not ended, of a run that was cut off, ends at the last time of its source.

    Raises:
        MotionveilError: It cannot be read, or is not what `motionveil recognise --json` writes;
            names the line.
    """
    actions: list[Segment] = []
    going: dict[str, _Line] = {}
    lengths: dict[str, float] = {}
    for line in _read_lines(path):
        reached = max(line.time, line.end or 0.0)
        lengths[line.source] = max(lengths.get(line.source, 0.0), reached)
        if line.state == "begins" and line.kind == "action":
            going[line.source] = line
        elif line.state == "ends" and line.kind == "action":
            begun = going.pop(line.source, line)
            end = line.start if line.end is None else line.end
            actions.append(_segment(line, end, begun.time))
    for line in going.values():
        actions.append(_segment(line, max(line.start, lengths[line.source]), line.time))
    return actions, lengths


def read_truth(path: Path, sources: list[str]) -> list[Segment]:
    """Return the true actions of a CSV file with the columns from, to, label and perhaps source.

    Args:
        sources: Those of the events; without a column `source` there must be at most one.

    Raises:
        MotionveilError: It cannot be read, lacks a column, or a row is wrong; names the line.
    """
    names, rows = read_table(path, "the actions", COLUMNS)
    if "source" not in names and len(sources) > 1:
        listed = ", ".join(sources)
        raise MotionveilError(f"{path}: needs a column source, for the events are of {listed}")
    usual = sources[0] if sources else ""
    truth = [_true(row, usual, where) for where, row in rows.items()]
    named = sorted({true.source for true in truth})
    if truth and sources and not set(named) & set(sources):
        raise MotionveilError(
            f"{path}: sources {', '.join(named)}: none is one of the events',"
            f" which are {', '.join(sources)}"
        )
    return truth


def acted_truth(source: SyntheticSource, lengths: dict[str, float]) -> list[Segment]:
    """Return the true actions of a made-up camera before which people act.

    Args:
        source: The camera, of the same seed as that of the events.
        lengths: Seconds of the events' one source; see `read_events`.

    Raises:
        MotionveilError: Nobody acts there, or the events are of another source or of several.
    """
    others = [name for name in lengths if not name.startswith("test:actors:")]
    if not source.acts or others or len(lengths) > 1:
        listed = ", ".join(lengths) or "nothing"
        raise MotionveilError(
            f"{source.name}: is the truth of one source, test:actors; the events are of {listed}"
        )
    return [
        Segment(name, act.start, act.end, act.action)
        for name, seconds in lengths.items()
        for act in source.truth(seconds)
    ]


def _true(row: dict[str, str], usual: str, place: str) -> Segment:
    label, source = row["label"], row.get("source", usual)
    try:
        start, end = float(row["from"]), float(row["to"])
    except ValueError:
        start = end = math.nan
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
        raise MotionveilError(
            f"{place}: from {row['from']}, to {row['to']}: must be seconds, from 0, the first"
            " smaller than the second"
        )
    if not label or row.get("source") == "":
        raise MotionveilError(f"{place}: the label and the source must not be empty")
    return Segment(source, start, end, label)


def _segment(line: _Line, end: float, told: float) -> Segment:
    return Segment(line.source, line.start, end, line.label, line.probability, told)


def _read_lines(path: Path) -> Iterator[_Line]:
    for number, text in enumerate(read_text(path, "the events").split("\n"), 1):
        if not text.strip():
            continue
        try:
            yield _Line.model_validate(load_json(text))
        except ValueError as error:  # pydantic's is one too
            raise MotionveilError(
                f"{path}: line {number}: is no line of `motionveil recognise --json`"
                f" ({_problem(error)})"
            ) from error


def _problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error).partition(":")[0]
    return describe_faults(error.errors())
