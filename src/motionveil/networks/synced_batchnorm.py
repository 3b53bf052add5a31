"""BatchNorm over the clips of all processes.

torch has it for GPUs; for CPUs, where torch's own does not run, it is here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


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
