"""ShuffleNet v2 for frames, written so that it can be inflated to clips.

Written from Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design"
(ECCV 2018), table 5, width 1. Modules carry torchvision's names, so that its weights load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Channels and blocks of the three stages.
_STAGES = {"stage2": (116, 4), "stage3": (232, 8), "stage4": (464, 4)}


class ShuffleNetV2(nn.Module):
    """ShuffleNet v2, width 1.

    Nothing in it counts the axes behind the channels: `inflate` makes it a network for clips.

    Args:
        classes: Number of outputs.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*_conv(3, 24, 3, stride=2), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)  # (N, 24, H/4, W/4)
        channels = 24
        for name, (width, blocks) in _STAGES.items():
            first = _Block(channels, width, stride=2)
            rest = [_Block(width, width) for _ in range(blocks - 1)]
            self.add_module(name, nn.Sequential(first, *rest))  # (N, width, H/8 ... H/32, ...)
            channels = width
        self.conv5 = nn.Sequential(*_conv(channels, 1024, 1), nn.ReLU(inplace=True))
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, 3, H, W)`, or `(B, 3, T, H, W)` once inflated, to logits `(N, classes)`."""
        *layers, head = self.children()  # in the order in which they were added
        for layer in layers:
            x = layer(x)
        logits: Tensor = head(x.flatten(2).mean(2))
        return logits


class _Block(nn.Module):
    """Two branches, concatenated, and the channels shuffled between them.

    With stride 1 the channels are split: one half stays as it is. With stride 2 both branches see
    all channels.
    """

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        half = channels // 2
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                *_conv(channels_in, channels_in, 3, stride, groups=channels_in),
                *_conv(channels_in, half, 1),
                nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            *_conv(channels_in if stride > 1 else half, half, 1),
            nn.ReLU(inplace=True),
            *_conv(half, half, 3, stride, groups=half),
            *_conv(half, half, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        one, other = (x, x) if len(self.branch1) else x.chunk(2, dim=1)
        pair = torch.stack([self.branch1(one), self.branch2(other)], dim=2)  # (N, C/2, 2, ...)
        return pair.flatten(1, 2)  # from the branches in turn: this is the shuffle


def _conv(
    channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(
        channels_in, channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return conv, nn.BatchNorm2d(channels)
