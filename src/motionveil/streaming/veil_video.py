"""Veil a whole video: a source in, a file, folder or pipe out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from motionveil._version import __version__
from motionveil.atomic_write import refuse_overwriting
from motionveil.errors import MotionveilError, no_such, one_line
from motionveil.spec import EncoderSpec
from motionveil.streaming.guard import Guard, Reason
from motionveil.streaming.pipeline import First, Pipeline
from motionveil.streaming.status import Status
from motionveil.streaming.stream_encoder import StreamEncoder
from motionveil.video import (
    Destination,
    DestinationState,
    FileSource,
    Sink,
    Source,
    VideoInfo,
    check_dest,
    open_sink,
)
from motionveil.video.reader import FOLDER_RATE


@dataclass(frozen=True)
class VeilOptions:
    """How a video is veiled and written.

    Attributes:
        native: Veil at the source's own size and rate, for which nothing was measured.
        enlarge: How many times each pixel is repeated along both sides, for people to see.
        hard: Quantise in steps instead of sigmoids.
        guard: Write the neutral frame where two frames have no valid difference; see `Guard`.
        first: The first frame has no difference: write the `"neutral"` frame, or `"drop"` it.
        codec: `"h264"`, `"ffv1"` or `"vp9"`, where a format leaves a choice; of destinations that
            are given as strings.
        limit: Stop after so many frames; None for all.
    """

    native: bool = False
    enlarge: int = 1
    hard: bool = False
    guard: bool = True
    first: First = "neutral"
    codec: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.first not in get_args(First):
            raise MotionveilError(no_such("first", self.first, get_args(First)))


@dataclass(frozen=True)
class VeilSummary:
    """What was veiled.

    Attributes:
        source: What was read.
        destinations: What was written where; nothing if it was only shown.
        info: The source's size, rate and clock.
        width: Pixels of a veiled frame, as written.
        height: Likewise.
        rate: Frames a second written, where the source has a constant rate.
        frames_in: Frames read.
        frames_out: Frames written.
        taken: Frames that were veiled.
        left_out: Frames that came too early for the encoder's rate.
        dropped: Frames of a live source for which there was no time.
        damaged: Frames that a stream left out since they, or others before them, were damaged.
        guarded: Neutral frames by reason; see `motionveil.streaming.guard.Reason`.
        latency_p50: Seconds from a frame's arrival to the end of its writing, median.
        latency_p95: Likewise, what 95 % of the frames do not exceed.
        seconds: Time since the first frame.
    """

    source: str
    destinations: tuple[DestinationState, ...]
    info: VideoInfo
    width: int
    height: int
    rate: Fraction | None
    frames_in: int
    frames_out: int
    taken: int
    left_out: int = 0
    dropped: int = 0
    damaged: int = 0
    guarded: dict[Reason, int] = field(default_factory=dict)
    latency_p50: float | None = None
    latency_p95: float | None = None
    seconds: float = 0.0


def veil_source(
    source: Source,
    dest: str | Destination | Sequence[str | Destination] | None,
    spec: EncoderSpec,
    options: VeilOptions | None = None,
    *,
    stop: Event | None = None,
    notice: Callable[[str], None] = lambda line: None,
    watch: Callable[[Status, NDArray[np.uint8]], None] = lambda status, image: None,
) -> VeilSummary:
    """Veil a source: the frames that the encoder's rate takes, with their timestamps, no more.

    Sound and metadata (title, place, time, device) stay behind; no raw frame is written to disk.
    Of a file, the whole of `dest` appears, or nothing does. What came from elsewhere will not come
    again: partial recordings are kept; see `VideoSink`.

    Args:
        source: See `motionveil.video.open_source`.
        dest: One or several; see `motionveil.video.open_sink`. None to write nothing (but to
            `watch`).
        options: How; `VeilOptions()` if None.
        stop: Set it to end the source; what was read is still written.
        notice: Called with one line on what happens to a destination while the others go on.
        watch: Called with each veiled frame and the counts so far, in the thread of the caller;
            the array is used again afterwards.

    Raises:
        MotionveilError: The source cannot be read whole, the encoder cannot stream, or `dest` is
            the source or cannot be written.
    """
    options = options or VeilOptions()
    dests = _listed(dest)
    check_dest(*dests, codec=options.codec)
    refuse_overwriting(
        [each if isinstance(each, str) else each.to for each in dests], [source.name]
    )
    encoder = StreamEncoder(
        spec,
        native=options.native,
        hard=options.hard,
        guard=Guard() if options.guard else None,
    )

    def open_output(info: VideoInfo, time_base: Fraction) -> Sink:
        if not dests:
            return NoSink()
        # What comes from a camera, a network or a pipe will not come again.
        once = not isinstance(source, FileSource)
        sink = open_sink(
            *dests,
            rate=_rate(encoder, info),
            time_base=time_base,
            codec=options.codec,
            live=once,
            aspect=pipeline.status.aspect,
            comment=describe_encoder(spec, options),
            pace=not source.live,
            notice=notice,
        )
        pipeline.status.destinations = sink.states
        return sink

    pipeline = Pipeline(
        source,
        encoder,
        open_output,
        enlarge=options.enlarge,
        first=options.first,
        limit=options.limit,
        stop=stop,
        watch=lambda image: watch(pipeline.status, image),
    )
    status = pipeline.run()
    if status.frames_in == 0 or source.info is None:
        raise MotionveilError(f"{source.name}: gave no frame")
    return VeilSummary(
        source=source.name,
        destinations=tuple(status.destinations()),
        info=source.info,
        width=status.width,
        height=status.height,
        rate=_rate(encoder, source.info),
        frames_in=status.frames_in,
        frames_out=status.frames_out,
        taken=status.taken,
        left_out=status.left_out,
        dropped=status.dropped,
        damaged=source.damaged,
        guarded=dict(status.guarded),
        latency_p50=status.latency.percentile(50),
        latency_p95=status.latency.percentile(95),
        seconds=status.seconds,
    )


def veil_video(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    spec: EncoderSpec,
    options: VeilOptions | None = None,
    *,
    rate: Fraction | int = FOLDER_RATE,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> VeilSummary:
    """Veil a file or a folder of frames; see `veil_source`.

    Args:
        source: A video file, or a folder of frames.
        dest: `.mp4`, `.mkv`, `.webm`, or a folder of frames with a slash at its end. A `%` stands
            for itself.
        options: How; `VeilOptions()` if None.
        rate: Frames a second of a folder of frames.
        progress: Called after each frame with the frames written and the number declared.

    Raises:
        MotionveilError: As `veil_source`.
    """
    opened = FileSource(source, rate=rate)
    total = opened.info.frames if opened.info else None
    return veil_source(
        opened,
        Destination(os.fspath(dest), None if options is None else options.codec, literal=True),
        spec,
        options,
        watch=lambda status, image: progress(status.frames_out, total),
    )


def describe_encoder(spec: EncoderSpec, options: VeilOptions) -> str:
    """Return what a veiled video says of itself, in a line: encoder, geometry, guard."""
    geometry = NATIVE if options.native else str(spec.geometry)
    kind = "hard" if options.hard else "soft"
    guard = "" if options.guard else ", no guard"
    return one_line(
        f"motionveil {__version__}: {spec.method} {spec.fingerprint}, {kind}, {geometry}{guard}"
        f"{f', {spec.origin}' if spec.origin else ''}"
    )


def _listed(
    dest: str | Destination | Sequence[str | Destination] | None,
) -> Sequence[str | Destination]:
    if dest is None:
        return ()
    return (dest,) if isinstance(dest, str | Destination) else dest


NATIVE = "source's own size and rate, at which nothing was audited"


def _rate(encoder: StreamEncoder, info: VideoInfo) -> Fraction | None:
    return info.rate if encoder.geometry is None else encoder.geometry.frame_rate(info.rate)


class NoSink:
    """Takes frames and writes nothing: for a stream that is only shown."""

    name = "nowhere"

    def __init__(self) -> None:
        self.frames = 0

    def __enter__(self) -> NoSink:
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        """Count a frame."""
        self.frames += 1

    def __exit__(self, *error: object) -> None:
        return None
