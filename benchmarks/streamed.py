"""What the benchmarks of streams share: frames, and functions that run over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.geometry import area_average

FRAMES = 16

Frames = NDArray[np.uint8]


def make_frames(kind: str, height: int, width: int) -> Frames:
    """Return (16, H, W, 3) of `busy` or `still` video with sensor noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frames = np.empty((FRAMES, height, width, 3), np.uint8)
    for t in range(FRAMES):
        shift = t / 2 if kind == "busy" else 0.0
        picture = 127 + 60 * np.sin(x / 2.3 + shift) + 50 * np.cos(y / 1.9 - shift)
        if kind == "still":
            left = width // 8 + t * max(1, width // 200)
            picture[height // 4 : 3 * height // 4, left : left + width // 5] = 200
        noise = rng.normal(0, 2.5 if kind == "busy" else 1.0, (height, width, 3)).astype(np.float32)
        frames[t] = np.clip(picture[..., None] + noise, 0, 255)
    return frames


def streaming(encoder: StreamEncoder, frames: Frames) -> Callable[[], None]:
    """Return a function that veils the frames one by one, without allocating."""
    out = np.empty(encoder.shape_of(frames[0]), np.uint8)

    def run() -> None:
        encoder.reset()
        encoder(frames[-1], out=out)
        for frame in frames:
            encoder(frame, out=out)

    return run


def averaging(spec: EncoderSpec, frames: Frames) -> Callable[[], None]:
    """Return a function that brings the frames to the encoder's size and does no more."""
    geometry = spec.required_geometry()
    shape = geometry.shape(*frames[0].shape[:2], 1, multiple=spec.multiple)
    out = np.empty((*shape, 3), np.uint8)

    def run() -> None:
        for number in range(-1, len(frames)):
            area_average(frames[number], shape, out)

    return run


def reading(frames: Frames) -> Callable[[], None]:
    """Return a function that reads every byte of the frames once."""
    words = [frame.reshape(-1)[: frame.size // 8 * 8].view(np.uint64) for frame in frames]

    def run() -> None:
        for word in (words[-1], *words):
            np.bitwise_xor.reduce(word)

    return run
