"""Down-sampling: plain, and after the learned transformations of Ryoo et al.

Ryoo, Rothrock, Fleming and Yang, "Privacy-Preserving Human Activity Recognition from Extreme Low
Resolution", AAAI 2017. A camera gives one small video. Whoever trains a network has large ones,
and makes several small videos of each by moving the image a little first, as if the camera had
moved; which motions help is learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from motionveil.encoders import functional
from motionveil.encoders.base import Encoder
from motionveil.encoders.blur import enlarge, shrink
from motionveil.methods import LEVELS
from motionveil.methods.downsample import DownsampleSettings
from motionveil.methods.ryoo import LIMITS, Motion, RyooSettings
from motionveil.spec import EncoderSpec

_FIELDS = tuple(Motion.model_fields)


class Downsample(Encoder):
    """Down-sampling of every frame to N x N pixels by means over equal areas. Nothing is learned.

    The small frames are brought back to the size of the input bilinearly, since networks expect
    it; see `enlarge`.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        assert isinstance(spec.settings, DownsampleSettings)
        self._spec = spec
        self.size = spec.settings.size

    def forward(self, clip: Tensor) -> Tensor:
        """Return `(B, 3, T, H, W)` in [0, 1] down-sampled, in the same shape, in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong, or it is too small.
        """
        functional.check_clip(clip)
        return self._down(clip)

    def _down(self, clip: Tensor) -> Tensor:
        height, width = clip.shape[-2:]
        return enlarge(shrink(clip, self.size), height, width) * LEVELS

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was built from."""
        return self._spec


class Ryoo(Downsample):
    """Down-sampling with K learned transformations for the videos that networks are trained on.

    `forward` is plain down-sampling: what leaves the camera, and what is scored. `views` gives
    training videos, each clip moved by one of the K transformations or by none. The transformations
    are learned by the loss of the action network (equation 1 with alpha = 0).

    Attributes:
        motions: Parameter, shape `(K, 6)`: x, y, zoom, angle, shear_x, shear_y of
            `motionveil.methods.ryoo.Motion`.
    """

    varies_training = True
    turn: Tensor

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__(spec)
        assert isinstance(spec.settings, RyooSettings)
        rows = [[getattr(motion, field) for field in _FIELDS] for motion in spec.settings.motions]
        self.motions = nn.Parameter(torch.tensor(rows, dtype=torch.float32))
        # Clips come shuffled, so taking motions in turn is a draw; it leaves torch's generator,
        # which several processes share in step, alone. The buffer goes into checkpoints.
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))

    def views(self, clip: Tensor) -> Tensor:
        """Move each clip by a learned transformation, or by none, and down-sample it.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1].

        Returns:
            Shape `(B, 3, T, H, W)`, values in [0, 15].

        Raises:
            ValueError: As `forward`.
        """
        functional.check_clip(clip)
        count = len(self.motions) + 1
        chosen = (torch.arange(len(clip), device=clip.device) + self.turn) % count
        self.turn += 1
        still = torch.zeros_like(self.motions[:1])
        return self._down(self._move(clip, torch.cat([still, self.motions])[chosen]))

    def every_view(self, clip: Tensor) -> Tensor:
        """Return all low-resolution videos of each clip.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1].

        Returns:
            Shape `(K + 1, B, 3, T, H, W)`, values in [0, 15]; the first has not been moved.
        """
        functional.check_clip(clip)
        moved = [self._move(clip, motion.expand(len(clip), -1)) for motion in self.motions]
        return torch.stack([self._down(one) for one in (clip, *moved)])

    def _move(self, clip: Tensor, motions: Tensor) -> Tensor:
        """Move the clips by motions of shape `(B, 6)`; the border repeats the edge pixels."""
        frames = clip.flatten(1, 2)  # (B, 3 * T, H, W)
        where = affine_grid(self._matrices(motions), list(frames.shape), align_corners=False)
        moved = grid_sample(frames, where, padding_mode="border", align_corners=False)
        return moved.unflatten(1, clip.shape[1:3])

    def _matrices(self, motions: Tensor) -> Tensor:
        """Return `(B, 2, 3)`: where each place of the moved image comes from, in [-1, 1]."""
        x, y, zoom, angle, shear_x, shear_y = motions.unbind(1)
        cos, sin, shrunk = angle.cos(), angle.sin(), (-zoom).exp()
        one = torch.ones_like(x)
        turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
        shear = torch.stack([torch.stack([one, -shear_x], 1), torch.stack([-shear_y, one], 1)], 1)
        linear = shrunk[:, None, None] * (shear @ turn)
        shift = torch.stack([x, y], 1) * (2 / self.size)  # a small pixel is 2 / size wide
        return torch.cat([linear, -(linear @ shift[:, :, None])], 2)

    @torch.no_grad()
    def constrain(self) -> None:
        """Keep the motions those of a camera that moves a little: within `LIMITS`."""
        most = self.motions.new_tensor([getattr(LIMITS, field) for field in _FIELDS])
        self.motions.copy_(self.motions.clamp(-most, most))

    def numbers(self) -> dict[str, float]:
        """Return every number of every motion: `x1`, `y1`, ..., `shear_yK`."""
        return {
            f"{field}{number}": float(value)
            for number, row in enumerate(self.motions.detach().cpu(), 1)
            for field, value in zip(_FIELDS, row, strict=True)
        }

    @property
    def spec(self) -> EncoderSpec:
        """The transformations as they are now."""
        motions = [
            Motion(**dict(zip(_FIELDS, row, strict=True))) for row in self.motions.detach().tolist()
        ]
        settings = RyooSettings(size=self.size, motions=tuple(motions))
        return self._spec.model_copy(update={"settings": settings})
