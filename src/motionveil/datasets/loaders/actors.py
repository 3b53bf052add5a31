"""The built-in data set of `motionveil.datasets.actors`."""

from __future__ import annotations

import os

from motionveil.datasets.loaders import register
from motionveil.datasets.manifest import Manifest


@register("actors", "the built-in synthetic data, rendered into ROOT/seedN; see --seed")
def index(
    root: str | os.PathLike[str],
    *,
    seed: int = 0,
    pauses: bool = False,
    attributes: bool = False,
) -> Manifest:
    """Render the data set and return its manifest; see `make_actors`.

    With pauses there are 20 people in 3 sessions to train on and 1 to validate on: a detector is
    for people whom it has never seen.
    """
    from motionveil.datasets import actors  # compiles; needed for this data set only

    if not pauses:
        return actors.make_actors(root, seed=seed, attributes=attributes)
    return actors.make_actors(
        root,
        seed=seed,
        people=20,
        train_sessions=3,
        validation_sessions=1,
        pauses=True,
        attributes=attributes,
    )
