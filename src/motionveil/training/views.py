"""What an adversary makes of veiled video before a network sees it.

A view takes clips `(B, 3, T, H, W)` in [-1, 1], as networks see them, to `(B, 3, T', H, W)` in
[-1, 1]. It is what the adversary chooses to compute; it knows nothing of the encoder. Gradients
pass through it to the clips, so that an encoder can be trained against it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from motionveil.errors import MotionveilError

View = Callable[[Tensor], Tensor]

MOVING = 4
"""Frames that `most_motion` keeps."""

STACK = 3
"""Frames that `stacked` shows at once: as many as a picture has channels."""

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
    """Return pictures whose three channels are the luma of three frames of the clip.

    So a network for pictures, pretrained ones too, sees several moments at once, without colour.
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
