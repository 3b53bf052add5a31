"""Privacy networks, the adversaries: what one frame gives away about a person."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionveil.networks.backbones import ensure_torchvision, timm_network
from motionveil.networks.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Channels,
    Normalised,
    check_frames,
)
from motionveil.networks.registry import (
    Weights,
    of_timm,
    of_torchvision,
    published,
    register_privacy_network,
)
from motionveil.networks.weights import with_weights

# EfficientNet-Lite was trained on (x - 127) / 128 for x in 0..255, which timm rounds to 0.5.
LITE_SCALE: tuple[Channels, Channels] = ((127 / 255,) * 3, (128 / 255,) * 3)

SHUFFLENET = of_torchvision("ImageNet-1k", "shufflenetv2_x1", "5666bf0f80")


@register_privacy_network
def small2d(classes: int, weights: Weights = None) -> nn.Module:
    """Four 2D convolutions, 0.08 M parameters: trains from scratch on two cores."""
    return with_weights(Small2D(classes), weights, head="head", architecture="small2d")


class Small2D(nn.Module):
    """Four 2D convolutions, mean and maximum over what is left, a linear head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _unit2d(3, 16, 5, 2),  # (N, 16, H/2, W/2)
            _unit2d(16, 32, 3, 2),  # (N, 32, H/4, W/4)
            _unit2d(32, 64, 3, 2),  # (N, 64, H/8, W/8)
            _unit2d(64, 64, 3, 1),  # (N, 64, H/8, W/8)
        )
        self.head = nn.Linear(128, classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Map `(N, 3, H, W)` in [-1, 1], H, W >= 16, to logits `(N, classes)`."""
        check_frames(frames, pixels=16)
        logits: Tensor = self.head(mean_and_maximum(self.features(frames)))
        return logits


def mean_and_maximum(features: Tensor) -> Tensor:
    """Pool `(B, C, ...)` to `(B, 2 C)`; the maximum finds what is small in the frame."""
    places = features.flatten(2)
    return torch.cat([places.mean(2), places.amax(2)], dim=1)


def _unit2d(channels_in: int, channels: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


@register_privacy_network
def small_vit(classes: int, weights: Weights = None) -> nn.Module:
    """Vision transformer (Dosovitskiy et al., ICLR 2021) of 4 blocks: trains from scratch.

    It begins with convolutions instead of one of large patches, as `small_swin3d` does: a token
    for 8 x 8 pixels. Positions are interpolated to the frame at hand.
    """
    ensure_torchvision()
    from timm.models.vision_transformer import VisionTransformer

    network = VisionTransformer(
        img_size=64,
        patch_size=8,
        num_classes=classes,
        global_pool="avg",
        embed_dim=96,
        depth=4,
        num_heads=3,
        dynamic_img_size=True,
        dynamic_img_pad=True,
    )
    network.patch_embed.proj = nn.Sequential(
        _unit2d(3, 24, 3, 2),  # (N, 24, H/2, W/2)
        _unit2d(24, 48, 3, 2),  # (N, 48, H/4, W/4)
        _unit2d(48, 96, 3, 2),  # (N, 96, H/8, W/8)
        nn.Conv2d(96, 96, 1),
    )
    normalised = Normalised(network, IMAGENET_MEAN, IMAGENET_STD, dimensions=4, pixels=16)
    return with_weights(normalised, weights, head="head", architecture="small_vit")


@register_privacy_network
@published(
    of_timm(
        "resnet50",
        "tv_in1k",
        revision="78f3ecfdb38e06d9b8397f662e7ab8fee96026fa",
        sha256="5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
    )
)
def resnet50(classes: int, weights: Weights = None) -> nn.Module:
    """ResNet-50 (He et al., CVPR 2016), the paper's privacy network; torchvision's weights."""
    return timm_network("resnet50", "tv_in1k", classes, weights)


@register_privacy_network
@published(
    of_timm(
        "resnet18",
        "tv_in1k",
        revision="bbd144b3e5565108aad885f145491d11bc6ce807",
        sha256="694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81",
    )
)
def resnet18(classes: int, weights: Weights = None) -> nn.Module:
    """ResNet-18 (He et al., CVPR 2016); torchvision's weights."""
    return timm_network("resnet18", "tv_in1k", classes, weights)


@register_privacy_network
@published(of_timm("resnext50_32x4d", "tv_in1k"))
def resnext50_32x4d(classes: int, weights: Weights = None) -> nn.Module:
    """ResNeXt-50 32x4d (Xie et al., CVPR 2017); torchvision's weights."""
    return timm_network("resnext50_32x4d", "tv_in1k", classes, weights)


@register_privacy_network
@published(of_timm("wide_resnet50_2", "tv_in1k"))
def wide_resnet50_2(classes: int, weights: Weights = None) -> nn.Module:
    """Wide ResNet-50-2 (Zagoruyko and Komodakis, BMVC 2016); torchvision's weights."""
    return timm_network("wide_resnet50_2", "tv_in1k", classes, weights)


@register_privacy_network
@published(of_timm("densenet121", "tv_in1k"))
def densenet121(classes: int, weights: Weights = None) -> nn.Module:
    """DenseNet-121 (Huang et al., CVPR 2017); torchvision's weights."""
    return timm_network("densenet121", "tv_in1k", classes, weights)


@register_privacy_network
@published(of_timm("vgg16_bn", "tv_in1k"))
def vgg16_bn(classes: int, weights: Weights = None) -> nn.Module:
    """VGG-16 (Simonyan and Zisserman, ICLR 2015) with BatchNorm; torchvision's weights."""
    return timm_network("vgg16_bn", "tv_in1k", classes, weights)


@register_privacy_network
@published(of_timm("tf_efficientnet_lite0", "in1k"))
def efficientnet_lite0(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-and-excitation)."""
    return timm_network("tf_efficientnet_lite0", "in1k", classes, weights, LITE_SCALE)


@register_privacy_network
@published(of_timm("tf_efficientnet_lite2", "in1k"))
def efficientnet_lite2(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-Lite2 (Tan and Le, ICML 2019, without squeeze-and-excitation)."""
    return timm_network("tf_efficientnet_lite2", "in1k", classes, weights, LITE_SCALE)


@register_privacy_network
@published(of_timm("efficientnet_b0", "ra_in1k"))
def efficientnet_b0(classes: int, weights: Weights = None) -> nn.Module:
    """EfficientNet-B0 (Tan and Le, ICML 2019); timm's weights."""
    return timm_network("efficientnet_b0", "ra_in1k", classes, weights)


@register_privacy_network
@published(of_timm("mobilenetv3_large_100", "ra_in1k"))
def mobilenet_v3_large(classes: int, weights: Weights = None) -> nn.Module:
    """MobileNetV3-Large (Howard et al., ICCV 2019), which the paper names; timm's weights."""
    return timm_network("mobilenetv3_large_100", "ra_in1k", classes, weights)


@register_privacy_network
@published(of_timm("mobilenetv3_small_100", "lamb_in1k"))
def mobilenet_v3_small(classes: int, weights: Weights = None) -> nn.Module:
    """MobileNetV3-Small (Howard et al., ICCV 2019); timm's weights."""
    return timm_network("mobilenetv3_small_100", "lamb_in1k", classes, weights)


@register_privacy_network
@published(of_timm("mnasnet_100", "rmsp_in1k"))
def mnasnet_100(classes: int, weights: Weights = None) -> nn.Module:
    """MnasNet-B1 of width 1 (Tan et al., CVPR 2019); timm's weights."""
    return timm_network("mnasnet_100", "rmsp_in1k", classes, weights)


@register_privacy_network
@published(SHUFFLENET)
def shufflenet_v2(classes: int, weights: Weights = None) -> nn.Module:
    """ShuffleNet v2 of width 1 (Ma et al., ECCV 2018); takes torchvision's weights, converted."""
    return shufflenet_v2_for_frames(classes, weights)


def shufflenet_v2_for_frames(classes: int, weights: Weights = None) -> Normalised:
    """Build what `shufflenet_v2` builds, with its type."""
    network = Normalised(
        ShuffleNetV2(classes), IMAGENET_MEAN, IMAGENET_STD, dimensions=4, pixels=32
    )
    return with_weights(network, weights, head="fc", architecture="shufflenet_v2")


# Channels and blocks of the three stages.
_STAGES = {"stage2": (116, 4), "stage3": (232, 8), "stage4": (464, 4)}


class ShuffleNetV2(nn.Module):
    """ShuffleNet v2 of width 1, written from Ma et al., ECCV 2018, table 5.

    Modules carry torchvision's names, so that its weights load. No layer counts the axes after the
    channels, so that `inflate` makes it a network for clips.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*_conv(3, 24, 3, stride=2), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)  # (N, 24, H/4, W/4)
        channels = 24
        for name, (width, blocks) in _STAGES.items():
            first = _Block(channels, width, stride=2)
            rest = [_Block(width, width) for _ in range(blocks - 1)]
            self.add_module(name, nn.Sequential(first, *rest))  # (N, width, H/8 ... H/32, ...)
            channels = width
        self.conv5 = nn.Sequential(*_conv(channels, 1024, 1), nn.ReLU(inplace=True))
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, 3, H, W)`, or `(B, 3, T, H, W)` once inflated, to logits `(N, classes)`."""
        *layers, head = self.children()  # in the order in which they were added
        for layer in layers:
            x = layer(x)
        logits: Tensor = head(x.flatten(2).mean(2))
        return logits


class _Block(nn.Module):
    """Two branches, concatenated, and the channels shuffled between them.

    With stride 1 the channels are split: one half stays as it is. With stride 2 both branches see
    all channels.
    """

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        half = channels // 2
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                *_conv(channels_in, channels_in, 3, stride, groups=channels_in),
                *_conv(channels_in, half, 1),
                nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            *_conv(channels_in if stride > 1 else half, half, 1),
            nn.ReLU(inplace=True),
            *_conv(half, half, 3, stride, groups=half),
            *_conv(half, half, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        one, other = (x, x) if len(self.branch1) else x.chunk(2, dim=1)
        pair = torch.stack([self.branch1(one), self.branch2(other)], dim=2)  # (N, C/2, 2, ...)
        return pair.flatten(1, 2)  # from the branches in turn: this is the shuffle


def _conv(
    channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(
        channels_in, channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return conv, nn.BatchNorm2d(channels)


@register_privacy_network
@published(of_timm("convnext_tiny", "fb_in1k"))
def convnext_tiny(classes: int, weights: Weights = None) -> nn.Module:
    """ConvNeXt-T (Liu et al., CVPR 2022); the authors' weights."""
    return timm_network("convnext_tiny", "fb_in1k", classes, weights)


@register_privacy_network
@published(of_timm("deit_tiny_patch16_224", "fb_in1k"))
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
