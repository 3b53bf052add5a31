"""A copy of a data set with its faces blurred: the baseline that deployed anonymisers represent.

A face is found in the video as it was filmed, never in a clip of 112 pixels. So this baseline is no
encoder: raw video is trained and validated on the copy.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motionveil._version import __version__
from motionveil.atomic_write import (
    atomic_path,
    hold_part,
    make_private_folder,
    part_path,
    write_text_atomically,
)
from motionveil.datasets.console import in_threads
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.faces.blurring import HOLD, MARGIN, Blur, FaceCounts, blur_video, blurred_frames
from motionveil.faces.detector import ENLARGE, LARGEST, THRESHOLD, FaceDetector
from motionveil.hub import sha256_of
from motionveil.job_store import hash_of
from motionveil.video import probe, read_frames
from motionveil.video.image_sequence import is_image_folder, list_images, state_of
from motionveil.video.reader import FOLDER_RATE
from motionveil.video.sinks.image_folder import ImageSequenceSink

LOG = "faces.json"
SUFFIX = "-faces-blurred"

FORMAT = 2
"""Part of a video's key; raised whenever the same source would be blurred differently."""


@dataclass(frozen=True)
class FaceBlur:
    """How faces are found and blurred; see `FaceDetector`, `blur_faces` and `FaceMemory`."""

    threshold: float = THRESHOLD
    enlarge: float = ENLARGE
    largest: int = LARGEST
    margin: float = MARGIN
    hold: int = HOLD

    def __post_init__(self) -> None:
        _ = self.blur  # refuses a value out of its range

    def detector(self, file: str | os.PathLike[str]) -> FaceDetector:
        """Return a detector for one thread."""
        return FaceDetector(
            file, threshold=self.threshold, enlarge=self.enlarge, largest=self.largest
        )

    @property
    def blur(self) -> Blur:
        """How what was found is blurred."""
        return Blur(margin=self.margin, hold=self.hold)


class VideoLog(BaseModel):
    """What was found in one video, and which copy it is.

    Attributes:
        key: Hash of the source's size and time of change, the detector's file and the settings.
        bytes: Size of the copy.
        counts: What was found.
    """

    model_config = ConfigDict(extra="forbid")

    key: str
    bytes: int
    counts: FaceCounts


class FaceLog(BaseModel):
    """The file `faces.json` of a face-blurred copy.

    A blurrer that finds no face blurs nothing, and its copy is raw video: whoever reports on the
    copy must look here, and say in what share of the frames a face was found.

    Attributes:
        motionveil: The version that wrote it.
        detector: SHA-256, in hex, of the detector's file.
        settings: The fields of `FaceBlur`.
        total: What was found in all videos together.
        videos: What was found in each, by its path in the manifest.
    """

    model_config = ConfigDict(extra="forbid")

    motionveil: str = __version__
    detector: str
    settings: dict[str, float]
    total: FaceCounts = Field(default_factory=FaceCounts)
    videos: dict[str, VideoLog] = Field(default_factory=dict)

    def add(self, path: str, video: VideoLog) -> None:
        """Add what was found in a video that is not there yet."""
        self.videos[path] = video
        self.total.add(video.counts)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> FaceLog:
        """Read the log of a copy.

        Raises:
            MotionveilError: There is none, or it is damaged.
        """
        file = Path(folder) / LOG
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise MotionveilError(f"{file}: cannot read the log: {error.strerror}") from error
        except ValidationError as error:
            raise MotionveilError(
                f"{file}: no log of face blurring; remove it, and every video is blurred again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the log whole or not at all."""
        write_text_atomically(folder / LOG, self.model_dump_json(indent=1) + "\n")


def blur_manifest(
    manifest: Manifest,
    detector: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    settings: FaceBlur | None = None,
    workers: int | None = None,
) -> Manifest:
    """Make a copy of all videos of a manifest with their faces blurred, and its manifest.

    Each video is copied once, whole, however many clips lie in it, so frame numbers stay. The
    copies have the names of their sources, so the clips keep their keys and the manifest its hash,
    and results can be compared clip by clip. Yet what is in them is lossless: FFV1 in Matroska
    whatever the suffix says, and PNG, since readers go by a file's contents. `faces.json` beside
    them says what was found. Copies that are there already, whole and of the same source, detector
    and settings, are not made again.

    Args:
        out: The copy's folder, another than the data set's.
        settings: How faces are found and blurred; `FaceBlur()` if None.
        workers: Videos in parallel; by default one per processor.

    Returns:
        The copy's manifest, named `<name>-faces-blurred`, as read from `out/manifest.csv`.

    Raises:
        MotionveilError: A video cannot be read, the detector or a setting is wrong, or `out` is
            the data set itself or cannot be written. Copies made by then stay.
    """
    settings, folder = settings or FaceBlur(), Path(out)
    if folder.resolve() == manifest.root.resolve():
        raise MotionveilError(f"{folder}: this is the data set itself; give another folder")
    settings.detector(detector)  # refuses what is wrong before anything is written
    log = FaceLog(detector=sha256_of(Path(detector)), settings=asdict(settings))
    earlier = FaceLog.read(folder).videos if (folder / LOG).exists() else {}
    keys = {clip.path: "" for clip in manifest.clips}
    for path in keys:
        keys[path] = _key(manifest.root / path, log)
        if _is_there(folder / path, keys[path], earlier.get(path)):
            log.add(path, earlier[path])
    make_private_folder(folder)  # where no face is found, a copy is the original
    log.write(folder)
    missing = {path: key for path, key in keys.items() if path not in log.videos}
    copy = partial(_copy, manifest.root, folder, Path(detector), settings)
    for path, counts in in_threads(copy, missing, "Blurring faces", workers):
        size, _ = state_of(folder / path)
        log.add(path, VideoLog(key=missing[path], bytes=size, counts=counts))
        log.write(folder)
    copied = replace(manifest, name=manifest.name + SUFFIX, root=folder, file=None)
    return Manifest.read(copied.write(folder / "manifest.csv"))


def _copy(root: Path, folder: Path, detector: Path, settings: FaceBlur, path: str) -> FaceCounts:
    source, dest = root / path, folder / path
    if is_image_folder(source):
        return _copy_pictures(source, dest, settings.detector(detector), settings.blur)
    with atomic_path(dest) as part:
        lossless = part.with_suffix(".mkv")
        counts = blur_video(source, lossless, settings.detector(detector), settings.blur)
        os.replace(lossless, part)
    return counts


def _copy_pictures(source: Path, dest: Path, detector: FaceDetector, blur: Blur) -> FaceCounts:
    """Copy a folder of frames, or those that fit a pattern; each keeps its name."""
    names = [image.name for image in list_images(source)]
    home = dest.parent if "*" in dest.name else dest
    home.mkdir(parents=True, exist_ok=True)
    counts = FaceCounts()
    part = part_path(home / "frames")
    part.mkdir()
    with hold_part(part):
        try:
            aspect = probe(source).aspect
            with ImageSequenceSink(
                part / "frames", time_base=1 / FOLDER_RATE, aspect=aspect
            ) as sink:
                for frame in blurred_frames(read_frames(source), detector, counts, blur):
                    sink.write(frame.image, frame.pts)
            for written, name in zip(list_images(sink.path), names, strict=True):
                os.replace(written, home / name)
        finally:
            shutil.rmtree(part)
    for stale in {image.name for image in list_images(dest)} - set(names):
        (home / stale).unlink()
    return counts


def _key(source: Path, log: FaceLog) -> str:
    facts = [FORMAT, *state_of(source), log.detector, sorted(log.settings.items())]
    return hash_of(facts)


def _is_there(copy: Path, key: str, logged: VideoLog | None) -> bool:
    if logged is None or logged.key != key:
        return False
    try:
        return state_of(copy)[0] == logged.bytes
    except MotionveilError:
        return False
