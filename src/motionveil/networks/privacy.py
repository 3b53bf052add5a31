"""Privacy networks, the adversaries: what one frame gives away about a person."""

from __future__ import annotations

from torch import nn

from motionveil.networks._timm import timm_network
from motionveil.networks.inputs import IMAGENET_MEAN, IMAGENET_STD, Channels, Normalised
from motionveil.networks.registry import Weights, register_privacy_network
from motionveil.networks.shufflenet import ShuffleNetV2
from motionveil.networks.small import Small2D
from motionveil.networks.weights import with_weights

# EfficientNet-Lite was trained on (x - 127) / 128 for x in 0..255, which timm rounds to 0.5.
LITE_SCALE: tuple[Channels, Channels] = ((127 / 255,) * 3, (128 / 255,) * 3)

_SHUFFLENET = (
    "get https://download.pytorch.org/models/shufflenetv2_x1-5666bf0f80.pth (torchvision's), "
    "convert it as docs/networks.md shows, and give the file's path"
)


@register_privacy_network
def small2d(classes: int, weights: Weights = None) -> nn.Module:
    """Four 2D convolutions, 0.08 M parameters: trains from scratch on two cores."""
    return with_weights(Small2D(classes), weights, head="head", architecture="small2d")


@register_privacy_network
def resnet50(classes: int, weights: Weights = None) -> nn.Module:
    """ResNet-50 (He et al., CVPR 2016), the paper's privacy network; torchvision's weights."""
    return timm_network("resnet50", "tv_in1k", classes, weights)


@register_privacy_network
def resnet18(classes: int, weights: Weights = None) -> nn.Module:
    """ResNet-18 (He et al., CVPR 2016); torchvision's weights."""
    return timm_network("resnet18", "tv_in1k", classes, weights)


@register_privacy_network
def resnext50_32x4d(classes: int, weights: Weights = None) -> nn.Module:
    """ResNeXt-50 32x4d (Xie et al., CVPR 2017); torchvision's weights."""
    return timm_network("resnext50_32x4d", "tv_in1k", classes, weights)


@register_privacy_network
def wide_resnet50_2(classes: int, weights: Weights = None) -> nn.Module:
    """Wide ResNet-50-2 (Zagoruyko and Komodakis, BMVC 2016); torchvision's weights."""
    return timm_network("wide_resnet50_2", "tv_in1k", classes, weights)


@register_privacy_network
def densenet121(classes: int, weights: Weights = None) -> nn.Module:
    """DenseNet-121 (Huang et al., CVPR 2017); torchvision's weights."""
    return timm_network("densenet121", "tv_in1k", classes, weights)


@register_privacy_network
def vgg16_bn(classes: int, weights: Weights = None) -> nn.Module:
    """VGG-16 (Simonyan and Zisserman, ICLR 2015) with BatchNorm; torchvision's weights."""
    return timm_network("vgg16_bn", "tv_in1k", classes, weights)


@register_privacy_network
def efficientnet_lite0(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-and-excitation)."""
    return timm_network("tf_efficientnet_lite0", "in1k", classes, weights, LITE_SCALE)


@register_privacy_network
def efficientnet_lite2(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-Lite2 (Tan and Le, ICML 2019, without squeeze-and-excitation)."""
    return timm_network("tf_efficientnet_lite2", "in1k", classes, weights, LITE_SCALE)


@register_privacy_network
def efficientnet_b0(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-B0 (Tan and Le, ICML 2019); timm's weights."""
    return timm_network("efficientnet_b0", "ra_in1k", classes, weights)


@register_privacy_network
def mobilenet_v3_large(classes: int, weights: Weights = None) -> nn.Module:
    """MobileNetV3-Large (Howard et al., ICCV 2019), which the paper names; timm's weights."""
    return timm_network("mobilenetv3_large_100", "ra_in1k", classes, weights)


@register_privacy_network
def mobilenet_v3_small(classes: int, weights: Weights = None) -> nn.Module:
    """MobileNetV3-Small (Howard et al., ICCV 2019); timm's weights."""
    return timm_network("mobilenetv3_small_100", "lamb_in1k", classes, weights)


@register_privacy_network
def mnasnet_100(classes: int, weights: Weights = None) -> nn.Module:
    """MnasNet-B1 of width 1 (Tan et al., CVPR 2019); timm's weights."""
    return timm_network("mnasnet_100", "rmsp_in1k", classes, weights)


@register_privacy_network
def shufflenet_v2(classes: int, weights: Weights = None) -> nn.Module:
    """ShuffleNet v2 of width 1 (Ma et al., ECCV 2018); takes torchvision's weights, converted."""
    return shufflenet_v2_for_frames(classes, weights)


def shufflenet_v2_for_frames(classes: int, weights: Weights = None) -> Normalised:
    """Build what `shufflenet_v2` builds, with its type."""
    network = Normalised(
        ShuffleNetV2(classes), IMAGENET_MEAN, IMAGENET_STD, dimensions=4, pixels=32
    )
    architecture = "shufflenet_v2"
    return with_weights(network, weights, head="fc", architecture=architecture, source=_SHUFFLENET)


@register_privacy_network
def convnext_tiny(classes: int, weights: Weights = None) -> nn.Module:
    """ConvNeXt-T (Liu et al., CVPR 2022); the authors' weights."""
    return timm_network("convnext_tiny", "fb_in1k", classes, weights)


@register_privacy_network
def deit_tiny(classes: int, weights: Weights = None) -> nn.Module:
    """DeiT-Ti, a vision transformer (Touvron et al., ICML 2021); the authors' weights.

    It looks at patches of 16 x 16. Positions were learned for 224 x 224 and are interpolated to
    the frame at hand, as Dosovitskiy et al. do (ICLR 2021, section 3.2); height and width that are
    no multiples of 16 are filled up with mean grey at the bottom and on the right.
    """
    return timm_network(
        "deit_tiny_patch16_224",
        "fb_in1k",
        classes,
        weights,
        dynamic_img_size=True,
        dynamic_img_pad=True,
    )
