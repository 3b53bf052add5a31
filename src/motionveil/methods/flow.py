"""The motion field: blur, optical flow of coarse cells, quantisation.

The difference of two frames is the scene's gradient times its motion, and the gradient is the
person. Solving for the motion divides the gradient out (Lucas and Kanade, "An iterative image
registration technique with an application to stereo vision", IJCAI 1981), with a noise floor in
place of a threshold: where there is no gradient, and where nothing moves, the velocity is 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from motionveil.methods import base
from motionveil.methods.base import GREY, LEVELS, Method, Settings, Sigma, Start

BLUR_RADIUS = 4
"""Pixels that the blur's Gaussian reaches to either side."""

WINDOW_RADIUS = 11
"""Pixels that the window's Gaussian reaches to either side of a pixel."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B (ITU-R BT.601)."""


class FlowSettings(Settings):
    """The numbers of the motion field; the defaults are those before training.

    Attributes:
        cell: Side of a cell in pixels of the working frame; a veiled frame has one value of each
            channel per cell.
        sigma: Standard deviation of the blur in pixels.
        window: Standard deviation of the window over which a velocity is estimated, in pixels.
        eps: Noise floor: added to the mean squared gradient (intensities in [0, 1], per pixel).
        range: r, the speed along an axis, in pixels per frame, of the outermost levels.
        boundaries: The N boundaries of the quantiser, ascending within [0, N]. Velocity u lies at
            `c (1 + u / r)`, c = N // 2 rounded down: zero in the middle of a step.
        hardness: H, the steepness of the soft quantiser.
        hard: Count boundaries instead of summing sigmoids.
        colours: Weights of R, G and B in the luma.
    """

    cell: int = Field(default=8, ge=1, le=64)
    sigma: Sigma = 1.5
    window: Sigma = 3.0
    eps: float = Field(default=1e-4, gt=0)
    range: float = Field(default=3.0, gt=0)
    boundaries: tuple[float, ...] = Field(
        default=base.even_boundaries(LEVELS), min_length=2, max_length=255
    )
    hardness: float = Field(default=5.0, gt=0)
    hard: bool = False
    colours: tuple[float, float, float] = LUMA

    @field_validator("boundaries")
    @classmethod
    def _check_boundaries(cls, row: tuple[float, ...]) -> tuple[float, ...]:
        base.check_boundaries(row)
        return row

    @property
    def centre(self) -> int:
        """Where zero velocity lies among the levels: c."""
        return len(self.boundaries) // 2

    @property
    def reach(self) -> float:
        """The velocity at which the last level is clamped; the first is clamped at -range."""
        return self.range * (len(self.boundaries) / self.centre - 1)


class Flow(Method):
    """Quantised velocities of coarse cells; a veiled frame is a grid of two small numbers."""

    name = "flow"
    label = "motion field"
    help = "quantised optical flow of coarse cells; the strength is alpha"
    settings = FlowSettings
    learned = adversarial = True
    after_training = frozenset({"hard"})
    encoder = "motionveil.encoders.flow:Flow"
    stream = "motionveil.streaming.flow:FlowVeil"
    onnx = "motionveil.export.flow_onnx:add_flow"
    c = "motionveil.export.flow_integer:integer_flow"
    colour, marker = "#009E73", "s"

    def start(self, start: Start, changes: Any) -> Settings | None:
        """Return the numbers before training; nothing is calibrated."""
        return self.change(None, {"hardness": start.hardness, **changes})

    def change(self, settings: Settings | None, changes: Any) -> Settings | None:
        """Return settings with some changed; `levels` sets evenly spaced boundaries."""
        known = dict(changes)
        if "levels" in known:
            known["boundaries"] = base.even_boundaries(int(known.pop("levels")))
        return super().change(settings, known)

    def check(self, changes: Any) -> dict[str, Any]:
        """Check settings that a name gives; `levels`, the number of boundaries, is among them."""
        own = {name: int(changes[name]) for name in ("levels",) if name in changes}
        given = {name: value for name, value in changes.items() if name not in own}
        if own:
            self.change(None, own)
        typed = super().check(given)
        return {name: own[name] if name in own else typed[name] for name in changes}

    def cell(self, settings: Any) -> int:
        """Return the side of a cell in pixels."""
        assert isinstance(settings, FlowSettings)
        return settings.cell

    def multiple_of(self, settings: Any) -> int:
        """Return twice the cell: the grid then has even sides, as video needs."""
        return 2 * self.cell(settings)


class Taps(NamedTuple):
    """The windows of a motion field as numbers.

    Attributes:
        blur: Of the blur, (9,), symmetric, sum 1.
        cell: Of a cell along an axis, (2 * 11 + cell,): the mean over the cell's pixels of the
            window's Gaussian, sum 1; the first belongs to the pixel 11 before the cell.
    """

    blur: NDArray[np.float64]
    cell: NDArray[np.float64]


def taps(settings: FlowSettings) -> Taps:
    """Return the windows of a motion field."""
    window = base.gaussian(settings.window, WINDOW_RADIUS)
    box = np.full(settings.cell, 1 / settings.cell)
    return Taps(base.gaussian(settings.sigma, BLUR_RADIUS), np.convolve(window, box))


def quantise_velocity(
    settings: FlowSettings, velocity: NDArray[Any], *, hard: bool = False
) -> NDArray[np.float64]:
    """Map velocities in pixels per frame, any shape, to levels in [0, 15], float64."""
    row, centre = settings.boundaries, settings.centre
    position = centre * (1 + np.asarray(velocity, np.float64) / settings.range)
    position = np.clip(position, 0, len(row))
    return base.quantise(position, row, settings.hardness, hard=hard or settings.hard)


def velocity_bytes(
    settings: FlowSettings, velocity: NDArray[Any], *, hard: bool = False
) -> NDArray[np.uint8]:
    """Return `round(17 y)` of velocities in pixels per frame, uint8 of the same shape."""
    return np.rint(GREY * quantise_velocity(settings, velocity, hard=hard)).astype(np.uint8)
