"""What a running pipeline has done so far."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from fractions import Fraction

from motionveil.streaming.guard import Reason
from motionveil.video import DestinationState

Stat = float | int | str | None | list[dict[str, float | int | str | None]]
"""A number that the preview shows; of several destinations, what is known of each."""

_SHORTEST = 1e-5  # seconds
_BINS_PER_DECADE = 200  # 1.2 % wide each
_DECADES = 8  # up to 1000 s


class Latency:
    """A histogram of waiting times: constant memory, percentiles to about 1 %.

    Attributes:
        total: Seconds waited by all together.
    """

    def __init__(self) -> None:
        self._bins = [0] * (_DECADES * _BINS_PER_DECADE + 1)
        self._count = 0
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one wait, in seconds."""
        self._bins[_place(seconds)] += 1
        self._count += 1
        self.total += seconds

    def at_most(self, bounds: Sequence[float]) -> list[int]:
        """Return how many waits were not longer than each bound in seconds, to about 1 %."""
        seen = list(itertools.accumulate(self._bins))
        return [seen[_place(bound)] for bound in bounds]

    def percentile(self, percent: float) -> float | None:
        """Return the wait, in seconds, that `percent` of the frames do not exceed; None if none."""
        if self._count == 0:
            return None
        wanted = max(1, math.ceil(self._count * percent / 100))
        seen = itertools.accumulate(self._bins)
        place = next(place for place, number in enumerate(seen) if number >= wanted)
        return _SHORTEST * 10 ** ((place + 0.5) / _BINS_PER_DECADE)


def _place(seconds: float) -> int:
    """Return the bin of a wait."""
    place = math.log10(max(seconds, _SHORTEST) / _SHORTEST) * _BINS_PER_DECADE
    return min(int(place), _DECADES * _BINS_PER_DECADE)


class Status:
    """Counts of one run. One thread writes each of them; any may read.

    Attributes:
        frames_in: Frames that the source gave.
        frames_out: Frames written.
        left_out: Frames that came too early for the encoder's rate.
        dropped: Frames of a live source for which there was no time.
        damaged: Frames that a stream left out since they, or others before them, were damaged.
        guarded: Neutral frames by reason; the first frame is one.
        guard: Why the newest frame written is neutral; None if it is a difference.
        latency: From a frame's arrival in this process to the end of its writing.
        destinations: Returns what became of the frames for each destination.
        width: Pixels of a frame as it is written; 0 before the first.
        height: Likewise.
        aspect: How much wider than high a pixel of a frame is shown as it is written.
        started: `time.monotonic()` of the first frame's arrival; None before.
        ended: Nothing follows.
    """

    def __init__(self) -> None:
        self.frames_in = self.frames_out = self.left_out = self.dropped = 0
        self.damaged = 0
        self.guarded: Counter[Reason] = Counter()
        self.guard: Reason | None = None
        self.latency = Latency()
        self.destinations: Callable[[], list[DestinationState]] = list
        self.width = self.height = 0
        self.aspect = Fraction(1)
        self.started: float | None = None
        self.ended = False
        self._written: deque[float] = deque(maxlen=60)

    def wrote(self, arrived: float) -> None:
        """Count a frame that has been written now."""
        now = time.monotonic()
        self.frames_out += 1
        self.latency.add(now - arrived)
        self._written.append(now)

    @property
    def taken(self) -> int:
        """Frames that were veiled: neither dropped nor left out."""
        return self.frames_in - self.dropped - self.left_out

    @property
    def seconds(self) -> float:
        """Time since the first frame."""
        return 0.0 if self.started is None else time.monotonic() - self.started

    @property
    def fps(self) -> float | None:
        """Frames a second, over the last 60 frames; None before there are two."""
        stamps = list(self._written)
        if len(stamps) < 2 or stamps[-1] == stamps[0]:
            return None
        return (len(stamps) - 1) / (stamps[-1] - stamps[0])

    def snapshot(self) -> dict[str, Stat]:
        """Return the numbers that the preview shows."""
        p50, p95 = self.latency.percentile(50), self.latency.percentile(95)
        return {
            "width": self.width,
            "height": self.height,
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "left_out": self.left_out,
            "dropped": self.dropped,
            "damaged": self.damaged,
            "guarded": sum(self.guarded.values()),
            "guard": self.guard,
            "fps": self.fps,
            "latency_p50_ms": None if p50 is None else p50 * 1e3,
            "latency_p95_ms": None if p95 is None else p95 * 1e3,
            "destinations": [asdict(state) for state in self.destinations()],
            "seconds": self.seconds,
            "ended": self.ended,
        }
