"""Activation checkpointing: less memory for more time (Chen et al., arXiv:1604.06174)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.utils.checkpoint import checkpoint


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
