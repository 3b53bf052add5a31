"""3D SqueezeNet.

Written from Köpüklü et al., "Resource Efficient 3D Convolutional Neural Networks" (ICCV Workshops
2019): SqueezeNet 1.1 (Iandola et al., 2016) with 3D kernels, BatchNorm and the simple bypass.
Modules carry the names of the authors' code, so that converted checkpoints load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Channels of each fire module: squeezed, and out of it. Every second one has the bypass.
_FIRES = ((16, 128), (16, 128), (32, 256), (32, 256), (48, 384), (48, 384), (64, 512), (64, 512))
_POOLED_BEFORE = {0, 2, 4, 6}  # where the size is halved, in time too


class SqueezeNet3D(nn.Module):
    """3D SqueezeNet 1.1 with BatchNorm and bypasses, for clips of any length.

    Args:
        classes: Number of outputs.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv3d(3, 64, 3, (1, 2, 2), padding=1),  # (B, 64, T, H/2, W/2)
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        ]
        channels = 64
        for number, (squeezed, out) in enumerate(_FIRES):
            if number in _POOLED_BEFORE:
                layers.append(nn.MaxPool3d(3, 2, padding=1))
            layers.append(_Fire(channels, squeezed, out))
            channels = out
        self.features = nn.Sequential(*layers)  # (B, 512, T/16, H/32, W/32)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv3d(channels, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` to logits `(B, classes)`, none of which is negative."""
        logits: Tensor = self.classifier(self.features(clips))
        return logits.flatten(1)


class _Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1x1 and by 3x3x3 side by side, add the input."""

    def __init__(self, channels_in: int, squeezed: int, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv3d(channels_in, squeezed, 1)
        self.squeeze_bn = nn.BatchNorm3d(squeezed)
        self.expand1x1 = nn.Conv3d(squeezed, channels // 2, 1)
        self.expand1x1_bn = nn.BatchNorm3d(channels // 2)
        self.expand3x3 = nn.Conv3d(squeezed, channels // 2, 3, padding=1)
        self.expand3x3_bn = nn.BatchNorm3d(channels // 2)
        self._bypass = channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        few = functional.relu(self.squeeze_bn(self.squeeze(x)))
        near = self.expand1x1_bn(self.expand1x1(few))
        wide = self.expand3x3_bn(self.expand3x3(few))
        expanded = torch.cat([near, wide], dim=1)
        return functional.relu(expanded + x if self._bypass else expanded)
