"""The manifest: a CSV with a row per clip, and a JSON sidecar that says what the data set is.

Needs no torch. The format is described in `docs/data.md`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motionveil.atomic_write import write_text_atomically
from motionveil.datasets.clip import VALIDATION, Clip, find_faults
from motionveil.errors import MotionveilError, describe_faults
from motionveil.limits import read_csv, read_text
from motionveil.video.reader import FASTEST, SLOWEST

FIRST_COLUMNS = ("path", "start", "end", "action")
LAST_COLUMNS = ("group", "split")
ROOT_COMMENT = "# root:"
JOIN = "+"
"""Stands between the columns of a privacy label that is several attributes."""

_DIGITS = 15  # of the number of a frame

KEPT = {"split_rule", "rate", "background"}
"""Fields that the sidecar alone holds."""


class Sidecar(BaseModel):
    """What a CSV holds, and the `KEPT` fields that it does not; see `Manifest`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    root: str
    clips: int
    actions: list[str]
    privacy: dict[str, list[str]]
    splits: list[str]
    split_rule: str = ""
    rate: float | None = Field(default=None, ge=SLOWEST, le=FASTEST)
    background: str | None = None
    hash: str

    @classmethod
    def read(cls, file: Path) -> Sidecar | None:
        """Read and check a sidecar; None if there is none.

        Raises:
            MotionveilError: It is at fault; names the field.
        """
        if not file.exists():
            return None
        try:
            return cls.model_validate_json(read_text(file, "the manifest's sidecar"))
        except ValidationError as error:
            raise MotionveilError(f"{file}: {describe_faults(error.errors())}") from error


@dataclass(frozen=True)
class Manifest:
    """A data set: where it lies and what its clips are.

    Attributes:
        name: The data set's name.
        root: The folder that the clips' paths are relative to.
        clips: The clips, in the manifest's order.
        file: The CSV it was read from; None for one that was made in memory.
        split_rule: How the split was made, in a sentence; the name of the way and a colon first
            where a data set can be split in several. Kept in the sidecar, not in the hash.
        rate: Frames a second of its folders of frames, which have no timestamps; None for 25.
            Kept in the sidecar.
        background: The action label of clips without an action; None if there are none. Networks
            are trained on them as on a class of its own, but no accuracy counts them. Kept in the
            sidecar.

    Raises:
        MotionveilError: A clip is at fault, two clips are the same, the splits are neither
            train/validation nor folds, frames are in two splits, or no clip is of the background.
    """

    name: str
    root: Path
    clips: tuple[Clip, ...]
    file: Path | None = field(default=None, compare=False)
    split_rule: str = ""
    rate: float | None = None
    background: str | None = None

    def __post_init__(self) -> None:
        for position, fault in find_faults(self.clips):
            where = f"{self.name}: clip {position}" if position is not None else self.name
            raise MotionveilError(f"{where}: {fault}")
        if self.background is not None and self.background not in self.actions:
            raise MotionveilError(
                f"{self.file or self.name}: background {self.background!r}: no clip has this"
                f" action; there are {', '.join(self.actions)}"
            )

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of the actions, sorted; a clip's class is its action's place here."""
        return tuple(sorted({clip.action for clip in self.clips}))

    @property
    def privacy_labels(self) -> tuple[str, ...]:
        """The names of the privacy labels, such as `("person",)`."""
        return tuple(self.clips[0].privacy)

    def columns_of(self, label: str) -> tuple[str, ...]:
        """Return the columns of a privacy label: itself, or of `face+gender` both attributes.

        Raises:
            MotionveilError: There is no such label, or a column of several has not two values.
        """
        known = self.privacy_labels
        columns = (label,) if label in known else tuple(label.split(JOIN))
        for column in columns:
            if column not in known or columns.count(column) > 1:
                raise MotionveilError(
                    f"{self.file or self.name}: no privacy label {label!r}; it has"
                    f" {', '.join(known)}, and several binary ones by {JOIN.join(('A', 'B'))}"
                )
            if len(columns) > 1 and len(values := self.values_of(column)) != 2:
                raise MotionveilError(
                    f"{self.file or self.name}: {column} of {label!r} has {len(values)} values"
                    f" ({', '.join(values[:5])}); an attribute has two, such as 0 and 1"
                )
        return columns

    def values_of(self, column: str) -> tuple[str, ...]:
        """Return the values of one privacy column, sorted."""
        return tuple(sorted({clip.privacy[column] for clip in self.clips}))

    def names_of(self, label: str) -> tuple[str, ...]:
        """Return what a network's outputs for a privacy label are called.

        Those are the label's values, sorted; or, where it is several attributes, their names.

        Raises:
            MotionveilError: As `columns_of`.
        """
        columns = self.columns_of(label)
        return columns if len(columns) > 1 else self.values_of(label)

    def classes_of(self, label: str, clips: Sequence[Clip]) -> list[int] | list[list[int]]:
        """Return the true classes of clips: places in `names_of(label)`.

        Where the label is several attributes: for each 1, if the clip has the second of its two
        values in alphabetical order (`1` of `0` and `1`, `yes` of `no` and `yes`), else 0.
        """
        columns = self.columns_of(label)
        of = {column: self.values_of(column) for column in columns}
        found = [[of[c].index(clip.privacy[c]) for c in columns] for clip in clips]
        return found if len(columns) > 1 else [row[0] for row in found]

    @property
    def hash(self) -> str:
        """SHA-256, in hex, of paths, frame ranges, labels, groups and splits in their order.

        Neither the root nor the name counts: a data set that was moved is the same data set.
        """
        rows = [
            [c.path, c.start, c.end, c.action, sorted(c.privacy.items()), c.group, c.split]
            for c in self.clips
        ]
        return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()

    def splits(self) -> tuple[str, ...]:
        """Return what `part` takes: `("validation",)`, or the folds."""
        names = {clip.split for clip in self.clips} - {"train"}
        return tuple(sorted(names, key=lambda name: (len(name), name)))

    def part(self, split: str | None = None, *, training: bool) -> list[Clip]:
        """Return one part of a split; the two parts are disjoint.

        Together they hold every clip, but for the background among those held out, which no
        accuracy counts: see `held_out_background`.

        Args:
            split: The name of the part held out: one of `splits()`. None means `"validation"`.
            training: Return the clips to train on, not those held out.

        Raises:
            MotionveilError: There is no such split, or the part is empty.
        """
        clips = self._side(split, training=training)
        if not training:
            clips = [clip for clip in clips if clip.action != self.background]
        if not clips:
            what = "to train on beside" if training else "with an action in"
            raise MotionveilError(
                f"{self.file or self.name}: no clip is left {what} {split or VALIDATION!r}"
            )
        return clips

    def held_out_background(self, split: str | None = None) -> list[Clip]:
        """Return the background clips of the part held out; none where there is no background."""
        clips = self._side(split, training=False)
        return [clip for clip in clips if clip.action == self.background]

    def _side(self, split: str | None, *, training: bool) -> list[Clip]:
        held_out = VALIDATION if split is None else split
        if held_out not in self.splits():
            raise MotionveilError(
                f"{self.file or self.name}: no split {held_out!r};"
                f" it has {', '.join(self.splits()) or 'training clips only'}"
            )
        return [clip for clip in self.clips if (clip.split != held_out) == training]

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the CSV and its sidecar, the CSV last, and return the CSV's path.

        A root inside the manifest's folder is written relative to it, so that the folder can be
        moved; any other is written absolute.

        Raises:
            MotionveilError: The path has no suffix `.csv`, or it cannot be written.
        """
        file = Path(path)
        if file.suffix != ".csv":
            raise MotionveilError(f"{file}: a manifest is a .csv file")
        folder = file.resolve().parent
        root = self.root.resolve()
        written_root = (
            root.relative_to(folder) if root.is_relative_to(folder) else root
        ).as_posix()
        sidecar = Sidecar(
            name=self.name,
            root=written_root,
            clips=len(self.clips),
            actions=list(self.actions),
            privacy={label: list(self.values_of(label)) for label in self.privacy_labels},
            splits=sorted({clip.split for clip in self.clips}),
            split_rule=self.split_rule,
            rate=self.rate,
            background=self.background,
            hash=self.hash,
        )
        write_text_atomically(file.with_suffix(".json"), sidecar.model_dump_json(indent=2) + "\n")
        return write_text_atomically(file, self._csv(written_root))

    def _csv(self, root: str) -> str:
        text = io.StringIO()
        text.write(f"{ROOT_COMMENT} {root}\n")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*FIRST_COLUMNS, *self.privacy_labels, *LAST_COLUMNS])
        for c in self.clips:
            rows.writerow([c.path, c.start, c.end, c.action, *c.privacy.values(), c.group, c.split])
        return text.getvalue()

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Manifest:
        """Read and check a manifest.

        Where the sidecar is missing the data set is named after the file, and the rule of its
        split is not known.

        Raises:
            MotionveilError: The file is missing or a row is at fault; names the file, the line,
                the value and what would be right. Or the sidecar describes another CSV.
        """
        file = Path(path)
        lines = read_csv(file, "the manifest")
        root = _root(file, lines)
        clips, line_numbers = _parse(file, lines)
        for position, fault in find_faults(clips):
            where = f"{file}:{line_numbers[position]}" if position is not None else f"{file}"
            raise MotionveilError(f"{where}: {fault}")
        sidecar = Sidecar.read(file.with_suffix(".json"))
        known = {} if sidecar is None else sidecar.model_dump(include=KEPT)
        name = file.stem if sidecar is None else sidecar.name
        manifest = cls(name, root, clips, file, **known)
        if sidecar and sidecar.hash != manifest.hash:
            raise MotionveilError(
                f"{file}: its hash is {manifest.hash[:12]}, {file.with_suffix('.json').name} has"
                f" {sidecar.hash[:12]}: the CSV was changed since it was written; run"
                " `motionveil index` again, or delete the .json if the change is meant"
            )
        return manifest


def choose_name(value: str | None, names: tuple[str, ...], option: str, where: Path | str) -> str:
    """Return one of what a manifest has, such as a split; None is the first.

    Raises:
        MotionveilError: The manifest has no such thing.
    """
    if not names:
        raise MotionveilError(
            f"{where}: every clip is for training, and none is left to validate on; index with a"
            " --split, or mark clips as validation"
        )
    if value is None:
        return names[0]
    if value not in names:
        raise MotionveilError(f"{where}: {option} {value}: it has {', '.join(names)}")
    return value


def choose_label(value: str | None, manifest: Manifest) -> str:
    """Return a privacy label of a manifest, or several attributes (`face+gender`); None: the first.

    Raises:
        MotionveilError: There is no such label.
    """
    where = manifest.file or manifest.name
    if value is None or JOIN not in value:
        return choose_name(value, manifest.privacy_labels, "--label", where)
    manifest.columns_of(value)
    return value


def _root(file: Path, lines: Sequence[str]) -> Path:
    first = lines[0].strip() if lines else ""
    value = first.removeprefix(ROOT_COMMENT).strip()
    if not first.startswith(ROOT_COMMENT) or not value:
        raise MotionveilError(
            f"{file}:1: found {first[:60]!r}, a manifest begins with `{ROOT_COMMENT} FOLDER`"
        )
    return file.resolve().parent / value


def _parse(file: Path, lines: Sequence[str]) -> tuple[tuple[Clip, ...], list[int]]:
    """Return the clips and the line that each one stands on."""
    rows = csv.reader(lines[1:])
    header = next(rows, [])
    labels = header[len(FIRST_COLUMNS) : -len(LAST_COLUMNS)]
    if header != [*FIRST_COLUMNS, *labels, *LAST_COLUMNS] or not labels:
        raise MotionveilError(
            f"{file}:2: found columns {','.join(header)!r}, they must be"
            " path,start,end,action, one or more privacy labels, group,split"
        )
    if len(set(header)) < len(header) or "" in header:
        raise MotionveilError(f"{file}:2: {','.join(header)!r}: each column needs its own name")
    clips, line_numbers = [], []
    for row in rows:
        line = rows.line_num + 1
        if not row:
            continue
        if len(row) != len(header):
            raise MotionveilError(
                f"{file}:{line}: {len(row)} values, there must be {len(header)}: {','.join(header)}"
            )
        values = dict(zip(header, row, strict=True))
        clips.append(
            Clip(
                path=values["path"],
                start=frame_number(values["start"], "start", f"{file}:{line}"),
                end=frame_number(values["end"], "end", f"{file}:{line}"),
                action=values["action"],
                privacy={label: values[label] for label in labels},
                group=values["group"],
                split=values["split"],
            )
        )
        line_numbers.append(line)
    return tuple(clips), line_numbers


def frame_number(text: str, column: str, where: str) -> int:
    """Read a frame number; `where` is the file and line that an error names."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise MotionveilError(
            f"{where}: {column} is {text[:60]!r}, it must be a whole number, 0 or more"
        )
    return int(text)
