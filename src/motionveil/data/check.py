"""Finding the clips that would spoil a night of training, before it, and those that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from motionveil.data import ipn, kth, sbu, ut_interaction
from motionveil.data.counting import count_all
from motionveil.data.manifest import Clip, Manifest
from motionveil.errors import MotionveilError

PUBLISHED = {
    published.name: published
    for published in (sbu.PUBLISHED, kth.PUBLISHED, ipn.PUBLISHED, ut_interaction.PUBLISHED)
}
"""What the owners of each known data set published, by its name in a manifest."""


class Fault(NamedTuple):
    """A clip that is not as the manifest says, or too short.

    Attributes:
        message: `file: what was found, what would be right`.
        usable: Whether training can use the clip all the same, holding its last frame.
    """

    message: str
    usable: bool


def find_faulty_clips(manifest: Manifest, t: int) -> list[Fault]:
    """Decode every video of a manifest and hold its frames against the clips.

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
    """Hold a manifest against what the data set's owners published.

    Returns:
        What differs: a line of clips, videos, actions and names of labels, with the page where the
        data set is to be had, and a line of the parts of its split. Nothing for a data set that is
        not in `PUBLISHED`; one of the user's own that bears such a name has other labels.
    """
    published = PUBLISHED.get(manifest.name)
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
