"""Privacy networks, the adversaries: what one frame gives away about a person."""

from __future__ import annotations

from torch import nn

from motionveil.networks._torchvision import ensure_torchvision
from motionveil.networks.inputs import Channels, Normalised
from motionveil.networks.registry import Weights, register_privacy_network
from motionveil.networks.small import Small2D
from motionveil.networks.weights import with_weights

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
# EfficientNet-Lite was trained on (x - 127) / 128 for x in 0..255.
LITE_MEAN: Channels = (127 / 255,) * 3
LITE_STD: Channels = (128 / 255,) * 3


@register_privacy_network
def small2d(classes: int, weights: Weights = None) -> nn.Module:
    """Four 2D convolutions, 0.08 M parameters: trains from scratch on two cores."""
    return with_weights(Small2D(classes), weights, head="head", architecture="small2d")


@register_privacy_network
def resnet50(classes: int, weights: Weights = None) -> nn.Module:
    """ResNet-50 (He et al., CVPR 2016), the paper's privacy network; torchvision's weights."""
    return _timm("resnet50", "tv_in1k", "fc", IMAGENET_MEAN, IMAGENET_STD, classes, weights)


@register_privacy_network
def resnet18(classes: int, weights: Weights = None) -> nn.Module:
    """ResNet-18 (He et al., CVPR 2016); torchvision's weights."""
    return _timm("resnet18", "tv_in1k", "fc", IMAGENET_MEAN, IMAGENET_STD, classes, weights)


@register_privacy_network
def efficientnet_lite0(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-and-excitation)."""
    name = "tf_efficientnet_lite0"
    return _timm(name, "in1k", "classifier", LITE_MEAN, LITE_STD, classes, weights)


@register_privacy_network
def efficientnet_lite2(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-Lite2 (Tan and Le, ICML 2019, without squeeze-and-excitation)."""
    name = "tf_efficientnet_lite2"
    return _timm(name, "in1k", "classifier", LITE_MEAN, LITE_STD, classes, weights)


def _timm(
    name: str,
    tag: str,
    head: str,
    mean: Channels,
    std: Channels,
    classes: int,
    weights: Weights,
) -> nn.Module:
    """Build timm's network `name`; `pretrained` means its weights `tag` on huggingface.co."""
    ensure_torchvision()
    import timm

    # pretrained=False always: timm would fall back to a pickle where it finds no safetensors.
    network = timm.create_model(name, pretrained=False, num_classes=classes)
    normalised = Normalised(network, mean, std, dimensions=4, pixels=32)
    hub = f"timm/{name}.{tag}"
    return with_weights(normalised, weights, head=head, architecture=name, hub=hub)
