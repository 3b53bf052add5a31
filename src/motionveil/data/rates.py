"""How many frames a second a data set has."""

from __future__ import annotations

from fractions import Fraction
from statistics import median

import numpy as np

from motionveil.data.manifest import Manifest
from motionveil.video import probe
from motionveil.video.reader import FOLDER_RATE

MOST = 25
"""Videos that are asked at the most."""


def usual_rate(manifest: Manifest) -> float:
    """Return the frames a second of a data set: the median over videos spread over it.

    Raises:
        MotionveilError: A video cannot be read.
    """
    paths = sorted({clip.path for clip in manifest.clips})
    asked = {paths[int(place)] for place in np.linspace(0, len(paths) - 1, MOST)}
    folder_rate = Fraction(manifest.rate or FOLDER_RATE)
    rates = [probe(manifest.root / path, rate=folder_rate).rate for path in sorted(asked)]
    return float(median(rate or FOLDER_RATE for rate in rates))
