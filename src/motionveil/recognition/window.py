"""The last frames of a stream, in a ring: memory does not grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_GAP = 3.0
"""A clock that leaps by so many intervals has lost something."""


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
