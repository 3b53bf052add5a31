"""Veil a whole video: a file or a folder of frames in, a file out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from motionveil.capture.stream_encoder import StreamEncoder
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec
from motionveil.video import VideoInfo, VideoSink, probe, read_frames
from motionveil.video.reader import FOLDER_RATE

First = Literal["neutral", "drop"]


@dataclass(frozen=True)
class VeilSummary:
    """What `veil_video` did.

    Attributes:
        source: What was read.
        dest: The file written.
        info: The source's size, rate and clock.
        frames_in: Frames read.
        frames_out: Frames written.
        seconds: Time taken.
    """

    source: Path
    dest: Path
    info: VideoInfo
    frames_in: int
    frames_out: int
    seconds: float


def veil_video(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    spec: EncoderSpec,
    *,
    hard: bool = False,
    first: First = "neutral",
    rate: Fraction | int = FOLDER_RATE,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> VeilSummary:
    """Veil a video: as many frames out as in, with the same timestamps, and nothing else.

    A source whose clock starts below zero, which no player shows, is moved to start at zero.
    Sound and metadata (title, place, time, device) stay behind. The whole file appears under
    `dest`, or nothing does; no raw frame is written to disk.

    Args:
        source: A video file, or a folder of frames.
        dest: `.mp4` (H.264) or `.mkv` (lossless); see `VideoSink` for how exact its clock is.
        spec: The encoder.
        hard: Quantise in steps instead of sigmoids.
        first: The first frame has no difference: write the `"neutral"` frame, or `"drop"` it.
        rate: Frames a second of a folder of frames.
        progress: Called after each frame with the frames read and the number declared.

    Raises:
        MotionveilError: The source cannot be read whole, the encoder cannot stream, or `dest` is
            the source or cannot be written.
    """
    source, dest = Path(source), Path(dest)
    if source.exists() and dest.exists() and source.samefile(dest):
        raise MotionveilError(f"{dest}: this is the source itself; give another name")
    started = time.monotonic()
    encoder = StreamEncoder(spec, hard=hard)
    info = probe(source, rate=rate)
    frames_in = shift = 0
    with VideoSink(dest, rate=info.rate, time_base=info.time_base) as sink:
        for frame in read_frames(source, rate=rate):
            veiled = encoder(frame.image)
            if frames_in == 0:
                shift = max(0, -frame.pts)
            if frames_in > 0 or first == "neutral":
                sink.write(veiled, frame.pts + shift)
            frames_in += 1
            progress(frames_in, info.frames)
        if sink.frames == 0:
            raise MotionveilError(f"{source}: 1 frame only, and the first is dropped")
    seconds = time.monotonic() - started
    return VeilSummary(source, dest, info, frames_in, sink.frames, seconds)
