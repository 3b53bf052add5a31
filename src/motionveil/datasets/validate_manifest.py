"""Validates a manifest before a long run fails: faulty clips, and splits that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from motionveil.datasets.console import first_few, warn
from motionveil.datasets.loaders import count_all, loaders
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError

ACTION = "action"


class Names(NamedTuple):
    """The names that a label has in the two parts of a split, each sorted.

    Attributes:
        both: Those in both parts.
        training: Those in the training part only.
        held_out: Those in the part held out only.
    """

    both: tuple[str, ...]
    training: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class SplitOverlap:
    """What the part held out shares with the part trained on.

    Attributes:
        split: The name of the part held out.
        recordings: How many recordings (`Clip.group`) the part held out has clips of.
        shared_recordings: How many of them have clips in the training part too.
        names: The names of each label in the two parts: `"action"`, then the privacy labels.
    """

    split: str
    recordings: int
    shared_recordings: int
    names: Mapping[str, Names]


def find_overlap(manifest: Manifest, split: str) -> SplitOverlap:
    """Compare the two parts of a split; either may be empty."""
    held_out = [clip for clip in manifest.clips if clip.split == split]
    training = [clip for clip in manifest.clips if clip.split != split]
    groups = {clip.group for clip in held_out}
    return SplitOverlap(
        split=split,
        recordings=len(groups),
        shared_recordings=len(groups & {clip.group for clip in training}),
        names={
            label: _names(training, held_out, label) for label in (ACTION, *manifest.privacy_labels)
        },
    )


def report_overlap(manifest: Manifest) -> list[str]:
    """Say in a line each what the splits of a manifest share or lack; nothing if all is well.

    The lines: recordings with clips in both parts; for the action and each privacy label the names
    that are held out but not trained on, and those that no split holds out.
    """
    found = [find_overlap(manifest, split) for split in manifest.splits()]
    shared = [
        f"{of.shared_recordings} of {of.recordings} ({of.split})"
        for of in found
        if of.shared_recordings
    ]
    lines = [f"recordings in both parts: {'; '.join(shared)}"] if shared else []
    for label in (ACTION, *manifest.privacy_labels):
        lines += _one_sided(label, {of.split: of.names[label] for of in found})
    return lines


def report_names(manifest: Manifest) -> list[str]:
    """Say in a line each which labels have one value only, or values that look like one another."""
    lines = []
    for label in (ACTION, *manifest.privacy_labels):
        names = manifest.actions if label == ACTION else manifest.values_of(label)
        if len(names) == 1:
            lines.append(f"{label}: every clip has {names[0]!r}, so there is nothing to tell apart")
        alike: dict[str, list[str]] = {}
        for name in names:
            alike.setdefault("".join(name.split()).casefold(), []).append(repr(name))
        lines += [
            f"{label}: {' and '.join(group)} differ in case or spaces only, and are classes apart"
            for group in alike.values()
            if len(group) > 1
        ]
    return lines


def _one_sided(label: str, of_splits: Mapping[str, Names]) -> Iterator[str]:
    held_out = [
        f"{first_few(names.held_out)} ({split})"
        for split, names in of_splits.items()
        if names.held_out
    ]
    if held_out:
        yield f"{label} in validation only: {'; '.join(held_out)}"
    trained = {name for names in of_splits.values() for name in names.training}
    scored = {name for names in of_splits.values() for name in names.both + names.held_out}
    if trained - scored:
        yield f"{label} in training only: {first_few(sorted(trained - scored))}"


def refuse_unlearnable(manifest: Manifest, split: str, privacy_label: str) -> None:
    """Refuse a split under which actions or privacy names cannot be recognised.

    If only some of the names held out are never trained on, standard error says so.

    Raises:
        MotionveilError: No action, or no name of the privacy label, that is held out occurs in the
            training part; says which labels do. Or an attribute of several has only one value in a
            part, or the clips held out come from one recording.
    """
    found = find_overlap(manifest, split)
    columns = manifest.columns_of(privacy_label)
    if len(columns) > 1:
        _refuse_constant(manifest, found, columns)
    for label in (ACTION, *columns):
        names = found.names[label]
        if not names.both:
            raise MotionveilError(_refusal(manifest, found, label))
        if names.held_out:
            warn(
                f"{split}: never trained on, so not to be recognised there: {label}"
                f" {first_few(names.held_out)}"
            )


def _refuse_constant(manifest: Manifest, found: SplitOverlap, columns: Sequence[str]) -> None:
    """Refuse what gives no average precision, or no interval."""
    where = f"{manifest.file or manifest.name}: {found.split}"
    for column in columns:
        if len(found.names[column].both) < 2:
            raise MotionveilError(
                f"{where}: the attribute {column} needs both of its values in training and among"
                " the clips held out; leave it out of --label, or index with another --split"
            )
    if found.recordings < 2:
        raise MotionveilError(f"{where}: one recording is held out; an interval needs two groups")


def _refusal(manifest: Manifest, found: SplitOverlap, label: str) -> str:
    others = [other for other in manifest.privacy_labels if found.names[other].both]
    way_out = "index with another --split"
    if label != ACTION and others:
        way_out += f", or choose --label {' or '.join(others)}"
    rule = f" (the split is {manifest.split_rule})" if manifest.split_rule else ""
    return (
        f"{manifest.file or manifest.name}: no {label} of {found.split} occurs in training{rule},"
        f" so none can be recognised there; {way_out}"
    )


def _names(training: Iterable[Clip], held_out: Iterable[Clip], label: str) -> Names:
    trained = {_name(clip, label) for clip in training}
    asked = {_name(clip, label) for clip in held_out}
    parts = trained & asked, trained - asked, asked - trained
    return Names(*(tuple(sorted(part)) for part in parts))


def _name(clip: Clip, label: str) -> str:
    return clip.action if label == ACTION else clip.privacy[label]


class Fault(NamedTuple):
    """A clip that differs from the manifest, or is too short.

    Attributes:
        message: `file: what was found, what would be right`.
        usable: Whether training can use the clip all the same, holding its last frame.
    """

    message: str
    usable: bool


def find_faulty_clips(manifest: Manifest, t: int) -> list[Fault]:
    """Decode every video of a manifest and compare its frames with the clips.

    Args:
        t: Frames that the recipe takes from a clip.

    Returns:
        The faults in the manifest's order; a video that cannot be read is one fault.
    """
    paths = list(dict.fromkeys(clip.path for clip in manifest.clips))
    counts = count_all(manifest.root, paths)
    faults = []
    for path in paths:
        count = counts[path]
        if isinstance(count, MotionveilError):
            faults.append(Fault(str(count), usable=False))
    for clip in manifest.clips:
        count = counts[clip.path]
        if isinstance(count, int):
            faults += _faults(clip, count, manifest, t)
    return faults


def _faults(clip: Clip, count: int, manifest: Manifest, t: int) -> list[Fault]:
    video = manifest.root / clip.path
    if count < clip.end:
        found = f"{video}: {count} frames, the clip is frames {clip.start} to {clip.end}"
        return [Fault(found, usable=count > clip.start)]
    if clip.length < t:
        of_clip = "" if clip.length == count else f" from {clip.start} to {clip.end}"
        return [Fault(f"{video}: {clip.length} frames{of_clip}, the recipe needs {t}", usable=True)]
    return []


def find_missing(manifest: Manifest) -> list[str]:
    """Compare a manifest with what the data set's owners published.

    Returns:
        One line on clips, videos, actions and names of labels, with the data set's page, and one on
        the parts of its split, where they differ. Nothing for a data set of the user's own, which
        bears another name or has other labels.
    """
    loader = loaders().get(manifest.name)
    published = loader.published if loader is not None else None
    if published is None or set(published.labels) != set(manifest.privacy_labels):
        return []
    there = {
        "clips": len(manifest.clips),
        "videos": len({clip.path for clip in manifest.clips}),
        "actions": len(manifest.actions),
        **{label: len(manifest.values_of(label)) for label in published.labels},
    }
    whole = {
        "clips": published.clips,
        "videos": published.videos,
        "actions": published.actions,
        **published.labels,
    }
    way = manifest.split_rule.partition(":")[0]
    parts = published.splits.get(way, {})
    in_parts = {part: sum(clip.split == part for clip in manifest.clips) for part in parts}
    return [
        *_differences(f"{manifest.name}, of what is published at {published.page}", there, whole),
        *_differences(f"{manifest.name}, split {way}", in_parts, parts),
    ]


def _differences(what: str, there: Mapping[str, int], whole: Mapping[str, int]) -> list[str]:
    counts = [
        f"{name} {there[name]} of {whole[name]}" for name in whole if there[name] != whole[name]
    ]
    return [f"{what}: {', '.join(counts)}"] if counts else []
