"""BDQ written a second time, pixel by pixel in numpy, from the paper's equations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def blur_frame(frame: NDArray, sigma: float) -> NDArray:
    """Blur one frame (H, W) with the full 5 x 5 window; outside pixels repeat the edge."""
    window = np.array(
        [
            [math.exp(-(i * i + j * j) / (2 * sigma * sigma)) for j in range(-2, 3)]
            for i in range(-2, 3)
        ]
    )
    window /= window.sum()
    height, width = frame.shape
    out = np.zeros_like(frame)
    for y in range(height):
        for x in range(width):
            for i in range(-2, 3):
                for j in range(-2, 3):
                    near = frame[min(max(y + i, 0), height - 1), min(max(x + j, 0), width - 1)]
                    out[y, x] += window[i + 2, j + 2] * near
    return out


def blur_clip(clip: NDArray, sigma: float) -> NDArray:
    """Blur every frame of (B, 3, T, H, W)."""
    flat = clip.reshape(-1, *clip.shape[-2:])
    return np.stack([blur_frame(frame, sigma) for frame in flat]).reshape(clip.shape)


def quantise(x: NDArray, boundaries: list[float], hardness: float) -> NDArray:
    """Sum 15 logistic functions at each value."""
    out = np.zeros_like(x)
    for index, value in np.ndenumerate(x):
        for boundary in boundaries:
            out[index] += 1 / (1 + math.exp(-hardness * (value - boundary)))
    return out


def veil(
    clip: NDArray, sigma: float, boundaries: list[float], hardness: float, r: float
) -> NDArray:
    """Blur, difference, fixed range, quantisation, in the paper's order."""
    blurred = blur_clip(clip, sigma)
    motion = np.zeros_like(clip[:, :, 1:])
    for i in range(1, clip.shape[2]):
        motion[:, :, i - 1] = blurred[:, :, i] - blurred[:, :, i - 1]
    return quantise(np.clip((motion + r) / (2 * r) * 15, 0, 15), boundaries, hardness)
