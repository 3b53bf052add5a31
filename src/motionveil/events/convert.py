"""A video in, what an event camera would have given of it out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionveil.atomic_write import refuse_overwriting
from motionveil.errors import MotionveilError
from motionveil.events.camera import EventCamera, Events, event_frame, signed_counts
from motionveil.events.stream import SUFFIXES, check_stream, event_writer
from motionveil.methods import GREY
from motionveil.methods.dvs import EventSettings
from motionveil.video import Frame, VideoInfo, VideoSink, probe, read_frames
from motionveil.video.codecs import CODECS

Take = Callable[[Frame, Events], None]
"""Takes a frame and the events since the one before it."""


@dataclass(frozen=True)
class EventSummary:
    """What became of a video.

    Attributes:
        dest: Where the events were written.
        width: Columns of the sensor.
        height: Rows of the sensor.
        frames: Frames of the video.
        seconds: From its first frame to its last.
        positive: Events of pixels that became brighter.
        negative: Events of pixels that became darker.
    """

    dest: str
    width: int
    height: int
    frames: int
    seconds: float
    positive: int
    negative: int

    @property
    def events(self) -> int:
        """All events."""
        return self.positive + self.negative

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def simulate_video(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    settings: EventSettings,
    *,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> EventSummary:
    """Write what a simulated event camera gives of a video.

    Times are the video's own. A cut of an edited video gives events wherever the two scenes
    differ: nothing guards against that.

    Args:
        source: A video file, or a folder of frames; see `motionveil.video.read_frames`.
        dest: An event stream, `.txt` or `.raw` (see `event_writer`); or a video of event frames,
            `.mp4`, `.mkv` or `.webm`: a frame for each of the source with its timestamp, grey
            `17 y`, y of `event_frame`; the first is grey throughout.
        settings: The camera. Its rate is not used.
        progress: Called with the frames done and those declared, None if not known.

    Raises:
        MotionveilError: The source cannot be read whole or has one frame only, or `dest` is the
            source, of no known kind, or cannot be written.
    """
    target = Path(dest)
    if target.suffix.lower() in SUFFIXES:
        check_stream(target)
    elif target.suffix.lower() not in CODECS:
        raise MotionveilError(
            f"{target}: events go to .txt or .raw, event frames to {', '.join(CODECS)}"
        )
    refuse_overwriting([target], [source])
    info = probe(source)
    camera = EventCamera(settings, info.height, info.width)
    positive = total = frames = 0
    times: list[float] = []  # of the first frame and the last
    with _opened(target, info, settings) as take:
        for frame in read_frames(source):
            events = camera.events(frame.image, frame.time)
            take(frame, events)
            positive += int(np.count_nonzero(events["p"]))
            total += len(events)
            frames += 1
            times = [*times[:1], frame.time]
            progress(frames, info.frames)
        if frames < 2:
            raise MotionveilError(f"{source}: 1 frame, events need 2 or more")
    seconds = times[1] - times[0]
    return EventSummary(
        str(dest), info.width, info.height, frames, seconds, positive, total - positive
    )


@contextmanager
def _opened(dest: Path, info: VideoInfo, settings: EventSettings) -> Iterator[Take]:
    """Open the destination and yield what writes to it."""
    if dest.suffix.lower() in SUFFIXES:
        with event_writer(dest, width=info.width, height=info.height) as write:
            yield lambda frame, events: write(events)
        return
    with VideoSink(dest, rate=info.rate, time_base=info.time_base, aspect=info.aspect) as sink:

        def draw(frame: Frame, events: Events) -> None:
            counts = signed_counts(events, info.height, info.width)
            grey = np.rint(GREY * event_frame(counts, settings.full_scale)).astype(np.uint8)
            sink.write(np.repeat(grey[..., None], 3, axis=2), frame.pts)

        yield draw
