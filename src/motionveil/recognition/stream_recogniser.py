"""A stream of veiled frames in, answers and events out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Answer, Event
from motionveil.recognition.recogniser import Recogniser
from motionveil.recognition.smoothing import EventTracker, Smoother, SmoothingOptions
from motionveil.streaming.guard import Reason

Image = NDArray[np.uint8]

_GAP = 3.0
"""A clock that leaps by so many intervals has lost something."""

BREAKS: frozenset[Reason] = frozenset({"first", "size", "fresh", "gap"})
"""Reasons for a neutral frame after which the window is reset. In all other cases the stream
goes on, and the neutral frame takes its place in the window, as it did in training."""

_MOST_GUARDED = 0.5
"""A window of which more is guarded shows too little to be asked about."""

_TOO_EARLY = 1e-6  # seconds by which rounded timestamps may be off


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is recognised.

    Attributes:
        stride: Seconds between two windows.
        half_life: Seconds after which a window weighs half in the moving average; 0 for none.
        shortest: Seconds for which a label must hold before it is reported.
        threshold: Smoothed probability from which on an action is named; the recogniser's if None.
        leave: Share of the threshold down to which an action that is named stays.
        top: How many classes an answer lists.

    Raises:
        MotionveilError: A value is out of its range.
    """

    stride: float = 0.25
    half_life: float = 0.125
    shortest: float = 0.4
    threshold: float | None = None
    leave: float = 0.7
    top: int = 1

    def __post_init__(self) -> None:
        if not self.stride > 0:
            raise MotionveilError(f"stride {self.stride:g}: give seconds above 0")
        if min(self.half_life, self.shortest) < 0:
            raise MotionveilError("half-life and shortest event are seconds of 0 or more")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise MotionveilError(f"threshold {self.threshold:g}: a probability is in [0, 1]")
        if not 0 <= self.leave <= 1:
            raise MotionveilError(f"leave {self.leave:g}: a share is in [0, 1]")


class StreamRecogniser:
    """Names actions in one stream of veiled frames, each of which it is given once.

    Args:
        options: How; `StreamOptions()` if None.
        told: Called with the answer of each window.

    Attributes:
        newest: The answer of the last window; None before the first and after a break.
        frames: Veiled frames taken.
        windows: Windows answered.
        breaks: Times at which the window began anew, the stream's start not among them.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        options: StreamOptions | None = None,
        *,
        told: Callable[[Answer], None] = lambda answer: None,
    ) -> None:
        self.spec = spec = recogniser.spec
        self.options = options = options or StreamOptions()
        self._recogniser, self._told = recogniser, told
        enter = spec.calibration.threshold if options.threshold is None else options.threshold
        smoothing = SmoothingOptions(
            half_life=options.half_life,
            enter=enter,
            leave=enter * options.leave,
            shortest=options.shortest,
            top=options.top,
        )
        self._window = Window(spec.frames, spec.input.size, spec.geometry.rate)
        self._smoother = Smoother(spec.actions, smoothing)
        # A window waits for its frame, up to an interval; two may be closer than a stride by that.
        self._events = EventTracker(max(0.0, options.shortest - 1 / spec.geometry.rate))
        self._due: float | None = None
        self.newest: Answer | None = None
        self.frames = self.windows = self.breaks = 0

    def __call__(
        self, veiled: NDArray[np.uint8], time: float, *, guarded: Reason | None = None
    ) -> list[Event]:
        """Take the next veiled frame, and return what begins or ends.

        Args:
            veiled: uint8 (h, w, 3), as the encoder writes it.
            time: Its timestamp in seconds. A clock that leaps or goes back begins a new window.
            guarded: Why it is the neutral frame; None if it is not.
        """
        ended: list[Event] = []
        if self._window.is_gap(time) or guarded in BREAKS:
            ended = self.interrupt()
        if guarded in BREAKS:
            return ended
        image = self.spec.input.image(veiled)
        self._window.add(image, time, moved=self._moved(image), guarded=guarded is not None)
        self.frames += 1
        if not self._window.full or (self._due is not None and time < self._due - _TOO_EARLY):
            return ended
        # By the stream's own clock, so that windows do not drift; not to catch up after a stall.
        due = time if self._due is None else self._due
        self._due = max(due, time - self.options.stride) + self.options.stride
        return ended + self._ask()

    def interrupt(self) -> list[Event]:
        """Forget the frames so far, and return what ends by it: what comes next is another scene.

        A window that was never full is not asked about.
        """
        if not len(self._window):
            return []
        self.breaks += 1
        self._window.clear()
        self._smoother.reset()
        self._due = self.newest = None
        return self._events.end()

    def finish(self) -> list[Event]:
        """End the stream, and return what ends by it; its last window is asked about in any case.

        A stream of at least two frames that was shorter than a window is answered once, its last
        frame repeated, as clips that are too short are in training.
        """
        events: list[Event] = []
        if self.windows == 0 and self.breaks == 0 and len(self._window) > 1:
            self._events = EventTracker(0)
            events = self._ask()
        elif self.newest is not None and self.newest.time < self._window.end:
            events = self._ask()
        return events + self._events.end()

    def _ask(self) -> list[Event]:
        """Answer the window as it is."""
        window = self._window
        at = (window.end, window.start)
        limit = self.spec.no_motion
        if window.guarded > _MOST_GUARDED:
            answer = self._smoother.unknown(*at)
        elif limit is not None and window.moved < limit.share:
            answer = self._smoother.rest(*at, 1 - window.moved)
        else:
            answer = self._smoother(*at, self._recogniser.probabilities(window.images()))
        self.windows += 1
        self.newest = answer
        self._told(answer)
        return self._events(answer)

    def _moved(self, image: NDArray[np.uint8]) -> float:
        """Return the share of an image's values that are off neutral."""
        limit = self.spec.no_motion
        return 1.0 if limit is None else share_moved(image, limit.neutral, limit.tolerance)


def share_moved(images: NDArray[np.uint8], neutral: int, tolerance: int) -> float:
    """Return the share of values of images, uint8, that are off neutral by over a tolerance."""
    low, high = max(0, neutral - tolerance), min(255, neutral + tolerance)
    # Unsigned: what is below `low` wraps around and is above, too.
    return float(np.count_nonzero(images - np.uint8(low) > np.uint8(high - low))) / images.size


class Window:
    """The newest frames of one stream as the network sees them.

    Args:
        frames: How many it holds.
        size: Side of a frame in pixels.
        rate: Frames a second at the most.
    """

    def __init__(self, frames: int, size: int, rate: float) -> None:
        self._interval = 1 / rate
        self._images = np.empty((frames, size, size, 3), np.uint8)
        self._times = np.empty(frames)
        self._moved = np.empty(frames)
        self._guarded = np.empty(frames, bool)
        self.clear()

    def clear(self) -> None:
        """Forget all frames."""
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, len(self._images))

    @property
    def full(self) -> bool:
        """Whether there are as many frames as it holds."""
        return self._count >= len(self._images)

    def is_gap(self, time: float) -> bool:
        """Say whether a frame of this time does not follow the newest: lost time, or a new clock.

        More than three intervals have passed, by the rate or by the frames there; or none has.
        """
        if not self._count:
            return False
        last = self._times[(self._count - 1) % len(self._times)]
        usual = (last - self.start) / (len(self) - 1) if len(self) > 1 else 0.0
        passed = time - last
        return bool(passed <= 0 or passed > _GAP * max(self._interval, usual))

    def add(self, image: Image, time: float, *, moved: float, guarded: bool) -> None:
        """Take a frame in place of the oldest.

        Args:
            image: uint8 (size, size, 3).
            time: Its timestamp in seconds.
            moved: Share of its values that are off neutral.
            guarded: Whether it is neutral since two frames had no valid difference.
        """
        place = self._count % len(self._images)
        self._images[place], self._times[place] = image, time
        self._moved[place], self._guarded[place] = moved, guarded
        self._count += 1

    @property
    def start(self) -> float:
        """Timestamp of the oldest frame; there must be one."""
        return float(self._times[self._count % len(self._times) if self.full else 0])

    @property
    def end(self) -> float:
        """Timestamp of the newest frame; there must be one."""
        return float(self._times[(self._count - 1) % len(self._times)])

    @property
    def moved(self) -> float:
        """Mean share of values that are off neutral."""
        return float(self._moved[: len(self)].mean())

    @property
    def guarded(self) -> float:
        """Share of the frames that are guarded."""
        return float(self._guarded[: len(self)].mean())

    def images(self) -> Image:
        """Return the frames in their order, uint8 (frames, size, size, 3).

        Where there are fewer, the newest is repeated, as clips that are too short are in training.
        """
        frames = len(self._images)
        first = self._count % frames if self.full else 0
        order = np.minimum(np.arange(frames), len(self) - 1)
        return self._images[(first + order) % frames]
