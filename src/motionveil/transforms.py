"""The veil as a transform of torchvision, for loaders of other programs."""

from __future__ import annotations

import math
import os
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from motionveil.errors import MotionveilError
from motionveil.frames import veil_frames
from motionveil.networks.backbones import ensure_torchvision
from motionveil.spec import DEFAULT, EncoderSpec, load_spec
from motionveil.streaming.pipeline import First
from motionveil.video.reader import whole_rate

ensure_torchvision()

from torchvision import tv_tensors  # noqa: E402, after the line above
from torchvision.transforms import v2  # noqa: E402


class Veil(v2.Transform):
    """Veil videos, as `motionveil encode` does; other inputs pass unchanged.

    A video is a `tv_tensors.Video`, or a plain tensor, uint8 (..., T, 3, H, W). It becomes one of
    the encoder's size and rate, uint8 (..., T', 3, h, w); an empty batch stays empty. It runs on
    the CPU and has no gradient: for training an encoder there is `motionveil.train`.

    Args:
        encoder: A name, an `encoder.json`, a run folder or a spec.
        rate: Frames a second of the videos.
        first: The first frame has no difference: `"drop"` it, or give the `"neutral"` frame.

    Raises:
        MotionveilError: There is no such encoder, it cannot stream, the rate is out of range, or
            a video is no uint8 tensor with three channels.

    Examples:
        >>> import torch
        >>> from torchvision.transforms import v2
        >>> transform = v2.Compose([Veil("bdq", rate=30), v2.ToDtype(torch.float32, scale=True)])
        >>> transform(torch.randint(0, 256, (16, 3, 48, 64), dtype=torch.uint8)).shape
        torch.Size([7, 3, 64, 86])
    """

    _transformed_types = (tv_tensors.Video, lambda inpt: type(inpt) is torch.Tensor)

    def __init__(
        self,
        encoder: str | os.PathLike[str] | EncoderSpec = DEFAULT,
        *,
        rate: float | Fraction,
        first: First = "drop",
    ) -> None:
        super().__init__()
        self.spec = load_spec(encoder)
        self.rate, self.first = whole_rate(rate), first

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Veil one input; torchvision calls this."""
        if inpt.dtype != torch.uint8 or inpt.ndim < 4 or inpt.shape[-3] != 3:
            raise MotionveilError(
                f"a video is {inpt.dtype} {tuple(inpt.shape)}; it must be uint8 (..., T, 3, H, W):"
                " first v2.ToDtype(torch.uint8, scale=True)"
            )
        videos = inpt.as_subclass(torch.Tensor).cpu().movedim(-3, -1)
        count, shape = math.prod(videos.shape[:-4]), videos.shape[-4:]
        # Of an empty batch, a black video says which shape its videos would have.
        flat = videos.reshape(count, *shape) if count else videos.new_zeros(1, *shape)
        veiled = [
            veil_frames(video, self.rate, encoder=self.spec, first=self.first)
            for video in flat.numpy()
        ]
        out = torch.from_numpy(np.stack(veiled))[:count].movedim(-1, -3)
        out = out.reshape(*inpt.shape[:-4], *out.shape[1:]).to(inpt.device)
        return tv_tensors.wrap(out, like=inpt) if isinstance(inpt, tv_tensors.Video) else out
