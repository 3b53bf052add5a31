"""The built-in data set of `motionveil.datasets.actors`."""

from __future__ import annotations

import os

from motionveil.datasets.loaders import register
from motionveil.datasets.manifest import Manifest


@register("actors", "the built-in synthetic data, rendered into ROOT/seedN; see --seed")
def index(root: str | os.PathLike[str], *, seed: int = 0) -> Manifest:
    """Render the data set and return its manifest; see `make_actors`."""
    from motionveil.datasets import actors  # compiles; needed for this data set only

    return actors.make_actors(root, seed=seed)
