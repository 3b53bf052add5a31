"""Numbers of frames of a data set's videos, by decoding them, and their frame rate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from statistics import median

import numpy as np

from motionveil.datasets.manifest import Manifest
from motionveil.datasets.progress import track
from motionveil.errors import MotionveilError
from motionveil.video import count_frames, probe
from motionveil.video.image_sequence import is_pictures, list_pictures
from motionveil.video.reader import FOLDER_RATE

_PROBED = 25
"""Number of videos whose frame rate is read."""


def count_all(
    root: Path, paths: Sequence[str], *, decode_pictures: bool = True
) -> dict[str, int | MotionveilError]:
    """Decode every video and count its frames; errors are returned, not raised.

    Args:
        root: What the paths are relative to.
        paths: Of files, and of folders of frames.
        decode_pictures: Also decode the pictures of folders, not only count them.

    A container's own count can be wrong, so the frames themselves are counted. Threads suffice:
    the decoder releases Python's lock.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(lambda path: _count(root / path, decode_pictures), paths)
        return dict(zip(paths, track(counts, "Counting frames", len(paths)), strict=True))


def count_or_raise(root: Path, paths: Sequence[str]) -> dict[str, int]:
    """Decode every video and count its frames; pictures of folders are counted only.

    Raises:
        MotionveilError: Some videos cannot be read; the message names each of them.
    """
    counts = count_all(root, paths, decode_pictures=False)
    faults = [str(count) for count in counts.values() if isinstance(count, MotionveilError)]
    if faults:
        raise MotionveilError("; ".join(faults))
    return {path: count for path, count in counts.items() if isinstance(count, int)}


def _count(video: Path, decode_pictures: bool) -> int | MotionveilError:
    if not video.exists() and not is_pictures(video):
        return MotionveilError(f"{video}: missing, there must be a video")
    try:
        if is_pictures(video) and not decode_pictures:
            return len(list_pictures(video))
        probe(video)  # converts the first frame, which counting does not
        return count_frames(video)
    except MotionveilError as error:
        return error


def median_rate(manifest: Manifest) -> float:
    """Return the frame rate of a data set in frames per second: the median over up to 25 videos.

    Raises:
        MotionveilError: A video cannot be read.
    """
    paths = sorted({clip.path for clip in manifest.clips})
    probed = {paths[int(place)] for place in np.linspace(0, len(paths) - 1, _PROBED)}
    folder_rate = Fraction(manifest.rate or FOLDER_RATE)
    rates = [probe(manifest.root / path, rate=folder_rate).rate for path in sorted(probed)]
    return float(median(rate or FOLDER_RATE for rate in rates))
