"""The built-in data set of `motionveil.data.actors`."""

from __future__ import annotations

import os

from motionveil.data.loaders import register
from motionveil.data.manifest import Manifest


@register("actors", "the built-in synthetic data, rendered into ROOT/seedN; see --seed")
def index(root: str | os.PathLike[str], *, seed: int = 0) -> Manifest:
    """Render the data set and return its manifest; see `make_actors`."""
    from motionveil.data import actors  # compiles; needed for this data set only

    return actors.make_actors(root, seed=seed)
