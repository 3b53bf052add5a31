"""Whom a clip shows: how the value of a privacy label is read as one person or two."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from motionveil.data.manifest import Manifest
from motionveil.errors import MotionveilError

Side = Literal["left", "right"]
COLUMNS = ["value", "left", "right"]

_BUILT_IN = {"ut-interaction": "ut_interaction.csv"}
_PATTERNS = {"sbu": r"(s\d\d)(s\d\d)"}
_WITHOUT = {"ut-interaction": ("point",)}


@dataclass(frozen=True)
class Shown:
    """Somebody in a clip.

    Attributes:
        name: Who it is, the same in all clips.
        side: On which side of the frame they begin; None where nobody knows, or there is nobody
            else.
    """

    name: str
    side: Side | None = None


Cast = Mapping[str, tuple[Shown, ...]]
"""For each value of the label, whom its clips show."""


def cast_of(
    manifest: Manifest,
    label: str,
    persons: int,
    *,
    table: Path | None = None,
    pattern: str | None = None,
) -> Cast:
    """Read every value of a label as the people whom its clips show.

    With one person, the value is the person. With two, a table says who is on the left and who on
    the right; or a regular expression with two groups finds the two names within the value, and
    then nobody knows who stands where. UT-Interaction has a table and SBU a pattern of its own,
    used where nothing is given.

    Args:
        manifest: The data set.
        label: The privacy label.
        persons: How many people a clip shows, 1 or 2.
        table: CSV with the columns value, left, right.
        pattern: Regular expression that fits a whole value.

    Raises:
        MotionveilError: A value is not in the table or does not fit the pattern, or two people
            are asked for and nothing says who they are.
    """
    values = manifest.names_of(label)
    if persons == 1:
        if table or pattern:
            raise MotionveilError("--who and --pattern are for two people a clip: --persons 2")
        return {value: (Shown(value),) for value in values}
    if table is None and pattern is None:
        pattern = _PATTERNS.get(manifest.name)
    if pattern is not None and table is None:
        return {value: _by_pattern(value, label, pattern) for value in values}
    places = _read_table(table, manifest.name)
    where = table or f"the table of {manifest.name}"
    for value in values:
        if value not in places:
            raise MotionveilError(f"{where}: no line for {label} {value!r}")
    return {value: places[value] for value in values}


def actions_without_both(manifest: Manifest, persons: int) -> tuple[str, ...]:
    """Return the actions in which fewer people are seen than the label names."""
    return _WITHOUT.get(manifest.name, ()) if persons == 2 else ()


def everybody(cast: Cast) -> list[str]:
    """Return the names of all people, sorted."""
    return sorted({shown.name for group in cast.values() for shown in group})


def _by_pattern(value: str, label: str, pattern: str) -> tuple[Shown, ...]:
    try:
        match = re.fullmatch(pattern, value)
    except re.error as error:
        raise MotionveilError(f"--pattern {pattern}: no regular expression: {error}") from error
    names = match.groups() if match else ()
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise MotionveilError(
            f"--pattern {pattern}: it must find two names, one a group, in {label} {value!r}"
        )
    return tuple(Shown(name) for name in names)


def _read_table(table: Path | None, name: str) -> dict[str, tuple[Shown, ...]]:
    if table is None and name not in _BUILT_IN:
        raise MotionveilError(
            f"{name}: two people a clip, and nothing says who: give --who, a CSV with the columns"
            f" {','.join(COLUMNS)}, or --pattern"
        )
    if table is None:
        file = resources.files("motionveil.study") / _BUILT_IN[name]
        return _parse(file.read_text(encoding="utf-8"), _BUILT_IN[name])
    try:
        return _parse(table.read_text(encoding="utf-8-sig"), str(table))
    except OSError as error:
        raise MotionveilError(f"{table}: cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MotionveilError(f"{table}: is no text in UTF-8") from error


def _parse(text: str, where: str) -> dict[str, tuple[Shown, ...]]:
    lines = [line for line in io.StringIO(text) if not line.startswith("#")]
    rows = csv.DictReader(lines)
    if rows.fieldnames is None or list(rows.fieldnames) != COLUMNS:
        raise MotionveilError(f"{where}: its columns must be {','.join(COLUMNS)}")
    found: dict[str, tuple[Shown, ...]] = {}
    for row in rows:
        left, right = (row["left"] or "").strip(), (row["right"] or "").strip()
        if not left or not right or left == right or None in row:
            raise MotionveilError(f"{where}: {row['value']!r} must have two different people")
        found[row["value"]] = (Shown(left, "left"), Shown(right, "right"))
    return found
