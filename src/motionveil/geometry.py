"""At which size and rate an encoder works: those at which it was trained and audited.

What an encoder hides depends on how many pixels a person has and on the time between two frames.
So every source is brought to the encoder's geometry before it is veiled, by the functions of
`motionveil.streaming.geometry`; this module says what the geometry is.
"""

from __future__ import annotations

import math
from fractions import Fraction

from pydantic import BaseModel, ConfigDict, Field

from motionveil.errors import MotionveilError

SMALLEST, LARGEST = 8, 1024
"""Pixels that the short side of a working frame may have."""

JITTER = 10
"""A frame may come a tenth of an interval too early and is still taken: containers round
timestamps, to milliseconds in Matroska, and cameras do not keep theirs exactly."""

FOLLOW = 100
"""The time at which the next frame is due follows the frames by up to a hundredth of an interval,
so a source that is up to 1 % faster than the rate is taken whole."""

SLOW = 5
"""It follows where a frame comes over a fifth of an interval after the one before: in a faster
source it would find an earlier frame each time, and lose the regular beat."""

_ROUNDING = 1_000_000
"""Part of an interval that rounded timestamps may be off without consequence."""

_NANOSECONDS = 10**9
_SLOWEST = Fraction(1, 10**6)
_LARGEST_NUMERATOR = 10**6
_TRIED = 600  # frames of a constant rate of which is asked which are taken
_FINEST = 100_000  # denominator of a rate
_WIDEST = 16
"""How many times as long as the short side the long one may be: a line is no image."""


class Geometry(BaseModel):
    """The working size and rate of an encoder.

    Attributes:
        size: Short side of a working frame in pixels; the aspect is the source's.
        rate: Frames a second that are taken at the most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    size: int = Field(ge=SMALLEST, le=LARGEST)
    rate: float = Field(gt=0, le=1000)

    def __str__(self) -> str:
        return f"{self.size} pixels, {self.rate:.5g} frames/s"

    def shape(
        self, height: int, width: int, aspect: Fraction | float = 1, *, multiple: int = 2
    ) -> tuple[int, int]:
        """Return height and width of the working frame of a source.

        Args:
            height: Rows of a source's frame.
            width: Columns.
            aspect: Sample aspect ratio: how much wider than high one pixel is shown.
            multiple: What the method needs both sides to be multiples of.

        Raises:
            MotionveilError: The image is over 16 times as long as it is high, or as wide.

        Examples:
            >>> Geometry(size=64, rate=15).shape(1080, 1920)
            (64, 114)
            >>> Geometry(size=64, rate=15).shape(576, 720, Fraction(64, 45))
            (64, 114)
        """
        return working_shape(self.size, height, width, aspect, multiple=multiple)

    def frame_rate(self, source: Fraction | None) -> Fraction | None:
        """Return how many frames per second are taken of a source of a constant rate, on average.

        Args:
            source: Frames a second of the source; None if not known.
        """
        if source is None:
            return None
        limit = FrameRate(self.rate)
        taken = [number for number in range(_TRIED) if limit.takes(number / source)]
        if len(taken) < 2:
            return Fraction(self.rate).limit_denominator(_FINEST)
        return (source * (len(taken) - 1) / (taken[-1] - taken[0])).limit_denominator(_FINEST)


class FrameRate:
    """Chooses the frames of one stream that are taken, by their timestamps.

    A frame is taken when an interval (1 / rate) has passed since the one before, less a tenth of
    it. What is taken too early is made up for, so that no more than the rate are taken in the long
    run, or 1 % more: a source that is up to 1 % faster is taken whole, and every second frame of
    one that is up to 1 % faster than twice the rate. Of a source that is faster by no whole number
    the next slower regular beat is taken: 12.5 of 25 frames per second where 15 are allowed.

    In whole numbers: the rate is `rate_fraction(rate)`, times are rounded to nanoseconds, and
    an interval I is exactly 1 / rate. The first frame is taken; the next is due I later. A frame is
    taken unless it comes over I / 10 before it is due. If it comes over I / 10 late, the next one
    is due I after it. Otherwise the next one is due I after this one was due; and if the source's
    frame before, taken or not, is over I / 5 ago, as much sooner or later as this one was early or
    late, but I / 100 at the most. All comparisons allow for I / 1,000,000. The C export computes
    the same.

    Args:
        rate: Frames a second at the most; None to take all.
    """

    def __init__(self, rate: float | None) -> None:
        # Times are in nanoseconds times the numerator: an interval and its parts are whole.
        self._unit, self._interval = 0, 0
        if rate is not None:
            exact = rate_fraction(rate)
            self._unit, self._interval = exact.numerator, _NANOSECONDS * exact.denominator
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next frame is taken."""
        self._due: int | None = None
        self._last = 0

    def takes(self, time: float | Fraction | None) -> bool:
        """Say whether a frame is taken.

        Args:
            time: When it was made, in seconds; a frame without a time is taken. A clock that goes
                back restarts it.
        """
        if not self._interval or time is None:
            return True
        now, interval = self._unit * round(time * _NANOSECONDS), self._interval
        early, rounding = interval // JITTER, interval // _ROUNDING
        last, self._last = self._last, now
        if self._due is None or now < last:
            self._due = last = now
        if now < self._due - early - rounding:
            return False
        if now > self._due + early + rounding:
            self._due = now  # another beat begins
        elif now - last - rounding > interval // SLOW:
            follow = interval // FOLLOW
            self._due += min(max(now - self._due, -follow), follow)
        self._due += interval
        return True


def rate_fraction(rate: float) -> Fraction:
    """Return frames per second as a fraction, to a millionth of it, whose numerator C can bear.

    The exported `motionveil_takes` multiplies 32 bits by 1000 times the numerator. A rate below one
    in a million seconds is raised to that.
    """
    exact = max(Fraction(rate), _SLOWEST)
    return exact.limit_denominator(max(1, int(_LARGEST_NUMERATOR / exact)))


def working_shape(
    size: int, height: int, width: int, aspect: Fraction | float = 1, *, multiple: int = 2
) -> tuple[int, int]:
    """Return height and width of a frame whose short side is made `size`; see `Geometry.shape`.

    In whole numbers, so that an exported encoder can do the same.
    """
    if not math.isfinite(aspect):
        raise MotionveilError(f"a pixel cannot be {aspect} times as wide as it is high")
    across, down = aspect.as_integer_ratio()
    sides = height * down, width * across  # as shown, in whole units
    short = min(sides)
    if max(sides) > _WIDEST * short:
        raise MotionveilError(
            f"an image of {width}x{height} pixels (each {float(aspect):g} times as wide as"
            f" high) is no scene; its sides may differ {_WIDEST} times at the most"
        )
    rows, columns = (_divided(size * side, short * multiple) * multiple for side in sides)
    return rows, columns


def _divided(number: int, divisor: int) -> int:
    """Divide whole numbers and round, halves to even; at least 1."""
    quotient, rest = divmod(number, divisor)
    return max(1, quotient + (2 * rest + quotient % 2 > divisor))
