"""Finding the clips that would spoil a night of training, before it."""

from __future__ import annotations

from typing import NamedTuple

from motionveil.data.counting import count_all
from motionveil.data.manifest import Clip, Manifest
from motionveil.errors import MotionveilError


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
