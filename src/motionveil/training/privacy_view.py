"""How the privacy network looks at a veiled clip: frame by frame, on frames drawn from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def draw_frames(veiled: Tensor, count: int) -> Tensor:
    """Draw frames of each clip without replacement, from torch's global generator.

    Args:
        veiled: Shape `(B, 3, T, H, W)`.
        count: Frames of each clip; at most T are drawn.

    Returns:
        Shape `(B * min(count, T), 3, H, W)`, the frames of a clip next to each other.
    """
    B, _, T, _, _ = veiled.shape
    picked = torch.rand(B, T).argsort(1)[:, :count].to(veiled.device)  # (B, count)
    frames = veiled.transpose(1, 2)[torch.arange(B, device=veiled.device)[:, None], picked]
    return frames.flatten(0, 1)  # (B * count, 3, H, W)


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
