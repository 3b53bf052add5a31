"""Motion moments as an encoder: the motion field of a clip, summed up frame by frame."""

from __future__ import annotations

import torch
from torch import Tensor

from motionveil.encoders.base import Encoder
from motionveil.encoders.flow import Flow
from motionveil.methods.moments import CENTRE, LEAST_SPREAD, TINY, MomentsSettings, centres
from motionveil.spec import EncoderSpec


class Moments(Encoder):
    """Six moments of the motion field, each over its running mean; nothing is learned.

    With `parts`, six for each part of the image. The running means are reset with each clip.
    What the output shows stands in `motionveil.methods.moments.show_moments`.

    Examples:
        >>> encoder = Moments(EncoderSpec.untrained("moments"))
        >>> encoder(torch.rand(2, 3, 4, 32, 32)).shape
        torch.Size([2, 3, 3, 32, 32])
    """

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        assert isinstance(spec.settings, MomentsSettings)
        self._spec, self.settings = spec, spec.settings
        field = spec.model_copy(update={"method": "flow", "settings": self.settings.field})
        self.field = Flow(field).requires_grad_(False)

    def forward(self, clip: Tensor) -> Tensor:
        """Veil clips.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1]; T >= 2.

        Returns:
            Shape `(B, 3, T - 1, H, W)`, values in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        settings = self.settings
        cell = settings.cell
        cells = self.field(clip)[:, :2, :, ::cell, ::cell]
        height, width = clip.shape[-2:]
        parts = settings.columns(cells.shape[-1])
        shown = [self._show(self.levels(cells[..., part] / CENTRE - 1), part) for part in parts]
        upper = min(cell * ((cells.shape[-2] + 1) // 2), height)
        sides = torch.tensor([upper, height - upper], device=clip.device)
        return torch.cat(shown, 4)[..., :width].repeat_interleave(sides, 3, output_size=height)

    def _show(self, levels: Tensor, part: slice) -> Tensor:
        """Return the levels (B, 2, T, 3) as colours, one above the other, (B, 3, T, 2, columns)."""
        shown = CENTRE * (1 + levels / self.settings.side)
        columns = (part.stop - part.start) * self.settings.cell
        return shown.permute(0, 3, 2, 1)[..., None].expand(-1, -1, -1, -1, columns)

    def levels(self, field: Tensor) -> Tensor:
        """Return the levels of the moments, `(B, 2, T, 3)`, whole numbers.

        Args:
            field: Velocities along x and y as shares of the range, `(B, 2, T, h, w)`.
        """
        settings = self.settings
        y, x = self._places(field)
        moving = field.abs().sum(1)  # (B, T, h, w)
        rows, columns = moving.sum(3), moving.sum(2)
        total = self._running(rows.sum(2)) + TINY
        along = self._standard(x, columns, total)[:, None, :, None, :]
        down = self._standard(y, rows, total)[:, None, :, :, None]
        moments = torch.stack([(field * by).mean((3, 4)) for by in (1, along, down)], 3)
        relative = moments / (self._running(moments.abs(), mean=True) + settings.floor)
        return (relative / settings.step).round().clamp(-settings.side, settings.side)

    def filter_taps(self, shape: tuple[int, ...]) -> int:
        """Return the taps of the motion field's windows."""
        return self.field.filter_taps(shape)

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was built from."""
        return self._spec

    def _places(self, field: Tensor) -> list[Tensor]:
        sides = field.shape[-2:]
        return [
            torch.tensor(centres(side), dtype=field.dtype, device=field.device) for side in sides
        ]

    def _standard(self, places: Tensor, moving: Tensor, total: Tensor) -> Tensor:
        """Return places from the middle of what has moved, in standard deviations, (B, T, n)."""
        middle = self._running(moving @ places) / total
        second = self._running(moving @ places.square()) / total
        spread = (second - middle.square()).clamp_min(0).sqrt() + LEAST_SPREAD
        return (places - middle[..., None]) / spread[..., None]

    def _running(self, values: Tensor, *, mean: bool = False) -> Tensor:
        """Return sums over the frames so far, weighted by age, of `values`; or their means."""
        time = 1 if values.dim() == 2 else 2
        memory, frames = self.settings.memory, values.unbind(time)
        sums, weights = [frames[0]], [1.0]
        for frame in frames[1:]:
            sums.append(memory * sums[-1] + frame)
            weights.append(memory * weights[-1] + 1)
        found = [s / w for s, w in zip(sums, weights, strict=True)] if mean else sums
        return torch.stack(found, time)
