"""Veiled frames whose class is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionveil.video import VideoSink

REST, UNSURE = -1, 3


def veiled(shown: int, *, side: int = 16, width: int = 16) -> NDArray[np.uint8]:
    """Return a frame of one class (0 to 2), at rest, or off neutral in all channels alike."""
    frame = np.full((side, width, 3), 128, np.uint8)
    if shown == UNSURE:
        frame[:] = 200
    elif shown != REST:
        frame[..., shown] = 255
    return frame


def write_veiled(file: Path, shown: Sequence[int], *, rate: int = 10, side: int = 16) -> Path:
    """Write veiled frames as lossless video, the neutral frame first, as `encode` does."""
    with VideoSink(file, rate=rate) as sink:
        sink.write(veiled(REST, side=side))
        for one in shown:
            sink.write(veiled(one, side=side))
    return file
