"""The mathematics of BDQ as pure, differentiable functions.

Kumawat and Nagahara, "Privacy-Preserving Action Recognition via Motion Difference Quantization",
ECCV 2022, section 3.1: blur, difference of consecutive frames, quantisation with learned
boundaries. Clips are `(B, 3, T, H, W)`, RGB in [0, 1].

Arguments are checked where it costs little; while torch traces, compiles or exports, only shapes
are checked, since values are not known then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from motionveil.methods import KERNEL_SIZE, LEVELS, RangeMode

_CPU_BLOCK = 1 << 15
"""Elements worked on together on the CPU, so that the buffers stay in the second-level cache."""


def is_traced() -> bool:
    """Return whether torch records or transforms operations instead of only running them."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
    )


def check_clip(clip: Tensor, *, least_frames: int = 1) -> None:
    """Refuse what cannot be a clip: floating `(B, 3, T, H, W)`, intensities about [0, 1].

    Some slack is left for resampling that overshoots; 8-bit values and values normalised by mean
    and standard deviation are told apart all the same.

    Raises:
        ValueError: The shape, the dtype or a value is wrong; the message gives what was found.
    """
    _check_shape("clip", clip, least_frames)
    if is_traced():
        return
    low, high = torch.stack(clip.detach().aminmax()).tolist()  # both NaN if any value is
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"clip holds NaN or infinite values, shape {tuple(clip.shape)}")
    if low < -0.5 or high > 1.5:
        raise ValueError(
            f"clip must hold RGB intensities in [0, 1], found values from {low:.4g} to {high:.4g}"
        )


def _check_video(name: str, video: Tensor, least_frames: int = 1) -> None:
    _check_shape(name, video, least_frames)
    _check_finite(name, video)


def _check_shape(name: str, video: Tensor, least_frames: int) -> None:
    shape = tuple(video.shape)
    if video.ndim != 5 or video.shape[1] != 3:
        raise ValueError(f"{name} must have shape (B, 3, T, H, W), found {shape}")
    if not video.is_floating_point():
        raise ValueError(f"{name} must be floating, found {video.dtype}")
    if video.shape[2] < least_frames:
        raise ValueError(
            f"{name} must have at least {least_frames} frames (T), found shape {shape}"
        )
    if not is_traced() and video.numel() == 0:
        raise ValueError(f"{name} must not be empty, found shape {shape}")


def _check_finite(name: str, values: Tensor) -> None:
    if is_traced():
        return
    # One number tells for nearly every tensor: a sum is finite only if all its terms are. Where
    # finite terms overflow the sum, each is looked at.
    values = values.detach()
    wide = torch.float64 if values.dtype == torch.float64 else torch.float32
    if not torch.isfinite(values.sum(dtype=wide)) and not torch.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinite values, shape {tuple(values.shape)}")


def gaussian_weights(sigma: Tensor, size: int = KERNEL_SIZE) -> Tensor:
    """Return a normalised Gaussian window, `w_i = exp(-i^2 / 2 sigma^2) / sum_j w_j`.

    Args:
        sigma: Standard deviation in pixels, a tensor with one element, > 0.
        size: Width of the window in pixels, odd.

    Returns:
        Shape `(size,)`, of sigma's dtype and device, sum 1.

    Raises:
        ValueError: `sigma` is not one positive number, or `size` is not odd and positive.

    Examples:
        >>> gaussian_weights(torch.tensor(1.0), 3)
        tensor([0.2741, 0.4519, 0.2741])
    """
    if sigma.numel() != 1 or not sigma.is_floating_point():
        raise ValueError(
            f"sigma must be one floating number, found shape {tuple(sigma.shape)}, {sigma.dtype}"
        )
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size must be odd and positive, found {size}")
    if not is_traced() and not 0 < float(sigma.detach()) < math.inf:
        raise ValueError(f"sigma must be positive and finite, found {float(sigma.detach())}")
    offsets = torch.arange(size, dtype=sigma.dtype, device=sigma.device) - size // 2
    weights = torch.exp(-offsets.square() / (2 * sigma.reshape(()).square()))
    return weights / weights.sum()


def blur(clip: Tensor, sigma: Tensor, size: int = KERNEL_SIZE) -> Tensor:
    """Blur every frame with a normalised Gaussian; the border repeats the edge pixels.

    Args:
        clip: Shape `(B, 3, T, H, W)`; H and W may be 1.
        sigma: Standard deviation in pixels, > 0: a tensor with one element, or with three for R,
            G and B.
        size: Width of the window in pixels, odd; 5 in the paper.

    Returns:
        Shape `(B, 3, T, H, W)`.

    Raises:
        ValueError: The shape, dtype or a value of an argument is wrong.
    """
    _check_video("clip", clip)
    if sigma.numel() == 3:
        channels = zip(clip.split(1, dim=1), sigma.reshape(3), strict=True)
        return torch.cat(
            [blur_by(one, gaussian_weights(own, size)) for one, own in channels], dim=1
        )
    return blur_by(clip, gaussian_weights(sigma, size))


def blur_by(clip: Tensor, window: Tensor) -> Tensor:
    """Blur `(B, C, T, H, W)` along both axes with the weights of a window, (size,)."""
    weights = window.to(clip.dtype).unbind()
    reach = len(weights) // 2
    height, width = clip.shape[-2:]
    frames = clip.flatten(0, 1)  # (B * 3, T, H, W)
    # Shifted sums instead of a convolution: autocast leaves them in full precision, the compiler
    # fuses them, and autograd keeps only the padded input.
    padded = repeat_edges(frames, reach, dim=-1)
    rows = padded[..., :width] * weights[0]
    for shift, weight in enumerate(weights[1:], start=1):
        rows = torch.addcmul(rows, padded[..., shift : shift + width], weight)
    padded = repeat_edges(rows, reach, dim=-2)
    columns = padded[..., :height, :] * weights[0]
    for shift, weight in enumerate(weights[1:], start=1):
        columns = torch.addcmul(columns, padded[..., shift : shift + height, :], weight)
    return columns.unflatten(0, clip.shape[:2])


def repeat_edges(frames: Tensor, reach: int, dim: int) -> Tensor:
    """Return frames with the values at both ends of a dimension repeated `reach` times."""
    # Not torch's `pad`, which keeps its input for the gradient.
    first = frames.narrow(dim, 0, 1)
    last = frames.narrow(dim, frames.shape[dim] - 1, 1)
    return torch.cat((first,) * reach + (frames,) + (last,) * reach, dim)


def difference(clip: Tensor) -> Tensor:
    """Return the differences of consecutive frames, `d_i = v_i - v_{i-1}`.

    The first frame has no predecessor and no difference: nothing wraps around.

    Args:
        clip: Shape `(B, 3, T, H, W)`, T >= 2.

    Returns:
        Shape `(B, 3, T - 1, H, W)`.

    Raises:
        ValueError: The shape, dtype or a value of `clip` is wrong, or T < 2.
    """
    _check_video("clip", clip, least_frames=2)
    return _difference(clip)


def _difference(clip: Tensor) -> Tensor:
    return clip[:, :, 1:] - clip[:, :, :-1]


def normalise(difference: Tensor, mode: RangeMode, range: float | None = None) -> Tensor:
    """Bring differences to [0, 15].

    - `"fixed"`: `x = (d + r) / 2r * 15`, clamped. Causal; the gradient outside [-r, r] is zero.
    - `"clip"`: `x = (d - min) / (max - min) * 15` with the minimum and maximum over all values of
      the clip itself.
    - `"batch"`: the same with the minimum and maximum of the whole batch, as the authors' released
      code does. **A clip's output then depends on its neighbours**: only for comparing with it.

    A clip (or batch) whose differences are all the same has no scale; it becomes 7.5 everywhere,
    which is where the fixed mode puts "no motion".

    Args:
        difference: Shape `(B, 3, T, H, W)`.
        range: r > 0 of the fixed mode, None for the others.

    Returns:
        Values in [0, 15], of the same shape.

    Raises:
        ValueError: The shape, dtype or a value is wrong, the mode is unknown, or `range` does not
            go with it.
    """
    _check_video("difference", difference)
    return _normalise(difference, mode, range)


def _normalise(difference: Tensor, mode: str, range: float | None) -> Tensor:
    if mode not in ("fixed", "clip", "batch"):
        raise ValueError(f"mode must be 'fixed', 'clip' or 'batch', found {mode!r}")
    if mode == "fixed":
        if range is None or not 0 < range < math.inf:
            raise ValueError(f"mode 'fixed' needs a positive range, found {range}")
        return ((difference + range) * (LEVELS / (2 * range))).clamp(0, LEVELS)
    if range is not None:
        raise ValueError(f"mode {mode!r} takes its range from the data, found range {range}")
    over = (1, 2, 3, 4) if mode == "clip" else (0, 1, 2, 3, 4)
    low = difference.amin(over, keepdim=True)
    span = difference.amax(over, keepdim=True) - low
    moves = span > 0
    # The inner `where` keeps 0 / 0 out of the gradient as well as out of the value.
    scaled = (difference - low) / torch.where(moves, span, 1) * LEVELS
    return torch.where(moves, scaled, LEVELS / 2)


def quantise(x: Tensor, boundaries: Tensor, hardness: float, *, hard: bool = False) -> Tensor:
    """Quantise softly, `y = sum_n sigmoid(H (x - b_n))`, or hard, `y = sum_n [x > b_n]`.

    The soft form keeps only `x` and the boundaries for its gradient.

    Args:
        x: Values in [0, 15], any shape, floating.
        boundaries: The b_n, shape `(N,)`; 15 in the paper.
        hardness: H > 0; 5 in the paper.
        hard: Return whole levels; the gradient is then zero.

    Returns:
        Values in [0, N], of the shape and dtype of `x`.

    Raises:
        ValueError: A shape, dtype or value is wrong.
    """
    if not x.is_floating_point():
        raise ValueError(f"x must be floating, found {x.dtype}")
    if boundaries.ndim != 1 or not boundaries.is_floating_point():
        raise ValueError(
            f"boundaries must be floating with shape (N,), found {tuple(boundaries.shape)},"
            f" {boundaries.dtype}"
        )
    if not 0 < hardness < math.inf:
        raise ValueError(f"hardness must be positive and finite, found {hardness}")
    _check_finite("x", x)
    _check_finite("boundaries", boundaries)
    return _quantise(x, boundaries, hardness, hard)


def _quantise(x: Tensor, boundaries: Tensor, hardness: float, hard: bool) -> Tensor:
    if hard:
        return _hard_levels(x, boundaries)
    if is_traced():
        return _soft_levels(x, boundaries, hardness)
    result: Tensor = SoftQuantiser.apply(x, boundaries, hardness)
    return result


def _hard_levels(x: Tensor, boundaries: Tensor) -> Tensor:
    levels = torch.zeros_like(x)
    for boundary in boundaries.unbind():
        levels = levels + (x > boundary).to(x.dtype)
    return levels


def _soft_levels(x: Tensor, boundaries: Tensor, hardness: float) -> Tensor:
    """The soft quantiser as its formula: a compiler fuses it and recomputes the sigmoids."""
    wide = x.double() if x.dtype == torch.float64 else x.float()
    levels = torch.zeros_like(wide)
    for boundary in boundaries.unbind():
        levels = levels + torch.sigmoid(hardness * (wide - boundary))
    return levels.to(x.dtype)


def veil(
    clip: Tensor,
    sigma: Tensor,
    boundaries: Tensor,
    *,
    hardness: float,
    mode: RangeMode,
    range: float | None = None,
    hard: bool = False,
) -> Tensor:
    """Veil clips with BDQ: `quantise(normalise(blur(difference(clip))))`.

    The paper blurs first; both are linear and commute, and there is one difference fewer than
    there are frames.

    Args:
        clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2.
        sigma: As for `blur`.
        boundaries: As for `quantise`.
        hardness: As for `quantise`.
        mode: As for `normalise`.
        range: As for `normalise`.
        hard: As for `quantise`.

    Returns:
        Shape `(B, 3, T - 1, H, W)`, values in [0, 15].

    Raises:
        ValueError: The shape, dtype or a value of an argument is wrong.
    """
    check_clip(clip, least_frames=2)
    motion = blur_by(_difference(clip), gaussian_weights(sigma))
    return _quantise(_normalise(motion, mode, range), boundaries, hardness, hard)


def for_networks(veiled: Tensor) -> Tensor:
    """Scale veiled clips from [0, 15] to the [-1, 1] that networks see, `z = y / 7.5 - 1`.

    Args:
        veiled: Values in [0, 15], any shape.

    Returns:
        Values in [-1, 1], of the same shape.
    """
    return veiled / (LEVELS / 2) - 1


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
