"""Small networks that train from scratch on two processor cores."""

from __future__ import annotations

from torch import Tensor, nn

from motionveil.networks.inputs import check_clips, check_frames


class Small3D(nn.Module):
    """Four 3D convolutions, global average pooling, a linear head.

    Time is halved by the first, third and fourth convolution, space by all four.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _unit3d(3, 16, (3, 5, 5), (2, 2, 2)),  # (B, 16, T/2, H/2, W/2)
            _unit3d(16, 32, (3, 3, 3), (1, 2, 2)),  # (B, 32, T/2, H/4, W/4)
            _unit3d(32, 64, (3, 3, 3), (2, 2, 2)),  # (B, 64, T/4, H/8, W/8)
            _unit3d(64, 96, (3, 3, 3), (2, 2, 2)),  # (B, 96, T/8, H/16, W/16)
        )
        self.head = nn.Linear(96, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` in [-1, 1], T >= 2 and H, W >= 16, to logits `(B, classes)`."""
        check_clips(clips, frames=2, pixels=16)
        logits: Tensor = self.head(self.features(clips).mean(dim=(2, 3, 4)))
        return logits


class Small2D(nn.Module):
    """Four 2D convolutions that each halve the frame, global average pooling, a linear head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _unit2d(3, 16, 5),  # (N, 16, H/2, W/2)
            _unit2d(16, 32, 3),  # (N, 32, H/4, W/4)
            _unit2d(32, 64, 3),  # (N, 64, H/8, W/8)
            _unit2d(64, 96, 3),  # (N, 96, H/16, W/16)
        )
        self.head = nn.Linear(96, classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Map `(N, 3, H, W)` in [-1, 1], H, W >= 16, to logits `(N, classes)`."""
        check_frames(frames, pixels=16)
        logits: Tensor = self.head(self.features(frames).mean(dim=(2, 3)))
        return logits


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


def _unit2d(channels_in: int, channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, 2, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
