"""How the privacy network looks at a veiled clip: frame by frame, on frames drawn from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def pick_frames(clips: int, frames: int, count: int) -> Tensor:
    """Draw frames of each clip without replacement, from torch's global generator.

    Args:
        clips: Number of clips.
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


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of predictions in nats: E of the paper's equation 1.

    Args:
        logits: Shape `(N, classes)`.

    Returns:
        0-dimensional, in [0, log(classes)].
    """
    log_probability = logits.log_softmax(1)
    return -(log_probability.exp() * log_probability).sum(1).mean()


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
