"""The motion field as an encoder: blur, optical flow of coarse cells, quantisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from motionveil.encoders import flow_kernel, functional
from motionveil.encoders.base import Encoder
from motionveil.encoders.bdq import LEAST_SIGMA, decimals
from motionveil.errors import MotionveilError
from motionveil.methods import LEVELS
from motionveil.methods.flow import BLUR_RADIUS, WINDOW_RADIUS, FlowSettings
from motionveil.spec import EncoderSpec

LARGEST_WINDOW = WINDOW_RADIUS / 2
"""Largest standard deviation of the window; beyond, its Gaussian would be cut off visibly."""

LEAST_EPS, LARGEST_EPS = 1e-7, 1e-1
"""Noise floors that `Flow.constrain` allows; the squared gradient of a clear edge is about 0.01."""


def luma(clip: Tensor, colours: tuple[float, float, float]) -> Tensor:
    """Return the weighted sum of R, G and B of `(B, 3, T, H, W)` as `(B, T, H, W)`."""
    red, green, blue = clip.unbind(1)
    return colours[0] * red + colours[1] * green + colours[2] * blue


def blur(frames: Tensor, sigma: Tensor) -> Tensor:
    """Blur `(B, T, H, W)` with a Gaussian of 9 taps; the border repeats the edge pixels."""
    weights = functional.gaussian_weights(sigma, 2 * BLUR_RADIUS + 1)
    return functional.blur_by(frames.unsqueeze(1), weights).squeeze(1)


def gradients(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the derivatives along x, y and time of consecutive pairs of frames.

    Args:
        frames: Shape `(B, T, H, W)`, T >= 2.

    Returns:
        Each of shape `(B, T - 1, H, W)`, per pixel and per frame: central differences of the mean
        of both frames, the border repeating the edge pixels, and the difference of both.
    """
    mean = (frames[:, 1:] + frames[:, :-1]) / 2
    along = [
        (padded.narrow(axis, 2, mean.shape[axis]) - padded.narrow(axis, 0, mean.shape[axis])) / 2
        for axis in (-1, -2)
        for padded in [functional.repeat_edges(mean, 1, axis)]
    ]
    return along[0], along[1], frames[:, 1:] - frames[:, :-1]


def average_cells(values: Tensor, window: Tensor, cell: int) -> Tensor:
    """Smooth `(..., H, W)` with a Gaussian window of 23 taps and average it over cells.

    Outside the frame values are 0.

    Args:
        values: Any number of leading dimensions.
        window: Standard deviation in pixels, one element.
        cell: Side of a cell in pixels.

    Returns:
        Shape `(..., ceil(H / cell), ceil(W / cell))`.
    """
    weights = functional.gaussian_weights(window, 2 * WINDOW_RADIUS + 1).to(values.dtype)
    zeros = weights.new_zeros(cell - 1)
    padded = torch.cat((zeros, weights, zeros))
    # The mean over a cell of the shifted window.
    count = 2 * WINDOW_RADIUS + cell
    taps = _sum_of(padded.narrow(0, shift, count) for shift in range(cell)) / cell
    for axis in (-1, -2):
        values = _strided(values, taps, cell, axis)
    return values


def _strided(values: Tensor, taps: Tensor, cell: int, axis: int) -> Tensor:
    length = values.shape[axis]
    cells = -(-length // cell)
    behind = cells * cell - length + WINDOW_RADIUS
    padding = (WINDOW_RADIUS, behind) if axis == -1 else (0, 0, WINDOW_RADIUS, behind)
    padded = nn.functional.pad(values, padding)
    moved = padded.movedim(axis, -1).unfold(-1, len(taps), cell)  # (..., cells, taps)
    return (moved * taps).sum(-1).movedim(-1, axis)


def velocities(frames: Tensor, window: Tensor, eps: Tensor, cell: int) -> Tensor:
    """Return the velocity of every cell between consecutive frames.

    With A the mean of `(I_x, I_y) (I_x, I_y)^T` and b that of `(I_x, I_y) I_t`, under the window,
    the velocity solves `(A + eps 1) v = -b` (Lucas and Kanade 1981, with a noise floor).

    Args:
        frames: Blurred luma, `(B, T, H, W)`, T >= 2.
        window: Standard deviation of the window in pixels.
        eps: Noise floor, > 0.
        cell: Side of a cell in pixels.

    Returns:
        Shape `(B, 2, T - 1, h, w)`: along x and along y, in pixels per frame.
    """
    x, y, t = gradients(frames)
    products = torch.stack((x * x, x * y, y * y, x * t, y * t), 1)  # (B, 5, T - 1, H, W)
    xx, xy, yy, xt, yt = average_cells(products, window, cell).unbind(1)
    xx, yy = xx + eps, yy + eps
    determinant = xx * yy - xy * xy
    return torch.stack((xy * yt - yy * xt, xy * xt - xx * yt), 1) / determinant.unsqueeze(1)


def enlarge(values: Tensor, cell: int, height: int, width: int) -> Tensor:
    """Repeat every value of `(..., h, w)` over its cell, cut to `(..., height, width)`."""
    repeated = values.repeat_interleave(cell, -2).repeat_interleave(cell, -1)
    return repeated[..., :height, :width]


def _sum_of(terms: object) -> Tensor:
    total: Tensor | None = None
    for term in terms:  # type: ignore[attr-defined]
        total = term if total is None else total + term
    assert total is not None
    return total


class Flow(Encoder):
    """The motion field: `y = Q(c (1 + v / r))`, v the velocities of the cells.

    Learned are sigma, the window, the noise floor (as its logarithm) and the boundaries: 18
    numbers. Channels of the output are v along x, v along y, and the level of zero velocity
    everywhere. Values are repeated over their cells; what leaves a camera is the grid.

    Attributes:
        sigma, window: Standard deviations in pixels, shape `()`.
        log_eps: Natural logarithm of the noise floor, shape `()`.
        boundaries: Shape `(N,)`, ascending in [0, N].
        settings: The settings it was built with.

    Examples:
        >>> encoder = Flow(EncoderSpec.untrained("flow"))
        >>> encoder(torch.rand(2, 3, 4, 32, 32)).shape
        torch.Size([2, 3, 3, 32, 32])
    """

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        if not isinstance(spec.settings, FlowSettings):
            raise MotionveilError(f"Flow needs a spec of method 'flow', found {spec.method!r}")
        self._spec = spec
        self.settings = settings = spec.settings
        self.sigma = nn.Parameter(torch.tensor(settings.sigma))
        self.window_sigma = nn.Parameter(torch.tensor(settings.window))
        self.log_eps = nn.Parameter(torch.tensor(math.log(settings.eps)))
        self.boundaries = nn.Parameter(torch.tensor(settings.boundaries))
        self.hard = settings.hard

    def forward(self, clip: Tensor) -> Tensor:
        """Veil clips.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1]; T >= 2.

        Returns:
            Shape `(B, 3, T - 1, H, W)`, values in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        functional.check_clip(clip, least_frames=2)
        velocity = self.velocities(clip)
        zeros = torch.zeros_like(velocity[:, :1])
        levels = self._quantise(torch.cat((velocity, zeros), 1))
        enlarged = flow_kernel.enlarge if self._runs_fused(clip) else enlarge
        return enlarged(levels, self.settings.cell, *clip.shape[-2:])

    def velocities(self, clip: Tensor) -> Tensor:
        """Return what is quantised, `(B, 2, T - 1, h, w)`, in pixels per frame."""
        settings = self.settings
        if self._runs_fused(clip):
            numbers = (self.sigma, self.window_sigma, self.log_eps)
            return flow_kernel.velocities(clip, *numbers, settings.cell, settings.colours)
        frames = blur(luma(clip, self.settings.colours), self.sigma)
        return velocities(frames, self.window_sigma, self.log_eps.exp(), self.settings.cell)

    def filter_taps(self, shape: tuple[int, ...]) -> int:
        """Return the taps of the blur of the luma, and of the five products' windows at cells."""
        B, _, T, H, W = shape
        cell = self.settings.cell
        blur = (2 * BLUR_RADIUS + 1) ** 2 * B * T * H * W
        cells = B * (T - 1) * -(-H // cell) * -(-W // cell)
        return blur + 5 * (2 * WINDOW_RADIUS + cell) ** 2 * cells

    def _runs_fused(self, clip: Tensor) -> bool:
        """Whether the kernel of the CPU computes this: it has no gradient for the clip."""
        tensors = (clip, *self.parameters())
        return (
            not functional.is_traced()
            and all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
            and not (clip.requires_grad and torch.is_grad_enabled())
            and type(clip) is Tensor
        )

    def _quantise(self, velocity: Tensor) -> Tensor:
        settings, count = self.settings, len(self.boundaries)
        position = (settings.centre * (1 + velocity / settings.range)).clamp(0, count)
        boundaries = self.boundaries.to(position.dtype)
        levels = functional.quantise(position, boundaries, settings.hardness, hard=self.hard)
        return levels * (LEVELS / count)

    @torch.no_grad()
    def constrain(self) -> None:
        """Bring the parameters back to where they are meaningful; call after each training step."""
        self.sigma.clamp_(LEAST_SIGMA, BLUR_RADIUS / 2)
        self.window_sigma.clamp_(LEAST_SIGMA, LARGEST_WINDOW)
        self.log_eps.clamp_(math.log(LEAST_EPS), math.log(LARGEST_EPS))
        self.boundaries.copy_(self.boundaries.sort().values.clamp_(0, len(self.boundaries)))

    @property
    def spec(self) -> EncoderSpec:
        """The encoder's numbers as they are now."""
        changes = {
            "sigma": decimals(self.sigma),
            "window": decimals(self.window_sigma),
            "eps": decimals(self.log_eps.exp()),
            "boundaries": decimals(self.boundaries),
        }
        settings = self.settings.model_copy(update=changes)
        return self._spec.model_copy(update={"settings": settings})

    def numbers(self) -> dict[str, float]:
        """Return `sigma`, `window`, `eps` and the boundaries `b1`, `b2`, ..."""
        rows = {f"b{n}": value for n, value in enumerate(decimals(self.boundaries), 1)}
        found = {"sigma": self.sigma, "window": self.window_sigma, "eps": self.log_eps.exp()}
        return {name: decimals(value) for name, value in found.items()} | rows
