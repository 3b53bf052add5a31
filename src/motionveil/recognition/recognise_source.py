"""A whole source through the veil, the window and the network, to the receivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event as Stop
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Answer, Event, Receiver
from motionveil.recognition.recognise_clip import VeiledFrames, check_veiled
from motionveil.recognition.recogniser import Recogniser
from motionveil.recognition.stream_recogniser import StreamOptions, StreamRecogniser
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.guard import Reason
from motionveil.streaming.pipeline import Pipeline
from motionveil.streaming.status import Status
from motionveil.video import DestinationState, Frame, Sink, Source, VideoInfo
from motionveil.video.types import Reports

Image = NDArray[np.uint8]

Show = Callable[[Image, float, "Answer | None"], None]
"""Called with each veiled frame, its time in seconds and the newest answer; the array is used
again afterwards."""

StatusCallback = Callable[[Status, Image], None]


@dataclass(frozen=True)
class RecognitionOptions:
    """How a source is recognised.

    Attributes:
        stream: How its windows are.
        veiled: It is veiled already.
        guard: See `motionveil.streaming.VeilOptions`.
        limit: Stop after so many frames; None for all.
    """

    stream: StreamOptions = field(default_factory=StreamOptions)
    veiled: bool = False
    guard: bool = True
    limit: int | None = None


@dataclass(frozen=True)
class RecognitionSummary:
    """What was recognised.

    Attributes:
        source: What was read.
        frames_in: Frames read.
        dropped: Frames of a live source for which there was no time.
        damaged: Frames that a stream left out since they, or others before them, were damaged.
        frames: Veiled frames that windows were made of.
        windows: Windows answered.
        breaks: Times at which the window began anew.
        events: Events that ended, by label.
        seconds: Time since the first frame.
        destinations: What became of the veiled frames for each destination.
    """

    source: str
    frames_in: int
    dropped: int
    damaged: int
    frames: int
    windows: int
    breaks: int
    events: dict[str, int]
    seconds: float
    destinations: tuple[DestinationState, ...] = ()


def recognise_source(
    source: Source,
    recogniser: Recogniser,
    receivers: Sequence[Receiver] = (),
    options: RecognitionOptions | None = None,
    *,
    stop: Stop | None = None,
    open_output: Callable[[VideoInfo, Fraction], Sink] | None = None,
    show: Show = lambda image, time, answer: None,
    watch: StatusCallback = lambda status, image: None,
) -> RecognitionSummary:
    """Name what is done in a source, and tell the receivers.

    A raw frame goes no further than the encoder. Reading, veiling and recognising each have a
    thread; of a live source the oldest frames are dropped when there is no time for them.

    Args:
        source: See `motionveil.video.open_source`.
        receivers: Called with every answer and event, in the thread of the caller.
        options: How; `RecognitionOptions()` if None.
        stop: Set it to end the source; events in progress are then reported as ended.
        open_output: Opens a sink for the veiled frames, each of which it is given; None for none.
        show: See `Show`.
        watch: As in `motionveil.streaming.veil_source`.

    Raises:
        MotionveilError: The source cannot be read whole, the encoder cannot stream, or the source
            is veiled and is not what the recogniser was trained on.
    """
    options = options or RecognitionOptions()
    run = _Run(recogniser, tuple(receivers), options, show)
    if options.veiled:
        return run.veiled(source, stop or Stop(), open_output, watch)
    return run.filmed(source, stop or Stop(), open_output, watch)


OpenOutput = Callable[[VideoInfo, Fraction], Sink]


class _Run:
    """One source on its way."""

    def __init__(
        self,
        recogniser: Recogniser,
        receivers: tuple[Receiver, ...],
        options: RecognitionOptions,
        show: Show,
    ) -> None:
        self.spec, self._options, self._show = recogniser.spec, options, show
        self._receivers = receivers
        self._stream = StreamRecogniser(recogniser, options.stream, told=self._answer)
        self._ended: dict[str, int] = {}
        self._destinations: Callable[[], list[DestinationState]] = list

    def filmed(
        self,
        source: Source,
        stop: Stop,
        open_output: OpenOutput | None,
        watch: StatusCallback,
    ) -> RecognitionSummary:
        """Veil a source and recognise it."""
        encoder = StreamEncoder(
            self.spec.stream_spec(), guard=Guard() if self._options.guard else None
        )

        def open_sink(info: VideoInfo, time_base: Fraction) -> Sink:
            inner = None if open_output is None else open_output(info, time_base)
            self._follow(inner, pipeline.status)
            return _Tap(inner, time_base, lambda: pipeline.status.guard, self.take)

        pipeline = Pipeline(
            source,
            encoder,
            open_sink,
            limit=self._options.limit,
            stop=stop,
            watch=lambda image: watch(pipeline.status, image),
        )
        status = pipeline.run()
        self._tell(self._stream.finish())
        return self._summary(source, status.frames_in, status.dropped, status.seconds)

    def veiled(
        self,
        source: Source,
        stop: Stop,
        open_output: OpenOutput | None,
        watch: StatusCallback,
    ) -> RecognitionSummary:
        """Recognise a source that is veiled already."""
        seen, count, sink, status = VeiledFrames(self.spec), 0, None, Status()
        try:
            for count, frame in enumerate(source.frames(stop), 1):
                if count == 1:
                    assert source.info is not None, "known when the first frame is there"
                    check_veiled(source.name, source.info, self.spec)
                    if open_output is not None:
                        sink = open_output(source.info, frame.time_base)
                        self._follow(sink, status)
                        sink.__enter__()
                read, reason = monotonic(), seen.reason(frame)
                self.take(frame.image, frame.time, reason)
                if sink is not None:
                    sink.write(frame.image, frame.pts)
                _count(status, frame, read, reason)
                watch(status, frame.image)
                if count == self._options.limit or stop.is_set():
                    break
        except BaseException as error:
            if sink is not None:
                sink.__exit__(type(error), error, error.__traceback__)
            raise
        if sink is not None:
            sink.__exit__(None, None, None)
        self._tell(self._stream.finish())
        return self._summary(source, count, 0, 0.0)

    def _follow(self, sink: Sink | None, status: Status) -> None:
        if isinstance(sink, Reports):
            self._destinations = status.destinations = sink.states

    def take(self, image: Image, time: float, guarded: Reason | None) -> None:
        """Recognise a veiled frame, tell who is to be told, and show it."""
        self._tell(self._stream(image, time, guarded=guarded))
        self._show(image, time, self._stream.newest)

    def _answer(self, answer: Answer) -> None:
        for receiver in self._receivers:
            receiver.answer(answer)

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.end is not None:
                self._ended[event.label] = self._ended.get(event.label, 0) + 1
            for receiver in self._receivers:
                receiver.event(event)

    def _summary(
        self, source: Source, frames_in: int, dropped: int, seconds: float
    ) -> RecognitionSummary:
        if frames_in == 0:
            raise MotionveilError(f"{source.name}: gave no frame")
        return RecognitionSummary(
            source=source.name,
            frames_in=frames_in,
            dropped=dropped,
            damaged=source.damaged,
            frames=self._stream.frames,
            windows=self._stream.windows,
            breaks=self._stream.breaks,
            events=self._ended,
            seconds=seconds,
            destinations=tuple(self._destinations()),
        )


def _count(status: Status, frame: Frame, read: float, guarded: Reason | None) -> None:
    """Count a frame that came veiled, was read at a time and has been recognised now."""
    arrived = read if frame.arrived is None else frame.arrived
    if status.started is None:
        status.started = arrived
    status.frames_in += 1
    status.height, status.width = frame.image.shape[:2]
    status.guard = guarded
    if guarded is not None:
        status.guarded[guarded] += 1
    status.wrote(arrived)


class _Tap:
    """A sink that has each veiled frame recognised, and passes it on to another sink if any."""

    name = "recogniser"

    def __init__(
        self,
        inner: Sink | None,
        time_base: Fraction,
        guarded: Callable[[], Reason | None],
        take: Callable[[Image, float, Reason | None], None],
    ) -> None:
        self._inner, self._time_base = inner, time_base
        self._guarded, self._take = guarded, take
        self.frames = 0

    def __enter__(self) -> _Tap:
        if self._inner is not None:
            self._inner.__enter__()
        return self

    def write(self, image: Image, pts: int | None = None) -> None:
        """Take a veiled frame."""
        assert pts is not None, "the pipeline gives every frame its timestamp"
        self._take(image, float(pts * self._time_base), self._guarded())
        if self._inner is not None:
            self._inner.write(image, pts)
        self.frames += 1

    def __exit__(self, *error: Any) -> None:
        if self._inner is not None:
            self._inner.__exit__(*error)
