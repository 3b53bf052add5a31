"""Gaussian blur of every frame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from motionveil.methods.base import Method, Settings, Sigma

_REACH = 3
"""Standard deviations after which the window ends: 0.3 % of a Gaussian lies beyond."""


class BlurSettings(Settings):
    """A Gaussian blur.

    Attributes:
        sigma: Standard deviation in pixels of the working size, > 0.
    """

    sigma: Sigma

    @property
    def window(self) -> int:
        """Width of the window in pixels, odd."""
        return 2 * max(1, math.ceil(_REACH * self.sigma)) + 1


class Blur(Method):
    """A Gaussian blur; the border repeats the edge pixels. Nothing is learned."""

    name = "blur"
    label = "blur"
    help = "Gaussian blur; the strength is sigma in pixels"
    settings = BlurSettings
    strength, strength_label = "sigma", "blur σ = {}"
    encoder = "motionveil.encoders.blur:Blur"
    stream = "motionveil.streaming.veils:FilterVeil"
    colour, marker = "#56B4E9", "v"

    def usual_strengths(self, size: int) -> list[float]:
        """Return standard deviations of 1, 2, 4 and 8 pixels."""
        return [1, 2, 4, 8]

    def matrix(self, settings: BlurSettings, size: int) -> NDArray[np.float64]:
        """Return what it does along an axis of `size` pixels, (size, size); rows sum to 1."""
        reach = settings.window // 2
        offsets = np.arange(-reach, reach + 1)
        weights = np.exp(-(offsets**2) / (2 * settings.sigma**2))
        matrix = np.zeros((size, size))
        for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
            source = np.clip(np.arange(size) + offset, 0, size - 1)
            np.add.at(matrix, (np.arange(size), source), weight)
        return matrix
