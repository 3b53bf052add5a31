"""Folders: of frames, read as video of a constant rate, and of videos."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from motionveil.errors import MotionveilError
from motionveil.video.colour import upright_aspect
from motionveil.video.robust_decode import DamagedError, decode_picture
from motionveil.video.types import Decoded

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv", ".y4m"),
)
"""What counts as a video in a folder."""


def is_image_folder(source: Path) -> bool:
    """Whether a source is a folder of images, or some of its images: `folder/rgb_*.png`."""
    return source.is_dir() or _is_pattern(source)


def list_images(source: Path) -> list[Path]:
    """Return the images of a folder in natural order: `2.png` before `10.png`.

    Args:
        source: A folder, or the images in it whose names fit a pattern, such as
            `folder/rgb_*.png`, since the folder may hold others (depth, masks) beside the frames.

    Raises:
        MotionveilError: There are none.
    """
    files = source.parent.glob(source.name) if _is_pattern(source) else source.iterdir()
    images = [
        path
        for path in files
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")  # "._1.png" of a Mac
    ]
    if not images:
        raise MotionveilError(
            f"{source}: no frames in this folder; their names must end in"
            f" {', '.join(sorted(SUFFIXES))}"
        )
    return sorted(images, key=_natural)


def state_of(video: Path) -> tuple[int, int]:
    """Return the size in bytes and the time of change (ns) of a video or of a folder of images.

    A copy of a video is stale when its state has changed.

    Raises:
        MotionveilError: It is not there, or cannot be read.
    """
    try:
        files = list_images(video) if is_image_folder(video) else [video]
        stats = [file.stat() for file in files]
    except OSError as error:
        raise MotionveilError(f"{video}: cannot read the video: {error.strerror}") from error
    return sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)


def find_videos(folder: Path) -> list[Path]:
    """Return the video files below a folder, sorted; see `walk` and `VIDEO_SUFFIXES`.

    Raises:
        MotionveilError: There is no such folder, or one in it cannot be read.
    """
    if not folder.is_dir():
        raise MotionveilError(f"{folder}: no such folder")
    found = (path for path in walk(folder) if path.suffix.lower() in VIDEO_SUFFIXES)
    return sorted(path for path in found if path.is_file())


def walk(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield what lies below a folder, at any depth, but nothing hidden.

    Symbolic links are followed, except to a folder that the link lies in.

    Raises:
        MotionveilError: A folder cannot be read.
    """
    above |= {os.path.realpath(folder)}
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise MotionveilError(f"{folder}: cannot be read: {error.strerror}") from error
    for path in entries:
        yield path
        if path.is_dir() and os.path.realpath(path) not in above:
            yield from walk(path, above)


def _is_pattern(source: Path) -> bool:
    return "*" in source.name and not source.exists()


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", path.name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def decode_folder(
    source: Path, rate: Fraction, start: int = 0, end: int | None = None
) -> Iterator[Decoded]:
    """Decode the images of a folder (see `list_images`), numbered from 0, `end` exclusive.

    Raises:
        MotionveilError: There are none, or one cannot be decoded.
    """
    for number, path in list(enumerate(list_images(source)))[start:end]:
        # Opened by us, since the library would read a "%d" in the name as a sequence.
        try:
            with path.open("rb") as file, av.open(file, metadata_errors="replace") as container:
                frame = decode_picture(container)
                aspect = upright_aspect(frame, container.streams.video[0])
        except (DamagedError, av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise MotionveilError(f"{path}: cannot read the frame: {reason}") from error
        except MotionveilError as error:
            raise MotionveilError(f"{path}: {error}") from error
        yield Decoded(frame, number, 1 / rate, aspect)
