"""Motion moments in whole numbers, and by how much a relative moment can be off.

Velocities are the motion field's levels, k = -7 to 8 sevenths of the range. Of a part of n cells:

    place    a = 2 i + 1 of column i, likewise b of row j; a side has 2 w < 2^B          B <= 12
    sums     of |k_u| + |k_v|, times a and b, times their squares     + memory * sum before
             fractional bits E = 58 - bits(n) - P, less B, less 2 B                      below 2^62
    middle   first / mass, 63 - B fractional bits
    spread   square root of second / mass - middle^2, 31 - B bits, plus 0.04 of the side
    moment   q = sum k, and |sum k a - middle sum k| / spread; 58 - bits(n) - 2 P bits   below 2^62
    size     |q| + memory * size before; weight, 50 bits: 1 + memory * weight before
    relative |q| / (size / weight + 7 n floor), 40 bits; the level counts boundaries below

2^P is at least p = 1 / (1 - memory). A memory has 64 bits and is exact from 2^-11 on. Everything
is rounded down. A part where nothing moves now has moments of 0, and nothing is divided.

The bound, of moments over 7 n, for any fields so far. With places and spreads as shares of the
side, let M be the mass so far and the `TINY`, at least 1 where something moves, m the middle and s
the spread less L = 0.04, N = sum k (place - m); |N| <= M s by Cauchy and Schwarz, since what moves
now is part of the mass.

1. Sums are off by 1.125 p units, and what is rounded of `TINY`, so by h = (4.5 p + 5) 2^-E as
   shares of the side: the middle by h / (M - h), the second over the mass too, and s^2 by
   D = 3.01 h / (M - h) + 2^-58.
2. N is off by at most h M / (M - h), and what the middle loses in the product.
3. s is off by at most D / s and, by its own rounding, 2.5 * 2^-30. The first changes the moment by
   at most M s (D / s) / L^2, the second by its share 2.5 * 2^-30 / L.
4. So a moment x is off by e + k |x|, its running mean y by f + k' y, and the relative moment
   r = x / (y + floor) by at most (e + f r) / floor + (k + k') r, over 1 - f / floor - k'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionveil.export.flow_integer import (
    FlowNumbers,
    Whole,
    check_range,
    integer_flow,
    two_digits_up,
)
from motionveil.export.integer import Veil
from motionveil.methods import GREY
from motionveil.methods.moments import (
    CENTRE,
    LEAST_SPREAD,
    TINY,
    MomentsSettings,
    show_moments,
)
from motionveil.spec import EncoderSpec

LARGEST_GRID = 1024
"""Most cells along a side of the frame; of larger frames the output is the neutral frame."""

WORDS = 12
"""Running numbers of a part: weight, mass, first and second moments along x and y, six sizes."""

LARGEST_MEMORY, LEAST_FLOOR, LARGEST_FLOOR, LEAST_STEP, LARGEST_STEP = 0.999, 1e-4, 1.0, 1e-3, 1e3
"""Settings at which everything fits 64 bits."""

WEIGHT_BITS, RELATIVE_BITS, FLOOR_BITS, TINY_BITS = 50, 40, 58, 62
"""Fractional bits: of the weight, the relative moment, 7 times the floor, and of `TINY_MASS`."""

TINY_MASS, LEAST = round(TINY * CENTRE * 2**TINY_BITS), round(LEAST_SPREAD * 2**32)

SUMMARY = """\
 * Motion moments in whole numbers: the motion field of video, and of each of its {parts} columns
 * how it moves as a whole, so that a machine sees what people do and not who they are. It hides
 * what the encoder below was audited to hide."""

OUTPUT = """\
 * has one such pixel for each cell of {cell} x {cell}: of each of {parts} columns of cells the
 * upper half shows the moments along x and the lower those along y, the mean in R, the moments
 * along x and y in G and B, each one of {levels} levels. A frame says {bits:.1f} bits at most,
 * whatever is filmed. A frame of more than {largest} cells along a side gives the neutral frame."""

SHOW = """\
    mv_show_moments((uint64_t *)(sums + 5 * MV_ACTIVE * columns), out, columns, rows);
"""

EXACTNESS = """\
 * Exactness of the field: {field},
 * v the exact velocity. A relative moment r, of the levels of such fields, is off by
 * {least:.2g} + {share:.2g} |r| at most."""


@dataclass(frozen=True)
class MomentsNumbers:
    """The whole numbers of motion moments.

    Attributes:
        field: Those of the motion field, with hard levels.
        settings: The settings.
        memory: What the running sums keep, times 2^64.
        history: P, the bits of what a running sum has over one frame's.
        floor: 7 times the floor, times 2^58.
        boundaries: Of the relative moment's magnitude, ascending, times 2^40.
        shown: The byte of each level from -side to side.
    """

    template: ClassVar[str] = "flow.c.in"
    parts: ClassVar[dict[str, str]] = {"moments": "moments.c.in"}
    steps: ClassVar[bool] = True

    field: FlowNumbers
    settings: MomentsSettings
    memory: int
    history: int
    floor: int
    boundaries: tuple[int, ...]
    shown: tuple[int, ...]

    @property
    def table(self) -> NDArray[np.uint8]:
        """The byte of each velocity, 17 times its level."""
        return self.field.table

    @property
    def neutral(self) -> int:
        """The grey value of no motion, in [0, 255]."""
        return self.field.neutral

    def error(self, relative: float | NDArray[np.float64]) -> Any:
        """Return the most by which a relative moment can be off, given the levels of the field.

        Args:
            relative: The exact moment over its running mean and the floor, of any sign.
        """
        least, share = self._bound
        return least + share * np.abs(relative)

    @property
    def accuracy(self) -> str:
        """How `error` is described."""
        least, share = self._bound
        return f"{self.field.accuracy}; relative moments by {least:.2g} + {share:.2g} |r|"

    def state_size(self, width: int, height: int) -> int:
        """Return the bytes of state that the C file needs for working frames."""
        return self.field.state_size(width, height) + 8 * WORDS * self.settings.parts

    def values(self) -> dict[str, Any]:
        """Return what the template leaves open."""
        own, (least, share) = self.settings, self._bound
        about = own.model_dump() | {"bits": own.bits, "largest": LARGEST_GRID}
        return self.field.values() | {
            "summary": SUMMARY.format(parts=own.parts),
            "output": OUTPUT.format(**about),
            "exactness": EXACTNESS.format(field=self.field.accuracy, least=least, share=share),
            "running": WORDS * own.parts,
            "show": SHOW,
            "parts": own.parts,
            "largest_grid": LARGEST_GRID,
            "memory": self.memory,
            "history": self.history,
            "floor": self.floor,
            "tiny": TINY_MASS,
            "least": LEAST,
            "side": own.side,
            "boundaries": np.array(self.boundaries),
            "shown": np.array(self.shown),
        }

    def begin(self) -> Veil:
        """Return what veils working frames, each after the one before, from a start on."""
        running: list[tuple[slice, WholeMoments]] = []

        def veil(previous: NDArray[np.uint8], working: NDArray[np.uint8]) -> NDArray[np.uint8]:
            out = self.field.veil(previous, working)
            height, width = out.shape[:2]
            if max(height, width) > LARGEST_GRID:
                return np.full_like(out, self.neutral)
            levels = out[..., :2].astype(np.int64) // GREY - CENTRE
            if not running:
                running.extend(
                    (part, WholeMoments(self, (height, part.stop - part.start)))
                    for part in self.settings.columns(width)
                )
            for part, moments in running:
                out[:, part] = show_moments(
                    self.settings, moments(levels[:, part]), out[:, part].shape[:2]
                )
            return out

        return veil

    @property
    def _bound(self) -> tuple[float, float]:
        """The bound of a relative moment's error: the least, and per relative moment."""
        own, unit = self.settings, 2.0**-58
        p, room = 1 / (1 - own.memory), LEAST_SPREAD - 2.0**-29
        # Of n cells, at most 2^20: bits(n) is 2 n at most, so that most stands over n.
        sums = (4.5 * p + 5) * 2 * 2**self.history * unit  # h / n
        lost = 2 * 2 ** (2 * self.history) * unit / CENTRE  # a unit of a moment
        product = 1.01 * sums / CENTRE + 8 / CENTRE * 2.0**21 * unit
        squares = 3.02 * sums / CENTRE + 16 * p / CENTRE * unit
        moment = product / room + squares / room**2 + lost
        mean = moment + (1.125 * p + 2) * lost
        share = 2.5 * 2.0**-30 / room
        mean_share = share + 1.2 * p * 2.0**-WEIGHT_BITS + 2.0**-56 / own.floor
        left = 1 - mean / own.floor - mean_share
        least = moment / own.floor / left + 2.0**-RELATIVE_BITS
        return two_digits_up(least), two_digits_up((mean / own.floor + share + mean_share) / left)


class WholeMoments:
    """The six moments of a motion field, frame after frame, each over its running mean.

    What `motionveil.methods.moments.RunningMoments` computes, in whole numbers.

    Args:
        shape: Cells of the field, (h, w), at most `LARGEST_GRID` each.
    """

    def __init__(self, numbers: MomentsNumbers, shape: tuple[int, int]) -> None:
        rows, columns = shape
        self._numbers, self._sides, self._cells = numbers, (columns, rows), rows * columns
        y, x = (place.ravel() for place in np.indices(shape) * 2 + 1)
        ones = np.ones_like(x)
        self._of_mass = np.stack([ones, x, y, x * x, y * y], 1)
        self._of_field = np.stack([ones, x, y], 1)
        bits = self._cells.bit_length()
        self._side_bits = tuple((2 * side).bit_length() for side in self._sides)
        self._sum_bits = 58 - bits - numbers.history
        self._moment_bits = 58 - bits - 2 * numbers.history
        self._floor = numbers.floor * (self._cells << self._moment_bits + 6) >> 64
        self.running = [0] * WORDS

    def __call__(self, field: Whole) -> Whole:
        """Return the levels of the next frame's moments, each in [-side, side], (6,).

        Args:
            field: Velocities along x and y, levels from no motion on, whole, (h, w, 2).
        """
        boundaries = self._numbers.boundaries
        return np.array(
            [
                sum(abs(relative) > boundary for boundary in boundaries)
                * (-1 if relative < 0 else 1)
                for relative in self.relative(field)
            ],
            np.int64,
        )

    def relative(self, field: Whole) -> list[int]:
        """Return the next frame's relative moments, times 2^40, (6,)."""
        flat = field.reshape(-1, 2)
        mass = (np.abs(flat).sum(1) @ self._of_mass).tolist()
        along = (flat.T @ self._of_field).tolist()
        weight, *rest = [self._numbers.memory * value >> 64 for value in self.running]
        weight += 1 << WEIGHT_BITS
        lost = (0, *self._side_bits, *(2 * bits for bits in self._side_bits))
        sums = [
            kept + (new << self._sum_bits - bits)
            for kept, new, bits in zip(rest[:5], mass, lost, strict=True)
        ]
        moments = self._moments(sums, along) if mass[0] else [0] * 6
        sizes = [kept + abs(moment) for kept, moment in zip(rest[5:], moments, strict=True)]
        self.running = [weight, *sums, *sizes]
        return [
            _quotient(moment << RELATIVE_BITS, (size << WEIGHT_BITS) // weight + self._floor)
            for moment, size in zip(moments, sizes, strict=True)
        ]

    def _moments(self, sums: list[int], along: list[list[int]]) -> list[int]:
        mass, *rest = sums
        standard = [self._standard(mass, rest[axis], rest[2 + axis], axis) for axis in (0, 1)]
        found = []
        for mean, *firsts in along:
            found.append(mean << self._moment_bits)
            for axis, (middle, spread) in enumerate(standard):
                found.append(self._moment(mean, firsts[axis], middle, spread, axis))
        return found

    def _standard(self, mass: int, first: int, second: int, axis: int) -> tuple[int, int]:
        """Return the middle of what has moved along an axis, and its standard deviation + 0.04."""
        side, bits = self._sides[axis], self._side_bits[axis]
        tiny = TINY_MASS >> TINY_BITS - self._sum_bits
        mass += tiny
        middle = (first + (tiny * side >> bits) << 63) // mass
        square = (second + (tiny * side * side >> 2 * bits) << 62) // mass
        spread = math.isqrt(max(square - (middle * middle >> 64), 0))
        return middle, spread + (2 * side * LEAST >> bits + 1)

    def _moment(self, mean: int, first: int, middle: int, spread: int, axis: int) -> int:
        bits = self._cells.bit_length()
        number = (first << 59 - self._side_bits[axis] - bits) - mean * (middle >> 4 + bits)
        return _quotient(number << 30 - 2 * self._numbers.history, spread)


def integer_moments(spec: EncoderSpec, *, hard: bool = False) -> MomentsNumbers:
    """Bring motion moments to whole numbers.

    Args:
        spec: An encoder of the method `moments`.
        hard: Without effect: its levels are always steps.

    Raises:
        MotionveilError: A number is too large or too small for 64 bits.
    """
    own = spec.settings
    assert isinstance(own, MomentsSettings)
    check_range("moments", "memory", own.memory, 0, LARGEST_MEMORY)
    check_range("moments", "floor", own.floor, LEAST_FLOOR, LARGEST_FLOOR)
    check_range("moments", "step", own.step, LEAST_STEP, LARGEST_STEP)
    field = integer_flow(
        spec.model_copy(update={"method": "flow", "settings": own.field}), hard=True
    )
    memory = round(own.memory * 2**64)
    return MomentsNumbers(
        field=field,
        settings=own,
        memory=memory,
        history=next(p for p in range(64) if (2**64 - memory) << p >= 2**64),
        floor=round(CENTRE * own.floor * 2**FLOOR_BITS),
        boundaries=tuple(
            round((level - 0.5) * own.step * 2**RELATIVE_BITS) for level in range(1, own.side + 1)
        ),
        shown=tuple(shown_bytes(own).tolist()),
    )


def shown_bytes(settings: MomentsSettings) -> NDArray[np.uint8]:
    """Return the byte that shows each level from -side to side, uint8 (levels,)."""
    levels = range(-settings.side, settings.side + 1)
    return np.array(
        [show_moments(settings, np.full(6, level), (2, 1))[0, 0, 0] for level in levels], np.uint8
    )


def _quotient(number: int, divisor: int) -> int:
    """Return number / divisor, rounded towards zero."""
    return -(-number // divisor) if number < 0 else number // divisor
