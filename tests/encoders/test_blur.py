"""Blur and pixelation, against scipy-free independent computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motionveil.encoders import load_encoder
from motionveil.encoders.blur import Filter, enlarge, shrink
from motionveil.errors import MotionveilError


def clip(height: int = 13, width: int = 17) -> torch.Tensor:
    return torch.rand(2, 3, 4, height, width, generator=torch.Generator().manual_seed(1))


def test_blur_is_a_convolution_with_a_gaussian() -> None:
    sigma, frames = 1.5, clip()
    reach = 5  # three standard deviations, rounded up
    offsets = np.arange(-reach, reach + 1)
    line = np.exp(-(offsets**2) / (2 * sigma**2))
    window = np.outer(line, line) / line.sum() ** 2
    padded = np.pad(frames.numpy(), ((0, 0),) * 3 + ((reach, reach),) * 2, mode="edge")
    expected = np.zeros(frames.shape)
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            shifted = padded[..., y : y + frames.shape[-2], x : x + frames.shape[-1]]
            expected += window[y, x] * shifted
    found = load_encoder("blur-1.5")(frames)
    np.testing.assert_allclose(found.numpy(), 15 * expected, atol=1e-4)


def test_a_mosaic_has_one_colour_a_block() -> None:
    frames = clip()
    found = load_encoder("pixelate-4")(frames).numpy() / 15
    for top in range(0, 13, 4):
        for left in range(0, 17, 4):
            block = (..., slice(top, top + 4), slice(left, left + 4))
            mean = frames.numpy()[block].mean((-1, -2), keepdims=True)
            np.testing.assert_allclose(
                found[block], np.broadcast_to(mean, found[block].shape), atol=1e-6
            )


def test_small_frames_are_means_over_equal_areas() -> None:
    frames = clip(12, 8)
    small = shrink(frames, 4)
    assert small.shape == (2, 3, 4, 4, 4)
    expected = frames.reshape(2, 3, 4, 4, 3, 4, 2).mean((4, 6))
    torch.testing.assert_close(small, expected)
    with pytest.raises(ValueError, match="8 x 12 pixels cannot be down-sampled to 9 x 9"):
        shrink(frames, 9)


def test_enlarging_adds_nothing() -> None:
    """Small frames can be had back: what is shown is a linear function of them, one to one."""
    small = clip(4, 4)
    large = enlarge(small, 32, 32)
    # A centre of a small pixel lies between four large ones, whose mean is the small one's value
    # but for a part of its neighbours that a linear map undoes.
    basis = enlarge(torch.eye(16).reshape(16, 1, 1, 4, 4), 32, 32).reshape(16, -1)
    values = large.flatten(3).flatten(0, 2)
    recovered = torch.linalg.lstsq(basis.T, values.T).solution.T
    torch.testing.assert_close(recovered.reshape(small.shape), small, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["blur-2", "pixelate-4", "downsample-4"])
def test_a_plain_method_keeps_frames_and_scale(name: str) -> None:
    encoder = load_encoder(name)
    veiled = encoder(clip())
    assert veiled.shape == (2, 3, 4, 13, 17)
    assert 0 <= veiled.min() <= veiled.max() <= 15
    assert not list(encoder.parameters())
    assert encoder.spec.name == name
    grey = torch.full((1, 3, 2, 16, 16), 0.4)
    torch.testing.assert_close(encoder(grey), 15 * grey)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        encoder(255 * clip())


@pytest.mark.parametrize("name", ["blur-0", "pixelate-1", "downsample-0", "downsample-2.5"])
def test_a_strength_out_of_range_is_named(name: str) -> None:
    with pytest.raises(MotionveilError, match=name):
        load_encoder(name)


@pytest.mark.parametrize("name", ["blur-1.5", "pixelate-4", "downsample-7"])
def test_a_filter_by_its_matrix_is_the_method_s_own_module(name: str) -> None:
    own = load_encoder(name)
    torch.testing.assert_close(Filter(own.spec)(clip()), own(clip()), atol=1e-4, rtol=0)
