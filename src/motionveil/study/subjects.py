"""Subjects of clips: how a value of the privacy label is read as one person or two."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.limits import read_table

Side = Literal["left", "right"]
COLUMNS = ["value", "left", "right"]

_TABLES = {"ut-interaction": "ut_interaction.csv"}
_PATTERNS = {"sbu": r"(s\d\d)(s\d\d)"}
_SINGLE_SUBJECT_ACTIONS = {"ut-interaction": ("point",)}


@dataclass(frozen=True)
class Subject:
    """A person in a clip.

    Attributes:
        name: Identifies the person in all clips.
        side: Side of the frame at the start of the clip; None if unknown or alone.
    """

    name: str
    side: Side | None = None


Subjects = Mapping[str, tuple[Subject, ...]]
"""Label value -> the people whom its clips show."""


def read_subjects(
    manifest: Manifest,
    label: str,
    persons: int,
    *,
    table: Path | None = None,
    pattern: str | None = None,
) -> Subjects:
    """Return the subjects of every value of a label.

    With one person, the value is the person. With two, a table names the person on the left and
    the one on the right, or a regular expression finds both names in the value; then their sides
    are unknown. UT-Interaction has a built-in table, SBU a built-in pattern.

    Args:
        manifest, label: The data set and its privacy label.
        persons: People in a clip, 1 or 2.
        table: CSV with the columns value, left, right.
        pattern: Regular expression with two groups that matches the whole value.

    Raises:
        MotionveilError: A value is not in the table or does not match the pattern, or neither is
            given for two people.
    """
    values = manifest.names_of(label)
    if persons == 1:
        if table or pattern:
            raise MotionveilError("--who and --pattern require two people per clip: --persons 2")
        return {value: (Subject(value),) for value in values}
    if table is None and pattern is None:
        pattern = _PATTERNS.get(manifest.name)
    if pattern is not None and table is None:
        return {value: _by_pattern(value, label, pattern) for value in values}
    pairs = _read_table(table, manifest.name)
    for value in values:
        if value not in pairs:
            where = table or f"the table of {manifest.name}"
            raise MotionveilError(f"{where}: no line for {label} {value!r}")
    return {value: pairs[value] for value in values}


def single_subject_actions(manifest: Manifest, persons: int) -> tuple[str, ...]:
    """Return the actions of a two-person data set in which only one person is visible."""
    return _SINGLE_SUBJECT_ACTIONS.get(manifest.name, ()) if persons == 2 else ()


def subject_names(subjects: Subjects) -> list[str]:
    """Return the names of all people, sorted."""
    return sorted({subject.name for group in subjects.values() for subject in group})


def _by_pattern(value: str, label: str, pattern: str) -> tuple[Subject, ...]:
    try:
        match = re.fullmatch(pattern, value)
    except re.error as error:
        raise MotionveilError(
            f"--pattern {pattern}: invalid regular expression: {error}"
        ) from error
    names = match.groups() if match else ()
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise MotionveilError(
            f"--pattern {pattern}: must match {label} {value!r} with two groups, one per name"
        )
    return tuple(Subject(name) for name in names)


def _read_table(table: Path | None, name: str) -> dict[str, tuple[Subject, ...]]:
    if table is None and name not in _TABLES:
        raise MotionveilError(
            f"{name}: no names for two people per clip: give --who, a CSV with the columns"
            f" {','.join(COLUMNS)}, or --pattern"
        )
    file = table or resources.files("motionveil.study") / _TABLES[name]
    _, rows = read_table(Path(str(file)), "the table", COLUMNS, exactly=True, comments=True)
    found: dict[str, tuple[Subject, ...]] = {}
    for where, row in rows.items():
        left, right = row["left"], row["right"]
        if not left or not right or left == right:
            raise MotionveilError(f"{where}: {row['value']!r} must have two different people")
        found[row["value"]] = (Subject(left, "left"), Subject(right, "right"))
    return found
