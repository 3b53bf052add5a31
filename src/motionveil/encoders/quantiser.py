"""The soft quantiser as an autograd function that remembers its input only.

Written out in torch operations, the quantiser keeps 15 sigmoids as large as the clip for its
gradient. Here they are made again in the backward pass, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CPU_BLOCK = 1 << 15
"""Elements worked on together on the CPU, so that the buffers stay in the second-level cache."""


class SoftQuantiser(torch.autograd.Function):
    """`y = sum_n sigmoid(H (x - b_n))`, differentiable once in `x` and `b`.

    `dy/dx = H sum_n s_n (1 - s_n)` and `dy/db_n = -H s_n (1 - s_n)`, s_n being the n-th sigmoid.
    Half precision is computed in float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, boundaries: Tensor, hardness: float) -> Tensor:
        """Quantise `x` of any shape with `boundaries` of shape (N,)."""
        ctx.save_for_backward(x, boundaries)
        ctx.hardness = hardness
        levels = torch.empty_like(x, memory_format=torch.contiguous_format)
        for part, out in _blocks(x, levels):
            total = torch.zeros_like(part)
            for boundary in boundaries.to(part.dtype).unbind():
                total += _sigmoid(part, boundary, hardness)
            out.copy_(total)
        return levels

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        """Return the gradients of `x` and of the boundaries."""
        x, boundaries = ctx.saved_tensors
        hardness = ctx.hardness
        grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
        sums = []
        for part, upstream, out in _blocks(x, grad, grad_x):
            total = torch.zeros_like(part)
            row = []
            for boundary in boundaries.to(part.dtype).unbind():
                level = _sigmoid(part, boundary, hardness)
                slope = torch.addcmul(level, level, level, value=-1)  # s (1 - s)
                slope *= upstream
                total += slope
                row.append(slope.sum())
            out.copy_(total.mul_(hardness))
            sums.append(torch.stack(row))
        grad_boundaries = torch.stack(sums).sum(0).mul_(-hardness).to(boundaries.dtype)
        return (grad_x if ctx.needs_input_grad[0] else None), grad_boundaries, None


def _sigmoid(x: Tensor, boundary: Tensor, hardness: float) -> Tensor:
    return (x - boundary).mul_(hardness).sigmoid_()


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors of one shape into flat pieces; all but the last are widened to at least float32.

    The last is the output, of which pieces are views.
    """
    *inputs, output = (tensor.reshape(-1) for tensor in tensors)
    size = _CPU_BLOCK if output.device.type == "cpu" else max(1, output.numel())
    wide = torch.float64 if output.dtype == torch.float64 else torch.float32
    pieces = [tensor.split(size) for tensor in inputs]
    for *parts, out in zip(*pieces, output.split(size), strict=True):
        yield *(part.to(wide) for part in parts), out
