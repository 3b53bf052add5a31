"""Inflation against the 2D network itself: on clips that stand still, and frame by frame."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from motionveil import MotionveilError
from motionveil.networks.backbones import torchvision_models
from motionveil.networks.inflate import inflate
from motionveil.networks.privacy import ShuffleNetV2
from motionveil.training.distributed import SyncedBatchNorm, synchronise_batchnorm


def every_layer() -> nn.Module:
    """All that can be inflated and that the networks below do not have."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),
        nn.InstanceNorm2d(8, affine=True, track_running_stats=True),
        nn.PReLU(8),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4, padding_mode="replicate"),
        nn.GroupNorm(2, 8),
        nn.Dropout2d(0.5),
        nn.MaxPool2d(3, stride=1, padding=1, dilation=2),
        nn.AvgPool2d(3, 1, padding=1, ceil_mode=True, count_include_pad=False),
        nn.AdaptiveMaxPool2d((3, None)),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )


def timms(name: str) -> nn.Module:
    torchvision_models()
    import timm

    return timm.create_model(name, num_classes=5)


NETWORKS = {
    "every layer": every_layer,
    "ShuffleNet v2": lambda: ShuffleNetV2(5),
    "SqueezeNet": lambda: torchvision_models().squeezenet1_1(num_classes=5),
    "MobileNetV2": lambda: timms("mobilenetv2_100"),
    "ResNet-18": lambda: timms("resnet18"),
}


def trained(name: str) -> nn.Module:
    """A network whose weights and statistics are not those it began with, in evaluation mode."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    network(torch.rand(4, 3, 64, 64))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_clip_that_stands_still_is_seen_as_its_frame(name: str) -> None:
    network = trained(name)
    inflated = inflate(network, "centre")
    frame = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(frame)
        for length in (1 if name != "every layer" else 6, 7):  # mean pooling wants its windows full
            still = frame.unsqueeze(2).expand(1, 3, length, 64, 64)
            torch.testing.assert_close(inflated(still), expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 1e-3  # so that the comparison says something


def stack() -> nn.Sequential:
    """Convolutions without a pooling, which leave one place in time per frame."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 7, stride=2, padding=3), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 6, 3, padding=1, groups=2), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Conv2d(6, 4, 1),
    ).eval()


def test_with_mean_taps_a_still_clip_is_its_frame_away_from_the_ends() -> None:
    network = stack()
    frame = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        expected = network(frame)
        seen = inflate(network)(frame.unsqueeze(2).repeat(1, 1, 11, 1, 1))
    assert seen.shape == (1, 4, 11, 8, 8)
    reach = 3 + 1  # half of 7, then half of 3
    for t in range(reach, 11 - reach):
        torch.testing.assert_close(seen[:, :, t], expected, rtol=1e-4, atol=1e-6)
    assert (seen[:, :, 0] - expected).abs().max() > 1e-3  # the padding is seen there


def test_with_mean_taps_a_convolution_is_the_mean_over_neighbouring_frames() -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    clip = torch.rand(2, 3, 6, 8, 8)
    each = torch.stack([conv(clip[:, :, t]) for t in range(6)])
    seen = inflate(conv)(clip)
    for t in range(1, 5):
        torch.testing.assert_close(seen[:, :, t], each[t - 1 : t + 2].mean(0))
    torch.testing.assert_close(seen[:, :, 0], each[:2].sum(0) / 3)


def test_with_centre_taps_each_frame_is_seen_by_itself() -> None:
    network = stack()
    clip = torch.rand(2, 3, 5, 16, 16)
    with torch.no_grad():
        seen = inflate(network, "centre")(clip)
        for t in range(5):
            torch.testing.assert_close(seen[:, :, t], network(clip[:, :, t]))


def test_fresh_taps_are_drawn_anew_and_as_large_as_the_2d_layers_need() -> None:
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    torch.manual_seed(1)
    first = inflate(conv, "fresh").weight
    torch.manual_seed(1)
    assert torch.equal(inflate(conv, "fresh").weight, first)
    clip = torch.randn(1, 64, 5, 12, 12)  # frames that differ: sums over time grow by the root of 3
    ratio = inflate(conv, "fresh")(clip)[:, :, 1:4].std() / conv(clip[0].transpose(0, 1)).std()
    assert 0.9 < ratio < 1.1
    assert not torch.allclose(first[:, :, 0], first[:, :, 1])
    point = nn.Conv2d(3, 4, 1)
    assert torch.equal(inflate(point, "fresh").weight[:, :, 0], point.weight)


def test_strides_go_to_time_too_but_the_first_convolution_keeps_every_frame() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
    )
    assert inflate(network[:1])(torch.rand(1, 3, 15, 32, 32)).shape == (1, 4, 15, 16, 16)
    assert inflate(network[:2])(torch.rand(1, 3, 15, 32, 32)).shape == (1, 4, 8, 8, 8)
    assert inflate(network)(torch.rand(1, 3, 15, 32, 32)).shape == (1, 4, 4, 4, 4)
    assert inflate(network)(torch.rand(1, 3, 1, 32, 32)).shape == (1, 4, 1, 4, 4)


def test_the_network_stays_and_shares_nothing_and_its_names_and_settings_go_over() -> None:
    network = NETWORKS["MobileNetV2"]()
    network.train()
    network.bn1.eval()
    network.conv_stem.weight.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    inflated = inflate(network, "centre")
    assert list(inflated.state_dict()) == list(before)
    assert not inflated.bn1.training
    assert inflated.blocks.training
    frozen = [key for key, p in inflated.named_parameters() if not p.requires_grad]
    assert frozen == ["conv_stem.weight"]
    inflated(torch.rand(2, 3, 2, 32, 32)).sum().backward()
    with torch.no_grad():
        for parameter in inflated.parameters():
            parameter.zero_()
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_a_layer_that_is_used_twice_stays_one() -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    inflated = inflate(nn.Sequential(conv, nn.ReLU(), conv))
    assert inflated[0] is inflated[2]
    assert isinstance(inflated[0], nn.Conv3d)


def test_statistics_over_processes_keep_the_activations() -> None:
    network = trained("MobileNetV2")
    inflated = inflate(network, "centre")
    clip = torch.rand(1, 3, 3, 64, 64)
    synced = synchronise_batchnorm(copy.deepcopy(inflated), torch.device("cpu"))
    assert isinstance(synced.bn1, SyncedBatchNorm)
    with torch.no_grad():
        torch.testing.assert_close(synced(clip), inflated(clip))
    for_gpus = synchronise_batchnorm(copy.deepcopy(inflated), torch.device("cuda"))
    assert isinstance(for_gpus.bn1, nn.SyncBatchNorm)
    assert isinstance(for_gpus.bn1.act, nn.ReLU6)


class Scale(nn.Module):
    """A module with a parameter of its own, of a type that nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.scale


class Same(nn.Conv2d):
    """A convolution whose `forward` may do anything."""


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Scale(), "Scale: its counterpart"),
        (Same(3, 3, 3), "Same: its counterpart"),
        (nn.ConvTranspose2d(3, 3, 2), "ConvTranspose2d: its counterpart"),
        (nn.LayerNorm(8), "LayerNorm: its counterpart"),
        (nn.Upsample(scale_factor=2), "Upsample: its counterpart"),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3)), "ParametrizedConv2d: its coun"),
        (nn.Conv2d(3, 3, (1, 7)), r"Conv2d: \(1, 7\) is not square"),
        (nn.Conv2d(3, 3, 3, stride=(2, 1)), r"Conv2d: \(2, 1\) is not square"),
        (nn.Conv2d(3, 3, 3, padding="same"), "Conv2d: padding 'same'"),
        (nn.MaxPool2d((2, 1)), r"MaxPool2d: \(2, 1\) is not square"),
        (nn.MaxPool2d(2, return_indices=True), "MaxPool2d: its indices"),
        (nn.AvgPool2d(3, padding=1), "AvgPool2d: its mean counts padding"),
        (nn.AvgPool2d(3, divisor_override=1), "AvgPool2d: its mean counts"),
    ],
)
def test_what_has_no_faithful_counterpart_is_refused_by_name(module: nn.Module, said: str) -> None:
    network = nn.Sequential(nn.ReLU(), nn.Sequential(module))
    with pytest.raises(MotionveilError, match=rf"inflate: 1\.0 is {said}"):
        inflate(network)


def test_taps_of_another_name_are_refused() -> None:
    with pytest.raises(MotionveilError, match=r"taps 'center': inflate knows mean, centre, fresh"):
        inflate(nn.Conv2d(3, 3, 3), "center")  # type: ignore[arg-type]
