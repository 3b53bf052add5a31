"""Motion fields, their moments, and clips for the tests of their exports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec

GEOMETRY = Geometry(size=32, rate=15)
SPECS = {
    "default": EncoderSpec.untrained("flow", geometry=GEOMETRY),
    "fine": EncoderSpec.untrained("flow:cell=1,sigma=0.7,window=1,eps=1e-3", geometry=GEOMETRY),
    "small": EncoderSpec.untrained("flow:cell=4,levels=2,eps=1e-3", geometry=GEOMETRY),
    "coarse": EncoderSpec.untrained("flow:cell=16,sigma=2,window=5,range=8", geometry=GEOMETRY),
}
MOMENTS = {
    "moments": EncoderSpec.untrained("moments", geometry=GEOMETRY),
    "moments, small": EncoderSpec.untrained(
        "moments:cell=2,parts=5,levels=15,step=0.2,memory=0.97,floor=0.1", geometry=GEOMETRY
    ),
}


def checkerboard(height: int, width: int, side: int, shift: int) -> NDArray[np.uint8]:
    """Return a frame (height, width, 3) of black and white squares, moved to the right."""
    y, x = np.mgrid[:height, :width]
    squares = ((y // side + (x + shift) // side) % 2) * 255
    return np.repeat(squares[..., None], 3, -1).astype(np.uint8)


def faint_ramp(height: int, width: int, level: int) -> NDArray[np.uint8]:
    """Return a frame (height, width, 3) that rises by one grey level over its width."""
    row = level + (np.arange(width) > width // 2)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8).copy()


def hard_pairs(height: int, width: int) -> dict[str, NDArray[np.uint8]]:
    """Return clips (2, height, width, 3) that are hard on an estimate of motion."""
    rng = np.random.default_rng(0)
    shape = (height, width, 3)
    flat = [np.full(shape, level, np.uint8) for level in (0, 255)]
    saturated = (rng.integers(0, 2, (2, *shape)) * 255).astype(np.uint8)
    return {
        "flat": np.stack([flat[0], flat[0]]),
        "flash": np.stack(flat),
        "flash over a ramp": np.stack(
            [faint_ramp(height, width, 0), faint_ramp(height, width, 254)]
        ),
        "checkerboard": np.stack([checkerboard(height, width, 4, shift) for shift in (0, 1)]),
        "large checkerboard": np.stack([checkerboard(height, width, 9, shift) for shift in (0, 3)]),
        "inverted": np.stack([checkerboard(height, width, 6, shift) for shift in (0, 6)]),
        "noise": rng.integers(0, 256, (2, *shape), dtype=np.uint8),
        "saturated noise": saturated,
        "faint noise": rng.integers(100, 102, (2, *shape), dtype=np.uint8),
    }


def wandering(frames: int, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Return (T, H, W, 3): two textures side by side that wander, each by itself."""
    rng = np.random.default_rng(seed)
    room = 40
    spectrum = np.fft.rfft2(rng.normal(size=(2, height + room, width + room)))
    y = np.fft.fftfreq(height + room)[:, None]
    x = np.fft.rfftfreq(width + room)
    texture = np.fft.irfft2(spectrum * np.exp(-30 * (x**2 + y**2)), s=(height + room, width + room))
    texture = np.clip(128 + 60 * texture / texture.std(), 0, 255).astype(np.uint8)
    places = np.cumsum(rng.integers(-2, 3, (frames, 2, 2)), 0)
    places = np.abs((places + room // 2) % (2 * room) - room)  # turns round at the edges
    clip = np.empty((frames, height, width), np.uint8)
    for frame, starts in zip(clip, places, strict=True):
        for side, (down, along) in enumerate(starts):
            part = slice(side * width // 2, (side + 1) * width // 2)
            moved = texture[side, down : down + height, along : along + width]
            frame[:, part] = moved[:, part]
    return np.repeat(clip[..., None], 3, -1)
