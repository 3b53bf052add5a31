"""The motion field, and its moments, on a stream: what `StreamEncoder` runs for both methods."""

from __future__ import annotations

import numpy as np

from motionveil.methods import GREY
from motionveil.methods.flow import FlowSettings, taps, velocity_bytes
from motionveil.methods.moments import CENTRE, MomentsSettings, RunningMoments, show_moments
from motionveil.spec import EncoderSpec
from motionveil.streaming.flow_field import (
    ROWS,
    Image,
    Room,
    blur_luma,
    solve,
    sum_products,
)

_ENTRIES = 1 << 15
"""Of the table that maps velocities to bytes; it is right to a tenth of a grey level."""


class FlowVeil:
    """Quantised velocities of coarse cells, right to one 8-bit level; keeps one blurred luma.

    Args:
        spec: An encoder of the method `flow`.
    """

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        settings = spec.settings
        assert isinstance(settings, FlowSettings)
        self._settings = settings
        span = np.linspace(-settings.range, settings.reach, _ENTRIES)
        self._table = velocity_bytes(settings, span, hard=hard)
        self._scale = np.float32((_ENTRIES - 1) / (settings.range + settings.reach))
        self.neutral = int(velocity_bytes(settings, np.zeros(1), hard=hard)[0])
        weights = taps(settings)
        self._colours = np.array(settings.colours, np.float32) / np.float32(255)
        self._blur_taps = weights.blur.astype(np.float32)
        self._taps = weights.cell.astype(np.float32)
        self._padded_taps = np.pad(self._taps, ROWS)
        self._room = Room.of((0, 0), settings.cell)

    def start(self, frame: Image) -> None:
        """Take a frame that has none before it."""
        if self._room.shape != frame.shape[:2]:
            self._room = Room.of(frame.shape[:2], self._settings.cell)
        self._blur(frame)

    def __call__(self, frame: Image, previous: Image, out: Image) -> None:
        """Write the velocities from the frame before, uint8 (ceil(h / cell), ceil(w / cell), 3)."""
        settings, room = self._settings, self._room
        if room.shape != frame.shape[:2]:
            self.start(previous)
            room = self._room
        before = room.now
        self._blur(frame)
        sum_products(before, room.now, self._padded_taps, settings.cell, room.products, room.sums)
        solve(
            room.sums,
            room.shape[1],
            self._taps,
            settings.cell,
            np.float32(settings.eps),
            np.float32(settings.range),
            self._scale,
            self._table,
            self.neutral,
            room.phases,
            room.means,
            out,
        )

    def _blur(self, frame: Image) -> None:
        room = self._room
        room.now, room.spare = room.spare, room.now
        blur_luma(
            frame.reshape(len(frame), -1), self._colours, self._blur_taps, room.lines, room.now
        )


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
