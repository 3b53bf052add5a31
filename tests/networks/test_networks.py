"""Every registered network: shapes, gradients, fresh weights, its own file, errors."""

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from motionveil import MotionveilError
from motionveil.atomic_write import atomic_path
from motionveil.networks import (
    action_networks,
    create_action_network,
    create_privacy_network,
    privacy_networks,
    register_action_network,
    register_privacy_network,
)

NETWORKS = [(create_action_network, name) for name in action_networks()] + [
    (create_privacy_network, name) for name in privacy_networks()
]
SIZES = {create_action_network: (3, 5, 34, 32), create_privacy_network: (3, 34, 32)}
# Those that take over two seconds for one step on a busy core.
HEAVY = {"vgg16_bn", "resnet50", "wide_resnet50_2", "resnext50_32x4d", "convnext_tiny"}
HEAVY |= {"resnet50_3d", "resnext101_3d", "r2plus1d_18", "mc3_18", "swin3d_t", "mvit_v2_s"}
# Behind its last blocks only the class token counts, which has no position and is not pooled;
# depth is stochastic.
UNUSED = {"mvit_v2_s": ("network.blocks.14.attn.", "network.blocks.15.attn.")}

every_network = pytest.mark.parametrize(
    ("create", "name"),
    [
        pytest.param(
            create,
            name,
            marks=[pytest.mark.slow] if name in HEAVY else [],
            id=f"{create.__name__.split('_')[1]}-{name}",
        )
        for create, name in NETWORKS
    ],
)

# What holds for a network holds for a larger one of the same library: seconds each are saved.
light_network = pytest.mark.parametrize(
    ("create", "name"),
    [
        pytest.param(create, name, id=f"{create.__name__.split('_')[1]}-{name}")
        for create, name in NETWORKS
        if name not in HEAVY
    ],
)


def some_input(create, count: int) -> Tensor:
    """Values in [-1, 1]: clips or frames of odd sizes."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, *SIZES[create], generator=generator) * 2 - 1


def seeded(create, name: str, seed: int, classes: int = 5) -> nn.Module:
    torch.manual_seed(seed)
    return create(name, classes)


def test_the_networks_of_the_paper_and_the_small_ones_are_there():
    for_clips = {"resnet50_3d", "resnext101_3d", "mobilenet_v2_3d", "shufflenet_v2_3d"}
    assert for_clips | {"squeezenet_3d", "i3d", "small3d"} <= set(action_networks())
    assert {"resnet50", "mobilenet_v3_large", "small2d"} <= set(privacy_networks())


@every_network
def test_gradients_reach_every_parameter_and_the_input(create, name):
    network = seeded(create, name, 0)
    with torch.no_grad():
        for parameter in network.parameters():  # some begin at zero and would stop the gradient
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
    x = some_input(create, 2).requires_grad_()
    logits = network(x)
    assert logits.shape == (2, 5)
    nn.functional.cross_entropy(logits, torch.tensor([1, 3])).backward()
    silent = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert [key for key in silent if not key.startswith(UNUSED.get(name, ()))] == []
    assert x.grad is not None
    assert x.grad.abs().mean() > 0


@light_network
def test_one_clip_in_evaluation_mode_gives_the_answer_it_gives_in_a_batch(create, name):
    network = seeded(create, name, 0).eval()
    x = some_input(create, 3)
    with torch.no_grad():
        torch.testing.assert_close(network(x[1:2]), network(x)[1:2], rtol=1e-3, atol=1e-4)


@light_network
def test_fresh_weights_depend_on_torchs_seed_alone(create, name):
    random.seed(1)
    first = seeded(create, name, 7).state_dict()
    random.seed(2)
    same = seeded(create, name, 7).state_dict()
    assert all(torch.equal(first[key], same[key]) for key in first)


@light_network
def test_its_own_state_comes_back_from_a_file(create, name, tmp_path: Path):
    trained = seeded(create, name, 0)
    trained(some_input(create, 2))  # moves BatchNorm's running statistics
    trained.eval()
    with atomic_path(tmp_path / "network.safetensors") as part:
        save_file(trained.state_dict(), part)
    torch.manual_seed(1)  # so that what is not read from the file differs
    read = create(name, 5, weights=tmp_path / "network.safetensors").eval()
    x = some_input(create, 1)
    with torch.no_grad():
        torch.testing.assert_close(read(x), trained(x), rtol=0, atol=0)


@light_network
def test_other_shapes_are_refused_with_the_shape_found(create, name):
    network = seeded(create, name, 0).eval()
    x = some_input(create, 1)
    for wrong in (x[0], x[:, :1], x[..., :8]):  # no batch, one channel, too narrow
        with pytest.raises(MotionveilError, match=r"it takes \(.*at least") as caught:
            network(wrong)
        assert str(tuple(wrong.shape)) in str(caught.value)


def test_small1d_sees_when_something_happens_and_not_its_shape():
    network = create_action_network("small1d", 3).eval()
    clip = torch.rand(1, 3, 15, 32, 32)
    within = clip.unflatten(-1, (8, 4)).flip(-1).flatten(-2)  # pixels moved within their parts
    torch.testing.assert_close(network(within), network(clip))
    assert not torch.allclose(network(clip.flip(2)), network(clip))
    assert network(torch.zeros(1, 3, 2, 16, 17)).shape == (1, 3)


@pytest.mark.parametrize(("frames", "side"), [(2, 16), (3, 17), (15, 64), (32, 20)])
def test_small3d_takes_any_clip_from_2_frames_of_16_pixels(frames, side):
    network = create_action_network("small3d", 3).eval()
    assert network(torch.zeros(1, 3, frames, side, side)).shape == (1, 3)
    with pytest.raises(MotionveilError, match="T at least 2"):
        network(torch.zeros(1, 3, 1, side, side))


@pytest.mark.parametrize(
    ("create", "name"),
    [(create_action_network, "small3d"), (create_privacy_network, "small2d")],
)
def test_small_networks_learn(create, name):
    network = seeded(create, name, 0, classes=2)
    x = some_input(create, 8)
    labels = torch.arange(8) % 2
    x = x + labels.view(-1, *[1] * (x.ndim - 1)) * 0.5
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(10):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(x), labels)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


def test_an_unknown_name_lists_the_names_and_suggests_the_nearest():
    with pytest.raises(MotionveilError) as caught:
        create_action_network("smal3d", 4)
    assert "did you mean 'small3d'" in str(caught.value)
    assert all(name in str(caught.value) for name in action_networks())
    with pytest.raises(MotionveilError, match="did you mean 'resnet50'"):
        create_privacy_network("Resnet-50", 4)


def test_one_class_is_refused():
    with pytest.raises(MotionveilError, match="1 class to train on; small2d needs 2"):
        create_privacy_network("small2d", 1)


def test_a_network_is_added_by_one_decorated_function_in_one_registry(monkeypatch):
    from motionveil.networks import registry

    monkeypatch.setattr(registry._ACTION, "_builders", dict(registry._ACTION._builders))

    @register_action_network
    def of_my_own(classes, weights=None):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))

    assert "of_my_own" in action_networks()
    assert "of_my_own" not in privacy_networks()
    assert create_action_network("of_my_own", 4)(torch.zeros(2, 3, 2, 2, 2)).shape == (2, 4)
    with pytest.raises(ValueError, match="'of_my_own' already"):
        register_action_network(of_my_own)
    assert register_privacy_network.__self__ is not register_action_network.__self__
