"""Down-sampling after learned transformations: Ryoo et al., AAAI 2017."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from motionveil.methods.base import Settings, Start
from motionveil.methods.downsample import Downsample, DownsampleSettings


class Motion(Settings):
    """One of the image transformations: a small motion of the camera.

    Attributes:
        x, y: Translation in pixels of the small frames; fractions are allowed.
        zoom: Natural logarithm of the scale: 0 keeps it.
        angle: Rotation in radians.
        shear_x, shear_y: Shares by which a step along one axis moves along the other.
    """

    x: float = 0.0
    y: float = 0.0
    zoom: float = 0.0
    angle: float = 0.0
    shear_x: float = 0.0
    shear_y: float = 0.0


LIMITS = Motion(x=1.0, y=1.0, zoom=0.2, angle=0.2, shear_x=0.2, shear_y=0.2)
"""How far training may move each number: a pixel of the small frames, a fifth, 11 degrees."""


class RyooSettings(DownsampleSettings):
    """Down-sampling after learned transformations.

    Attributes:
        motions: The learned transformations; each gives a low-resolution video of its own.
    """

    motions: tuple[Motion, ...] = Field(min_length=1)


class RyooOptions(Settings):
    """Options in a recipe.

    Attributes:
        motions: K, the number of learned transformations.
    """

    motions: int = Field(default=4, ge=1)


class Ryoo(Downsample):
    """Down-sampling whose training videos are moved first, as if by the camera."""

    name = "ryoo"
    label = "Ryoo et al."
    help = "down-sampling after learned transformations (Ryoo et al.); strength as for downsample"
    settings = RyooSettings
    options = RyooOptions
    strength_label = "Ryoo et al., {} pixels"
    learned = True
    encoder = "motionveil.encoders.downsample:Ryoo"
    colour, marker = "#004D1A", "P"

    def start(self, start: Start, changes: Mapping[str, Any]) -> Settings | None:
        """Return motions drawn within half of `LIMITS`."""
        options = start.options or RyooOptions()
        limits = LIMITS.model_dump()
        generator = np.random.default_rng(start.seed)
        drawn = generator.uniform(-0.5, 0.5, (options.motions, len(limits)))
        rows = (drawn * list(limits.values())).tolist()
        motions = [Motion(**dict(zip(limits, row, strict=True))) for row in rows]
        return self.change(None, {"motions": motions, **changes})

    def training(self, options: Any) -> dict[str, Any]:
        """The transformations are learned for the action network alone."""
        return {"alpha": 0.0}
