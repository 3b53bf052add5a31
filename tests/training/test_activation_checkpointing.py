"""Activation checkpointing changes what is remembered, and nothing else."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from motionveil.networks import create_action_network, create_privacy_network
from motionveil.training.adversaries import recompute_activations
from motionveil.training.adversary_inputs import held_fixed

CLIP = (2, 3, 4, 32, 32)
FRAME = (2, 3, 32, 32)


def network_of(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    if name in ("small3d", "resnet18_3d"):
        return create_action_network(name, 5), torch.rand(CLIP) * 2 - 1
    return create_privacy_network(name, 5), torch.rand(FRAME) * 2 - 1


def gradients(network: nn.Module, inputs: Tensor) -> tuple[list[Tensor], int]:
    """Return the output and all gradients, and the bytes that were remembered for them."""
    remembered = {}

    def pack(tensor: Tensor) -> Tensor:
        remembered[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    seen = inputs.clone().requires_grad_()
    torch.manual_seed(1)  # for dropout
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = network(seen)
    weights = {parameter.data_ptr() for parameter in network.parameters()}
    output.square().sum().backward()
    found = [output.detach(), seen.grad, *(p.grad for p in network.parameters())]
    activations = sum(size for place, size in remembered.items() if place not in weights)
    return [tensor for tensor in found if tensor is not None], activations


@pytest.mark.parametrize("name", ["small3d", "small2d", "resnet18_3d", "efficientnet_lite0"])
def test_output_gradients_and_statistics_are_the_same(name: str) -> None:
    plain, inputs = network_of(name)
    thrifty = recompute_activations(copy.deepcopy(plain))
    assert list(thrifty.state_dict()) == list(plain.state_dict())
    expected, much = gradients(plain, inputs)
    found, little = gradients(thrifty, inputs)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    for key, value in plain.state_dict().items():
        assert torch.equal(thrifty.state_dict()[key], value), f"{key}: counted twice"
    assert little < 0.75 * much


def test_a_network_held_fixed_stays_as_it_is() -> None:
    network, inputs = network_of("small2d")
    recompute_activations(network)
    before = copy.deepcopy(network.state_dict())
    seen = inputs.clone().requires_grad_()
    with held_fixed(network):
        network(seen).square().sum().backward()
    assert seen.grad is not None
    assert seen.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())


def test_without_gradients_it_is_the_network_itself() -> None:
    network, inputs = network_of("small3d")
    with torch.no_grad():
        expected = network.eval()(inputs)
        assert torch.equal(recompute_activations(network)(inputs), expected)
