"""Where the weights of inflated networks come from: 2D files, 3D files, a download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from motionveil import MotionveilError
from motionveil.hub import HubFile
from motionveil.networks import create_action_network, create_privacy_network, registry
from motionveil.networks.backbones import torchvision_models


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


def still(frames: Tensor, length: int) -> Tensor:
    """`(N, 3, H, W)` to `(N, 3, length, H, W)`."""
    return frames.unsqueeze(2).expand(-1, -1, length, -1, -1)


def trained_frames_network() -> nn.Module:
    torch.manual_seed(0)
    network = create_privacy_network("shufflenet_v2", 5)
    network(torch.rand(4, 3, 64, 64) * 2 - 1)  # moves the running statistics
    return network.eval()


@pytest.mark.parametrize("whole", [True, False], ids=["with its normalisation", "as torchvision"])
def test_a_file_of_the_2d_network_makes_the_3d_one_see_frames(file: Path, whole: bool) -> None:
    network = trained_frames_network()
    save_file(network.state_dict() if whole else network.network.state_dict(), file)
    inflated = create_action_network("shufflenet_v2_3d", 5, weights=file).eval()
    frames = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = network(frames)
        torch.testing.assert_close(inflated(still(frames, 9)), expected, rtol=1e-4, atol=1e-5)


def test_the_2d_files_own_normalisation_comes_along(file: Path) -> None:
    scale = {"input_mean": "[0.1, 0.2, 0.3]", "input_std": "[0.5, 0.6, 0.7]"}
    save_file(trained_frames_network().network.state_dict(), file, metadata=scale)
    inflated = create_action_network("shufflenet_v2_3d", 9, weights=file)  # a head of its own
    assert torch.equal(inflated.mean, torch.tensor([0.1, 0.2, 0.3]))
    assert torch.equal(inflated.std, torch.tensor([0.5, 0.6, 0.7]))
    assert inflated.network.fc.out_features == 9


def test_a_2d_file_that_does_not_fit_is_named(file: Path) -> None:
    save_file({"conv1.weight": torch.zeros(4, 3, 3, 3)}, file)
    with pytest.raises(MotionveilError, match=rf"{file}: the weights do not fit shufflenet_v2: "):
        create_action_network("shufflenet_v2_3d", 5, weights=file)
    file.write_bytes(b"nonsense")
    with pytest.raises(MotionveilError, match=rf"{file}: broken"):
        create_action_network("shufflenet_v2_3d", 5, weights=file)


def test_pretrained_means_timms_imagenet_weights_inflated(file: Path, monkeypatch) -> None:
    torchvision_models()
    import timm

    asked = []
    torch.manual_seed(0)
    published = timm.create_model("mobilenetv2_100", num_classes=1000)
    save_file(published.state_dict(), file)
    found = HubFile(file, "timm/mobilenetv2_100.ra_in1k", 40 * "a", "")
    monkeypatch.setattr(registry, "fetch", lambda *names: asked.append(names) or found)
    inflated = create_action_network("mobilenet_v2_3d", 1000, weights="pretrained").eval()
    assert asked == [("hf:timm/mobilenetv2_100.ra_in1k", "model.safetensors")]
    frames = torch.rand(1, 3, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = published.eval()((frames - mean) / std)
        seen = inflated(still(frames * 2 - 1, 8))
        torch.testing.assert_close(seen, expected, rtol=1e-3, atol=1e-5)


def hara_resnext101() -> dict[str, tuple[int, ...]]:
    """Names and shapes in `resnext-101-kinetics.pth` of Hara et al., without the statistics."""
    shapes: dict[str, tuple[int, ...]] = {"conv1": (64, 3, 7, 7, 7), "bn1": (64,)}
    channels_in = 64
    for layer, (blocks, width) in enumerate(((3, 128), (4, 256), (23, 512), (3, 1024)), start=1):
        for block in range(blocks):
            key = f"layer{layer}.{block}"
            shapes |= {f"{key}.conv1": (width, channels_in, 1, 1, 1), f"{key}.bn1": (width,)}
            shapes |= {f"{key}.conv2": (width, width // 32, 3, 3, 3), f"{key}.bn2": (width,)}
            shapes |= {f"{key}.conv3": (width * 2, width, 1, 1, 1), f"{key}.bn3": (width * 2,)}
            if block == 0:
                down = f"{key}.downsample"
                shapes |= {
                    f"{down}.0": (width * 2, channels_in, 1, 1, 1),
                    f"{down}.1": (width * 2,),
                }
            channels_in = width * 2
    return shapes | {"fc": (400, 2048)}


def koepueklue_shufflenet() -> Iterator[tuple[int, ...]]:
    """Shapes of weights in Köpüklü's 3D ShuffleNet v2 of width 1, in their order."""
    yield from ((24, 3, 3, 3, 3), (24,))
    channels_in = 24
    for blocks, channels in ((4, 116), (8, 232), (4, 464)):
        half = channels // 2
        yield from ((channels_in, 1, 3, 3, 3), (channels_in,))
        yield from ((half, channels_in, 1, 1, 1), (half,))
        for block in range(blocks):
            yield from ((half, half if block else channels_in, 1, 1, 1), (half,))
            yield from ((half, 1, 3, 3, 3), (half,), (half, half, 1, 1, 1), (half,))
        channels_in = channels
    yield from ((1024, 464, 1, 1, 1), (1024,), (600, 1024))


def weight_shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    state = network.state_dict()
    return {
        key.removesuffix(".weight"): tuple(value.shape)
        for key, value in state.items()
        if key.endswith(".weight")
    }


def test_haras_resnext_has_the_same_names_and_shapes() -> None:
    with torch.device("meta"):
        network = create_action_network("resnext101_3d", 400)
    assert weight_shapes(network.network) == hara_resnext101()


def test_koepueklues_shufflenet_has_the_same_shapes_in_the_same_order() -> None:
    with torch.device("meta"):
        network = create_action_network("shufflenet_v2_3d", 600)
    assert list(weight_shapes(network.network).values()) == list(koepueklue_shufflenet())


def test_koepueklues_squeezenet_has_the_same_names() -> None:
    with torch.device("meta"):
        keys = list(weight_shapes(create_action_network("squeezenet_3d", 600).network))
    fires = [number for number in range(3, 15) if number not in (3, 6, 9, 12)]
    layers = ("squeeze", "squeeze_bn", "expand1x1", "expand1x1_bn", "expand3x3", "expand3x3_bn")
    inside = [f"features.{fire}.{layer}" for fire in fires for layer in layers]
    assert keys == ["features.0", "features.1", *inside, "classifier.1"]


# Expansion, channels, blocks, stride of MobileNetV2's stages (Sandler et al., CVPR 2018, table 2).
MOBILENET = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)


def koepueklue_mobilenet(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """3D MobileNetV2 as Köpüklü et al. describe it, as plain functions of tensors in order."""
    tensors = iter(state.values())

    def unit(x: Tensor, stride=1, padding=0, depthwise=False, bound: float | None = 6) -> Tensor:
        kernel = next(tensors)
        groups = len(kernel) if depthwise else 1
        y = functional.conv3d(x, kernel, None, stride, padding, groups=groups)
        weight, bias, mean, var = (next(tensors) for _ in range(4))
        y = functional.batch_norm(y, mean, var, weight, bias)
        return y if bound is None else y.clamp(0, bound)

    x = unit(x, (1, 2, 2), 1)
    for expansion, channels, blocks, stage_stride in MOBILENET:
        for block in range(blocks):
            stride = 1 if block else stage_stride
            y = unit(x) if expansion > 1 else x
            y = unit(unit(y, stride, 1, depthwise=True), bound=None)
            x = x + y if stride == 1 and x.shape[1] == channels else y
    x = unit(x).mean(dim=(2, 3, 4))
    return functional.linear(x, next(tensors), next(tensors))


def test_koepueklues_mobilenet_is_this_one_by_the_order_of_its_tensors(file: Path) -> None:
    torch.manual_seed(0)
    own = create_action_network("mobilenet_v2_3d", 7).network.state_dict()
    theirs = {
        f"theirs.{number}": torch.rand_like(value) + 0.5
        if key.endswith("running_var")
        else torch.randn_like(value) * (0.1 if value.ndim < 2 else (2 / value[0].numel()) ** 0.5)
        for number, (key, value) in enumerate(own.items())
        if not key.endswith("num_batches_tracked")
    }
    keys = [key for key in own if not key.endswith("num_batches_tracked")]
    save_file(
        dict(zip(keys, theirs.values(), strict=True)),
        file,
        metadata={"input_mean": "[0, 0, 0]", "input_std": "[1, 1, 1]"},
    )
    network = create_action_network("mobilenet_v2_3d", 7, weights=file).eval()
    clip = torch.rand(1, 3, 15, 64, 48)
    with torch.no_grad():
        expected = koepueklue_mobilenet(theirs, clip)
        scale = expected.abs().max()
        seen = network(clip * 2 - 1)
        torch.testing.assert_close(seen / scale, expected / scale, rtol=0, atol=1e-4)
