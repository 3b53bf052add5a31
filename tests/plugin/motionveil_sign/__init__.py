"""A method in two files: the sign of the blurred difference, with a learned dead zone."""

import numpy as np
from pydantic import Field

from motionveil.methods import LEVELS, BlurredDifference, Method, Settings
from motionveil.methods.bdq import gaussian


class SignSettings(Settings):
    """Sigma of the blur in pixels; half the dead zone, as a share of the range; the range."""

    sigma: float = Field(default=1.0, gt=0)
    zone: float = Field(default=0.2, ge=0, le=1)
    range: float = Field(gt=0, le=1)


class Sign(Method):
    """Three levels: darker, no motion, brighter."""

    name = "sign"
    label = "sign"
    help = "sign of the blurred difference, with a dead zone"
    settings = SignSettings
    learned = adversarial = True
    encoder = "motionveil_sign.encoder:SignEncoder"
    stream = "motionveil.streaming.veils:DifferenceVeil"
    colour, marker = "#008080", "*"

    def start(self, start, changes):
        """Calibrate the range."""
        return self.change(None, {"range": start.calibrate(), **changes})

    def difference(self, settings, *, hard=False):
        """Return the map that streams and is exported; as soft as the module is."""

        def levels(difference):
            x = difference / settings.range
            if hard:
                steps = (x > settings.zone).astype(np.float64) + (x > -settings.zone)
            else:
                steps = sum(1 / (1 + np.exp(-20 * (x - s * settings.zone))) for s in (1, -1))
            return steps * (LEVELS / 2)

        return BlurredDifference(gaussian(settings.sigma), settings.range, levels, steps=hard)
