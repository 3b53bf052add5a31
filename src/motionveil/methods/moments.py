"""Motion moments: how parts of the picture move as a whole, in six small numbers per frame.

The motion field says where something moves, and that outlines a person. What is being done lies in
how the motion changes over time. So the field of each part is summed up: its mean, and its first
moments about the middle of what moves (translation, expansion, rotation and shear, as of an affine
motion), each over its own running mean, which takes size, speed and build away; then a few levels
are left.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from motionveil.methods.base import GREY, LEVELS, Method, Settings, Sigma
from motionveil.methods.flow import LUMA, FlowSettings

Floats = NDArray[np.float64]

LEAST_SPREAD = 0.04
"""Added to how far the motion spreads, as a share of the frame's side: of one cell nothing is 0."""

TINY = 1e-6
"""Added to all motion so far, so that nothing is divided by zero where nothing has moved."""

CENTRE = LEVELS // 2
"""The level of no motion, of the field and of what is shown."""


class MomentsSettings(Settings):
    """The numbers of motion moments; none is learned.

    Attributes:
        cell: Side in pixels of a cell of the motion field, and of a value of the veiled frame.
        sigma, window, eps, range, colours: Of the motion field, see `FlowSettings`; its velocities
            are rounded to 15 levels, of which the middle one is a dead zone around 0.
        memory: Weight that the running means keep from one frame to the next: with 0.9 half is
            forgotten in about seven frames.
        floor: Added to a moment's running mean before it divides; a moment of 1 is motion of
            `range` everywhere.
        levels: Levels of each moment, odd.
        step: Distance between two levels, in running means.
        parts: Columns into which the image is divided, each with moments of its own, so that
            people who stand side by side are not merged.
    """

    cell: int = Field(default=8, ge=1, le=64)
    sigma: Sigma = 1.5
    window: Sigma = 3.0
    eps: float = Field(default=1e-4, gt=0)
    range: float = Field(default=3.0, gt=0)
    colours: tuple[float, float, float] = LUMA
    memory: float = Field(default=0.9, ge=0, lt=1)
    floor: float = Field(default=0.01, gt=0)
    levels: int = Field(default=3, ge=3, le=15)
    step: float = Field(default=0.5, gt=0)
    parts: int = Field(default=3, ge=1, le=16)

    @field_validator("levels")
    @classmethod
    def _check_levels(cls, count: int) -> int:
        if count % 2 == 0:
            raise ValueError(f"{count} levels have none for no motion: an odd number is needed")
        return count

    @property
    def field(self) -> FlowSettings:
        """The motion field that is summed up."""
        names = ("cell", "sigma", "window", "eps", "range", "colours")
        return FlowSettings(hard=True, **{name: getattr(self, name) for name in names})

    @property
    def side(self) -> int:
        """Levels to either side of no motion."""
        return self.levels // 2

    @property
    def bits(self) -> float:
        """What a veiled frame can say at most, in bits, whatever its size."""
        return float(6 * self.parts * np.log2(self.levels))

    def columns(self, width: int) -> list[slice]:
        """Return which columns of a grid of this width each part has; no part is empty."""
        bounds = [width * n // self.parts for n in range(self.parts + 1)]
        return [slice(a, b) for a, b in itertools.pairwise(bounds) if a < b]


class Moments(Method):
    """Six moments of the motion field of each part, each over its running mean, in few levels."""

    name = "moments"
    label = "motion moments"
    help = "six moments of the optical flow of each third of the image, in three levels"
    settings = MomentsSettings
    encoder = "motionveil.encoders.moments:Moments"
    stream = "motionveil.streaming.flow:MomentsVeil"
    onnx = "motionveil.export.moments_onnx:add_moments"
    c = "motionveil.export.moments_integer:integer_moments"
    guarded = False  # a few levels are no picture, whatever happens
    colour, marker = "#CC79A7", "D"

    def cell(self, settings: Any) -> int:
        """Return the side of a cell in pixels."""
        assert isinstance(settings, MomentsSettings)
        return settings.cell

    def multiple_of(self, settings: Any) -> int:
        """Return twice the cell: the grid then has even sides, as video needs."""
        return 2 * self.cell(settings)


class RunningMoments:
    """The six moments of a motion field, frame after frame, each over its running mean.

    Args:
        shape: Cells of the field, (h, w).
    """

    def __init__(self, settings: MomentsSettings, shape: tuple[int, int]) -> None:
        self._settings = settings
        self._y, self._x = (centres(side) for side in shape)
        self._weight = 0.0
        self._where = np.zeros(5)
        self._size = np.zeros(6)

    def __call__(self, field: NDArray[Any]) -> NDArray[np.int64]:
        """Return the levels of the next frame's moments, each in [-side, side], (6,).

        Args:
            field: Velocities along x and y as shares of the range, (h, w, 2).

        Returns:
            Of the velocities along x their mean and moments along x and y, and likewise along y.
        """
        settings, memory = self._settings, self._settings.memory
        moving = np.abs(field).sum(2)
        rows, columns = moving.sum(1), moving.sum(0)
        x, y = self._x, self._y
        found = (rows.sum(), columns @ x, rows @ y, columns @ (x * x), rows @ (y * y))
        self._weight = memory * self._weight + 1
        self._where = memory * self._where + np.array(found)
        along = self._standard(x, self._where[1], self._where[3])[None, :, None]
        down = self._standard(y, self._where[2], self._where[4])[:, None, None]
        moments = np.stack(
            [field.mean((0, 1)), (field * along).mean((0, 1)), (field * down).mean((0, 1))], 1
        ).ravel()
        self._size = memory * self._size + np.abs(moments)
        relative = moments / (self._size / self._weight + settings.floor)
        levels = np.rint(relative / settings.step).astype(np.int64)
        return np.asarray(levels.clip(-settings.side, settings.side))

    def _standard(self, places: Floats, first: float, second: float) -> Floats:
        """Return places from the middle of what has moved, in its standard deviations."""
        total = self._where[0] + TINY
        middle = first / total
        spread = np.sqrt(max(second / total - middle**2, 0)) + LEAST_SPREAD
        return np.asarray((places - middle) / spread)


def centres(side: int) -> Floats:
    """Return where the middles of cells along a side lie, in (-0.5, 0.5), float64."""
    return np.asarray((np.arange(side) + 0.5) / side - 0.5)


def show_moments(
    settings: MomentsSettings, levels: NDArray[Any], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return a picture of the levels of these moments, (6,): uint8 (h, w, 3).

    The upper half shows those along x and the lower half those along y: the mean in red, the
    moments along x and y in green and blue. So networks for pictures, which see colours better than
    places, can read them; 17 grey levels are one of 0 to 15, as in every veiled frame, 7 is none.
    """
    height, width = shape
    shown = CENTRE * (1 + np.asarray(levels, np.float64) / settings.side)
    halves = np.rint(GREY * shown).astype(np.uint8).reshape(2, 1, 1, 3)
    upper = (height + 1) // 2
    return np.broadcast_to(halves.repeat((upper, height - upper), 0)[:, 0], (height, width, 3))
