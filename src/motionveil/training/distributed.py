"""One training on one device, or on several processes that share out each batch (torchrun).

With several, each process gets a share of a batch's clips, BatchNorm takes its statistics over all
of them, and gradients are averaged, so that the encoder becomes what one process would make of the
same batches, to rounding. Its 16 numbers are the same on every process after each step.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from motionveil._version import __version__
from motionveil.errors import MotionveilError
from motionveil.processes import usable_cores

MOST_THREADS = 8
"""Threads that make batches for a GPU, at most."""

PATIENCE = timedelta(hours=24)
"""How long a process waits for the others: one of them decodes videos for all."""


def make_fabric(device: str = "auto", precision: str = "32-true") -> Fabric:
    """Return Lightning Fabric on one device, or on this process's own where torchrun started it.

    Args:
        device: `"auto"`, `"cpu"`, `"cuda"`, `"mps"`, or one of several such as `"cuda:1"`.
        precision: Fabric's name of a precision, such as `"bf16-mixed"`.

    Raises:
        MotionveilError: There is no such device here, or it names one where there are several
            processes.
    """
    kind, _, number = device.partition(":")
    options: dict[str, Any] = {"devices": 1}
    if distributed.is_torchelastic_launched():
        if number:
            raise MotionveilError(
                f"--device {device}: each of several processes takes a device of its own;"
                f" give {kind}"
            )
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        options = {
            "devices": local,
            "num_nodes": int(os.environ["WORLD_SIZE"]) // local,
            "strategy": DDPStrategy(timeout=PATIENCE),
        }
    try:
        if number:
            options["devices"] = [int(number)]
        fabric = Fabric(accelerator=kind, precision=precision, **options)  # type: ignore[arg-type]
        fabric.launch()
    except Exception as error:
        # Fabric raises errors of many kinds, some its own, for a device that is not there.
        raise MotionveilError(f"--device {device}: cannot be used here: {error}") from error
    return fabric


def quickest_precision(device: str) -> str:
    """Return the precision in which small networks train fastest on a device.

    Returns:
        `"bf16-mixed"` on a processor that multiplies matrices in bfloat16 (AMX), where a step takes
        two thirds of the time; `"32-true"` elsewhere, a GPU included.
    """
    if device not in ("auto", "cpu") or torch.cuda.is_available():
        return "32-true"
    # Older versions of torch do not say.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16-mixed" if capabilities.get("amx_bf16") else "32-true"


def is_first_process() -> bool:
    """Return whether this process is the only one, or the first of those of torchrun."""
    return not distributed.is_torchelastic_launched() or os.environ["RANK"] == "0"


def describe_environment(fabric: Fabric) -> dict[str, str]:
    """Return versions, processor, device and number of processes, for a result."""
    packages = ("torch", "numpy", "timm", "monai", "lightning-fabric", "av", "numba")
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "motionveil": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": str(fabric.device),
        "processes": str(fabric.world_size),
        "threads": str(torch.get_num_threads()),
        **versions,
    }


def prepare(fabric: Fabric, network: nn.Module) -> nn.Module:
    """Make BatchNorm see the clips of all processes, in place, and return the network."""
    return synchronise_batchnorm(network, fabric.device) if fabric.world_size > 1 else network


def unsynchronised(fabric: Fabric, network: nn.Module, more: bool) -> AbstractContextManager[Any]:
    """While there are more parts of a batch to come, keep gradients from being averaged yet."""
    if fabric.world_size > 1 and more:
        return fabric.no_backward_sync(network)  # type: ignore[arg-type]  # one that it wrapped
    return nullcontext()


def average_gradients(fabric: Fabric, network: nn.Module) -> None:
    """Average a network's gradients over the processes; for one that Fabric does not wrap."""
    if fabric.world_size > 1:
        for parameter in network.parameters():
            assert parameter.grad is not None
            distributed.all_reduce(parameter.grad)
            parameter.grad /= fabric.world_size


def over_all(fabric: Fabric, values: Tensor) -> Tensor:
    """Return a tensor added up over the processes; it is changed in place."""
    if fabric.world_size > 1:
        distributed.all_reduce(values)
    return values


def added_up(fabric: Fabric, measured: Mapping[str, Tensor]) -> dict[str, float]:
    """Return 0-dimensional measurements, added up over the processes."""
    values = torch.stack([value.detach().float() for value in measured.values()])
    return dict(zip(measured, over_all(fabric, values).tolist(), strict=True))


def summed(shares: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the sums of 0-dimensional measurements, name by name."""
    return {name: torch.stack([share[name] for share in shares]).sum() for name in shares[0]}


def agreed(fabric: Fabric, answer: bool) -> bool:
    """Return the first process's answer on every process."""
    if fabric.world_size == 1:
        return answer
    said = torch.tensor(float(answer), device=fabric.device)
    distributed.broadcast(said, 0)
    return bool(said)


def refuse_parting(fabric: Fabric, network: nn.Module) -> None:
    """Raise an error when a network's parameters are not the same on all processes.

    Raises:
        MotionveilError: They differ.
    """
    if fabric.world_size == 1:
        return
    mine = torch.cat([parameter.detach().reshape(-1) for parameter in network.parameters()])
    first = mine.clone()
    distributed.broadcast(first, 0)
    differing = torch.tensor(float(not torch.equal(mine, first)), device=mine.device)
    distributed.all_reduce(differing)
    if differing:
        raise MotionveilError(
            f"the encoder differs on {int(differing)} of {fabric.world_size} processes: they are"
            " not on the same version, seed or data"
        )


def loading_threads(fabric: Fabric) -> int:
    """Return how many threads make batches: one beside a CPU, which computes; several for a GPU.

    Of the cores that this process may use, so that trainings side by side can be given some each.
    """
    if fabric.device.type == "cpu":
        return 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_THREADS, usable_cores() // processes - 1))


@contextmanager
def first_process_first(fabric: Fabric) -> Iterator[None]:
    """Let one process of each machine go through the block first; the others find it done."""
    with fabric.rank_zero_first(local=True):
        yield


def synchronise_batchnorm(network: nn.Module, device: torch.device) -> nn.Module:
    """Replace BatchNorm by one whose statistics are those of all processes; return the network.

    Names and values of parameters and buffers stay.

    Args:
        network: Changed in place.
    """
    if device.type == "cpu":
        return _replace(network)
    from timm.layers import convert_sync_batchnorm  # torch's, and timm's own layers

    synchronised: nn.Module = convert_sync_batchnorm(network)
    return synchronised


def _replace(module: nn.Module) -> nn.Module:
    if isinstance(module, _BatchNorm) and not isinstance(module, SyncedBatchNorm):
        return SyncedBatchNorm(module)
    for name, child in module.named_children():
        setattr(module, name, _replace(child))
    return module


class SyncedBatchNorm(_BatchNorm):
    """BatchNorm whose mean and variance in training are those of the clips of all processes.

    Differentiable through the statistics, on any device that torch.distributed serves.

    Args:
        norm: The BatchNorm to stand in for. Its parameters and buffers are taken over, and what
            timm's kind does afterwards (dropout, activation).
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
        )
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.train(norm.training)
        for name in ("drop", "act"):
            if hasattr(norm, name):
                self.add_module(name, getattr(norm, name))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(N, C, ...)` over all axes but the second, and over the processes."""
        y = self._normalise(x) if self.training else super().forward(x)
        for after in self.children():
            y = after(y)
        return y

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"BatchNorm takes (N, C, ...), found {tuple(input.shape)}")

    def _normalise(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        wide = x.float()  # statistics need all digits, also in mixed precision
        count = _over_processes(wide.new_tensor(float(x.numel() // x.shape[1])))
        # In two passes: a mean of squares minus a squared mean loses what is small beside the mean.
        mean = _over_processes(wide.sum(axes)) / count  # (C,)
        centred = wide - mean.view(shape)
        variance = _over_processes(centred.square().sum(axes)) / count  # (C,)
        if self.track_running_stats:
            self._track(mean.detach(), (variance * count / (count - 1)).detach())
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Sum(torch.autograd.Function):
    """The sum over processes. What each loss makes of it goes back to every process's share."""

    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        total = share.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def _over_processes(share: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(share)
    return total
