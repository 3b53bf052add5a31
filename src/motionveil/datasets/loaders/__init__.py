"""Published and custom data sets: one loader per file, which registers itself.

A loader of another package is a module, or a function, in the entry point group
`motionveil.datasets`; importing it registers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from motionveil.datasets.console import in_threads
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError, explain
from motionveil.plugins import import_modules, load_entry_points
from motionveil.video import count_frames, probe, read_frames
from motionveil.video.image_sequence import is_image_folder, list_images
from motionveil.video.reader import FOLDER_RATE

_PROBED = 25
"""Number of videos whose frame rate is read."""

GROUP = "motionveil.datasets"
Index = TypeVar("Index", bound=Callable[..., Manifest])


@dataclass(frozen=True)
class DatasetInfo:
    """What the owners of a data set published. Nothing is ever downloaded.

    Attributes:
        page: Where its owners offer it.
        clips: Clips that a complete manifest has.
        videos: Videos, or folders of frames, that they lie in.
        actions: Number of actions.
        labels: Number of names of each privacy label.
        splits: For each way to split it, the number of clips in each part.
    """

    page: str
    clips: int
    videos: int
    actions: int
    labels: Mapping[str, int]
    splits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader:
    """A kind of data set.

    Attributes:
        name: Its name, on the command line and in manifests.
        help: One line.
        index: From the data set's folder to its manifest; its keyword arguments are the options of
            `motionveil index` that it takes: `split`, `seed`, `share`, `non_gestures`, `pauses`,
            `attributes`.
        splits: The ways to split it, each with one line of help, the default first; empty where
            there is no choice.
        published: What its owners published.
    """

    name: str
    help: str
    index: Callable[..., Manifest]
    splits: Mapping[str, str]
    published: DatasetInfo | None


_LOADERS: dict[str, Loader] = {}


def register(
    name: str,
    help: str,
    *,
    splits: Mapping[str, str] | None = None,
    published: DatasetInfo | None = None,
) -> Callable[[Index], Index]:
    """Return a decorator that registers an index function; see `Loader`.

    Raises:
        ValueError: The name is taken.

    Examples:
        >>> @register("mine", "our videos; ROOT holds one folder per person")  # doctest: +SKIP
        ... def index(root: str, *, seed: int = 0) -> Manifest: ...
    """

    def decorate(index: Index) -> Index:
        if name in _LOADERS:
            raise ValueError(f"there is a data set {name!r} already")
        _LOADERS[name] = Loader(name, help, index, splits or {}, published)
        return index

    return decorate


def loaders() -> dict[str, Loader]:
    """Return all loaders by name, those of plugins included."""
    import_modules(__name__)
    load_entry_points(GROUP)
    return dict(sorted(_LOADERS.items()))


def count_all(
    root: Path, paths: Sequence[str], *, decode_images: bool = True
) -> dict[str, int | MotionveilError]:
    """Decode every video and count its frames; errors are returned, not raised.

    Args:
        root: What the paths are relative to.
        paths: Of files, and of folders of frames.
        decode_images: Also decode the images of folders, not only count them.

    A container's own count can be wrong, so the frames themselves are counted.
    """

    def count(path: str) -> int | MotionveilError:
        return _count(root / path, decode_images)

    counts = dict(in_threads(count, paths, "Counting frames", None))
    return {path: counts[path] for path in paths}


def count_or_raise(root: Path, paths: Sequence[str]) -> dict[str, int]:
    """Decode every video and count its frames; images of folders are counted only.

    Raises:
        MotionveilError: Some videos cannot be read; the message names each of them.
    """
    counts = count_all(root, paths, decode_images=False)
    faults = [str(count) for count in counts.values() if isinstance(count, MotionveilError)]
    if faults:
        raise MotionveilError("; ".join(faults))
    return {path: count for path, count in counts.items() if isinstance(count, int)}


def _count(video: Path, decode_images: bool) -> int | MotionveilError:
    if not video.exists() and not is_image_folder(video):
        return MotionveilError(f"{video}: missing, there must be a video")
    try:
        if is_image_folder(video) and not decode_images:
            return len(list_images(video))
        next(read_frames(video))  # converts the first frame, which counting does not
        return count_frames(video)
    except Exception as error:  # whatever a decoder comes up with: the others are looked at
        return MotionveilError(explain(error, str(video)))


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
