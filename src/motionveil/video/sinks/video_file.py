"""Writing a video file: frames in; a whole file out or none, or a recording that survives."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from motionveil.atomic_write import atomic_path
from motionveil.errors import MotionveilError
from motionveil.video.codecs import CODECS, encoding_for, muxing_for
from motionveil.video.destinations import Destinations
from motionveil.video.packets import ContainerSink, Packet, PacketSink
from motionveil.video.sinks import DEFAULT_RATE, SinkOptions, register
from motionveil.video.sinks.segments import check_codec, is_pattern

_MILLISECOND = Fraction(1, 1000)  # in which Matroska and WebM count


class VideoFile(ContainerSink):
    """A video file that takes packets; see `VideoSink`.

    Args:
        path, time_base, codec, live, comment: As in `VideoSink`.
        rate: Frames a second, where they are known.
    """

    def __init__(
        self,
        path: Path,
        *,
        time_base: Fraction,
        codec: str | None = None,
        live: bool = False,
        comment: str | None = None,
        rate: Fraction | None = None,
    ) -> None:
        live = live or path.is_fifo()  # nobody can go back in a pipe
        encoding = encoding_for(path, codec=codec, live=live)
        muxing = muxing_for(path, live=live, time_base=time_base)
        super().__init__(str(path), encoding, muxing, comment)
        self._path, self._keep = path, live
        too_fast = (rate or 0) * _MILLISECOND > 1
        if (too_fast or not live) and path.suffix.lower() != ".mp4":
            self.tick = _MILLISECOND
        self._files = ExitStack()

    def __enter__(self) -> VideoFile:
        self._part = self._files.enter_context(atomic_path(self._path))
        return self

    def write(self, packet: Packet) -> None:
        """Append a packet.

        Raises:
            MotionveilError: It cannot be written.
        """
        try:
            self._mux(self._part, packet)
        except OSError as error:
            raise self._unwritable(error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        keep = self._keep and self.frames > 0
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

    def _finish(self) -> None:
        if self._muxer is None:
            raise self._empty()
        try:
            self._muxer.close()
        except OSError as error:
            raise self._unwritable(error) from error

    def _abandon(self) -> None:
        if self._muxer is not None:
            # The first error is the one to tell.
            with suppress(OSError):
                self._muxer.close()

    def _unwritable(self, error: OSError) -> MotionveilError:
        return MotionveilError(f"{self.name}: cannot write: {error.strerror}")


class VideoSink(Destinations):
    """Writes frames to a video file; a context manager.

    The suffix chooses the format:

    - `.mp4`: H.264, which every player shows. Lossy. Even sizes are 4:2:0; odd sizes cannot be,
      so they are 4:4:4, which keeps the size but which some browsers do not play.
    - `.mkv`: FFV1, lossless: the RGB read back is the RGB written; or H.264, if asked for.
    - `.webm`: VP9. Lossy.

    Matroska and WebM count milliseconds, so timestamps are rounded to 1 ms there, and more than
    one frame in a millisecond is an error; they are exact in mp4. No metadata is written but for
    the comment given.

    The file appears under its name when the block ends well; a failure leaves nothing behind,
    and an earlier file as it was. With `live`, what came before a failure is worth keeping:
    the file is written in pieces of a second, gets its name at the end in any case, and whoever
    kills the process finds it under its temporary name (`.NAME.xxxxxxxx.part.SUFFIX`), playable
    to the last second.

    Args:
        rate: Frames a second; 25 if None. With `pts` given to `write`, a hint only.
        time_base: Seconds that one unit of `pts` lasts; one frame (1 / rate) if None.
        codec: `"h264"`, `"ffv1"` or `"vp9"`; None for the usual one of the suffix.
        live: A recording that nobody can make again.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown. Of FFV1 and VP9,
            the width that results is rounded to a pixel.
        comment: What the file says of itself; None for no comment.

    Raises:
        MotionveilError: The suffix is none of these or does not take the codec (at once), or
            nothing can be written there, no frame was written, or frames do not fit together.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> file = tempfile.mkdtemp() + "/out.mp4"
        >>> with VideoSink(file, rate=Fraction(30000, 1001)) as sink:
        ...     for frame in np.zeros((3, 48, 64, 3), np.uint8):
        ...         sink.write(frame)
        >>> Path(file).exists()
        True
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
        rate = Fraction(rate or DEFAULT_RATE)
        time_base = time_base or 1 / rate
        file = VideoFile(self.path, time_base=time_base, codec=codec, live=live, comment=comment)
        super().__init__([file], rate=rate, time_base=time_base, aspect=aspect)


def _is_video_file(dest: str) -> bool:
    return "://" not in dest and not is_pattern(dest) and Path(dest).suffix.lower() in CODECS


@register(
    "out.mp4 out.mkv out.webm",
    "H.264; lossless FFV1, or H.264 with --codec h264; VP9",
    takes=_is_video_file,
    check=check_codec,
)
def open_video_file(dest: str, options: SinkOptions) -> PacketSink:
    """Open a video file."""
    return VideoFile(
        Path(dest),
        time_base=options.time_base,
        codec=options.codec,
        live=options.live,
        comment=options.comment,
        rate=options.rate,
    )
