"""What the network sees of a frame is, byte by byte, what torch makes of it in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import ClipDataset
from motionveil.recognition.network_input import Fit, NetworkInput, resize
from tiny import write_toys

SIZES = [(24, 24), (64, 114), (7, 130), (96, 72), (1, 1), (65, 64), (128, 33)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("wanted", [(16, 16), (64, 64), (31, 97)], ids=str)
def test_resizes_as_torch_does(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    planar = torch.from_numpy(image).permute(2, 0, 1)[None]
    by_torch = functional.interpolate(planar, wanted, mode="bilinear", antialias=True)
    assert np.array_equal(resize(image, wanted), by_torch[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("fit", ["short-side", "squeeze", "letterbox"])
@pytest.mark.parametrize("size", [16, 24, 40])
def test_gives_the_clips_of_the_data_set(tmp_path: Path, fit: Fit, size: int) -> None:
    manifest = write_toys(tmp_path)
    rng = np.random.default_rng(1)
    cache = ClipCache.build(manifest, size=24, workers=1).derive(
        "noise", lambda frames, times: rng.integers(0, 256, (8, 24, 38, 3), np.uint8)
    )
    data = ClipDataset(
        cache, manifest.clips, t=8, size=size, privacy_label="person", training=False, fit=fit
    )
    seen = NetworkInput(size=size, fit=fit)
    for position, clip in enumerate(manifest.clips[:3]):
        images = np.stack([seen.image(np.asarray(frame)) for frame in cache.frames(clip)])
        shown = data.load([position], seed=0, epoch=0).clips[0].numpy()  # in [0, 1]
        assert np.array_equal(images, np.rint(255 * shown).astype(np.uint8).transpose(1, 2, 3, 0))
        assert np.abs(seen.clips(images) - (2 * shown - 1)).max() < 1e-6


def test_cells_are_repeated_before_they_are_cut() -> None:
    grid = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    seen = NetworkInput(size=8, cell=4).image(grid)
    assert seen.shape == (8, 8, 3)
    assert np.array_equal(seen, grid.repeat(4, 0).repeat(4, 1)[:, 2:10])
