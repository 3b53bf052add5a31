"""The event camera on a stream: what `StreamEncoder` runs for the method `dvs`."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from motionveil.events.camera import EventCamera, event_frame, luma
from motionveil.methods import GREY, LEVELS
from motionveil.methods.dvs import EventSettings
from motionveil.spec import EncoderSpec


class EventVeil:
    """Event frames of working frames, uint8 (h, w, 3); see `motionveil.encoders.DVS`.

    Args:
        spec: An encoder of the method `dvs`.
        hard: Has no meaning here.

    Raises:
        MotionveilError: A threshold is below 0.001.
    """

    neutral = round(GREY * LEVELS / 2)

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        assert isinstance(spec.settings, EventSettings)
        self._settings = spec.settings
        self._camera = EventCamera(self._settings, 1, 1)
        self._shape: tuple[int, ...] = ()

    def start(self, frame: NDArray[np.uint8]) -> None:
        """Set the pixels' references by a frame."""
        if self._shape != frame.shape:
            self._shape = frame.shape
            self._camera = EventCamera(self._settings, *frame.shape[:2])
        self._camera.reset(stream=zlib.crc32(luma(frame).tobytes()))
        self._camera.counts(frame)

    def __call__(
        self, frame: NDArray[np.uint8], previous: NDArray[np.uint8], out: NDArray[np.uint8]
    ) -> None:
        """Write the event frame of the next frame."""
        events = event_frame(self._camera.counts(frame), self._settings.full_scale)
        out[...] = np.rint(GREY * events)[..., None].astype(np.uint8)
