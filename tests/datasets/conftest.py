"""Small videos whose every pixel is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.datasets.manifest import Clip, Manifest
from motionveil.video import VideoSink

Frames = NDArray[np.uint8]
WriteVideo = Callable[..., Frames]


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """Write a lossless video of noise and return its frames: uint8 (T, H, W, 3)."""

    def write(path: Path, length: int, height: int = 24, width: int = 32, seed: int = 0) -> Frames:
        rng = np.random.default_rng(seed)
        frames = rng.integers(0, 256, (length, height, width, 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoSink(path, rate=25) as sink:
            for frame in frames:
                sink.write(frame)
        return frames

    return write


@pytest.fixture
def small_set(tmp_path: Path, write_video: WriteVideo) -> tuple[Manifest, dict[str, Frames]]:
    """A manifest of 12 clips of 3 to 14 frames, two actions and three people, and its frames."""
    clips, frames = [], {}
    for number in range(12):
        path = f"videos/{number}.mkv"
        frames[path] = write_video(tmp_path / path, 3 + number, seed=number)
        clips.append(
            Clip(
                path=path,
                start=0,
                end=3 + number,
                action=("run", "wave")[number % 2],
                privacy={"person": f"p{number % 3}"},
                group=path,
                split="validation" if number >= 9 else "train",
            )
        )
    file = Manifest("small", tmp_path, tuple(clips)).write(tmp_path / "manifest.csv")
    return Manifest.read(file), frames
