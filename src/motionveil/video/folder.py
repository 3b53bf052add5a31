"""A folder of pictures as a video of constant rate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from motionveil.errors import MotionveilError
from motionveil.video.types import Decoded

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder in natural order: `2.png` before `10.png`.

    Raises:
        MotionveilError: There are none.
    """
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise MotionveilError(
            f"{folder}: no frames in this folder; their names must end in"
            f" {', '.join(sorted(SUFFIXES))}"
        )
    return sorted(pictures, key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", path.name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def decode_folder(
    folder: Path, rate: Fraction, start: int = 0, end: int | None = None
) -> Iterator[Decoded]:
    """Decode the pictures of a folder, numbered from 0, `end` exclusive.

    Raises:
        MotionveilError: There are none, or one cannot be decoded.
    """
    for number, path in list(enumerate(list_pictures(folder)))[start:end]:
        # Opened by us, since the library would read a "%d" in the name as a sequence.
        try:
            with path.open("rb") as file, av.open(file, "r") as container:
                frame = next(container.decode(video=0))
        except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
            reason = getattr(error, "strerror", None) or "it holds no picture"
            raise MotionveilError(f"{path}: cannot read the frame: {reason}") from error
        yield Decoded(frame, number, 1 / rate)
