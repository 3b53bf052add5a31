"""Action networks and privacy networks, one registry each.

Every network takes values in [-1, 1]; whatever else its pretrained weights expect is done inside.
An action network maps clips `(B, 3, T, H, W)` to logits `(B, classes)`, a privacy network frames
`(N, 3, H, W)` to logits `(N, classes)`. Fresh weights depend on torch's global generator only.
"""

from motionveil.networks import action, privacy, torchvision_video
from motionveil.networks.registry import (
    action_networks,
    create_action_network,
    create_privacy_network,
    privacy_networks,
    published_weights,
    register_action_network,
    register_privacy_network,
)
from motionveil.networks.weights import LoadedWeights, load_weights

__all__ = [
    "LoadedWeights",
    "action",
    "action_networks",
    "create_action_network",
    "create_privacy_network",
    "load_weights",
    "privacy",
    "privacy_networks",
    "published_weights",
    "register_action_network",
    "register_privacy_network",
    "torchvision_video",
]
