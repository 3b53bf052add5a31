"""Networks as a recipe names them; activation checkpointing (Chen et al., arXiv:1604.06174)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.utils.checkpoint import checkpoint

from motionveil.networks import create_action_network, create_privacy_network
from motionveil.training.recipe import NetworkRecipe


class Networks(NamedTuple):
    """An action network and a privacy network.

    Attributes:
        action: From `(B, 3, T', H, W)` in [-1, 1] to logits of the actions.
        privacy: From `(N, 3, H, W)` in [-1, 1] to logits of the privacy label.
    """

    action: nn.Module
    privacy: nn.Module


def create_network(
    recipe: NetworkRecipe, outputs: int, *, temporal: bool, checkpointing: bool = False
) -> nn.Module:
    """Return a network drawn from torch's global generator, in the layout that suits it.

    Args:
        recipe: Its name and weights.
        outputs: Number of classes.
        temporal: Whether it sees whole clips `(B, 3, T', H, W)`, as action networks do, or frames
            `(N, 3, H, W)`, as privacy networks do; in [-1, 1].
        checkpointing: Whether activations are computed again for the gradients, see
            `recompute_activations`.

    Raises:
        MotionveilError: There is no such network, or its weights cannot be had.
    """
    create = create_action_network if temporal else create_privacy_network
    network = create(recipe.name, outputs, weights=recipe.weights)
    if checkpointing:
        recompute_activations(network)
    # Channels last is the faster layout for convolutions, on CPUs and GPUs.
    layout = torch.channels_last_3d if temporal else torch.channels_last
    return network.to(memory_format=layout)  # type: ignore[call-overload]


def recompute_activations(network: nn.Module) -> nn.Module:
    """Make a network forget what is inside its blocks and compute it again when gradients need it.

    A block is a smallest part with more than one convolution: a residual block, an inverted
    residual. Outputs, gradients and BatchNorm's statistics stay what they were.

    Args:
        network: Changed in place; names of parameters stay.
    """
    for block in _blocks(network):
        block.forward = partial(_recomputed, block, block.forward)
    return network


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the smallest parts with more than one convolution."""
    inner = [block for child in module.children() for block in _blocks(child)]
    if inner:
        yield from inner
    elif sum(isinstance(part, _ConvNd) for part in module.modules()) > 1:
        yield module


def _recomputed(block: nn.Module, forward: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(*inputs)

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), _uncounted(block)

    result: Tensor = checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)
    return result


@contextmanager
def _uncounted(block: nn.Module) -> Iterator[None]:
    """Keep BatchNorm from counting clips a second time.

    With a momentum of 0 its running statistics stay; without running statistics it would remember
    other things for its gradient than it did the first time.
    """
    layers = [m for m in block.modules() if isinstance(m, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    counters = [m.num_batches_tracked for m in layers if m.num_batches_tracked is not None]
    counts = [counter.clone() for counter in counters]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for counter, count in zip(counters, counts, strict=True):
            counter.copy_(count)
