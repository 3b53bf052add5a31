"""Where veiled video goes, chosen by how it is written."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.video.codecs import CODECS, settings_for
from motionveil.video.file_sink import VideoSink
from motionveil.video.image_sequence import ImageSequenceSink
from motionveil.video.types import Sink
from motionveil.video.virtual_camera import VirtualCameraSink, is_device
from motionveil.video.y4m import Y4mSink


def check_dest(dest: str, *, codec: str | None = None) -> None:
    """Refuse a destination that cannot be, before anything is read.

    Args:
        dest: As for `open_sink`.
        codec: As for `open_sink`.

    Raises:
        MotionveilError: It is written in no known way, or the codec does not go with it.
    """
    if "://" in dest:
        raise MotionveilError(f"{shown(dest)}: veiled video goes to files and pipes, to no address")
    if dest == "-":
        if sys.stdout.isatty():
            raise MotionveilError("-: video on a terminal is of no use; pipe it somewhere")
    elif _is_file(dest):
        settings_for(Path(dest), codec=codec, live=False, time_base=Fraction(1))
        return
    if codec is not None:
        raise MotionveilError(f"{dest}: --codec {codec} is for video files")


def open_sink(
    dest: str,
    *,
    rate: Fraction | None,
    time_base: Fraction,
    codec: str | None = None,
    live: bool = False,
    aspect: Fraction = Fraction(1),
    comment: str | None = None,
) -> Sink:
    """Open a destination; use it as a context manager.

    Args:
        dest: A file name ending in `.mp4`, `.mkv` or `.webm`; a folder of frames, written with a
            slash at its end; `-`, the standard output as y4m; a virtual camera, `/dev/videoN`.
        rate: Frames a second, None if not known.
        time_base: Seconds that one unit of a timestamp lasts.
        codec: `"h264"`, `"ffv1"` or `"vp9"`, where the file's format leaves a choice.
        live: A recording that nobody can make again; see `VideoSink`.
        aspect: Sample aspect ratio, where the format has a place for it.
        comment: What is written says of itself; None for nothing.

    Raises:
        MotionveilError: The destination is written in no known way.
    """
    check_dest(dest, codec=codec)
    if dest == "-":
        return Y4mSink(sys.stdout.buffer, rate=rate, aspect=aspect, comment=comment)
    if is_device(dest):
        return VirtualCameraSink(dest, rate=rate)
    if not _is_file(dest):
        return ImageSequenceSink(dest, time_base=time_base, live=live, comment=comment)
    return VideoSink(
        dest,
        rate=rate,
        time_base=time_base,
        codec=codec,
        live=live,
        aspect=aspect,
        comment=comment,
    )


def _is_file(dest: str) -> bool:
    if dest == "-" or is_device(dest):
        return False
    is_folder = dest.endswith(("/", "\\")) or Path(dest).is_dir()
    return not is_folder or Path(dest).suffix.lower() in CODECS
