"""Action networks: what a clip shows people doing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from motionveil.networks._timm import timm_network
from motionveil.networks._torchvision import ensure_torchvision, torchvision_models
from motionveil.networks.i3d import I3D
from motionveil.networks.inflate import Taps, inflate
from motionveil.networks.inputs import IMAGENET_MEAN, IMAGENET_STD, Channels, Normalised
from motionveil.networks.privacy import shufflenet_v2_for_frames
from motionveil.networks.registry import Weights, register_action_network
from motionveil.networks.s3d import FEWEST_FRAMES, build_s3d
from motionveil.networks.small import Small3D
from motionveil.networks.squeezenet import SqueezeNet3D
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
