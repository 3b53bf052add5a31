"""BDQ with a fixed range on the CPU, in one pass over the clip each way.

The same mathematics as `functional.veil`, arranged for the machine. A frame's difference is taken,
blurred and looked up in a table while it is in the cache; only the clip, which exists anyway, is
remembered for the gradient.

- The quantiser is a scalar function: a table with linear interpolation is exact to its resolution.
- `dL/db_n` is a sum over pixels of the upstream gradient times a function of x alone. So it is
  enough to know the upstream gradient's histogram over x: one pass serves all 15 boundaries.
- `dL/dsigma` follows from the kernel's derivative, `(k k^T)' = k' k^T + k k'^T`.

Threads share out frames; the sums of the gradients are always taken in the same order, so results
do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from motionveil.encoders import functional
from motionveil.methods import KERNEL_SIZE, LEVELS

GREATEST_HARDNESS = 25.0
"""Above it the table would outgrow the cache."""

_ENTRIES_PER_HARDNESS = 640
"""Table entries for H = 1.

Linear interpolation errs by at most step^2 / 8 times the second derivative, which is 0.0963 H^2 for
each sigmoid; with all 15 boundaries in one place that is 1e-4 of a level at this resolution.
"""

_GROUPS = 64
"""Number of partial sums of the gradients, whatever the number of threads."""

_ELEMENTS_WORTH_A_THREAD = 1 << 18

Floats = NDArray[np.floating[Any]]


def veil(clip: Tensor, sigma: Tensor, boundaries: Tensor, hardness: float, range: float) -> Tensor:
    """Veil clips with BDQ in the fixed range mode; see `functional.veil` for the equation.

    Agrees with it to 1e-4 of a level. Differentiable once in sigma and the boundaries, not in the
    clip.

    Args:
        clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2, float32, on the CPU.
        sigma: Standard deviation of the blur in pixels, one float32 element, > 0.
        boundaries: Shape `(15,)`, float32.
        hardness: H, in (0, 25].
        range: r > 0.

    Returns:
        Shape `(B, 3, T - 1, H, W)`, values in [0, 15].

    Raises:
        ValueError: The shape or a value of `clip`, or `sigma`, is wrong.
    """
    functional.check_clip(clip, least_frames=2)
    functional.gaussian_weights(sigma.detach())  # for its check of sigma
    result: Tensor = _FusedVeil.apply(clip, sigma, boundaries, hardness, range)
    return result


class _FusedVeil(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, clip: Tensor, sigma: Tensor, boundaries: Tensor, hardness: float, range: float
    ) -> Tensor:
        clip = clip.contiguous()
        ctx.save_for_backward(clip, sigma, boundaries)
        ctx.hardness, ctx.range = hardness, range
        B, C, T, H, W = clip.shape
        veiled = torch.empty((B, C, T - 1, H, W))
        table = _table(boundaries, hardness)[0].astype(np.float32)
        frames, out = _frames(clip), _frames(veiled)
        window = gaussian_window(float(sigma), KERNEL_SIZE // 2)[0].astype(np.float32)

        def work(first: int, last: int) -> None:
            _veil_frames(frames, window, table, np.float32(range), out, first, last)

        share_out(work, B * C * (T - 1), H * W)
        return veiled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
        clip, sigma, boundaries = ctx.saved_tensors
        planes = clip.shape[0] * clip.shape[1] * (clip.shape[2] - 1)
        _, slope, per_boundary = _table(boundaries, ctx.hardness)
        frames, upstream = _frames(clip), _frames(grad.contiguous())
        window, growth = (
            w.astype(np.float32) for w in gaussian_window(float(sigma), KERNEL_SIZE // 2)
        )
        edges = np.linspace(0, planes, _GROUPS + 1).astype(int)
        histograms = np.zeros((_GROUPS, slope.size))
        sigma_sums = np.zeros(_GROUPS)
        slope32 = slope.astype(np.float32)

        def work(first: int, last: int) -> None:
            for group in np.arange(first, last):
                sigma_sums[group] = _gather_gradients(
                    frames,
                    upstream,
                    window,
                    growth,
                    slope32,
                    np.float32(ctx.range),
                    histograms[group],
                    edges[group],
                    edges[group + 1],
                )

        share_out(work, _GROUPS, grad.numel() // _GROUPS)
        grad_sigma = sigma_sums.sum() * LEVELS / (2 * ctx.range)
        grad_boundaries = -(per_boundary @ histograms.sum(0))
        return (
            None,
            torch.tensor(grad_sigma, dtype=sigma.dtype).reshape(sigma.shape),
            torch.from_numpy(grad_boundaries).to(boundaries.dtype),
            None,
            None,
        )


def _frames(clip: Tensor) -> NDArray[np.float32]:
    """View `(B, 3, T, H, W)` as `(B * 3, T, H, W)` in numpy."""
    frames: NDArray[np.float32] = clip.detach().flatten(0, 1).numpy()
    return frames


def gaussian_window(sigma: float, radius: int) -> tuple[Floats, Floats]:
    """Return the Gaussian's `2 radius + 1` weights and their derivatives by sigma."""
    squares = np.arange(-radius, radius + 1) ** 2
    bell = np.exp(-squares / (2 * sigma**2))
    growth = bell * squares / sigma**3
    weights = bell / bell.sum()
    return weights, (growth - weights * growth.sum()) / bell.sum()


def _table(boundaries: Tensor, hardness: float) -> tuple[Floats, Floats, Floats]:
    """Tabulate the quantiser over [0, 15].

    Returns:
        The levels y, their slope dy/dx, and the slope of each sigmoid (15 rows). The last entry
        stands twice, so that interpolating at the very end stays inside.
    """
    entries = 1 << int(np.ceil(np.log2(max(64, _ENTRIES_PER_HARDNESS * hardness))))
    x = np.append(np.linspace(0, LEVELS, entries + 1), LEVELS)
    b = boundaries.detach().double().numpy()[:, None]
    sigmoids = 0.5 + 0.5 * np.tanh(hardness / 2 * (x - b))  # tanh cannot overflow
    slopes = hardness * sigmoids * (1 - sigmoids)
    return sigmoids.sum(0), slopes.sum(0), slopes


def share_out(work: Callable[[int, int], None], items: int, elements_per_item: int) -> None:
    """Call `work(first, last)` on consecutive parts of `items`, on as many threads as torch uses.

    Plain threads and not numba's: those abort the process when two Python threads enter at once,
    or in a forked child.
    """
    worth = items * elements_per_item // _ELEMENTS_WORTH_A_THREAD
    threads = max(1, min(torch.get_num_threads(), worth, items))
    if threads == 1:
        work(0, items)
        return
    edges = [items * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))  # list() raises what a thread raised


# The kernels. Reassociation lets the compiler use vector instructions; the order it chooses is
# fixed when it compiles, so that results repeat.
kernel = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})


@kernel
def _blurred_rows(now: Floats, before: Floats, window: Floats, line: Floats, out: Floats) -> None:
    """Write the difference of two frames, blurred along rows. `line` has room for W + 4."""
    height, width = now.shape
    for y in range(height):
        for x in range(width):
            line[x + 2] = now[y, x] - before[y, x]
        line[0] = line[1] = line[2]
        line[width + 2] = line[width + 3] = line[width + 1]
        for x in range(width):
            out[y, x] = (
                window[0] * (line[x] + line[x + 4])
                + window[1] * (line[x + 1] + line[x + 3])
                + window[2] * line[x + 2]
            )


@kernel
def _blurred_column(rows: Floats, window: Floats, y: int, out: Floats) -> None:
    """Write row `y` of `rows` blurred along columns."""
    height, width = rows.shape
    above2, above = rows[max(y - 2, 0)], rows[max(y - 1, 0)]
    below, below2 = rows[min(y + 1, height - 1)], rows[min(y + 2, height - 1)]
    middle = rows[y]
    for x in range(width):
        out[x] = (
            window[0] * (above2[x] + below2[x])
            + window[1] * (above[x] + below[x])
            + window[2] * middle[x]
        )


@kernel
def _veil_frames(
    frames: Floats,
    window: Floats,
    table: Floats,
    r: np.float32,
    out: Floats,
    first: int,
    last: int,
) -> None:
    """Write veiled frames `first` ... `last - 1`, counted over all planes of `out`."""
    _, steps, height, width = out.shape
    line = np.empty(width + 4, np.float32)
    rows = np.empty((height, width), np.float32)
    motion = np.empty(width, np.float32)
    end = np.float32(table.size - 2)
    middle = end / np.float32(2)
    scale = middle / r
    for index in range(first, last):
        plane, step = index // steps, index % steps
        _blurred_rows(frames[plane, step + 1], frames[plane, step], window, line, rows)
        for y in range(height):
            _blurred_column(rows, window, y, motion)
            veiled = out[plane, step, y]
            for x in range(width):
                position = min(max(motion[x] * scale + middle, np.float32(0)), end)
                entry = np.int32(position)
                part = position - np.float32(entry)
                veiled[x] = table[entry] + part * (table[entry + 1] - table[entry])


@kernel
def _gather_gradients(
    frames: Floats,
    upstream: Floats,
    window: Floats,
    growth: Floats,
    slope: Floats,
    r: np.float32,
    histogram: Floats,
    first: int,
    last: int,
) -> float:
    """Add the upstream gradient to a histogram over x; return the sum behind sigma's gradient.

    The sum is that of `upstream * dy/dx * d(blurred difference)/dsigma`, where x is not clamped.
    """
    _, steps, height, width = upstream.shape
    line = np.empty(width + 4, np.float32)
    rows = np.empty((height, width), np.float32)
    grown_rows = np.empty((height, width), np.float32)
    motion = np.empty(width, np.float32)
    change = np.empty(width, np.float32)
    change2 = np.empty(width, np.float32)
    end = np.float32(slope.size - 2)
    middle = end / np.float32(2)
    scale = middle / r
    total = 0.0
    for index in range(first, last):
        plane, step = index // steps, index % steps
        now, before = frames[plane, step + 1], frames[plane, step]
        _blurred_rows(now, before, window, line, rows)
        _blurred_rows(now, before, growth, line, grown_rows)
        for y in range(height):
            _blurred_column(rows, window, y, motion)
            _blurred_column(rows, growth, y, change)
            _blurred_column(grown_rows, window, y, change2)
            gradient = upstream[plane, step, y]
            in_row = np.float32(0)
            for x in range(width):
                free = motion[x] * scale + middle
                position = min(max(free, np.float32(0)), end)
                entry = np.int32(position)
                part = position - np.float32(entry)
                steepness = slope[entry] + part * (slope[entry + 1] - slope[entry])
                inside = np.float32(1) if position == free else np.float32(0)
                in_row += inside * gradient[x] * steepness * (change[x] + change2[x])
                motion[x] = position
            total += float(in_row)
            for x in range(width):
                entry = np.int32(motion[x])
                part = motion[x] - np.float32(entry)
                histogram[entry] += gradient[x] * (np.float32(1) - part)
                histogram[entry + 1] += gradient[x] * part
    return total
