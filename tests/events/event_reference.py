"""An ideal event pixel in plain Python, written from the equations and not from the kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

TOUCH = 1e-9
"""A level that comes so near to a threshold has reached it."""


def pixel_events(
    intensities: Sequence[float],
    times: Sequence[float],
    *,
    positive: float,
    negative: float,
    eps: float,
    refractory: float = 0.0,
) -> list[tuple[float, int]]:
    """Return (time in seconds, sign) of one pixel's events.

    How many thresholds fit between the reference and the new level is counted by one division.
    """
    levels = [math.log(value + eps) for value in intensities]
    reference, last = levels[0], -math.inf
    found = []
    for (start, before), (end, level) in pairwise(zip(times, levels, strict=True)):
        sign = 1 if level > reference else -1
        step = positive if sign > 0 else negative
        crossed = math.floor((abs(level - reference) + TOUCH) / step)
        for number in range(1, crossed + 1):
            target = reference + sign * number * step
            time = start + (end - start) * (target - before) / (level - before)
            if time - last >= refractory:
                found.append((time, sign))
                last = time
        reference += sign * crossed * step
    return found
