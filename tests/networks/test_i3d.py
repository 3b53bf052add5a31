"""I3D against TensorFlow's definition of SAME padding, and DeepMind's weights on real clips."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from motionveil.networks import create_action_network
from motionveil.networks.backbones import ensure_torchvision
from motionveil.networks.i3d import I3D


def same_positions(size: int, kernel: int, stride: int) -> list[range]:
    """The inputs that each output sees: ceil(size / stride) windows, centred, the odd one last."""
    count = (size + stride - 1) // stride
    first = -(max((count - 1) * stride + kernel - size, 0) // 2)
    return [
        range(max(0, first + i * stride), min(size, first + i * stride + kernel))
        for i in range(count)
    ]


@pytest.mark.parametrize("sizes", [(4, 8, 9), (5, 7, 6), (2, 1, 10)])
def test_the_stem_pads_as_tensorflow_does(sizes):
    unit = I3D(2).Conv3d_1a_7x7.eval()
    nn.init.ones_(unit.conv3d.weight)  # with BatchNorm untouched: 3 times the sum of the window
    expected = torch.zeros([(size + 1) // 2 for size in sizes])
    image = torch.rand(*sizes)
    windows = [same_positions(size, 7, 2) for size in sizes]
    for t, time in enumerate(windows[0]):
        for i, rows in enumerate(windows[1]):
            for j, columns in enumerate(windows[2]):
                expected[t, i, j] = image[time][:, rows][:, :, columns].sum() * 3
    found = unit(image.expand(1, 3, *sizes)) * (1 + 1e-3) ** 0.5
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("sizes", [(4, 8, 9), (5, 7, 6)])
def test_pooling_pads_as_tensorflow_does(sizes):
    image = torch.rand(*sizes)
    found = I3D(2).MaxPool3d_4a_3x3(image[None, None])[0, 0]
    windows = [same_positions(size, 3, 2) for size in sizes]
    for t, time in enumerate(windows[0]):
        for i, rows in enumerate(windows[1]):
            for j, columns in enumerate(windows[2]):
                assert found[t, i, j] == image[time][:, rows][:, :, columns].max()
    assert found.shape == tuple(len(window) for window in windows)


def test_it_has_as_many_parameters_as_published():
    # Carreira and Zisserman, table 1: 12 M for one stream.
    assert sum(p.numel() for p in I3D(400).parameters()) == 12_697_264


def clip(path: Path) -> Tensor:
    """Up to 64 frames squeezed to 224 x 224, `(1, 3, T, 224, 224)` in [-1, 1]."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][:64]
    pictures = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1
    small = nn.functional.interpolate(pictures, (224, 224), mode="bilinear", antialias=True)
    return small.transpose(0, 1)[None]


@pytest.mark.slow
def test_with_deepminds_weights_it_knows_a_handshake_from_a_hug(pretrained, ut_interaction):
    ensure_torchvision()
    from torchvision.models.video import S3D_Weights

    names = S3D_Weights.KINETICS400_V1.meta["categories"]
    weights = pretrained / "i3d_rgb_kinetics400.safetensors"
    network = create_action_network("i3d", 400, weights=weights).eval()
    folder = ut_interaction / "segmented_set1"
    for file, action in (("8_2_0.avi", "shaking hands"), ("58_10_1.avi", "hugging")):
        with torch.no_grad():
            probabilities = network(clip(folder / file)).softmax(1)[0]
        assert names[probabilities.argmax()] == action
        assert probabilities.max() > 0.3


def test_pretrained_features_serve_other_classes_at_small_sizes(pretrained):
    weights = pretrained / "i3d_rgb_kinetics400.safetensors"
    network = create_action_network("i3d", 6, weights=weights).eval()
    full = create_action_network("i3d", 400, weights=weights).eval()
    x = torch.rand(1, 3, 12, 96, 96) * 2 - 1
    with torch.no_grad():
        assert network(x).shape == (1, 6)
        network.logits = nn.Identity()
        kept = full.logits(network(x))
        torch.testing.assert_close(kept, full(x), rtol=0, atol=0)
        assert full(x).isfinite().all()
