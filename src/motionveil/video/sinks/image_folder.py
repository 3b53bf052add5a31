"""Writing a folder of PNG images, whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from motionveil.atomic_write import hold_part, part_path
from motionveil.errors import MotionveilError
from motionveil.video.codecs import CODECS
from motionveil.video.sinks import SinkOptions, register
from motionveil.video.types import Sink

TIMES = "times.csv"
"""What keeps the timestamps, in seconds, which images cannot."""

ABOUT = "about.txt"
"""What says where the images come from."""


class ImageSequenceSink:
    """Writes each frame as `000000.png`, `000001.png`, ... into a folder; a context manager.

    PNG is lossless, and keeps the sample aspect ratio (`pHYs`). `times.csv` beside the images
    says when each is shown, `about.txt` what they are. The folder appears under its name when the
    block ends well, or with `live` in any case; otherwise nothing is left.

    Args:
        path: The folder; it must not exist, or be empty.
        time_base: Seconds that one unit of `pts` lasts.
        live: A recording that nobody can make again: keep what came before a failure.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown.
        comment: What `about.txt` says; None for no such file.

    Raises:
        MotionveilError: There is such a file, or such a folder with something in it; or it cannot
            be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        time_base: Fraction,
        live: bool = False,
        aspect: Fraction = Fraction(1),
        comment: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = str(path)
        self.time_base = time_base
        self.live = live
        self._aspect, self._comment = aspect, comment
        self.frames = 0
        self._encoder: Any = None

    def __enter__(self) -> ImageSequenceSink:
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise MotionveilError(
                f"{self.path}: there is something of this name already; give a new folder"
            )
        self._part = part_path(self.path)
        try:
            self._part.mkdir(parents=True)
            self._held = hold_part(self._part)
            self._append("picture,seconds\n")
            if self._comment is not None:
                (self._part / ABOUT).write_text(f"{self._comment}\n", encoding="utf-8")
        except OSError as error:
            shutil.rmtree(self._part, ignore_errors=True)
            raise self._unwritable(error) from error
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        """Append a frame, uint8 (H, W, 3), RGB; `pts` in units of the time base.

        Raises:
            MotionveilError: The disk is full, or the size has changed.
        """
        name = f"{self.frames:06d}.png"
        moment = float((self.frames if pts is None else pts) * self.time_base)
        try:
            (self._part / name).write_bytes(self._png(image))
            self._append(f"{name},{moment:.6f}\n")
        except BaseException as error:
            (self._part / name).unlink(missing_ok=True)  # live, the others are kept
            if isinstance(error, OSError):  # FFmpeg's errors are of this kind too
                raise self._unwritable(error) from error
            raise
        self.frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None and self.frames == 0:
                raise MotionveilError(f"{self.path}: no frames to write")
            if error is None or (self.live and self.frames):
                if self.path.is_dir():  # an empty one
                    self.path.rmdir()
                self._part.replace(self.path)
        except OSError as failure:
            raise self._unwritable(failure) from failure
        finally:
            shutil.rmtree(self._part, ignore_errors=True)
            self._held.close()

    def _append(self, line: str) -> None:
        """Add a line to the list of times, whole or not at all."""
        with (self._part / TIMES).open("ab", buffering=0) as file:
            before = file.tell()
            if file.write(line.encode("ascii")) != len(line):
                file.truncate(before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _png(self, image: NDArray[np.uint8]) -> bytes:
        height, width = image.shape[:2]
        if self._encoder is None:
            self._encoder = av.CodecContext.create("png", "w")
            self._encoder.width, self._encoder.height = width, height
            self._encoder.pix_fmt, self._encoder.time_base = "rgb24", Fraction(1, 25)
            self._encoder.sample_aspect_ratio = self._aspect
        if (self._encoder.height, self._encoder.width) != (height, width):
            raise MotionveilError(
                f"{self.path}: frame {self.frames} is {width}x{height},"
                " not of the size of those before it"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self.frames
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))

    def _unwritable(self, error: OSError) -> MotionveilError:
        return MotionveilError(f"{self.path}: cannot write: {error.strerror}")


def _is_folder(dest: str) -> bool:
    there = dest.endswith(("/", "\\")) or Path(dest).is_dir()
    return "://" not in dest and there and Path(dest).suffix.lower() not in CODECS


@register("frames/", "PNG images; the name ends with a slash", takes=_is_folder)
def open_image_folder(dest: str, options: SinkOptions) -> Sink:
    """Open a folder of images."""
    return ImageSequenceSink(
        dest,
        time_base=options.time_base,
        live=options.live,
        aspect=options.aspect,
        comment=options.comment,
    )
