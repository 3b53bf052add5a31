"""Maps of blurred differences, such as BDQ, in whole numbers. Value by value of working frames:

    d       frame minus the frame before, in grey levels of 255            [-255, 255]
    h       5 taps along x over d, rounded to 2^9 / S of a grey level      [-32640, 32640], int16
    v       5 taps along y over h, in units of 2^9 / S^2 of a grey level   below 2^31, int32
    entry   v rounded to 2^shift, clamped to the table                     int32
    out     table[entry]                                                   uint8

The taps are whole weights with the sum S, at most 2^16. S is free, since the table takes the scale,
and is the one whose error is least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionveil.export.integer import Veil
from motionveil.methods import KERNEL_SIZE, LEVELS
from motionveil.spec import EncoderSpec

ROW_SHIFT = 9
"""Bits that the sums along x lose to fit 16 bits."""

LARGEST_SUM = 1 << 16
"""Largest sum S of the weights: h, up to 255 S / 2^9, still fits int16, and S h int32."""

LARGEST_TABLE = 8192
"""Most entries of the table, each a byte. It has more than half of that, unless r is tiny."""


@dataclass(frozen=True)
class IntegerNumbers:
    """The whole numbers of an encoder.

    Attributes:
        weights: Centre, first and second neighbour of the 5 taps, each in [0, 2^16].
        shift: Bits between a sum along y and an entry of the table, >= 1.
        table: uint8 (2 N + 1,): the veiled value of each entry, zero motion in the middle.
        step: Grey levels (of 255) of blurred difference from one entry to the next.
        steps: Whether it quantises in steps.
        error: The most, in levels of [0, 15], by which the position x at which the table is read
            can be off from the exact one, for any two frames; rounded up to 1/10000.
    """

    template: ClassVar[str] = "difference.c.in"
    parts: ClassVar[dict[str, str]] = {}

    weights: tuple[int, int, int]
    shift: int
    table: NDArray[np.uint8]
    step: float
    error: float
    steps: bool = False

    @property
    def sum(self) -> int:
        """S, the sum of the five weights, even."""
        centre, near, far = self.weights
        return centre + 2 * (near + far)

    @property
    def zero(self) -> int:
        """The entry of zero motion, N."""
        return len(self.table) // 2

    @property
    def neutral(self) -> int:
        """The grey value of the neutral frame, in [0, 255]."""
        return int(self.table[self.zero])

    @property
    def accuracy(self) -> str:
        """How `error` is described."""
        return f"off by {self.error:.4f} of a level in [0, 15] at most"

    def state_size(self, width: int, height: int) -> int:
        """Return the bytes of state that the C file needs for working frames; always even."""
        return (3 * width * height + 30 * width + 4 + 1) // 2 * 2

    def begin(self) -> Veil:
        """Return what veils working frames, each after the one before."""
        return self.veil

    def veil(self, previous: NDArray[np.uint8], working: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Veil a working frame after another, both uint8 (h, w, 3)."""
        return self.table[self.entries(working.astype(np.int16) - previous)]

    def values(self) -> dict[str, Any]:
        """Return what the template leaves open."""
        centre, near, far = self.weights
        return {
            "error": f"{self.error:.4f}",
            "sum": self.sum,
            "centre": centre,
            "near": near,
            "far": far,
            "shift": self.shift,
            "low": self.sum**2 // 2 - (self.zero << self.shift) - (1 << self.shift >> 1),
            "last": len(self.table) - 1,
        }

    def entries(self, difference: NDArray[np.integer]) -> NDArray[np.int32]:
        """Blur a difference of frames and return which entry of the table each value is.

        Args:
            difference: Frame minus frame before, whole numbers in [-255, 255], (H, W, 3).

        Returns:
            int32 (H, W, 3), in [0, 2 N].
        """
        rows = _blur(difference.astype(np.int32), self.weights, axis=1)
        rows = (rows + (1 << ROW_SHIFT >> 1)) >> ROW_SHIFT
        sums = _blur(rows, self.weights, axis=0)
        entries = ((sums + (1 << self.shift >> 1)) >> self.shift) + self.zero
        return np.clip(entries, 0, 2 * self.zero)


def integer_numbers(spec: EncoderSpec, *, hard: bool = False) -> IntegerNumbers:
    """Bring an encoder to whole numbers.

    Args:
        spec: An encoder that is a map of blurred differences (BDQ in fixed range).
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It is no such map (says why).
    """
    difference = spec.difference(hard=hard)
    reach = 255 * difference.range  # grey levels
    weights, blur_error = _whole_weights(difference.weights)
    total = weights[0] + 2 * (weights[1] + weights[2])
    unit = (1 << ROW_SHIFT) / total**2
    shift = 1
    while 2 * np.ceil(reach / (unit * 2**shift)) + 1 > LARGEST_TABLE:
        shift += 1
    step = unit * 2**shift
    zero = int(np.ceil(reach / step))
    error = (blur_error + step / 2) * LEVELS / (2 * reach)
    differences = np.arange(-zero, zero + 1) * (step / 255)
    return IntegerNumbers(
        weights=weights,
        shift=shift,
        table=difference.bytes_of(differences),
        step=step,
        error=float(np.ceil(error * 10_000) / 10_000),
        steps=difference.steps,
    )


def _whole_weights(gaussian: NDArray[np.float64]) -> tuple[tuple[int, int, int], float]:
    """Return centre, first and second neighbour, and how far the blur can be off in grey levels.

    Each candidate S gives the neighbours rounded and the centre the rest. With the weights' errors
    e_k, either pass is off by at most 255 sum |e_k|, and h is rounded by 2^8 / S at most. S is even
    so that the C file can keep h larger by S / 2, never negative.
    """
    sums = np.arange(LARGEST_SUM // 2, LARGEST_SUM + 1, 2)
    _, _, centre, near, far = gaussian
    nears, fars = np.rint(near * sums), np.rint(far * sums)
    centres = sums - 2 * (nears + fars)
    off = abs(centres / sums - centre) + 2 * (abs(nears / sums - near) + abs(fars / sums - far))
    errors = 2 * 255 * off + (1 << ROW_SHIFT >> 1) / sums
    best = int(np.argmin(errors))
    return (int(centres[best]), int(nears[best]), int(fars[best])), float(errors[best])


def _blur(
    values: NDArray[np.int32], weights: tuple[int, int, int], *, axis: int
) -> NDArray[np.int32]:
    """Return the sums of the 5 taps along an axis of (H, W, 3), the border replicated."""
    margin = KERNEL_SIZE // 2
    size = values.shape[axis]
    padding = [(margin, margin) if k == axis else (0, 0) for k in range(3)]
    padded = np.pad(values, padding, mode="edge")
    total = np.zeros_like(values)
    for k in range(KERNEL_SIZE):
        total += weights[abs(k - margin)] * padded.take(range(k, k + size), axis=axis)
    return total
