"""What every export bakes in: the encoder's 8-bit values for a row of blurred differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.spec import LEVELS, EncoderSpec

GREY = 255 // LEVELS
"""Grey levels that one level of the veiled clip spans on disk: 17."""


def fixed_range(spec: EncoderSpec) -> float:
    """Return r of an encoder that can run frame by frame.

    Raises:
        MotionveilError: The encoder passes its input through (`"raw"`), or its range depends on
            frames still to come (`"clip"`, `"batch"`).
    """
    if spec.method == "raw":
        raise MotionveilError(
            "the encoder 'raw' passes video through unveiled, so there is nothing to export;"
            " choose a 'bdq' encoder"
        )
    spec.veil_difference(np.zeros(1))  # raises: it cannot stream
    assert spec.range is not None
    return spec.range


def veiled_table(spec: EncoderSpec, differences: NDArray[Any], *, hard: bool) -> NDArray[np.uint8]:
    """Return `round(17 y)` of blurred differences.

    Args:
        spec: A `"bdq"` encoder in fixed range.
        differences: Blurred differences of intensities in [0, 1], shape (N,).
        hard: Quantise in steps.

    Returns:
        uint8 (N,).
    """
    return np.rint(GREY * spec.veil_difference(differences, hard=hard)).astype(np.uint8)
