"""Writing a video file: frames in; a whole file out or none, or a recording that survives."""

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

from motionveil.atomic_write import atomic_path
from motionveil.errors import MotionveilError
from motionveil.video.codecs import CODECS, settings_for
from motionveil.video.sinks import DEFAULT_RATE, SinkOptions, register
from motionveil.video.types import Sink

_BT709 = 1  # its number as matrix, primaries and transfer (ITU-T H.273)
_LIMITED = 1


class VideoSink:
    """Writes frames to a video file; a context manager.

    The suffix chooses the format:

    - `.mp4`: H.264, which every player shows. Lossy. Even sizes are 4:2:0; odd sizes cannot be,
      so they are 4:4:4, which keeps the size but which some browsers do not play.
    - `.mkv`: FFV1, lossless: the RGB read back is the RGB written; or H.264, if asked for.
    - `.webm`: VP9. Lossy.

    Matroska and WebM count milliseconds, so timestamps are rounded to 1 ms there; they are exact
    in mp4. No metadata is written but for the comment given.

    The file appears under its name when the block ends well; a failure leaves nothing behind,
    and an earlier file as it was. With `live`, what came before a failure is worth keeping:
    the file is written in pieces of a second, gets its name at the end in any case, and whoever
    kills the process finds it under its temporary name (`.NAME.xxxxxxxx.part.SUFFIX`), playable
    to the last second.

    Args:
        path: Where to write.
        rate: Frames a second; 25 if None. With `pts` given to `write`, a hint only.
        time_base: Seconds that one unit of `pts` lasts; one frame (1 / rate) if None.
        codec: `"h264"`, `"ffv1"` or `"vp9"`; None for the usual one of the suffix.
        live: A recording that nobody can make again.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown. H.264 keeps it;
            for the other codecs PyAV has no way to write it.
        comment: What the file says of itself; None for nothing.

    Raises:
        MotionveilError: The suffix is none of these or does not take the codec (at once), or
            nothing can be written there, no frame was written, or frames do not fit together.

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
        codec: str | None = None,
        live: bool = False,
        aspect: Fraction = Fraction(1),
        comment: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = str(path)
        self.live = live
        self._aspect, self._comment = aspect, comment
        self.rate = Fraction(rate or DEFAULT_RATE)
        self.time_base = time_base or 1 / self.rate
        self._settings = settings_for(self.path, codec=codec, live=live, time_base=self.time_base)
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
        keep = self.live and self.frames > 0
        fault = error
        if error is None or keep:
            try:
                self._finish()
            except BaseException as failure:  # the second Ctrl-C may come just here
                self._abandon()
                fault = error or failure
        else:
            self._abandon()
        if fault is None or keep:
            self._files.close()  # atomic_path renames the file
        else:
            self._files.__exit__(type(fault), fault, trace)  # atomic_path removes the file
        if fault is not None and error is None:
            raise fault

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        settings = self._settings
        self._container = av.open(
            str(self._part), "w", format=settings.container, options=settings.muxing
        )
        if self._comment is not None:
            self._container.metadata["comment"] = self._comment
        stream = self._container.add_stream(
            settings.library, rate=self.rate, options=settings.encoding
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = settings.pixel_format(width, height)
        context = stream.codec_context
        context.sample_aspect_ratio = self._aspect
        context.time_base = stream.time_base = self.time_base
        if self.live:
            context.gop_size = max(1, round(self.rate))
        if not settings.lossless:
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
        self._stream = stream

    def _frame(self, image: NDArray[np.uint8], pts: int) -> Any:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._converter.reformat(
            frame,
            format=self._stream.pix_fmt,
            dst_colorspace=None if self._settings.lossless else Colorspace.ITU709,
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
            raise MotionveilError(f"{self.path}: cannot write: {error.strerror}") from error

    def _abandon(self) -> None:
        if self._container is not None:
            # The first error is the one to tell.
            with suppress(av.FFmpegError, OSError):
                self._container.close()


def _is_video_file(dest: str) -> bool:
    return "://" not in dest and Path(dest).suffix.lower() in CODECS


def _check(dest: str, codec: str | None) -> None:
    settings_for(Path(dest), codec=codec, live=False, time_base=Fraction(1))


@register(
    "out.mp4 out.mkv out.webm",
    "H.264; lossless FFV1, or H.264 with --codec h264; VP9",
    takes=_is_video_file,
    check=_check,
)
def open_video_file(dest: str, options: SinkOptions) -> Sink:
    """Open a video file."""
    return VideoSink(
        dest,
        rate=options.rate,
        time_base=options.time_base,
        codec=options.codec,
        live=options.live,
        aspect=options.aspect,
        comment=options.comment,
    )
