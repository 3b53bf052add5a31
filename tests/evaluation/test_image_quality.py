"""Measures of likeness against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motionveil.evaluation.image_quality import (
    gradient_deviation,
    mean_square,
    peak_signal_to_noise,
    structural_similarity,
)


def pictures(seed: int = 0, count: int = 3) -> torch.Tensor:
    """Smooth images, with edges."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=rng)
    return torch.nn.functional.interpolate(coarse, (24, 24), mode="nearest")


def noisy(first: torch.Tensor, size: float) -> torch.Tensor:
    noise = torch.rand(first.shape, generator=torch.Generator().manual_seed(9)) - 0.5
    return (first + size * noise).clamp(0, 1)


def test_equal_pictures() -> None:
    same = pictures()
    assert torch.equal(mean_square(same, same), torch.zeros(3))
    assert structural_similarity(same, same).tolist() == pytest.approx([1] * 3)
    assert gradient_deviation(same, same).tolist() == pytest.approx([0] * 3, abs=1e-6)


def test_more_noise_is_less_alike() -> None:
    first = pictures()
    found = [
        (mean_square(first, other).mean(), -structural_similarity(first, other).mean(), gradient)
        for size in (0.1, 0.3, 0.9)
        for other in [noisy(first, size)]
        for gradient in [gradient_deviation(first, other).mean()]
    ]
    for measure in zip(*found, strict=True):
        assert list(measure) == sorted(measure)


def test_peak_signal_to_noise() -> None:
    assert peak_signal_to_noise(0.01) == pytest.approx(20)
    assert peak_signal_to_noise(1.0) == pytest.approx(0)
    assert peak_signal_to_noise(0.0) == pytest.approx(100)


def test_gradient_deviation_is_its_definition() -> None:
    """Slowly, pixel by pixel."""
    first, second = pictures(1), noisy(pictures(1), 0.4)
    for one, two, found in zip(first, second, gradient_deviation(first, second), strict=True):
        edges = [_slow_edges(picture.double().numpy()) for picture in (one, two)]
        c = 170 / 255**2
        alike = (2 * edges[0] * edges[1] + c) / (edges[0] ** 2 + edges[1] ** 2 + c)
        assert float(found) == pytest.approx(alike.std(), rel=1e-4)


def _slow_edges(picture: np.ndarray) -> np.ndarray:
    luma = np.tensordot([0.299, 0.587, 0.114], picture, axes=1)
    small = np.array(
        [[luma[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(12)] for y in range(12)]
    )
    padded = np.pad(small, 1)
    edges = np.zeros_like(small)
    for y in range(12):
        for x in range(12):
            window = padded[y : y + 3, x : x + 3]
            across = (window[:, 0].sum() - window[:, 2].sum()) / 3
            down = (window[0].sum() - window[2].sum()) / 3
            edges[y, x] = np.hypot(across, down)
    return edges
