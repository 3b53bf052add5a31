"""Writing video: frames in, a whole file out or none."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.files import atomic_path

DEFAULT_RATE = Fraction(25)
_BT709 = 1  # its number as matrix, primaries and transfer (ITU-T H.273)
_LIMITED = 1


class VideoSink:
    """Writes frames to a video file; a context manager.

    The suffix chooses the format:

    - `.mp4`: H.264, which every player shows. Lossy. Even sizes are 4:2:0; odd sizes cannot be,
      so they are 4:4:4, which keeps the size but which some browsers do not play.
    - `.mkv`: FFV1, lossless: the RGB read back is the RGB written. Matroska's clock counts
      milliseconds, so timestamps are rounded to 1 ms there; they are exact in mp4.

    The file appears under its name when the block ends well; a failure leaves nothing behind,
    and an earlier file as it was. No metadata is written.

    Args:
        path: Where to write.
        rate: Frames a second; 25 if None. With `pts` given to `write`, a hint only.
        time_base: Seconds that one unit of `pts` lasts; one frame (1 / rate) if None.

    Raises:
        MotionveilError: The suffix is neither of the two (at once), or nothing can be written
            there, no frame was written, or frames do not fit together.

    Example:
        >>> frames = np.zeros((3, 48, 64, 3), np.uint8)
        >>> with VideoSink("out.mp4", rate=Fraction(30000, 1001)) as sink:  # doctest: +SKIP
        ...     for frame in frames:
        ...         sink.write(frame)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: Fraction | int | None = None,
        time_base: Fraction | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in (".mp4", ".mkv"):
            raise MotionveilError(
                f"{self.path}: cannot write {self.path.suffix or 'a file without suffix'!r};"
                " the name must end in .mp4 (H.264) or .mkv (lossless FFV1)"
            )
        self.rate = Fraction(rate or DEFAULT_RATE)
        self.time_base = time_base or 1 / self.rate
        self.frames = 0
        self._files = ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._shape: tuple[int, ...] | None = None
        self._last: int | None = None
        self._converter = VideoReformatter()

    def __enter__(self) -> VideoSink:
        self._part = self._files.enter_context(atomic_path(self.path))
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        """Append a frame.

        Args:
            image: uint8 (H, W, 3), RGB; the first one sets the size.
            pts: Timestamp in units of the time base, from 0 on and above the last one; None for
                the moment that the constant rate gives.

        Raises:
            MotionveilError: The size has changed, or the timestamp is negative or does not ascend.
            ValueError: The array is no RGB image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {image.dtype} {image.shape}")
        if pts is None:
            pts = round(self.frames / self.rate / self.time_base)
        if pts < 0:
            raise MotionveilError(f"{self.path}: timestamp {pts} of frame {self.frames} is below 0")
        if self._last is not None and pts <= self._last:
            raise MotionveilError(
                f"{self.path}: timestamp {pts} of frame {self.frames} is not after {self._last}"
            )
        if self._shape not in (None, image.shape):
            raise MotionveilError(
                f"{self.path}: frame {self.frames} is {image.shape[1]}x{image.shape[0]},"
                " not of the size of those before it"
            )
        try:
            if self._stream is None:
                self._open(image)
            self._container.mux(self._stream.encode(self._frame(image, pts)))
        except (av.FFmpegError, OSError) as error:
            raise MotionveilError(f"{self.path}: cannot write: {error.strerror}") from error
        self._shape, self._last = image.shape, pts
        self.frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abandon()
            self._files.__exit__(kind, error, trace)  # atomic_path removes the file
            return
        with self._files:  # atomic_path renames the file, or removes it if this fails
            self._finish()

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        mp4 = self.path.suffix.lower() == ".mp4"
        self._container = av.open(
            str(self._part), "w", format="mp4" if mp4 else "matroska", options=self._muxing(mp4)
        )
        # "bitexact" keeps the names and versions of the libraries out of the file.
        stream = self._container.add_stream(
            "libx264" if mp4 else "ffv1", rate=self.rate, options=_encoding(mp4)
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = _pixel_format(mp4, width, height)
        stream.codec_context.time_base = stream.time_base = self.time_base
        if mp4:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
        self._stream = stream

    def _muxing(self, mp4: bool) -> dict[str, str]:
        if not mp4:
            return {"fflags": "+bitexact"}
        # The movie's clock dates the first frame; by default it counts milliseconds only.
        clock = str(self.time_base.denominator)
        return {"fflags": "+bitexact", "movflags": "faststart", "movie_timescale": clock}

    def _frame(self, image: NDArray[np.uint8], pts: int) -> Any:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        mp4 = self.path.suffix.lower() == ".mp4"
        frame = self._converter.reformat(
            frame,
            format=self._stream.pix_fmt,
            dst_colorspace=Colorspace.ITU709 if mp4 else None,
        )
        frame.pts, frame.time_base = pts, self.time_base
        return frame

    def _finish(self) -> None:
        if self._stream is None:
            raise MotionveilError(f"{self.path}: no frames to write")
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            self._abandon()
            raise MotionveilError(f"{self.path}: cannot write: {error.strerror}") from error

    def _abandon(self) -> None:
        if self._container is not None:
            # The file is thrown away, and the first error is the one to tell.
            with suppress(av.FFmpegError, OSError):
                self._container.close()


def _pixel_format(mp4: bool, width: int, height: int) -> str:
    if not mp4:
        return "bgr0"
    return "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"


def _encoding(mp4: bool) -> dict[str, str]:
    if mp4:
        return {"preset": "veryfast", "crf": "18"}
    return {"level": "3"}
