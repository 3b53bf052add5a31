"""I3D: Inception-v1 inflated to three dimensions.

Written from Carreira and Zisserman, "Quo Vadis, Action Recognition?" (CVPR 2017), figure 3, whose
channel numbers are those of Inception-v1 (Szegedy et al., CVPR 2015, table 1). Modules carry the
names of the original, so that converted checkpoints load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from motionveil.networks.preprocessing import check_clips

Size = tuple[int, int, int]

# Channels of an inception block's four branches:
# 1x1, (1x1, then 3x3), (1x1, then 3x3), 1x1 after pooling.
_BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


class I3D(nn.Module):
    """Inception-v1 I3D on RGB clips.

    The head averages over all the positions that are left, so that any size from 2 x 32 x 32
    works. The original averages over windows of 2 x 7 x 7 and then over the windows: the same for
    two positions in time and 7 x 7 in space, and nearly so for longer clips.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.add_module("Conv3d_1a_7x7", _Unit(3, 64, 7, 2))  # (B, 64, T/2, H/2, W/2)
        self.add_module("MaxPool3d_2a_3x3", _MaxPool((1, 3, 3), (1, 2, 2)))
        self.add_module("Conv3d_2b_1x1", _Unit(64, 64, 1))
        self.add_module("Conv3d_2c_3x3", _Unit(64, 192, 3))  # (B, 192, T/2, H/4, W/4)
        self.add_module("MaxPool3d_3a_3x3", _MaxPool((1, 3, 3), (1, 2, 2)))
        channels = self._add_blocks(192, "Mixed_3")  # (B, 480, T/2, H/8, W/8)
        self.add_module("MaxPool3d_4a_3x3", _MaxPool((3, 3, 3), (2, 2, 2)))
        channels = self._add_blocks(channels, "Mixed_4")  # (B, 832, T/4, H/16, W/16)
        self.add_module("MaxPool3d_5a_2x2", _MaxPool((2, 2, 2), (2, 2, 2)))
        channels = self._add_blocks(channels, "Mixed_5")  # (B, 1024, T/8, H/32, W/32)
        self.add_module("logits", _Head(channels, classes))

    def _add_blocks(self, channels: int, stage: str) -> int:
        for name, branches in _BLOCKS.items():
            if name.startswith(stage):
                block = _Inception(channels, branches)
                self.add_module(name, block)
                channels = block.channels
        return channels

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` in [-1, 1], T >= 2 and H, W >= 32, to logits `(B, classes)`."""
        check_clips(clips, frames=2, pixels=32)
        x = clips
        for module in self.children():  # in the order in which they were added
            x = module(x)
        return x


class _Unit(nn.Module):
    """Convolution, BatchNorm, ReLU, with TensorFlow's SAME padding."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels_in, channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(channels, eps=1e-3)
        self._kernel: Size = (kernel,) * 3
        self._stride: Size = (stride,) * 3

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(
            self.bn(self.conv3d(_pad_same(x, self._kernel, self._stride))), inplace=True
        )


class _MaxPool(nn.Module):
    """Maximum pooling with TensorFlow's SAME padding.

    It pads with zeros, which never win: what is pooled here comes out of a ReLU.
    """

    def __init__(self, kernel: Size, stride: Size) -> None:
        super().__init__()
        self._kernel = kernel
        self._stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool3d(
            _pad_same(x, self._kernel, self._stride), self._kernel, self._stride
        )


class _Inception(nn.Module):
    """Four branches side by side, concatenated along the channels."""

    def __init__(self, channels_in: int, branches: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = branches
        self.channels = b0 + b1b + b2b + b3b
        self.b0 = _Unit(channels_in, b0, 1)
        self.b1a = _Unit(channels_in, b1a, 1)
        self.b1b = _Unit(b1a, b1b, 3)
        self.b2a = _Unit(channels_in, b2a, 1)
        self.b2b = _Unit(b2a, b2b, 3)
        self.b3a = _MaxPool((3, 3, 3), (1, 1, 1))
        self.b3b = _Unit(channels_in, b3b, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


class _Head(nn.Module):
    """Global average pooling and a 1x1x1 convolution with a bias."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.conv3d(x.mean(dim=(2, 3, 4), keepdim=True))  # (B, classes, 1, 1, 1)
        return logits.flatten(1)


def _pad_same(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Pad with zeros so that the output has ceil(size / stride) positions; the odd one comes last.

    An axis of size n gets max((ceil(n / s) - 1) s + k - n, 0) zeros in all.
    """
    before_after: list[int] = []
    for size, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):  # W, H, T
        zeros = max((-(-size // s) - 1) * s + k - size, 0)
        before_after += [zeros // 2, zeros - zeros // 2]
    return functional.pad(x, before_after) if any(before_after) else x
