"""BatchNorm's statistics, estimated again on what a trained network is shown."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def has_batchnorm(network: nn.Module) -> bool:
    """Return whether any layer of a network is a BatchNorm."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


@torch.no_grad()
def reestimate(network: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Set the running statistics of BatchNorm to plain means over batches; all else stays.

    Args:
        network: In evaluation mode, as it is left.
        inputs: Batches of what the network takes; shuffled, since a batch of neighbours (one
            person, one room) is no sample of the whole.
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a cumulative mean
        layer.train()
    for batch in inputs:
        network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
