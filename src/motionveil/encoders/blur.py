"""Plain ways to take detail away: blur, mosaic, filters along both axes. They keep every frame."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from motionveil.encoders import functional
from motionveil.encoders.base import Encoder
from motionveil.methods import LEVELS
from motionveil.methods.blur import BlurSettings
from motionveil.methods.pixelate import PixelateSettings
from motionveil.spec import EncoderSpec


class Blur(Encoder):
    """A Gaussian blur of every frame; the border repeats the edge pixels. Nothing is learned."""

    window: int

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        assert isinstance(spec.settings, BlurSettings)
        self._spec = spec
        self.sigma = spec.settings.sigma
        self.window = spec.settings.window

    def forward(self, clip: Tensor) -> Tensor:
        """Return `15 G(v)`: `(B, 3, T, H, W)` in [0, 1] to the same shape in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        functional.check_clip(clip)
        sigma = torch.tensor(self.sigma, dtype=clip.dtype, device=clip.device)
        return functional.blur(clip, sigma, self.window) * LEVELS

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was built from."""
        return self._spec


class Pixelate(Encoder):
    """A mosaic: every square block of a frame takes its mean colour. Nothing is learned.

    Blocks are counted from the upper left; those at the right and lower border may be smaller.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        assert isinstance(spec.settings, PixelateSettings)
        self._spec = spec
        self.block = spec.settings.block

    def forward(self, clip: Tensor) -> Tensor:
        """Return the mosaic: `(B, 3, T, H, W)` in [0, 1] to the same shape in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        functional.check_clip(clip)
        return _blocks(_blocks(clip, self.block, -2), self.block, -1) * LEVELS

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was built from."""
        return self._spec


class Filter(Encoder):
    """Any method whose record gives a `matrix` for an axis: every frame filtered along both."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self._spec = spec

    def forward(self, clip: Tensor) -> Tensor:
        """Return the filtered clip: `(B, 3, T, H, W)` in [0, 1] to the same shape in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        functional.check_clip(clip)
        kind: Any = self._spec.kind
        rows, columns = (
            torch.from_numpy(kind.matrix(self._spec.settings, size)).to(clip)
            for size in clip.shape[-2:]
        )
        return rows @ clip @ columns.T * LEVELS

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was built from."""
        return self._spec


def _blocks(clip: Tensor, block: int, dim: int) -> Tensor:
    """Replace every `block` neighbours along a dimension by their mean."""
    parts = clip.split(block, dim)
    return torch.cat([part.mean(dim, keepdim=True).expand_as(part) for part in parts], dim)


def shrink(clip: Tensor, size: int) -> Tensor:
    """Return every frame as `size` x `size` means over equal areas.

    Args:
        clip: Shape `(B, C, T, H, W)`; H and W at least `size`.

    Returns:
        Shape `(B, C, T, size, size)`.

    Raises:
        ValueError: The frames are smaller than that.
    """
    if min(clip.shape[-2:]) < size:
        raise ValueError(
            f"frames of {clip.shape[-1]} x {clip.shape[-2]} pixels cannot be down-sampled to"
            f" {size} x {size}"
        )
    frames = clip.flatten(1, 2)  # (B, C * T, H, W)
    return adaptive_avg_pool2d(frames, size).unflatten(1, clip.shape[1:3])


def enlarge(clip: Tensor, height: int, width: int) -> Tensor:
    """Bring small frames `(B, C, T, h, w)` to height and width, bilinearly.

    Networks expect their own input size. Nothing is added to the small frames, and little is
    easier for a network to undo.
    """
    frames = clip.flatten(1, 2)
    large = interpolate(frames, (height, width), mode="bilinear", align_corners=False)
    return large.unflatten(1, clip.shape[1:3])
