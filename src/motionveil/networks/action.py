"""Action networks: what a clip shows people doing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from motionveil.networks.backbones import ensure_torchvision, timm_network, torchvision_models
from motionveil.networks.i3d import I3D
from motionveil.networks.inflate import Taps, inflate
from motionveil.networks.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Channels,
    Normalised,
    check_clips,
)
from motionveil.networks.privacy import mean_and_maximum, shufflenet_v2_for_frames
from motionveil.networks.registry import Weights, register_action_network
from motionveil.networks.small1d import Small1D
from motionveil.networks.weights import holds_frame_weights, with_weights

# What the checkpoints of github.com/kenshohara/3D-ResNets-PyTorch of 2020 were trained with.
KINETICS_MEAN: Channels = (0.4345, 0.4051, 0.3775)
KINETICS_STD: Channels = (0.2768, 0.2713, 0.2737)

# What torchvision's video networks were trained with.
VIDEO_MEAN: Channels = (0.43216, 0.394666, 0.37645)
VIDEO_STD: Channels = (0.22803, 0.22145, 0.216989)

_HARA = (
    "get a checkpoint from github.com/kenshohara/3D-ResNets-PyTorch, "
    "convert it as docs/networks.md shows, and give the file's path"
)
_KOEPUEKLUE = (
    "get a checkpoint from github.com/okankop/Efficient-3DCNNs, "
    "convert it as docs/networks.md shows, and give the file's path"
)
_TORCHVISION = (
    "get https://download.pytorch.org/models/{file} (torchvision's), "
    "convert it as docs/networks.md shows, and give the file's path"
)


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
            _unit3d(3, 16, (3, 5, 5), (2, 2, 2)),  # (B, 16, T/2, H/2, W/2)
            _unit3d(16, 32, (3, 3, 3), (1, 2, 2)),  # (B, 32, T/2, H/4, W/4)
            _unit3d(32, 64, (3, 3, 3), (2, 2, 2)),  # (B, 64, T/4, H/8, W/8)
            _unit3d(64, 64, (3, 3, 3), (1, 1, 1)),  # (B, 64, T/4, H/8, W/8)
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


def _unit3d(
    channels_in: int, channels: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> nn.Sequential:
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
def i3d(classes: int, weights: Weights = None) -> nn.Module:
    """Inception-v1 I3D (Carreira and Zisserman, CVPR 2017)."""
    return with_weights(
        I3D(classes),
        weights,
        head="logits.conv3d",
        architecture="i3d",
        source="convert DeepMind's kinetics-i3d (RGB) as docs/networks.md says, give its path",
    )


@register_action_network
def resnet50_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ResNet-50 (Hara et al., CVPR 2018), the paper's action network."""
    return _resnet3d("bottleneck", [3, 4, 6, 3], "resnet50_3d", classes, weights)


@register_action_network
def resnet18_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ResNet-18 (Hara et al., CVPR 2018), with convolutions in its shortcuts (type B)."""
    return _resnet3d("basic", [2, 2, 2, 2], "resnet18_3d", classes, weights)


@register_action_network
def resnext101_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ResNeXt-101 32x4d (Hara et al., CVPR 2018); `pretrained`: ImageNet weights, inflated."""
    build = partial(timm_network, "resnext101_32x4d", "gluon_in1k", classes)
    return _inflated(build, weights, head="fc", architecture="resnext101_3d")


@register_action_network
def mobilenet_v2_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D MobileNetV2 (Köpüklü et al., ICCVW 2019); `pretrained`: ImageNet weights, inflated."""
    build = partial(timm_network, "mobilenetv2_100", "ra_in1k", classes)
    return _inflated(build, weights, head="classifier", architecture="mobilenet_v2_3d")


@register_action_network
def shufflenet_v2_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D ShuffleNet v2 (Köpüklü et al., ICCVW 2019); takes the 2D network's weights too."""
    build = partial(shufflenet_v2_for_frames, classes)
    return _inflated(build, weights, head="fc", architecture="shufflenet_v2_3d")


@register_action_network
def squeezenet_3d(classes: int, weights: Weights = None) -> nn.Module:
    """3D SqueezeNet 1.1 (Köpüklü et al., ICCVW 2019), with BatchNorm and bypasses."""
    network = SqueezeNet3D(classes)
    normalised = Normalised(network, KINETICS_MEAN, KINETICS_STD, dimensions=5, pixels=32)
    head, name = "classifier.1", "squeezenet_3d"
    return with_weights(normalised, weights, head=head, architecture=name, source=_KOEPUEKLUE)


# Channels of each fire module: squeezed, and out of it. Every second one has the bypass.
_FIRES = ((16, 128), (16, 128), (32, 256), (32, 256), (48, 384), (48, 384), (64, 512), (64, 512))
_POOLED_BEFORE = {0, 2, 4, 6}  # where the size is halved, in time too


class SqueezeNet3D(nn.Module):
    """3D SqueezeNet 1.1 with BatchNorm and simple bypasses, for clips of any length.

    Written from Köpüklü et al., ICCVW 2019, and Iandola et al., 2016. Modules carry the names of
    the authors' code, so that converted checkpoints load.

    Args:
        classes: Number of outputs.
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


@register_action_network
def r2plus1d_18(classes: int, weights: Weights = None) -> nn.Module:
    """R(2+1)D-18 (Tran et al., CVPR 2018); takes torchvision's weights, converted."""
    network = torchvision_models().video.r2plus1d_18(num_classes=classes)
    normalised = Normalised(network, VIDEO_MEAN, VIDEO_STD, dimensions=5, pixels=32)
    source = _TORCHVISION.format(file="r2plus1d_18-91a641e6.pth")
    return with_weights(normalised, weights, head="fc", architecture="r2plus1d_18", source=source)


@register_action_network
def s3d(classes: int, weights: Weights = None) -> nn.Module:
    """S3D (Xie et al., ECCV 2018), from 5 frames; takes torchvision's weights, converted."""
    normalised = Normalised(
        build_s3d(classes), VIDEO_MEAN, VIDEO_STD, dimensions=5, pixels=32, frames=FEWEST_FRAMES
    )
    source = _TORCHVISION.format(file="s3d-d76dad2f.pth")
    return with_weights(normalised, weights, head="classifier.1", architecture="s3d", source=source)


@register_action_network
def small_swin3d(classes: int, weights: Weights = None) -> nn.Module:
    """Video Swin transformer (Liu et al., CVPR 2022) of 2 + 2 blocks: trains from scratch.

    It begins with three convolutions instead of one of large patches, from which a transformer
    learns faster on few clips (Xiao et al., "Early convolutions help transformers see better",
    NeurIPS 2021).
    """
    network = torchvision_models().video.swin_transformer.SwinTransformer3d(
        patch_size=[2, 8, 8],
        embed_dim=32,
        depths=[2, 2],
        num_heads=[1, 2],
        window_size=[8, 2, 2],
        stochastic_depth_prob=0.0,
        num_classes=classes,
        patch_embed=_Stem,
    )
    normalised = Normalised(network, VIDEO_MEAN, VIDEO_STD, dimensions=5, pixels=16, frames=2)
    return with_weights(normalised, weights, head="head", architecture="small_swin3d")


class _Stem(nn.Module):
    """Convolutions from a clip to tokens, a token for 2 frames of 8 x 8 pixels.

    Args:
        patch_size: Frames and pixels of a token; only [2, 8, 8].
        in_channels, embed_dim: Channels of the clip, and of a token.
        norm_layer: Not used: the convolutions are normalised.
    """

    def __init__(
        self,
        patch_size: list[int],
        in_channels: int = 3,
        embed_dim: int = 48,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.units = nn.Sequential(
            _unit3d(in_channels, 16, (3, 5, 5), (2, 2, 2)),
            _unit3d(16, 32, (3, 3, 3), (1, 2, 2)),
            _unit3d(32, embed_dim, (3, 3, 3), (1, 2, 2)),
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` to tokens `(B, T/2, H/8, W/8, embed_dim)`."""
        tokens: Tensor = self.units(clips).permute(0, 2, 3, 4, 1)
        return tokens


FEWEST_FRAMES = 5  # time is halved three times, the last time without padding


def build_s3d(classes: int) -> nn.Module:
    """Build S3D (Xie et al., "Rethinking Spatiotemporal Feature Learning", ECCV 2018).

    It has torchvision's names and shapes, and differs from it in three things:

    - the head averages over all places that are left. torchvision's averages over windows of
      2 x 7 x 7, which need 224 x 224, and then over the windows: the same for 2 x 7 x 7 places;
    - BatchNorm has torch's momentum 0.1. With torchvision's 0.001 the running statistics need
      thousands of steps to arrive;
    - the first convolution in time is padded before it and not by it. That is the same in numbers,
      but oneDNN, with which torch convolves on CPUs (2.13 at least), can give a wrong gradient
      of a kernel of 7 with stride 2 and padding for 5 to 7 frames, or write beyond its memory.

    Args:
        classes: Number of outputs.

    Returns:
        A network for clips `(B, 3, T, H, W)` with T >= 5 and H, W >= 32.
    """
    norm = partial(nn.BatchNorm3d, eps=1e-3)
    network: nn.Module = torchvision_models().video.s3d(num_classes=classes, norm_layer=norm)
    network.avgpool = nn.AdaptiveAvgPool3d(1)

    in_space, in_time = network.get_submodule("features.0").children()
    assert isinstance(in_space, nn.Sequential)
    conv = in_time.get_submodule("0")
    assert isinstance(conv, nn.Conv3d)
    frames = conv.kernel_size[0] // 2
    in_space.append(nn.ConstantPad3d((0, 0, 0, 0, frames, frames), 0.0))
    conv.padding = (0, 0, 0)
    return network


def _inflated(
    build: Callable[[Weights], Normalised], weights: Weights, *, head: str, architecture: str
) -> nn.Module:
    """Build a network for clips out of one for frames.

    Weights of the 2D network, `pretrained` or a file whose kernels have four axes, go to the centre
    of the kernels: deep down a clip of 15 frames has one position in time, where kernels that are
    spread over three would see mostly padding. Weights of the 3D network are taken as they are.

    Args:
        build: Makes the 2D network with the 2D weights asked for.
        weights: As in `create_action_network`.
        head: Name of the classifier.
        architecture: Word by which the metadata of a file of the 3D network names it.
    """
    if weights is None:
        return _for_clips(build(None), "fresh")
    if str(weights) == "pretrained" or holds_frame_weights(weights):
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
    return with_weights(normalised, weights, head="fc", architecture=name, source=_HARA)
