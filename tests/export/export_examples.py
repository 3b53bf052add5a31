"""Encoders and clips for the tests of the exports, and the definition in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming.geometry import area_average

GEOMETRY = Geometry(size=36, rate=15)
SPECS = {
    "shipped": load_spec("bdq"),
    "untrained": EncoderSpec.untrained(range=0.25, geometry=GEOMETRY),
    "narrow": EncoderSpec.untrained(range=0.02, geometry=GEOMETRY),
    "wide": EncoderSpec.untrained(range=1.0, geometry=GEOMETRY).change(sigma=0.5),
}


def working(spec: EncoderSpec, clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the working frames of a clip (T, H, W, 3)."""
    shape = spec.required_geometry().shape(*clip.shape[1:3])
    return np.stack([area_average(frame, shape) for frame in clip])


def noise(frames: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return (T, H, W, 3): noise of all contrasts, from a clip of 0 and 255 to one of 7 and 8."""
    rng = np.random.default_rng(seed)
    contrast = rng.integers(1, 256)
    clip = rng.integers(0, contrast + 1, (frames, height, width, 3), dtype=np.uint8)
    return np.where(clip > contrast // 2, 255, 0).astype(np.uint8) if seed % 3 == 0 else clip


def movers(frames: int = 5, height: int = 37, width: int = 52) -> NDArray[np.uint8]:
    """Return (T, H, W, 3): a bright and a faint bar move over a slope with a little noise."""
    rng = np.random.default_rng(1)
    clip = np.empty((frames, height, width, 3), np.int64)
    clip[...] = np.linspace(30, 170, width)[:, None]
    for t in range(frames):
        clip[t, 4:20, 3 * t : 3 * t + 9] = (230, 120, 60)
        clip[t, 22:34, 20 + 2 * t : 30 + 2 * t] += (3, 8, 14)
    return np.clip(clip + rng.integers(-2, 3, clip.shape), 0, 255).astype(np.uint8)


def exact_position(spec: EncoderSpec, clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return x in [0, 15], (T - 1, H, W, 3): the paper's order, the 5 x 5 window, float64."""
    assert spec.settings.range is not None
    height, width = clip.shape[1:3]
    padded = np.pad(clip / 255, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    window = np.outer(spec.difference().weights, spec.difference().weights)
    blurred = np.zeros(clip.shape)
    for y in range(5):
        for x in range(5):
            blurred += window[y, x] * padded[:, y : y + height, x : x + width]
    position = (np.diff(blurred, axis=0) + spec.settings.range) / (2 * spec.settings.range) * 15
    return np.clip(position, 0, 15)


def hard_within(
    spec: EncoderSpec, clip: NDArray[np.uint8], veiled: NDArray[np.uint8], margin: float
) -> bool:
    """Return whether hard output is right, but for values within `margin` levels of a boundary."""
    assert spec.settings.range is not None
    exact = exact_position(spec, clip)
    low, high = (
        17 * spec.difference(hard=True).levels(((exact + shift) / 15 * 2 - 1) * spec.settings.range)
        for shift in (-margin, margin)
    )
    return bool(((veiled >= low) & (veiled <= high)).all())
