"""Small networks that train from scratch on two processor cores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionveil.networks.inputs import check_clips, check_frames


class Small3D(nn.Module):
    """Four 3D convolutions, mean and maximum over what is left, a linear head.

    Most filters of the first convolution start with zero mean over time, so that they see motion
    from the first step on; on raw video a network of filters that all see the still background
    takes several times as long to begin to learn.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _unit3d(3, 16, (3, 5, 5), (2, 2, 2)),  # (B, 16, T/2, H/2, W/2)
            _unit3d(16, 32, (3, 3, 3), (1, 2, 2)),  # (B, 32, T/2, H/4, W/4)
            _unit3d(32, 64, (3, 3, 3), (2, 2, 2)),  # (B, 64, T/4, H/8, W/8)
            _unit3d(64, 64, (3, 3, 3), (1, 1, 1)),  # (B, 64, T/4, H/8, W/8)
        )
        self.head = nn.Linear(128, classes)
        first = next(self.features.parameters())  # (16, 3, T, H, W)
        with torch.no_grad():
            first[:12] -= first[:12].mean(2, keepdim=True)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` in [-1, 1], T >= 2 and H, W >= 16, to logits `(B, classes)`."""
        check_clips(clips, frames=2, pixels=16)
        logits: Tensor = self.head(_mean_and_maximum(self.features(clips)))
        return logits


class Small2D(nn.Module):
    """Four 2D convolutions, mean and maximum over what is left, a linear head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _unit2d(3, 16, 5, 2),  # (N, 16, H/2, W/2)
            _unit2d(16, 32, 3, 2),  # (N, 32, H/4, W/4)
            _unit2d(32, 64, 3, 2),  # (N, 64, H/8, W/8)
            _unit2d(64, 64, 3, 1),  # (N, 64, H/8, W/8)
        )
        self.head = nn.Linear(128, classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Map `(N, 3, H, W)` in [-1, 1], H, W >= 16, to logits `(N, classes)`."""
        check_frames(frames, pixels=16)
        logits: Tensor = self.head(_mean_and_maximum(self.features(frames)))
        return logits


def _mean_and_maximum(features: Tensor) -> Tensor:
    """Pool `(B, C, ...)` to `(B, 2 C)`; the maximum finds what is small in the frame."""
    places = features.flatten(2)
    return torch.cat([places.mean(2), places.amax(2)], dim=1)


def _unit3d(
    channels_in: int, channels: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> nn.Sequential:
    time, height, width = kernel
    return nn.Sequential(
        nn.Conv3d(
            channels_in,
            channels,
            kernel,
            stride,
            padding=(time // 2, height // 2, width // 2),
            bias=False,  # the normalisation has one
        ),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


def _unit2d(channels_in: int, channels: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
