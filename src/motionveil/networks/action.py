"""Action networks: what a clip shows people doing."""

from __future__ import annotations

from torch import nn

from motionveil.networks._torchvision import ensure_torchvision
from motionveil.networks.i3d import I3D
from motionveil.networks.inputs import Channels, Normalised
from motionveil.networks.registry import Weights, register_action_network
from motionveil.networks.small import Small3D
from motionveil.networks.weights import with_weights

# What the checkpoints of github.com/kenshohara/3D-ResNets-PyTorch of 2020 were trained with.
KINETICS_MEAN: Channels = (0.4345, 0.4051, 0.3775)
KINETICS_STD: Channels = (0.2768, 0.2713, 0.2737)

_HARA = (
    "get a checkpoint from github.com/kenshohara/3D-ResNets-PyTorch, "
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
