"""The clip cache: every clip decoded once and stored small, so that an epoch decodes nothing.

A clip's frames, all of them, lie in a `.npy` file of their own and are mapped into memory, so
only what is used is read. The file's name holds the size and the time of change of the source
video: a changed source has no file, and is decoded again. Files are written under a temporary
name and renamed when whole, so one that was half-written is never taken for a clip. They show
people as they are: nobody but their owner may read them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from motionveil.atomic_write import atomic_path, close_to_others, make_private_folder
from motionveil.datasets.console import in_threads, warn
from motionveil.datasets.decoding import Fit, Frames, StoredFrames, Times, decode_clips
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.video.image_sequence import state_of
from motionveil.video.reader import FOLDER_RATE

FORMAT = 3
"""Part of the folder's name; raised whenever the same source would be stored differently."""

Change = Callable[[Frames, Times], Frames]


@dataclass(frozen=True)
class ClipCache:
    """The decoded clips of a manifest; made by `build`.

    Attributes:
        manifest: The data set.
        folder: Where the clips lie: a folder for each manifest, size and fit.
        size: Stored size in pixels.
        fit: How frames were brought to that size.
        rate: Maximum frame rate in frames per second; None for all frames.
    """

    manifest: Manifest
    folder: Path
    size: int
    fit: Fit
    rate: float | None
    _frames: dict[str, Frames]
    _times: dict[str, Path]

    @classmethod
    def build(
        cls,
        manifest: Manifest,
        *,
        size: int,
        fit: Fit = "squeeze",
        rate: float | None = None,
        multiple: int = 2,
        folder: str | os.PathLike[str] | None = None,
        workers: int | None = None,
    ) -> ClipCache:
        """Decode what is not cached yet, and open the cache.

        Args:
            size: Stored size in pixels, see `Fit`.
            fit: How frames are brought to that size.
            rate: Maximum frame rate in frames per second; None for all frames.
            multiple: What the sides must be multiples of with `"short-side"`; see
                `motionveil.geometry.Geometry.shape`.
            folder: Folder of all caches; by default `.cache` beside the manifest's file.
            workers: Videos decoded in parallel; by default one per processor.

        Raises:
            MotionveilError: A clip cannot be read, has no frames, or the cache cannot be written;
                the message names the video.
        """
        if size < 1 or fit not in get_args(Fit):
            raise MotionveilError(
                f"cache of size {size!r}, fit {fit!r}: size must be 1 or more,"
                f" fit one of {', '.join(get_args(Fit))}"
            )
        taken = "all" if rate is None else f"{rate:.6g}"
        # The manifest's rate is no part of its hash.
        of = "" if manifest.rate is None else f"-of{manifest.rate:.6g}"

        def place(multiple: int) -> Path:
            name = f"{manifest.hash[:16]}-{size}-{fit}-{taken}-{multiple}-{FORMAT}{of}"
            return _caches_of(manifest, folder) / name

        home = _private(place(multiple))
        files = _files(manifest, home)
        stored = StoredFrames(size, fit, rate, multiple)

        def make(missing: Sequence[Clip]) -> None:
            if multiple % 2 == 0 and multiple > 2:
                # Where the sides are multiples of it already, rounding to 2 gave the same frames.
                even = place(2)
                missing = [clip for clip in missing if not _linked(files[clip.key], even, multiple)]
            _decode_all(manifest, missing, files, stored, workers)

        def fits(frames: Frames) -> bool:
            short, long = sorted(frames.shape[1:3])
            return short == size and (fit == "short-side" or long == size)

        times = {key: _times_file(file) for key, file in files.items()}
        return cls(manifest, home, size, fit, rate, _completed(manifest, files, make, fits), times)

    def frames(self, clip: Clip) -> Frames:
        """Return a clip's stored frames: uint8 (T, H, W, 3), RGB, mapped from disk, read-only.

        T is less than the manifest says where the video ends before the clip does.
        """
        return self._frames[clip.key]

    def times(self, clip: Clip) -> Times:
        """Return when a clip's decoded frames are shown, in seconds: float64 (T,).

        Raises:
            MotionveilError: The cache was changed by somebody else.
        """
        file = self._times[clip.key]
        try:
            return np.asarray(np.load(file, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise MotionveilError(f"{file}: cannot be read; remove {self.folder}") from error

    def derive(
        self,
        name: str,
        change: Change,
        *,
        title: str = "Preparing clips",
        workers: int = 1,
    ) -> ClipCache:
        """Return a cache of the same clips, each changed by a function, made once and kept.

        It lies beside this one and follows the sources as this one does: what is there already,
        whole and of the same videos, is not made again.

        Args:
            name: Names the change; it must differ for every change, since a clip that is stored
                under it is taken for the clip so changed.
            change: From a clip's frames, uint8 (T, H, W, 3), and their times in seconds, (T,), to
                other frames, of any number and size.
            workers: Clips changed in parallel, by threads.

        Raises:
            MotionveilError: A changed clip is no such array or empty, or the cache cannot be
                written.
        """
        suffix = hashlib.sha256(name.encode()).hexdigest()[:16]
        home = _private(self.folder.with_name(f"{self.folder.name}-{suffix}"))
        files = {key: home / file.name for key, file in _files(self.manifest, self.folder).items()}

        def make(clip: Clip) -> None:
            changed = change(self.frames(clip), self.times(clip))
            if changed.dtype != np.uint8 or changed.ndim != 4 or changed.shape[3:] != (3,):
                fault = f"{changed.dtype} {changed.shape}"
                raise MotionveilError(
                    f"{clip.key}: changed to {fault}; frames are uint8 (T, H, W, 3)"
                )
            if 0 in changed.shape:
                raise MotionveilError(f"{clip.key}: nothing is left of {len(self.frames(clip))}")
            _store(files[clip.key], changed)

        def make_all(missing: Sequence[Clip]) -> None:
            for _ in in_threads(make, missing, title, workers):
                pass

        return replace(self, folder=home, _frames=_completed(self.manifest, files, make_all))

    @property
    def bytes_on_disk(self) -> int:
        """What the cache takes on disk."""
        return sum(file.stat().st_size for file in self.folder.iterdir())


def _caches_of(manifest: Manifest, folder: str | os.PathLike[str] | None) -> Path:
    if folder is not None:
        return Path(folder)
    if manifest.file is None:
        raise MotionveilError(
            f"{manifest.name}: a manifest that was not read from a file has no folder of its own;"
            " say where the cache goes"
        )
    return manifest.file.parent / ".cache"


def _private(home: Path) -> Path:
    """Make the folder of a cache, for its owner only: it shows people as they are."""
    try:
        make_private_folder(home.parent)
        make_private_folder(home)
    except MotionveilError as error:
        raise MotionveilError(
            f"{error}; a cache is for its owner only: if this is another user's, make a manifest in"
            " a folder of your own"
        ) from error
    if not close_to_others(home):
        warn(f"{home}: others may be able to read the original frames in it; it is not yours")
    return home


def _files(manifest: Manifest, home: Path) -> dict[str, Path]:
    """Return the file that each clip has in the cache, whether it is there or not."""
    paths = {clip.path for clip in manifest.clips}
    stamps = {path: "{:x}-{:x}".format(*state_of(manifest.root / path)) for path in paths}
    return {
        clip.key: home / f"{position:05d}-{stamps[clip.path]}.npy"
        for position, clip in enumerate(manifest.clips)
    }


def _completed(
    manifest: Manifest,
    files: dict[str, Path],
    make: Callable[[Sequence[Clip]], None],
    fits: Callable[[Frames], bool] = lambda frames: True,
) -> dict[str, Frames]:
    """Map every clip of a manifest, after those were made that have no file of a size that fits."""
    found = {key: _open(file) for key, file in files.items()}
    frames = {key: clip for key, clip in found.items() if clip is not None and fits(clip)}
    missing = [clip for clip in manifest.clips if clip.key not in frames]
    if missing:
        make(missing)
        _remove_stale(list(files.values()))
    for clip in missing:
        frames[clip.key] = _opened(files[clip.key])
    return frames


def _open(file: Path) -> Frames | None:
    """Map a cached clip; None where there is none or the file is damaged."""
    try:
        frames = np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None
    return frames if frames.dtype == np.uint8 and frames.ndim == 4 and len(frames) else None


def _opened(file: Path) -> Frames:
    """Map a clip that has just been written."""
    frames = _open(file)
    if frames is None:
        raise MotionveilError(f"{file}: was written but cannot be read back")
    return frames


def _decode_all(
    manifest: Manifest,
    clips: Sequence[Clip],
    files: dict[str, Path],
    stored: StoredFrames,
    workers: int | None,
) -> None:
    """Decode each video that has missing clips once, several at a time."""
    videos: dict[str, list[Clip]] = {}
    for clip in clips:
        videos.setdefault(clip.path, []).append(clip)

    def decode(path: str) -> None:
        video, rate = manifest.root / path, manifest.rate or FOLDER_RATE
        for clip, taken in decode_clips(video, videos[path], stored, Fraction(rate)):
            # The times first: where there are frames, there are times.
            _store(_times_file(files[clip.key]), np.array(taken.times))
            _store(files[clip.key], np.stack(taken.frames))

    for _ in in_threads(decode, videos, "Decoding", workers):
        pass


def _linked(file: Path, others: Path, multiple: int) -> bool:
    """Take a clip from another cache where its sides are multiples; say whether it was taken."""
    there = others / file.name
    frames = _open(there)
    if frames is None or any(side % multiple for side in frames.shape[1:3]):
        return False
    try:
        for target, source in ((_times_file(file), _times_file(there)), (file, there)):
            target.unlink(missing_ok=True)  # a damaged one
            with suppress(FileExistsError):  # another process was faster
                os.link(source, target)  # files of a cache are replaced, never changed
    except OSError:  # a file system without links
        return False
    return True


def _times_file(file: Path) -> Path:
    """Return where the times of a clip's frames lie: `00012t-...npy` beside `00012-...npy`."""
    return file.with_name(file.name.replace("-", "t-", 1))


def _store(file: Path, values: NDArray[np.generic]) -> None:
    """Write a clip or its times."""
    with atomic_path(file, private=True) as part, part.open("wb") as output:
        np.save(output, values, allow_pickle=False)


def _remove_stale(files: Sequence[Path]) -> None:
    """Remove from the folder of a cache what was cached of earlier states of the videos."""
    kept = {name for file in files for name in (file.name, _times_file(file).name)}
    for stale in files[0].parent.glob("[0-9]*.npy"):
        if stale.name not in kept:
            with suppress(PermissionError):  # Windows: another process has it mapped
                stale.unlink(missing_ok=True)
