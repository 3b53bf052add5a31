"""Validating a manifest before a long run fails: faulty clips, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from motionveil.datasets.frame_counts import count_all
from motionveil.datasets.loaders import loaders
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError


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
        manifest: The data set.
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
        **{label: len(manifest.names_of(label)) for label in published.labels},
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
