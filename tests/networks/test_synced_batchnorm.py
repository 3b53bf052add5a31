"""BatchNorm over processes; with one process it is BatchNorm. Two are in test_distributed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from motionveil.networks import create_privacy_network
from motionveil.training.adversary_inputs import held_fixed
from motionveil.training.distributed import SyncedBatchNorm, synchronise_batchnorm


@pytest.fixture(scope="module", autouse=True)
def _one_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    meeting: Path = tmp_path_factory.mktemp("meeting") / "store"
    distributed.init_process_group("gloo", f"file://{meeting}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_is_batchnorm(momentum: float | None, affine: bool) -> None:
    torch.manual_seed(0)
    plain = nn.BatchNorm3d(4, momentum=momentum, affine=affine)
    if affine:
        nn.init.normal_(plain.weight)
        nn.init.normal_(plain.bias)
    synced = SyncedBatchNorm(copy.deepcopy(plain))
    for _ in range(3):
        x = torch.randn(3, 4, 2, 5, 5) * 3 + 1
        one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        expected, found = plain(one), synced(other)
        torch.testing.assert_close(found, expected)
        weights = torch.randn(x.shape)
        (expected * weights).sum().backward()
        (found * weights).sum().backward()
        torch.testing.assert_close(other.grad, one.grad)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(synced.state_dict()[key], value)
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x))


def test_gradcheck() -> None:
    norm = SyncedBatchNorm(nn.BatchNorm1d(3))
    x = torch.randn(5, 3)
    # It computes in float32, so the differences are taken wide and held loosely.
    assert torch.autograd.gradcheck(norm, x.requires_grad_(), eps=1e-2, atol=1e-2, rtol=1e-2)


def test_held_statistics_stay() -> None:
    norm = SyncedBatchNorm(nn.BatchNorm2d(3))
    before = copy.deepcopy(norm.state_dict())
    with held_fixed(norm):
        norm(torch.randn(2, 3, 4, 4))
    assert all(torch.equal(norm.state_dict()[key], value) for key, value in before.items())


def test_a_network_with_activations_in_its_norms_is_the_same_network() -> None:
    torch.manual_seed(0)
    plain = create_privacy_network("efficientnet_lite0", 4)  # timm's BatchNormAct2d
    synced = synchronise_batchnorm(copy.deepcopy(plain), torch.device("cpu"))
    norms = [m for m in synced.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(norm, SyncedBatchNorm) for norm in norms)
    assert list(synced.state_dict()) == list(plain.state_dict())
    x = torch.rand(4, 3, 128, 128)  # enough places that no variance is one of two values
    torch.testing.assert_close(synced(x), plain(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x), rtol=1e-3, atol=1e-3)
