"""Networks that watch veiled video, made as a recipe names them."""

from __future__ import annotations

import torch
from torch import nn

from motionveil.networks import create_action_network, create_privacy_network
from motionveil.training.recipe import NetworkRecipe
from motionveil.training.recompute import recompute_activations


def make_watcher(
    network: NetworkRecipe, outputs: int, *, temporal: bool, recompute: bool = False
) -> nn.Module:
    """Return a network drawn from torch's global generator, in the layout that suits it.

    Args:
        network: Its name and weights.
        outputs: Number of classes.
        temporal: Whether it sees whole clips `(B, 3, T', H, W)`, as action networks do, or frames
            `(N, 3, H, W)`, as privacy networks do; in [-1, 1].
        recompute: Whether activations are computed again for the gradients, see
            `recompute_activations`.

    Raises:
        MotionveilError: There is no such network, or its weights cannot be had.
    """
    create = create_action_network if temporal else create_privacy_network
    made = create(network.name, outputs, weights=network.weights)
    if recompute:
        recompute_activations(made)
    # Channels last is the faster layout for convolutions, on CPUs and GPUs.
    layout = torch.channels_last_3d if temporal else torch.channels_last
    return made.to(memory_format=layout)  # type: ignore[call-overload]
