"""A mosaic of square blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from motionveil.methods.base import Method, Settings


class PixelateSettings(Settings):
    """A mosaic.

    Attributes:
        block: Side of a block in pixels of the working size, >= 2.
    """

    block: int = Field(ge=2)


class Pixelate(Method):
    """Every square block takes its mean colour, counted from the upper left. Nothing is learned."""

    name = "pixelate"
    label = "mosaic"
    help = "mosaic; the strength is a block's side in pixels"
    settings = PixelateSettings
    strength, strength_label = "block", "mosaic of {} pixels"
    encoder = "motionveil.encoders.blur:Pixelate"
    stream = "motionveil.streaming.veils:FilterVeil"
    colour, marker = "#8C6D1F", "p"

    def usual_strengths(self, size: int) -> list[float]:
        """Return blocks of 4, 8 and 16 pixels."""
        return [4, 8, 16]

    def matrix(self, settings: PixelateSettings, size: int) -> NDArray[np.float64]:
        """Return what it does along an axis of `size` pixels, (size, size); rows sum to 1."""
        block = np.arange(size) // settings.block
        same = (block[:, None] == block).astype(np.float64)
        return same / same.sum(axis=1, keepdims=True)
