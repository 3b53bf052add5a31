"""How much an input may ask for; an environment variable raises each bound."""

from __future__ import annotations

import os

from motionveil.errors import MotionveilError

PIXELS = "MOTIONVEIL_MAX_PIXELS"
TEXT = "MOTIONVEIL_MAX_TEXT"


def max_pixels() -> int:
    """Return how many pixels a frame may have: 67 million (8192 x 8192), or `PIXELS`."""
    return _bound(PIXELS, 1 << 26)


def max_text() -> int:
    """Return how many bytes a text (a manifest, a result, JSON) may have: 256 MiB, or `TEXT`."""
    return _bound(TEXT, 1 << 28)


def check_pixels(width: int, height: int, name: str) -> None:
    """Refuse frames of too many pixels, before one is decoded.

    Raises:
        MotionveilError: There are too many; says how to allow them.
    """
    if width * height > max_pixels():
        raise MotionveilError(
            f"{name}: frames of {width}x{height} are {width * height} pixels, more than"
            f" {max_pixels()}; set {PIXELS} to allow them"
        )


def _bound(variable: str, usual: int) -> int:
    written = os.environ.get(variable)
    if written is None:
        return usual
    if not (written.isascii() and written.isdecimal() and 0 < len(written) < 13):
        raise MotionveilError(f"{variable}={written}: must be a whole number")
    return int(written)
