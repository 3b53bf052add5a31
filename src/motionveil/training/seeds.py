"""Seeds: one number from the user, and from it one for each purpose."""

from __future__ import annotations

import hashlib

ADVERSARIAL = "game"
"""Purpose of what adversarial training draws; its text decides the seeds of stored trainings."""


def seed_for(seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2^63) for a purpose, such as `seed_for(0, ADVERSARIAL, 3)` for epoch 3.

    Draws for one purpose do not shift those for another, and a resumed run can draw again what an
    uninterrupted one would have.
    """
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
