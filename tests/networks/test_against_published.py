"""Networks against those that were published: how many parameters, and what they compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from motionveil.networks import (
    action_networks,
    create_action_network,
    create_privacy_network,
    privacy_networks,
)
from motionveil.networks.backbones import torchvision_models

# With 1000 classes, as torchvision documents them, or timm where torchvision has none.
IMAGENET_1K = {
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
    "densenet121": 7_978_856,
    "vgg16_bn": 138_365_992,
    "efficientnet_b0": 5_288_548,
    "efficientnet_lite0": 4_652_008,  # timm
    "efficientnet_lite2": 6_092_072,  # timm
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "mnasnet_100": 4_383_312,
    "shufflenet_v2": 2_278_604,
    "convnext_tiny": 28_589_128,
    "deit_tiny": 5_717_416,  # timm
}
# With 400 classes, as torchvision documents them.
KINETICS_400 = {
    "r2plus1d_18": 31_505_325,
    "mc3_18": 11_695_440,
    "s3d": 8_320_048,
    "swin3d_t": 28_158_070,
    "mvit_v2_s": 34_537_744,
}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_privacy_network_but_the_small_ones_is_counted() -> None:
    assert set(IMAGENET_1K) == set(privacy_networks()) - {"small2d", "small_vit"}


@pytest.mark.parametrize(("name", "published"), IMAGENET_1K.items())
def test_privacy_networks_have_as_many_parameters_as_published(name: str, published: int) -> None:
    with torch.device("meta"):
        assert parameters(create_privacy_network(name, 1000)) == published


@pytest.mark.parametrize(("name", "published"), KINETICS_400.items())
def test_action_networks_have_as_many_parameters_as_published(name: str, published: int) -> None:
    with torch.device("meta"):
        assert parameters(create_action_network(name, 400)) == published


@pytest.mark.parametrize(
    ("name", "flat"),
    [
        ("resnext101_3d", "resnext101_32x4d"),
        ("mobilenet_v2_3d", "mobilenetv2_100"),
    ],
)
def test_inflated_networks_grow_by_the_length_of_their_kernels(name: str, flat: str) -> None:
    torchvision_models()
    import timm

    with torch.device("meta"):
        network = timm.create_model(flat, num_classes=1000)
        inflated = parameters(create_action_network(name, 1000))
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    grown = sum(conv.weight.numel() * (conv.kernel_size[0] - 1) for conv in convs)
    assert inflated == parameters(network) + grown


def test_shufflenet_is_torchvisions() -> None:
    torch.manual_seed(0)
    ours = create_privacy_network("shufflenet_v2", 7)
    ours(torch.rand(4, 3, 64, 64) * 2 - 1)
    theirs = torchvision_models().shufflenet_v2_x1_0(num_classes=7)
    theirs.load_state_dict(ours.network.state_dict(), strict=True)
    frames = torch.rand(2, 3, 70, 64)
    with torch.no_grad():
        expected = theirs.eval()((frames - ours.mean.view(3, 1, 1)) / ours.std.view(3, 1, 1))
        torch.testing.assert_close(ours.eval()(frames * 2 - 1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_s3d_is_torchvisions_where_that_has_one_window() -> None:
    torch.manual_seed(0)
    ours = create_action_network("s3d", 7)
    ours(torch.rand(2, 3, 8, 64, 64) * 2 - 1)
    theirs = torchvision_models().video.s3d(num_classes=7)
    theirs.load_state_dict(ours.network.state_dict(), strict=True)
    clips = torch.rand(1, 3, 16, 224, 224)  # leaves 2 x 7 x 7 places
    with torch.no_grad():
        mean, std = ours.mean.view(3, 1, 1, 1), ours.std.view(3, 1, 1, 1)
        expected = theirs.eval()((clips - mean) / std)
        torch.testing.assert_close(ours.eval()(clips * 2 - 1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [5, 6, 7])
def test_gradients_of_short_clips_do_not_depend_on_onednn(frames: int) -> None:
    """Its gradient of S3D's first kernel in time was wrong by many orders of magnitude."""
    first = create_action_network("s3d", 3).eval().get_submodule("network.features.0")
    x = torch.rand(2, 3, frames, 64, 64)

    def gradient(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        kernel = module.get_parameter("1.0.weight")
        return torch.autograd.grad(module(x).square().sum(), kernel)[0]

    found = gradient(first, x)
    expected = gradient(first.double(), x.double()).float()  # oneDNN is for float32
    scale = expected.abs().max()
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-3)


def test_the_transformer_is_timms_at_its_own_size_and_takes_others() -> None:
    torchvision_models()
    import timm

    torch.manual_seed(0)
    ours = create_privacy_network("deit_tiny", 7).eval()
    theirs = timm.create_model("deit_tiny_patch16_224", num_classes=7).eval()
    theirs.load_state_dict(ours.network.state_dict(), strict=True)
    frames = torch.rand(1, 3, 224, 224)
    mean, std = ours.mean.view(3, 1, 1), ours.std.view(3, 1, 1)
    with torch.no_grad():
        expected = theirs((frames - mean) / std)
        torch.testing.assert_close(ours(frames * 2 - 1), expected, rtol=1e-4, atol=1e-5)
        # Filled up with the mean, at the bottom and on the right.
        grey = mean.expand(1, 3, 64, 80).clone()
        grey[..., :50, :70] = frames[..., :50, :70]
        cut = ours(frames[..., :50, :70] * 2 - 1)
        torch.testing.assert_close(cut, ours(grey * 2 - 1), rtol=1e-4, atol=1e-5)


# Fewest frames, and places in time that 15 and 31 frames leave before the head.
PLACES = {
    "resnet50_3d": (1, 1, 2),
    "resnext101_3d": (1, 1, 2),
    "mobilenet_v2_3d": (1, 1, 2),
    "shufflenet_v2_3d": (1, 1, 2),
    "squeezenet_3d": (1, 1, 2),
    "r2plus1d_18": (1, 2, 4),
    "s3d": (5, 2, 4),
}


@pytest.mark.parametrize("name", PLACES)
def test_time_is_halved_as_the_documentation_says(name: str) -> None:
    fewest, *expected = PLACES[name]
    assert name in action_networks()
    with torch.device("meta"):
        network = create_action_network(name, 5).eval()
        assert network(torch.zeros(1, 3, fewest, 64, 64)).shape == (1, 5)
        pools = [m for m in network.modules() if isinstance(m, nn.AdaptiveAvgPool3d)]
        last = pools[-1] if pools else network.network.conv5  # ShuffleNet takes a plain mean
        found: list[int] = []
        last.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].shape[2]))
        for frames in (15, 31):
            network(torch.zeros(1, 3, frames, 64, 64))
    assert found == expected
