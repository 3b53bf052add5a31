"""S3D, torchvision's, made to take small and short clips and to train in a few epochs."""

from __future__ import annotations

from functools import partial

from torch import nn

from motionveil.networks._torchvision import torchvision_models

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
