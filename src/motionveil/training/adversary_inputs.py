"""What adversaries and attackers are shown of veiled video: views of clips, whole or by frame.

A view takes clips `(B, 3, T, H, W)` in [-1, 1], as networks see them, to `(B, 3, T', H, W)` in
[-1, 1]. It needs no knowledge of the encoder, and gradients pass through it, so that an encoder can
be trained against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from motionveil.errors import MotionveilError

View = Callable[[Tensor], Tensor]

MOVING = 4
"""Frames that `most_motion` keeps."""

STACK = 3
"""Frames that `stacked` shows at once: as many as an image has channels."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LEAST = 1e-6


def as_it_is(clips: Tensor) -> Tensor:
    """Return the clips."""
    return clips


def integrated(clips: Tensor) -> Tensor:
    """Return the running sum over time, which undoes a difference.

    A sum of differences `v_1 - v_0, ..., v_t - v_{t-1}` is `v_t - v_0`: everything that has moved
    stands there again, in front of a hole where it was. What a veil shows where nothing moves is
    subtracted first, the median of each clip and channel; so a quantised zero does not add up. The
    sums of a clip are divided by their largest, so that they lie in [-1, 1].
    """
    still = clips.flatten(2).median(dim=2).values[:, :, None, None, None]
    sums = (clips - still).cumsum(dim=2)
    largest = sums.abs().amax(dim=(1, 2, 3, 4), keepdim=True)
    return sums / largest.clamp_min(_LEAST)


def stacked(clips: Tensor) -> Tensor:
    """Return images whose three channels are the luma of three frames of the clip.

    So a network for images, pretrained ones too, sees several moments at once, without colour.
    The three lie a quarter of the clip apart, or next to each other in a short clip.

    Returns:
        `(B, 3, T - 2 d, H, W)`, d the distance.

    Raises:
        MotionveilError: A clip has fewer than three frames.
    """
    frames = clips.shape[2]
    if frames < STACK:
        raise MotionveilError(
            f"the view stacked shows {STACK} veiled frames at once, there are {frames}: set frames"
            " higher"
        )
    apart = min(max(1, frames // 4), (frames - 1) // (STACK - 1))
    luma = (clips * clips.new_tensor(_LUMA)[:, None, None, None]).sum(1)  # (B, T, H, W)
    last = frames - (STACK - 1) * apart
    return torch.stack([luma[:, k * apart : k * apart + last] for k in range(STACK)], dim=1)


def most_motion(clips: Tensor) -> Tensor:
    """Return each clip's few frames that differ most from its median frame, in their order.

    In a veiled clip these are the frames in which most is to be seen.

    Returns:
        `(B, 3, min(MOVING, T), H, W)`.
    """
    usual = clips.median(dim=2, keepdim=True).values
    motion = (clips - usual).abs().mean(dim=(1, 3, 4))  # (B, T)
    count = min(MOVING, clips.shape[2])
    picked = motion.topk(count, dim=1).indices.sort(dim=1).values  # (B, count)
    where = picked[:, None, :, None, None].expand(-1, clips.shape[1], -1, *clips.shape[3:])
    return clips.gather(2, where)


VIEWS: dict[str, View] = {
    "plain": as_it_is,
    "integrated": integrated,
    "stacked": stacked,
    "most-motion": most_motion,
}
"""By the names that recipes and attacks call them by."""


def pick_frames(clips: int, frames: int, count: int) -> Tensor:
    """Draw frames of each clip without replacement, from torch's global generator.

    Args:
        frames: Frames that each clip has.
        count: Frames to draw of each.

    Returns:
        int64 of shape `(clips, min(count, frames))`, indices in [0, frames).
    """
    return torch.rand(clips, frames).argsort(1)[:, :count]


def take_frames(veiled: Tensor, picked: Tensor) -> Tensor:
    """Return the frames picked of each clip, the frames of a clip next to each other.

    Args:
        veiled: Shape `(B, 3, T, H, W)`.
        picked: int64 of shape `(B, count)`, indices in [0, T).

    Returns:
        Shape `(B * count, 3, H, W)`.
    """
    clips = torch.arange(len(veiled), device=veiled.device)[:, None]
    frames = veiled.transpose(1, 2)[clips, picked.to(veiled.device)]  # (B, count, 3, H, W)
    return frames.flatten(0, 1)


def draw_frames(veiled: Tensor, count: int) -> Tensor:
    """Pick frames of each clip of `(B, 3, T, H, W)` and take them; see `pick_frames`."""
    return take_frames(veiled, pick_frames(len(veiled), veiled.shape[2], count))


def all_frames(veiled: Tensor) -> Tensor:
    """Return every frame: `(B, 3, T, H, W)` to `(B * T, 3, H, W)`."""
    return veiled.transpose(1, 2).flatten(0, 1)


@dataclass(frozen=True)
class InputFormat:
    """The form in which an adversary sees veiled clips.

    Attributes:
        view: What it makes of them, one of `VIEWS`.
        temporal: Whether it is shown the whole view or frames drawn from it.
    """

    view: str = "plain"
    temporal: bool = False


class Showing:
    """Shows a batch's veiled clips to adversaries, part by part.

    Frames are drawn once for the whole batch, so that every process and part draws as one would;
    whoever sees frames of the same view sees the same ones.

    Args:
        formats: That of each adversary.
        clips: Number of clips in the whole batch.
        frames: Frames to draw of each.
    """

    def __init__(self, formats: Sequence[InputFormat], clips: int, frames: int) -> None:
        self.formats, self.clips, self.frames = formats, clips, frames
        self.picked: dict[str, Tensor] = {}

    def __call__(self, veiled: Tensor, rows: Tensor) -> list[Tensor]:
        """Return what each adversary sees; the gradient passes through it.

        Args:
            veiled: The part's veiled clips `(B, 3, T', H, W)` in [-1, 1].
            rows: Their places in the whole batch, `(B,)`.

        Returns:
            For each format views `(B, 3, T", H, W)` or frames of them `(B * frames, 3, H, W)`.
        """
        views = {name: VIEWS[name](veiled) for name in dict.fromkeys(k.view for k in self.formats)}
        seen = {one: self._seen(one, views[one.view], rows) for one in dict.fromkeys(self.formats)}
        return [seen[one] for one in self.formats]

    def _seen(self, one: InputFormat, view: Tensor, rows: Tensor) -> Tensor:
        if one.temporal:
            return view
        if one.view not in self.picked:
            self.picked[one.view] = pick_frames(self.clips, view.shape[2], self.frames)
        return take_frames(view, self.picked[one.view][rows.cpu()])


@contextmanager
def held_fixed(network: nn.Module) -> Iterator[nn.Module]:
    """Keep a network as it is while gradients pass through it to its input.

    Its weights get no gradient, and in training mode BatchNorm uses the batch's statistics without
    updating its running ones. (In evaluation mode the running statistics lag behind a changing
    encoder, and the encoder could then score entropy by outrunning them instead of by hiding
    anything.)
    """
    layers = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    tracking = [layer.track_running_stats for layer in layers]
    trained = [p for p in network.parameters() if p.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        for layer in layers:
            layer.track_running_stats = False
        yield network
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for layer, tracked in zip(layers, tracking, strict=True):
            layer.track_running_stats = tracked
