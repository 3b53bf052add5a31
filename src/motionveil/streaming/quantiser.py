"""How the kernel computes a map of blurred differences, such as BDQ's quantiser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.methods import GREY, LEVELS, BlurredDifference
from motionveil.streaming.vector import (
    SEGMENTS,
    WIDTH,
    evaluate_segments,
    fit_segments,
    is_supported,
)

LARGEST_ERROR = 0.003
"""By how many levels of 15 a value may be off, before it is rounded to 8 bits."""

_LEAST_HALF, _MOST_HALF = 4096, 32767
"""Table entries on each side of zero motion: at least, and at most (16 bits number them)."""


@dataclass(frozen=True)
class Quantiser:
    """The quantiser as the kernel computes it.

    Attributes:
        last: The last of the entries, among which the differences from -r to r are shared out;
            zero motion is entry `(last + 1) // 2`.
        table: uint8, the 8-bit value of each entry; or the segments of `vector.fit_segments`.
        factor: That of the segments; -1 for a table.
        error: By how many levels of 15 the soft quantiser is off at most, before rounding to 8
            bits; infinite for a map with steps, which have no slope.
    """

    last: int
    table: NDArray[np.uint8]
    factor: int
    error: float

    def quiet(self, neutral: int, scale: float) -> int:
        """Return up to which blurred difference, in grey levels, the value is surely `neutral`.

        Args:
            scale: Entries that a grey level of difference spans.
        """
        values = self.table if self.factor < 0 else evaluate_segments(self.table, self.factor)
        middle = (self.last + 1) // 2
        moved = np.flatnonzero(values != neutral)
        if not moved.size:
            return 255
        # Two entries less: for the rounding of the entry and of the weights' sum.
        return max(0, int((np.abs(moved - middle).min() - 2) / scale))


def make_quantiser(difference: BlurredDifference, *, vectors: bool | None = None) -> Quantiser:
    """Choose how to compute a map of differences, by its steps and the processor.

    A smooth one is cut into segments where the processor can and they are exact enough. Otherwise
    it is a table with as many entries as keep the error within `LARGEST_ERROR`.

    Args:
        vectors: Whether segments may be used; None where the processor can.

    Raises:
        MotionveilError: The processor has no such vectors.
    """
    if vectors and not is_supported():
        raise MotionveilError("this processor cannot permute bytes (AVX-512 VBMI)")
    samples = difference.levels(
        np.linspace(-difference.range, difference.range, LEVELS * 256 + 1, dtype=np.float64)
    )
    if (np.diff(samples) < 0).any():
        raise MotionveilError("the levels must ascend with the difference")
    steepest = np.inf if difference.steps else float(np.diff(samples).max()) * 256
    if not difference.steps and (is_supported() if vectors is None else vectors):
        entries = SEGMENTS * WIDTH
        tables, factor, error = fit_segments(GREY * _values(difference, entries))
        error = error / GREY + _halved_step(steepest, entries)
        if error <= LARGEST_ERROR:
            return Quantiser(entries - 1, tables, factor, error)
    # A map with steps is off within half an entry of one: 1/1092 of a level.
    wanted = _LEAST_HALF if difference.steps else LEVELS * steepest / (4 * LARGEST_ERROR)
    entries = 2 * int(min(max(np.ceil(wanted), _LEAST_HALF), _MOST_HALF))
    table = np.rint(GREY * _values(difference, entries + 1)).astype(np.uint8)
    return Quantiser(entries, table, -1, _halved_step(steepest, entries))


def _values(difference: BlurredDifference, entries: int) -> NDArray[np.float64]:
    """Return the value of each entry, in levels; entry `entries // 2` is zero motion."""
    half = entries // 2
    places = (np.arange(entries) - half).astype(np.float64)
    return difference.levels(places * (difference.range / half))


def _halved_step(steepest: float, entries: int) -> float:
    """Return the error of taking the nearest entry, in levels."""
    return steepest * LEVELS / entries / 2
