"""Action networks of torchvision's, transformers among them, for clips of any size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from motionveil.networks.action import unit3d
from motionveil.networks.backbones import torchvision_models
from motionveil.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Channels, Normalised
from motionveil.networks.registry import Weights, of_torchvision, published, register_action_network
from motionveil.networks.weights import with_weights

# What torchvision's video networks were trained with.
VIDEO_MEAN: Channels = (0.43216, 0.394666, 0.37645)
VIDEO_STD: Channels = (0.22803, 0.22145, 0.216989)


def _build(
    name: str, classes: int, weights: Weights, *, head: str, mean: Channels, std: Channels
) -> nn.Module:
    """Return torchvision's video network of that name, in whose head the classes are."""
    network = getattr(torchvision_models().video, name)(num_classes=classes)
    normalised = Normalised(network, mean, std, dimensions=5, pixels=32)
    return with_weights(normalised, weights, head=head, architecture=name)


@register_action_network
@published(of_torchvision("Kinetics-400", "r2plus1d_18", "91a641e6"))
def r2plus1d_18(classes: int, weights: Weights = None) -> nn.Module:
    """R(2+1)D-18 (Tran et al., CVPR 2018); takes torchvision's weights, converted."""
    return _build("r2plus1d_18", classes, weights, head="fc", mean=VIDEO_MEAN, std=VIDEO_STD)


@register_action_network
@published(of_torchvision("Kinetics-400", "mc3_18", "a90a0ba3"))
def mc3_18(classes: int, weights: Weights = None) -> nn.Module:
    """MC3-18 (Tran et al., CVPR 2018), 3D convolutions first and 2D ones behind."""
    return _build("mc3_18", classes, weights, head="fc", mean=VIDEO_MEAN, std=VIDEO_STD)


@register_action_network
@published(of_torchvision("Kinetics-400", "swin3d_t", "7615ae03"))
def swin3d_t(classes: int, weights: Weights = None) -> nn.Module:
    """Video Swin-T (Liu et al., CVPR 2022), a transformer."""
    return _build("swin3d_t", classes, weights, head="head", mean=IMAGENET_MEAN, std=IMAGENET_STD)


@register_action_network
@published(of_torchvision("Kinetics-400", "mvit_v2_s", "ae3be167"))
def mvit_v2_s(classes: int, weights: Weights = None) -> nn.Module:
    """MViTv2-S (Li et al., CVPR 2022), a transformer.

    Relative positions were learned for 16 x 224 x 224 and are interpolated to the clip at hand.
    """
    network = torchvision_models().video.mvit_v2_s(num_classes=classes)
    network.forward = partial(_mvit, network)
    normalised = Normalised(network, (0.45,) * 3, (0.225,) * 3, dimensions=5, pixels=32)
    return with_weights(normalised, weights, head="head.1", architecture="mvit_v2_s")


def _mvit(network: Any, clips: Tensor) -> Tensor:
    """Map `(B, 3, T, H, W)` to logits as torchvision's MViT does, but for clips of any size."""
    patches = network.conv_proj(clips)  # (B, C, T/2, H/4, W/4)
    size = tuple(patches.shape[2:])
    tokens = network.pos_encoding(patches.flatten(2).transpose(1, 2))
    for block in network.blocks:
        tokens, size = block(tokens, size)
    logits: Tensor = network.head(network.norm(tokens)[:, 0])
    return logits


@register_action_network
@published(of_torchvision("Kinetics-400", "s3d", "d76dad2f"))
def s3d(classes: int, weights: Weights = None) -> nn.Module:
    """S3D (Xie et al., ECCV 2018), from 5 frames; takes torchvision's weights, converted."""
    normalised = Normalised(
        build_s3d(classes), VIDEO_MEAN, VIDEO_STD, dimensions=5, pixels=32, frames=FEWEST_FRAMES
    )
    return with_weights(normalised, weights, head="classifier.1", architecture="s3d")


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
            unit3d(in_channels, 16, (3, 5, 5), (2, 2, 2)),
            unit3d(16, 32, (3, 3, 3), (1, 2, 2)),
            unit3d(32, embed_dim, (3, 3, 3), (1, 2, 2)),
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
