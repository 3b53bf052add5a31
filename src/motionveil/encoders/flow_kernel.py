"""The motion field on the CPU, with its derivatives taken forward.

The same mathematics as `motionveil.encoders.flow`, arranged for the machine. Only three learned
numbers enter before the quantiser: sigma, the window and the noise floor. So the derivatives of
every cell's velocity by these three are computed beside the velocity, while the frame is in the
cache, and nothing as large as a frame is remembered: neither the clip nor its luma, only six
numbers per cell. The backward pass is three scalar products.

- The derivative of a Gaussian blur by its sigma is another separable filter, as in
  `motionveil.encoders.cpu_kernel`.
- The products of the derivatives are summed over rows first, four rows at a time, and then along
  rows for each cell.
- With `(A + eps 1) v = -b`, `(A + eps 1) dv = -(db + dA v)`: one more solution per derivative.

Threads share out pairs of frames, and a pair's result does not depend on its thread; the scalar
products are taken in one order. Results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from motionveil.encoders import functional
from motionveil.encoders.cpu_kernel import Floats, gaussian_window, share_out
from motionveil.encoders.flow_loops import ROWS, repeat_cells, solve_pairs, sum_cells
from motionveil.methods.flow import BLUR_RADIUS, WINDOW_RADIUS

_Colours = tuple[float, float, float]


def velocities(
    clip: Tensor, sigma: Tensor, window: Tensor, log_eps: Tensor, cell: int, colours: _Colours
) -> Tensor:
    """Return the velocity of every cell; see `motionveil.encoders.flow.velocities`.

    Agrees with it to rounding. Differentiable once in sigma, the window and the noise floor, not
    in the clip.

    Args:
        clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2, float32, on the CPU.
        sigma: Standard deviation of the blur in pixels, one float32 element, > 0.
        window: That of the window, likewise.
        log_eps: Natural logarithm of the noise floor, one float32 element.
        cell: Side of a cell in pixels.
        colours: Weights of R, G and B in the luma.

    Returns:
        Shape `(B, 2, T - 1, h, w)`: along x and along y, in pixels per frame.

    Raises:
        ValueError: A standard deviation is wrong.
    """
    for deviation in (sigma, window):
        functional.gaussian_weights(deviation.detach())  # for its check
    numbers = (sigma, window, log_eps)
    learns = torch.is_grad_enabled() and any(number.requires_grad for number in numbers)
    result: Tensor = _Velocities.apply(clip, *numbers, cell, colours, learns)
    return result


def enlarge(values: Tensor, cell: int, height: int, width: int) -> Tensor:
    """Repeat every value over its cell; see `motionveil.encoders.flow.enlarge`.

    Args:
        values: Shape `(..., h, w)`, float32, on the CPU.
        cell: Side of a cell in pixels.
        height: Height of the result, at most `h * cell`.
        width: Its width, at most `w * cell`.

    Returns:
        Shape `(..., height, width)`.
    """
    result: Tensor = _Enlarge.apply(values, cell, height, width)
    return result


class _Velocities(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        clip: Tensor,
        sigma: Tensor,
        window: Tensor,
        log_eps: Tensor,
        cell: int,
        colours: _Colours,
        learns: bool,
    ) -> Tensor:
        B, _, T, H, W = clip.shape
        grid = (-(-H // cell), -(-W // cell))
        found = torch.empty((B, T - 1, 2, *grid))
        slopes = torch.empty((B, T - 1, 2, 3, *grid) if learns else (B, T - 1, 2, 0, *grid))
        blur = np.stack(gaussian_window(float(sigma), BLUR_RADIUS)).astype(np.float32)
        across = _cell_taps(float(window), cell)
        down = np.pad(across, ((0, 0), (ROWS, ROWS)))
        frames = clip.detach().numpy()
        light = np.array(colours, np.float32)
        eps = float(log_eps.detach().double().exp())
        velocity, slope = found.flatten(0, 1).numpy(), slopes.flatten(0, 1).numpy()

        def work(first: int, last: int) -> None:
            solve_pairs(frames, light, blur, down, across, cell, eps, velocity, slope, first, last)

        share_out(work, B * (T - 1), H * W)
        ctx.save_for_backward(slopes, sigma, window, log_eps)
        return found.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slopes, *numbers = ctx.saved_tensors
        upstream = grad.transpose(1, 2).contiguous().numpy()  # (B, T - 1, 2, h, w)
        sums = [
            np.multiply(upstream, slopes[:, :, :, k].numpy(), dtype=np.float64).sum()
            for k in range(len(numbers))
        ]
        gradients = (
            torch.tensor(total, dtype=number.dtype).reshape(number.shape)
            for total, number in zip(sums, numbers, strict=True)
        )
        return (None, *gradients, None, None, None)


class _Enlarge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, cell: int, height: int, width: int) -> Tensor:
        ctx.cell, ctx.shape = cell, values.shape
        large = torch.empty((*values.shape[:-2], height, width))
        grids, out = _planes(values.contiguous()), _planes(large)

        def work(first: int, last: int) -> None:
            repeat_cells(grids, cell, out, first, last)

        share_out(work, len(out), height * width)
        return large

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        sums = torch.empty(ctx.shape)
        large, out, cell = _planes(grad.contiguous()), _planes(sums), ctx.cell

        def work(first: int, last: int) -> None:
            sum_cells(large, cell, out, first, last)

        share_out(work, len(out), large[0].size)
        return sums, None, None, None


def _planes(values: Tensor) -> NDArray[np.float32]:
    """View `(..., h, w)` as `(N, h, w)` in numpy."""
    planes: NDArray[np.float32] = values.detach().reshape(-1, *values.shape[-2:]).numpy()
    return planes


def _cell_taps(window: float, cell: int) -> Floats:
    """Return the window's Gaussian averaged over a cell, and its derivative by the deviation.

    Shape `(2, 22 + cell)`; the first belongs to the pixel 11 before the cell.
    """
    box = np.full(cell, 1 / cell)
    rows = [np.convolve(taps, box) for taps in gaussian_window(window, WINDOW_RADIUS)]
    return np.array(rows, np.float32)
