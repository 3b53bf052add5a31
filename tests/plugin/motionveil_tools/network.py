"""A small action network."""

from torch import nn

from motionveil.networks import register_action_network


@register_action_network
def pooled(classes, weights=None):
    """One convolution and a mean, from clips `(B, 3, T, H, W)` to logits."""
    return nn.Sequential(
        nn.Conv3d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, classes)
    )
