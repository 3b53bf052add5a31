"""BDQ with a fixed range on a CUDA GPU, fused by torch.compile.

The same mathematics as `functional.veil`, in a form that compiles to one pass each way: all 25
places of the blur's window are read where they are needed, from the nearest cache, and nothing in
between is written.

- The difference comes first, and is all that is remembered for the gradient.
- `sigmoid(H (x - b)) = 1 / (1 + exp(-H x) exp(H b))`: one exponential serves all 15 boundaries.
- The gradients of sigma and of the boundaries are 16 sums, for which the levels are computed again.
  `dL/dsigma` follows from the window's derivative, `(k k^T)' = k' k^T + k k'^T`.

Where torch cannot compile, `functional.veil` runs instead and a warning says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from motionveil.encoders import functional
from motionveil.methods import KERNEL_SIZE, LEVELS

GREATEST_HARDNESS = 10.0
"""Above it `exp(H x)` leaves the range of float32, with x counted from the middle."""

_MIDDLE = LEVELS / 2


def veil(clip: Tensor, sigma: Tensor, boundaries: Tensor, hardness: float, range: float) -> Tensor:
    """Veil clips with BDQ in the fixed range mode; see `functional.veil` for the equation.

    Agrees with it to 1e-4 of a level. Differentiable once in sigma and the boundaries, not in the
    clip. Compiled on a CUDA device; on any other the same functions run uncompiled.

    Args:
        clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2.
        sigma: Standard deviation of the blur in pixels, one element, > 0.
        boundaries: Shape `(15,)`.
        hardness: H, in (0, 10].
        range: r > 0.

    Returns:
        Shape `(B, 3, T - 1, H, W)`, values in [0, 15].

    Raises:
        ValueError: The shape or a value of `clip`, or `sigma`, is wrong.
    """
    if clip.is_cuda and not can_compile(clip.device):
        return functional.veil(
            clip, sigma, boundaries, hardness=hardness, mode="fixed", range=range
        )
    functional.check_clip(clip, least_frames=2)
    window = functional.gaussian_weights(sigma.detach())
    result: Tensor = _Veil.apply(clip, sigma, boundaries, window, hardness, range)
    return result


class _Veil(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        clip: Tensor,
        sigma: Tensor,
        boundaries: Tensor,
        window: Tensor,
        hardness: float,
        range: float,
    ) -> Tensor:
        difference = clip[:, :, 1:] - clip[:, :, :-1]
        ctx.save_for_backward(difference, sigma, boundaries, window)
        ctx.hardness, ctx.range = hardness, range
        growth = _growth(boundaries, hardness)
        compute = _compiled(levels) if clip.is_cuda else levels
        return compute(difference, torch.outer(window, window), growth, hardness, range)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor, None, None, None]:
        difference, sigma, boundaries, window = ctx.saved_tensors
        change = torch.outer(_change(window, sigma), window)
        growth = _growth(boundaries, ctx.hardness)
        compute = _compiled(gradients) if difference.is_cuda else gradients
        grad_sigma, grad_boundaries = compute(
            difference,
            torch.outer(window, window),
            change + change.T,
            growth,
            ctx.hardness,
            ctx.range,
            grad,
        )
        return None, grad_sigma.reshape(sigma.shape), grad_boundaries, None, None, None


def levels(
    difference: Tensor, window: Tensor, growth: Tensor, hardness: float, range: float
) -> Tensor:
    """Blur and quantise differences.

    Args:
        difference: Shape `(B, 3, T, H, W)`.
        window: The blur's weights, shape `(5, 5)`.
        growth: `exp(H (b_n - 7.5))`, shape `(15,)`.

    Returns:
        Shape `(B, 3, T, H, W)`, values in [0, 15].
    """
    (motion,) = _blurred(difference, window)
    decay = _decay(_position(motion, range).clamp(0, LEVELS), hardness)
    total = torch.zeros_like(motion)
    for boundary in growth.unbind():
        total = total + 1 / (1 + decay * boundary)
    return total


def gradients(
    difference: Tensor,
    window: Tensor,
    change: Tensor,
    growth: Tensor,
    hardness: float,
    range: float,
    upstream: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of sigma (0-dimensional) and of the boundaries, shape `(15,)`.

    Args:
        difference, window, growth, hardness, range: As for `levels`.
        change: The derivative of `window` by sigma.
        upstream: The gradient of the levels, of their shape.
    """
    motion, moved = _blurred(difference, window, change)
    free = _position(motion, range)
    x = free.clamp(0, LEVELS)
    decay = _decay(x, hardness)
    steepness = torch.zeros_like(motion)
    sums = []
    for boundary in growth.unbind():
        level = 1 / (1 + decay * boundary)
        slope = level * (1 - level)
        steepness = steepness + slope
        sums.append(_sum_of_frames(upstream * slope))
    inside = (x == free).to(motion.dtype)
    sums.append(_sum_of_frames(upstream * inside * steepness * moved))
    *boundaries, sigma = (hardness * total.sum() for total in sums)
    return sigma * (LEVELS / (2 * range)), -torch.stack(boundaries)


def _sum_of_frames(values: Tensor) -> Tensor:
    # Frame by frame first: the compiler makes all these sums in one pass then, and writes none of
    # what they are made of.
    return values.sum((-2, -1))


def _position(motion: Tensor, range: float) -> Tensor:
    """Return where blurred differences lie on the scale of the levels, not clamped."""
    return (motion + range) * (LEVELS / (2 * range))


def _decay(x: Tensor, hardness: float) -> Tensor:
    return torch.exp(-hardness * (x - _MIDDLE))


def _growth(boundaries: Tensor, hardness: float) -> Tensor:
    return torch.exp(hardness * (boundaries - _MIDDLE))


def _blurred(difference: Tensor, *windows: Tensor) -> tuple[Tensor, ...]:
    """Return the sums over the 5 x 5 neighbours, weighted by each window; edges repeat."""
    reach = KERNEL_SIZE // 2
    height, width = difference.shape[-2:]
    padded = pad(difference.flatten(0, 1), (reach,) * 4, mode="replicate")
    sums = [torch.zeros_like(padded[..., :height, :width]) for _ in windows]
    for y in range(KERNEL_SIZE):
        for x in range(KERNEL_SIZE):
            near = padded[..., y : y + height, x : x + width]
            sums = [s + window[y, x] * near for s, window in zip(sums, windows, strict=True)]
    return tuple(s.unflatten(0, difference.shape[:2]) for s in sums)


def _change(window: Tensor, sigma: Tensor) -> Tensor:
    """Return the window's derivative by sigma; the window is a softmax of `-i^2 / 2 sigma^2`."""
    reach = KERNEL_SIZE // 2
    offsets = torch.arange(-reach, reach + 1, dtype=window.dtype, device=window.device)
    growth = offsets.square() / sigma**3
    return window * (growth - (window * growth).sum())


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, fullgraph=True)


@cache
def can_compile(device: torch.device) -> bool:
    """Return whether torch can compile for a device; where it cannot, warn once.

    Tried on next to nothing: compilers fail in many ways (no Triton, no C compiler, an old GPU).
    """
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(1, device=device))
    except Exception as error:
        fault = " ".join(str(error).split())[:200]
        warnings.warn(
            f"torch cannot compile for {device}, the encoder runs without it and slower: {fault}",
            stacklevel=2,
        )
        return False
    return True
