"""At which size and rate an encoder works: those at which it was trained and audited.

What an encoder hides depends on how many pixels a person has and on the time between two frames.
So every source is brought to the encoder's geometry before it is veiled, by the functions of
`motionveil.capture.geometry`; this module says what the geometry is.
"""

from __future__ import annotations

from fractions import Fraction

from pydantic import BaseModel, ConfigDict, Field

from motionveil.errors import MotionveilError

SMALLEST, LARGEST = 8, 1024
"""Pixels that the short side of a working frame may have."""

JITTER = 0.1
"""Share of an interval by which a frame may come too early and still be taken: containers round
timestamps, to milliseconds in Matroska, and cameras do not keep theirs exactly."""

_TRIED = 600  # frames of a constant rate of which is asked which are taken
_FINEST = 100_000  # denominator of a rate
_WIDEST = 16
"""How many times as long as the short side the long one may be: a line is no picture."""


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
            MotionveilError: The picture is over 16 times as long as it is high, or as wide.

        Example:
            >>> Geometry(size=64, rate=15).shape(1080, 1920)
            (64, 114)
            >>> Geometry(size=64, rate=15).shape(576, 720, Fraction(64, 45))
            (64, 114)
        """
        return working_shape(self.size, height, width, aspect, multiple=multiple)

    def frame_rate(self, source: Fraction | None) -> Fraction | None:
        """Return how many frames a second are taken of a source of a constant rate, on average.

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

    A frame is taken when an interval has passed since the one before, less a tenth of it. What is
    taken too early is made up for, so that no more than the rate are taken in the long run. Of a
    source that is faster by no whole number the next slower regular beat is taken: 12.5 of 25
    frames a second where 15 are allowed.

    Args:
        rate: Frames a second at the most; None to take all.
    """

    def __init__(self, rate: float | None) -> None:
        self._interval = None if rate is None else 1 / rate
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next frame is taken."""
        self._due: float | Fraction | None = None
        self._last: float | Fraction | None = None

    def takes(self, time: float | Fraction | None) -> bool:
        """Say whether a frame is taken.

        Args:
            time: When it was made, in seconds; a frame without a time is taken. A clock that goes
                back begins anew.
        """
        if self._interval is None or time is None:
            return True
        # A millionth: what sums of intervals lose in floating point.
        early = (JITTER + 1e-6) * self._interval
        if self._due is None or (self._last is not None and time < self._last):
            self._due = time
        self._last = time
        if time < self._due - early:
            return False
        # Within the jitter the beat goes on; whatever comes later begins another one.
        self._due = (self._due if time <= self._due + early else time) + self._interval
        return True


def working_shape(
    size: int, height: int, width: int, aspect: Fraction | float = 1, *, multiple: int = 2
) -> tuple[int, int]:
    """Return height and width of a frame whose short side is made `size`; see `Geometry.shape`.

    In whole numbers, so that an exported encoder can do the same.
    """
    across, down = aspect.as_integer_ratio()
    sides = height * down, width * across  # as shown, in whole units
    short = min(sides)
    if max(sides) > _WIDEST * short:
        raise MotionveilError(
            f"a picture of {width}x{height} pixels (each {float(aspect):g} times as wide as"
            f" high) is no scene; its sides may differ {_WIDEST} times at the most"
        )
    rows, columns = (_divided(size * side, short * multiple) * multiple for side in sides)
    return rows, columns


def _divided(number: int, divisor: int) -> int:
    """Divide whole numbers and round, halves to even; at least 1."""
    quotient, rest = divmod(number, divisor)
    return max(1, quotient + (2 * rest + quotient % 2 > divisor))
