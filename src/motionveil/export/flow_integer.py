"""The motion field in whole numbers, and by how much its velocities can be off.

    luma     weights of 40 bits times 8-bit values, rounded        [0, F], F = 255 * 2^22 < 2^30
    blur     9 taps of sum 2^32 along x, then y, each rounded      [0, F]
    d, t     4 F I_x, 4 F I_y; F I_t                               below 2^31, 2^30
    product  d d / 2^32 and d t / 2^30, rounded                    16 F^2 / 2^32 to a squared unit
    mean     22 + c taps of sum 2^31 along x, rounded to 31 bits;
             then along y, not rounded                             below 2^62, 8 F^2 to a unit
    A, b     + eps; A shifted to 31 bits, b to 30, rounded         per cell
    n, det   determinants                                          at most 2^62
    entry    n 2^k / det, rounded, clamped to the table            velocity in 2^-k pixels per frame

Everything fits 64 bits. Halves are rounded away from zero. The luma is divided by the sum of the
absolute weights, and eps by its square, which changes no velocity; a negative weight takes 255
minus its value, which adds a constant, and no derivative sees it.

The bound. Let g be the gradient and t the difference of two exact frames, w the window's weights
(sum at most 1), A = sum w g g^T, b = sum w g t, v = -(A + eps)^-1 b.

1. With g + a and t + s in place of g and t the velocity v' satisfies
   (A' + eps)(v' - v) = -sum w [(g + a)(s + a.v) + a (t + g.v)]. For a ridge regression
   |(A' + eps)^-1 sum w g' f| <= max |f| / (2 sqrt eps), and (t + g.v) has a mean square under w of
   at most that of t, 1. So |v' - v| <= (|s| + |a| |v|) / (2 sqrt eps) + |a| / eps. A blurred value
   is off by at most D, so a by at most sqrt(2) D and s by 2 D.
2. With entries of A off by p and entries of b by q,
   |v'' - v'| <= (sqrt(2) q + 2 p |v'|) / (eps - 2 p). These are the roundings of products, rows
   and A and b themselves, and the rounded weights: |I_x I_y| <= 1/4 and |I_x I_t| <= 1/2.
3. The table is read at the next entry: half a step, 2^-(k+1); or none where levels are steps and
   evenly spaced, for b is then made smaller, by less than an entry in each level, so that levels
   begin half-way between two entries: it costs another rounding of b. Bits lost in dividing are
   below 2^-37 / sqrt(eps) + 2^-38 |v|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.export.integer import Veil
from motionveil.methods.base import even_boundaries
from motionveil.methods.flow import (
    BLUR_RADIUS,
    WINDOW_RADIUS,
    FlowSettings,
    taps,
    velocity_bytes,
)
from motionveil.spec import EncoderSpec

Whole = NDArray[np.int64]

COLOUR_BITS, BLUR_BITS, CELL_BITS = 40, 32, 31
"""Logarithms of the sums of the weights: of the colours, the blur, and a cell along an axis."""

LUMA_SHIFT = 18
"""Bits that the luma loses; white is then `WHITE`."""

WHITE = 255 << (COLOUR_BITS - LUMA_SHIFT)

LARGEST_TABLE = 8192
"""Most entries of the table, each a byte."""

LEAST_EPS, LARGEST_EPS = 1e-7, 0.25
"""Noise floors, for colours whose weights add up to 1, at which everything fits 64 bits."""

LEAST_RANGE, LARGEST_RANGE = 0.01, 1000.0
"""r, in pixels per frame, likewise."""

SUMMARY = """\
 * The motion field in whole numbers: blur, optical flow of coarse cells and quantisation of video,
 * so that a machine sees what people do and not who they are. It hides what the encoder below was
 * trained and audited to hide."""

SCALE = """\
    xt = mv_round(xt * INT64_C({scale}), 31);
    yt = mv_round(yt * INT64_C({scale}), 31);
"""

OUTPUT = """\
 * has one such pixel for each cell of {cell} x {cell}: the velocity along x, that along y, and the
 * grey of no motion; 17 grey levels to a level of 0 to 15."""

EXACTNESS = """\
 * Exactness: {accuracy},
 * v the exact velocity; for any two frames."""


@dataclass(frozen=True)
class FlowNumbers:
    """The whole numbers of a motion field.

    Attributes:
        cell: Side of a cell in pixels.
        colours: Absolute weights of R, G and B, sum 2^40.
        flips: 255 for each colour whose weight is negative, else 0.
        blur: The nine taps, sum 2^32.
        window: The taps of a cell along an axis, sum 2^31.
        eps: The noise floor, as it is added to the means.
        bits: k: an entry of the table spans 2^-k pixels per frame.
        table: uint8: the veiled value of each entry.
        zero: The entry of no motion.
        scale: Times 2^31, what b is multiplied by; 0 if by nothing.
        steps: Whether it quantises in steps.
        reach: The fastest speed along an axis that the levels tell apart, in pixels per frame.
        still, speed: See `error`.
    """

    template: ClassVar[str] = "flow.c.in"
    parts: ClassVar[dict[str, str]] = {}

    cell: int
    colours: Whole
    flips: Whole
    blur: Whole
    window: Whole
    eps: int
    bits: int
    table: NDArray[np.uint8]
    zero: int
    scale: int
    steps: bool
    reach: float
    still: float
    speed: float

    @property
    def neutral(self) -> int:
        """The grey value of no motion, in [0, 255]."""
        return int(self.table[self.zero])

    def error(self, speed: float | NDArray[np.float64]) -> Any:
        """Return the most by which a velocity at which the table is read can be off.

        Args:
            speed: Of the exact velocity, in pixels per frame.

        Returns:
            Pixels per frame, for any two frames.
        """
        return self.still + self.speed * speed

    @property
    def accuracy(self) -> str:
        """How `error` is described."""
        return f"velocities off by {self.still:.2g} + {self.speed:.2g} |v| pixels per frame at most"

    def state_size(self, width: int, height: int) -> int:
        """Return the bytes of state that the C file needs for working frames."""
        active = -(-len(self.window) // self.cell)
        columns = -(-width // self.cell)
        return 8 * (width * height + 15 * width + 5 * active * columns + 9)

    def values(self) -> dict[str, Any]:
        """Return what the template leaves open."""
        return {
            "summary": SUMMARY,
            "output": OUTPUT.format(cell=self.cell),
            "exactness": EXACTNESS.format(accuracy=self.accuracy),
            "running": 0,
            "moments": "",
            "show": "",
            "cell": self.cell,
            "taps_count": len(self.window),
            "eps": self.eps,
            "bits": self.bits,
            "zero": self.zero,
            "last": len(self.table) - 1,
            "scale": SCALE.format(scale=self.scale) if self.scale else "",
            "window": self.window,
            **{f"colour{k}": int(weight) for k, weight in enumerate(self.colours)},
            **{f"flip{k}": int(flip) for k, flip in enumerate(self.flips)},
            **{f"blur{k}": int(self.blur[BLUR_RADIUS + k]) for k in range(BLUR_RADIUS + 1)},
        }

    def begin(self) -> Veil:
        """Return what veils working frames, each after the one before."""
        return self.veil

    def veil(self, previous: NDArray[np.uint8], working: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Veil a working frame after another, both uint8 (h, w, 3), to a grid of cells."""
        entries = self.entries(previous, working)
        out = np.full((*entries.shape[:2], 3), self.neutral, np.uint8)
        out[..., :2] = self.table[entries]
        return out

    def entries(self, previous: NDArray[np.uint8], working: NDArray[np.uint8]) -> Whole:
        """Return which entries of the table the velocities are, int64 (rows, columns, 2)."""
        means = self._means(self._blurred(previous), self._blurred(working))
        _, rows, columns = means.shape
        found = np.empty((rows, columns, 2), np.int64)
        for j in range(rows):
            for i in range(columns):
                found[j, i] = self._solve([int(value) for value in means[:, j, i]])
        return found

    def _blurred(self, frame: NDArray[np.uint8]) -> Whole:
        """Return the blurred luma of a frame, (h, w), in [0, WHITE]."""
        values = (frame ^ self.flips.astype(np.uint8)).astype(np.int64)
        luma = _rounded(values @ self.colours, LUMA_SHIFT)
        for axis in (1, 0):
            size = luma.shape[axis]
            margins = [(BLUR_RADIUS, BLUR_RADIUS) if k == axis else (0, 0) for k in range(2)]
            padded = np.pad(luma, margins, mode="edge")
            total = np.zeros_like(luma)
            for k, tap in enumerate(self.blur):
                total += tap * padded.take(range(k, k + size), axis=axis)
            luma = _rounded(total, BLUR_BITS)
        return luma

    def _means(self, before: Whole, now: Whole) -> Whole:
        """Return the means of the five products over the cells, (5, rows, columns)."""
        total, change = np.pad(before + now, 1, mode="edge"), now - before
        x, y = total[1:-1, 2:] - total[1:-1, :-2], total[2:, 1:-1] - total[:-2, 1:-1]
        products = np.stack(
            [
                _rounded(x * x, 32),
                _rounded(x * y, 32),
                _rounded(y * y, 32),
                _rounded(x * change, 30),
                _rounded(y * change, 30),
            ]
        )
        height, width = now.shape
        across = _rounded(products @ self._windows(width).T, CELL_BITS)
        return self._windows(height) @ across

    def _windows(self, length: int) -> Whole:
        """Return the weight of each pixel in each cell's window, (cells, length)."""
        corners = np.arange(-(-length // self.cell))[:, None] * self.cell
        place = np.arange(length) - corners + WINDOW_RADIUS
        inside = (place >= 0) & (place < len(self.window))
        return np.where(inside, self.window[np.clip(place, 0, len(self.window) - 1)], 0)

    def _solve(self, means: list[int]) -> tuple[int, int]:
        xx, xy, yy, xt, yt = means
        xx, yy = xx + self.eps, yy + self.eps
        a_shift = max(0, max(xx, yy).bit_length() - 31)
        b_shift = max(0, max(abs(xt), abs(yt)).bit_length() - 30)
        xx, xy, yy = (_round(value, a_shift) for value in (xx, xy, yy))
        xt, yt = _round(xt, b_shift), _round(yt, b_shift)
        if self.scale:
            xt, yt = _round(xt * self.scale, 31), _round(yt * self.scale, 31)
        determinant, shift = xx * yy - xy * xy, self.bits + b_shift - a_shift
        return (
            self._entry(xy * yt - yy * xt, determinant, shift),
            self._entry(xy * xt - xx * yt, determinant, shift),
        )

    def _entry(self, numerator: int, determinant: int, shift: int) -> int:
        """Return the entry of a velocity numerator / determinant * 2^shift."""
        size = abs(numerator)
        lost = max(0, determinant.bit_length() - 40)
        determinant, size = determinant >> lost, size >> lost
        size = size >> -shift if shift < 0 else size << shift
        steps = min((size + determinant // 2) // determinant, len(self.table))
        entry = self.zero - steps if numerator < 0 else self.zero + steps
        return min(max(entry, 0), len(self.table) - 1)


def integer_flow(spec: EncoderSpec, *, hard: bool = False) -> FlowNumbers:
    """Bring a motion field to whole numbers.

    Args:
        spec: An encoder of the method `flow`.

    Raises:
        MotionveilError: A number is too large or too small for 64 bits.
    """
    settings = spec.settings
    assert isinstance(settings, FlowSettings)
    total = sum(abs(weight) for weight in settings.colours)
    eps = settings.eps / total**2 if total else math.inf
    check_range("flow", "eps over the square of the sum of colours", eps, LEAST_EPS, LARGEST_EPS)
    check_range("flow", "range", settings.range, LEAST_RANGE, LARGEST_RANGE)
    weights = taps(settings)
    exact_colours = np.abs(np.array(settings.colours)) / total
    colours = _whole(exact_colours, COLOUR_BITS)
    blur = _whole(weights.blur, BLUR_BITS)
    window = _whole(weights.cell, CELL_BITS)
    bits = math.floor(math.log2((LARGEST_TABLE - 3) / (settings.range + settings.reach)))
    aligned = (hard or settings.hard) and settings.boundaries == even_boundaries(
        len(settings.boundaries)
    )
    entries = settings.range / settings.centre * 2**bits  # of a level
    scale = ((math.ceil(entries) // 2 * 2 - 1) / entries) if aligned else 1.0
    zero, ahead = (math.ceil(reach * scale * 2**bits) for reach in (settings.range, settings.reach))
    luma = 255 * _off(colours, exact_colours, COLOUR_BITS) + 2.0**-23
    still, speed = _bound(
        eps,
        blurred=luma / 255 + 2 * (_off(blur, weights.blur, BLUR_BITS) + 0.5 / WHITE),
        window=_off(window, weights.cell, CELL_BITS),
        roundings=2.1 if aligned else 1,
    )
    return FlowNumbers(
        cell=settings.cell,
        colours=colours,
        flips=np.where(np.array(settings.colours) < 0, 255, 0),
        blur=blur,
        window=window,
        eps=round(8 * WHITE**2 * eps),
        bits=bits,
        table=velocity_bytes(settings, np.arange(-zero, ahead + 1) / (scale * 2**bits), hard=hard),
        zero=zero,
        scale=round(scale * 2**31) if aligned else 0,
        steps=hard or settings.hard,
        reach=max(settings.range, settings.reach),
        still=two_digits_up(still if aligned else still + 2.0 ** -(bits + 1)),
        speed=two_digits_up(speed),
    )


def _bound(eps: float, *, blurred: float, window: float, roundings: float) -> tuple[float, float]:
    """Return the bound of the velocity's error before the table, for no motion and per speed.

    Args:
        blurred: D, by which a blurred luma in [0, 1] can be off.
        window: The sum of the errors of the taps along an axis.
        roundings: Of b, each of half a unit.
    """
    root = math.sqrt(eps)
    still = 2 * blurred / (2 * root) + math.sqrt(2) * blurred / eps
    speed = math.sqrt(2) * blurred / (2 * root)
    product = 2.0**32 / (16 * WHITE**2)  # half a unit of a product and half one of a row
    weights = window * (2 + window)
    p = product + weights / 4 + 0.5 / (8 * WHITE**2) + (0.25 + eps) * 2.0**-31
    q = product + weights / 2 + roundings * 0.5 * 2.0**-30
    room = eps - 2 * p
    still, speed = (
        still + (math.sqrt(2) * q + 2 * p * still) / room,
        speed + 2 * p * (1 + speed) / room,
    )
    return still + 2.0**-37 / root, speed + 2.0**-38


def _whole(weights: NDArray[np.float64], bits: int) -> Whole:
    """Round weights of sum 1 to whole ones of sum 2^bits; the largest takes the rest."""
    whole = np.rint(weights * 2.0**bits).astype(np.int64)
    largest = np.flatnonzero(whole == whole.max())
    whole[largest[len(largest) // 2]] += (1 << bits) - whole.sum()
    return whole


def two_digits_up(value: float) -> float:
    """Return the least number of two digits that is not below a positive value."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit


def _off(whole: Whole, weights: NDArray[np.float64], bits: int) -> float:
    return float(np.abs(whole / 2.0**bits - weights).sum())


def _rounded(values: Whole, bits: int) -> Whole:
    half = 1 << bits >> 1
    return np.where(values < 0, -((half - values) >> bits), (values + half) >> bits)


def _round(value: int, bits: int) -> int:
    half = 1 << bits >> 1
    return -((half - value) >> bits) if value < 0 else (value + half) >> bits


def check_range(method: str, name: str, value: float, least: float, largest: float) -> None:
    """Refuse a setting at which something does not fit 64 bits."""
    if not least <= value <= largest:
        raise MotionveilError(
            f"{method} cannot be exported as C: {name} is {value:g}, and whole numbers of 64 bits"
            f" need {least:g} to {largest:g}"
        )
