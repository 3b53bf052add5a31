"""Choosing r, the range of the fixed normalisation, from training data."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from motionveil.encoders import functional
from motionveil.errors import MotionveilError

_BINS = 1 << 14
"""Resolution of r: a sixtieth of a grey level of 8-bit video."""


def calibrate_range(clips: Iterable[Tensor], sigma: float = 1.0, quantile: float = 0.995) -> float:
    """Return the quantile of `|B(v_i) - B(v_{i-1})|` over all values of the clips.

    With r = 1 nearly all motion would fall between two boundaries of the quantiser; a high
    percentile of what the data holds spreads it over the 15 levels. The clips are read once and
    counted into a histogram, so any number of them fits.

    Args:
        clips: Tensors `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2.
        sigma: Standard deviation of the blur in pixels, > 0.
        quantile: Share of the absolute differences below r, in (0, 1].

    Returns:
        r in (0, 1], exact to 1 / 16384.

    Raises:
        MotionveilError: There are no clips, or nothing moves in them.
        ValueError: A clip's shape, dtype or a value is wrong, or an argument is out of range.
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must lie in (0, 1], found {quantile}")
    counts = torch.zeros(_BINS, dtype=torch.float64)
    largest = 0.0
    for clip in clips:
        functional.check_clip(clip, least_frames=2)
        width = torch.tensor(sigma, dtype=torch.float32, device=clip.device)
        motion = functional.blur(functional.difference(clip.detach().float()), width).abs_()
        largest = max(largest, float(motion.max()))
        # Bin by bin and not by torch.histc, which has no deterministic form on CUDA.
        index = (motion.flatten() * _BINS).int().clamp_(max=_BINS - 1)
        counts += torch.bincount(index, minlength=_BINS).cpu()
    if counts.sum() == 0:
        raise MotionveilError("cannot calibrate the range: there are no clips")
    if largest == 0:
        raise MotionveilError("cannot calibrate the range: nothing moves in any clip")
    below = counts.cumsum(0)
    full = int(torch.searchsorted(below, quantile * below[-1]))
    return min(1.0, largest, (full + 1) / _BINS)
