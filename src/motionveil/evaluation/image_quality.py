"""Image quality by measures that need no network, and grids of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from motionveil.atomic_write import atomic_path
from motionveil.networks.backbones import ensure_torchvision

Images = NDArray[np.float32]
Line = tuple[str, Sequence[Images]]
"""A row of a grid: its name and its images, float32 (H, W, 3) in [0, 1]."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_STABLE = 170 / 255**2  # GMSD's constant, 170 for values up to 255


def mean_square(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean square error of each image: (N, 3, H, W) in [0, 1] to (N,)."""
    return (first - second).square().mean(dim=(1, 2, 3))


def peak_signal_to_noise(error: float) -> float:
    """Return PSNR in dB for a mean square error of values in [0, 1]; at most 100."""
    return float(-10 * torch.tensor(max(error, 1e-10), dtype=torch.float64).log10())


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return the structural similarity of each image (Wang et al., TIP 2004).

    Args:
        first, second: (N, 3, H, W) in [0, 1], H and W at least 11.

    Returns:
        (N,), 1 for equal images.
    """
    ensure_torchvision()
    from monai.metrics.regression import SSIMMetric

    values: Tensor = SSIMMetric(spatial_dims=2, data_range=1.0)(first, second)  # type: ignore[assignment]
    return values[:, 0]


def gradient_deviation(first: Tensor, second: Tensor) -> Tensor:
    """Return the gradient magnitude similarity deviation (GMSD; Xue et al., TIP 2014).

    A perceptual distance: how unevenly two images' edges agree, on luma at half the size.

    Args:
        first, second: (N, 3, H, W) in [0, 1], H and W at least 4.

    Returns:
        (N,), 0 for equal images; 0.1 is a clearly visible difference.
    """
    edges = [_edges(images) for images in (first, second)]
    alike = (2 * edges[0] * edges[1] + _STABLE) / (edges[0].square() + edges[1].square() + _STABLE)
    return alike.flatten(1).std(dim=1, correction=0)


def _edges(images: Tensor) -> Tensor:
    """Return the gradient magnitude by Prewitt's filters: (N, 1, H/2, W/2)."""
    luma = (images * images.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    small = avg_pool2d(luma, 2)
    across = small.new_tensor([[1.0, 0.0, -1.0]] * 3) / 3
    filters = torch.stack([across, across.T])[:, None]  # (2, 1, 3, 3)
    return conv2d(small, filters, padding=1).square().sum(1, keepdim=True).sqrt()


def draw_grid(file: Path, columns: Sequence[str], lines: Sequence[Line]) -> None:
    """Draw images in lines and columns, whole or not at all."""
    figure = Figure(figsize=(1.8 * len(columns), 1.8 * len(lines)), layout="constrained")
    # One pair of axes for all: with a pair for each image, most of the time would go into ticks.
    axes = figure.add_subplot()
    for top, (name, images) in enumerate(lines):
        axes.text(-0.05, top + 0.5, name, fontsize=8, rotation=90, ha="right", va="center")
        for left, (image, _) in enumerate(zip(images, columns, strict=True)):
            height, width = image.shape[:2]
            high, wide = (0.48 * side / max(height, width) for side in (height, width))
            x, y = left + 0.5, top + 0.5
            extent = (x - wide, x + wide, y + high, y - high)
            axes.imshow(np.clip(image, 0, 1), interpolation="nearest", extent=extent)
    for left, title in enumerate(columns):
        axes.text(left + 0.5, -0.05, title, fontsize=9, ha="center", va="bottom")
    axes.set(xlim=(0, len(columns)), ylim=(len(lines), 0))
    axes.set_axis_off()
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as part:
        figure.savefig(part, dpi=120, format="png", metadata={"Software": None})
