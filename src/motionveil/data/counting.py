"""How many frames each video of a data set has, by decoding it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from motionveil.data.progress import track
from motionveil.errors import MotionveilError
from motionveil.video import count_frames
from motionveil.video.folder import is_pictures


def count_all(root: Path, paths: Sequence[str]) -> dict[str, int | MotionveilError]:
    """Decode every video and count its frames; the faults are returned, not raised.

    A container's own count can be wrong, so the frames themselves are counted. Threads suffice:
    the decoder runs outside Python's lock.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(lambda path: _count(root / path), paths)
        return dict(zip(paths, track(counts, "Counting frames", len(paths)), strict=True))


def count_or_raise(root: Path, paths: Sequence[str]) -> dict[str, int]:
    """Decode every video and count its frames.

    Raises:
        MotionveilError: Some videos cannot be read; the message names each of them.
    """
    counts = count_all(root, paths)
    faults = [str(count) for count in counts.values() if isinstance(count, MotionveilError)]
    if faults:
        raise MotionveilError("; ".join(faults))
    return {path: count for path, count in counts.items() if isinstance(count, int)}


def _count(video: Path) -> int | MotionveilError:
    if not video.exists() and not is_pictures(video):
        return MotionveilError(f"{video}: missing, there must be a video")
    try:
        return count_frames(video)
    except MotionveilError as error:
        return error
