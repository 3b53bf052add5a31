"""Motion moments on a stream: what `StreamEncoder` runs for the method `moments`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionveil.methods import GREY
from motionveil.methods.moments import CENTRE, MomentsSettings, RunningMoments, show_moments
from motionveil.spec import EncoderSpec
from motionveil.streaming.flow import FlowVeil

Image = NDArray[np.uint8]


class MomentsVeil:
    """Sums up the motion field of each frame; keeps a blurred luma and eleven running means a part.

    Args:
        spec: An encoder of the method `moments`.
        hard: Without effect: its levels are always steps.
    """

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        settings = spec.settings
        assert isinstance(settings, MomentsSettings)
        self._settings = settings
        field = spec.model_copy(update={"method": "flow", "settings": settings.field})
        self._flow = FlowVeil(field, hard=True)
        self.neutral = self._flow.neutral
        self._parts: list[tuple[slice, RunningMoments]] = []
        self._field = np.empty((0, 0, 3), np.uint8)

    def start(self, frame: Image) -> None:
        """Take a frame that has none before it; what was running is forgotten."""
        self._flow.start(frame)
        self._parts = []

    def __call__(self, frame: Image, previous: Image, out: Image) -> None:
        """Write the moments since the frame before, uint8 (ceil(h / cell), ceil(w / cell), 3)."""
        height, width = out.shape[:2]
        if not self._parts or self._field.shape != out.shape:
            self._field = np.empty(out.shape, np.uint8)
            self._parts = [
                (part, RunningMoments(self._settings, (height, part.stop - part.start)))
                for part in self._settings.columns(width)
            ]
        self._flow(frame, previous, self._field)
        velocity = self._field[..., :2] / (GREY * CENTRE) - 1
        for part, running in self._parts:
            shown = out[:, part]
            shown[...] = show_moments(self._settings, running(velocity[:, part]), shown.shape[:2])
