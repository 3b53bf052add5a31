"""What goes into a network: checked, and normalised the way its pretrained weights expect."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionveil.errors import MotionveilError

Channels = tuple[float, float, float]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


def check_clips(clips: Tensor, frames: int, pixels: int) -> None:
    """Refuse what is no `(B, 3, T, H, W)` with T >= `frames` and H, W >= `pixels`.

    Raises:
        MotionveilError: Gives the shape found and what would be right.
    """
    shape = tuple(clips.shape)
    if len(shape) != 5 or shape[1] != 3 or shape[2] < frames or min(shape[3:]) < pixels:
        raise MotionveilError(
            f"an action network got {shape}; it takes (B, 3, T, H, W) "
            f"with T at least {frames} and H, W at least {pixels}"
        )


def check_frames(frames: Tensor, pixels: int) -> None:
    """Refuse what is no `(N, 3, H, W)` with H, W >= `pixels`.

    Raises:
        MotionveilError: Gives the shape found and what would be right.
    """
    shape = tuple(frames.shape)
    if len(shape) != 4 or shape[1] != 3 or min(shape[2:]) < pixels:
        raise MotionveilError(
            f"a privacy network got {shape}; it takes (N, 3, H, W) with H, W at least {pixels}"
        )


class Normalised(nn.Module):
    """A network behind its checks and the normalisation that its weights were trained with.

    From v in [-1, 1] it computes `((v + 1) / 2 - mean) / std` for each channel. The mean and the
    standard deviation are buffers: they travel with the weights in the state dictionary.

    Args:
        network: Takes `(N, 3, H, W)` or `(B, 3, T, H, W)`.
        mean, std: For the channels R, G, B on the scale [0, 1].
        dimensions: 4 for frames, 5 for clips.
        pixels: Smallest height and width that the network is given.
        frames: Fewest frames of a clip that the network is given.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Channels,
        std: Channels,
        *,
        dimensions: int,
        pixels: int,
        frames: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.dimensions = dimensions
        self.pixels = pixels
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, 3, H, W)` or `(B, 3, T, H, W)` in [-1, 1] to logits."""
        if self.dimensions == 5:
            check_clips(x, self.frames, self.pixels)
        else:
            check_frames(x, self.pixels)
        channels = (1, 3) + (1,) * (self.dimensions - 2)
        mean, std = self.mean.view(channels), self.std.view(channels)
        logits: Tensor = self.network(((x + 1) / 2 - mean) / std)
        return logits
