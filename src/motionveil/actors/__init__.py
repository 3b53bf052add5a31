"""Synthetic people: who they are, what they do, and how they are drawn.

The built-in data set (`motionveil.datasets.actors`) and the made-up camera that acts
(`motionveil.video.SyntheticSource`) are drawn by this one package; it needs numpy and numba only.
"""

import motionveil.numba_cache  # noqa: F401, a place for it before anything is compiled
from motionveil.actors.motion import ACTIONS

__all__ = ["ACTIONS"]
