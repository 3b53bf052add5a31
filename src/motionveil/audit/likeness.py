"""How like two pictures are, by three measures that need no network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from motionveil.networks.backbones import ensure_torchvision

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_STABLE = 170 / 255**2  # GMSD's constant, 170 for values up to 255


def mean_square(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean square error of each picture: (N, 3, H, W) in [0, 1] to (N,)."""
    return (first - second).square().mean(dim=(1, 2, 3))


def peak_signal_to_noise(error: float) -> float:
    """Return PSNR in dB for a mean square error of values in [0, 1]; at most 100."""
    return float(-10 * torch.tensor(max(error, 1e-10), dtype=torch.float64).log10())


def structure(first: Tensor, second: Tensor) -> Tensor:
    """Return the structural similarity of each picture (Wang et al., TIP 2004).

    Args:
        first, second: (N, 3, H, W) in [0, 1], H and W at least 11.

    Returns:
        (N,), 1 for equal pictures.
    """
    ensure_torchvision()
    from monai.metrics.regression import SSIMMetric

    values: Tensor = SSIMMetric(spatial_dims=2, data_range=1.0)(first, second)  # type: ignore[assignment]
    return values[:, 0]


def gradient_deviation(first: Tensor, second: Tensor) -> Tensor:
    """Return the gradient magnitude similarity deviation (GMSD; Xue et al., TIP 2014).

    A perceptual distance: how unevenly two pictures' edges agree, on luma at half the size.

    Args:
        first, second: (N, 3, H, W) in [0, 1], H and W at least 4.

    Returns:
        (N,), 0 for equal pictures; 0.1 is a clearly visible difference.
    """
    edges = [_edges(pictures) for pictures in (first, second)]
    alike = (2 * edges[0] * edges[1] + _STABLE) / (edges[0].square() + edges[1].square() + _STABLE)
    return alike.flatten(1).std(dim=1, correction=0)


def _edges(pictures: Tensor) -> Tensor:
    """Return the gradient magnitude by Prewitt's filters: (N, 1, H/2, W/2)."""
    luma = (pictures * pictures.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    small = avg_pool2d(luma, 2)
    across = small.new_tensor([[1.0, 0.0, -1.0]] * 3) / 3
    filters = torch.stack([across, across.T])[:, None]  # (2, 1, 3, 3)
    return conv2d(small, filters, padding=1).square().sum(1, keepdim=True).sqrt()
