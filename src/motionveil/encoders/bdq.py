"""BDQ: blur, difference, quantisation, with 16 learned numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from motionveil.encoders import cpu_kernel, cuda_kernel, functional
from motionveil.encoders.base import Encoder
from motionveil.errors import MotionveilError
from motionveil.methods import KERNEL_SIZE, LEVELS
from motionveil.methods.bdq import BDQSettings
from motionveil.spec import EncoderSpec

LEAST_SIGMA = 0.3
"""Smallest sigma that `BDQ.constrain` allows, in pixels.

The blur is next to nothing here (the middle weight is 0.98) but still has a gradient; much below,
the neighbours' weights vanish and with them the way back.
"""

_FUSED = {"cpu": cpu_kernel, "cuda": cuda_kernel}
"""Modules that compute the fixed mode faster than torch operations one by one, by device."""

_CHANNELS = ("_r", "_g", "_b")


class BDQ(Encoder):
    """The encoder of Kumawat and Nagahara, ECCV 2022, section 3.1.

    `y = Q(N(B(v_i) - B(v_{i-1})))`: Gaussian blur B, normalisation N to [0, 15] and soft
    quantisation Q (see `motionveil.encoders.functional`). Exactly 16 numbers are learned: sigma
    and the 15 boundaries. Its settings leave modules out or change their numbers, for ablations:
    without D, frames stay frames, `x = N v`, and all T of them are kept; N is the number of
    boundaries. Without Q, x itself comes out. Values are scaled from [0, N] to [0, 15].

    **An untrained BDQ protects nothing**: its quantiser is almost the identity. With range_mode
    `"batch"` (the authors' released code) a clip's output depends on the other clips of its batch;
    it is there for comparing with that code only, and it cannot stream.

    After each step of the optimiser call `constrain()`: `forward` never changes a parameter, so
    that it can be exported, compiled and checked numerically.

    Attributes:
        sigma: Standard deviation of the blur in pixels, > 0, shape `()`, or `(3,)` for R, G, B; a
            parameter where it blurs and may learn it, else a buffer.
        boundaries: Shape `(N,)` or `(3, N)`, ascending in [0, N]; a parameter where it quantises.
        hardness: H, steepness of the soft quantiser.
        range_mode: `"fixed"`, `"clip"` or `"batch"`.
        range: r of the fixed mode, in intensities of [0, 1]; None for the other modes.
        settings: The settings it was built with.
        hard: Set to True for whole levels 0 ... N instead of soft ones (no gradient).

    Examples:
        >>> encoder = BDQ(EncoderSpec.untrained(range=0.25))
        >>> encoder(torch.rand(2, 3, 16, 32, 32)).shape
        torch.Size([2, 3, 15, 32, 32])
    """

    sigma: Tensor
    boundaries: Tensor

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        if not isinstance(spec.settings, BDQSettings):
            raise MotionveilError(f"BDQ needs a spec of method 'bdq', found {spec.method!r}")
        self._spec = spec
        self.settings = settings = spec.settings
        self.hardness, self.range_mode = settings.hardness, settings.range_mode
        self.range, self.hard = settings.range, settings.hard
        self.window = settings.kernel_size if "B" in settings.modules else None
        self._hold("sigma", settings.sigma, "B" in settings.modules and settings.learn_sigma)
        self._hold("boundaries", settings.boundaries, "Q" in settings.modules and not self.hard)
        # What neither leaves a module out nor has numbers for each channel.
        self._is_plain = (
            settings.modules == "BDQ"
            and settings.kernel_size == KERNEL_SIZE
            and self.sigma.ndim == 0
            and self.boundaries.shape == (LEVELS,)
        )

    def _hold(self, name: str, values: object, learned: bool) -> None:
        tensor = torch.tensor(values, dtype=torch.float32)
        if learned:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    @property
    def levels(self) -> int:
        """N, the number of boundaries and the largest value before scaling."""
        return self.boundaries.shape[-1]

    def forward(self, clip: Tensor) -> Tensor:
        """Veil clips.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1]; T >= 2 where it takes differences.

        Returns:
            Shape `(B, 3, T', H, W)`, values in [0, 15]; T' = T - 1 with D, T without.

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        if self._runs_fused(clip):
            assert self.range is not None
            faster = _FUSED[clip.device.type]
            return faster.veil(clip, self.sigma, self.boundaries, self.hardness, self.range)
        if self._is_plain:
            return functional.veil(
                clip,
                self.sigma,
                self.boundaries,
                hardness=self.hardness,
                mode=self.range_mode,
                range=self.range,
                hard=self.hard,
            )
        return self._by_modules(clip)

    def _by_modules(self, clip: Tensor) -> Tensor:
        """Run the modules one by one; written for comparisons and not for speed."""
        settings, modules = self.settings, self.settings.modules
        functional.check_clip(clip, least_frames=2 if "D" in modules else 1)
        x = clip
        if "B" in modules:
            x = functional.blur(x, self.sigma, settings.kernel_size)
        if "D" in modules:
            x = functional.normalise(functional.difference(x), self.range_mode, self.range)
            x = x * (self.levels / LEVELS)
        else:
            x = x * self.levels
        if "Q" in modules:
            x = self._quantise(x)
        return x * (LEVELS / self.levels)

    def _quantise(self, x: Tensor) -> Tensor:
        if self.boundaries.ndim == 1:
            return functional.quantise(x, self.boundaries, self.hardness, hard=self.hard)
        channels = zip(x.unbind(1), self.boundaries, strict=True)
        return torch.stack(
            [functional.quantise(one, row, self.hardness, hard=self.hard) for one, row in channels],
            1,
        )

    def _runs_fused(self, clip: Tensor) -> bool:
        """Whether a fused kernel computes this: it has no gradient for the clip."""
        tensors = (clip, self.sigma, self.boundaries)
        return (
            self._is_plain
            and not functional.is_traced()
            and self.range_mode == "fixed"
            and not self.hard
            and clip.device.type in _FUSED
            and self.hardness <= _FUSED[clip.device.type].GREATEST_HARDNESS
            and all(t.device == clip.device and t.dtype == torch.float32 for t in tensors)
            and not (clip.requires_grad and torch.is_grad_enabled())
            and type(clip) is Tensor
        )

    @torch.no_grad()
    def constrain(self) -> None:
        """Bring the parameters back to where they are meaningful; call after each training step.

        Sigma is kept at `LEAST_SIGMA` or more; the boundaries are sorted and kept in [0, N].
        """
        self.sigma.clamp_(min=LEAST_SIGMA)
        self.boundaries.copy_(self.boundaries.sort(-1).values.clamp_(0, self.levels))

    @property
    def spec(self) -> EncoderSpec:
        """The encoder's numbers as they are now, with the geometry and provenance it was built
        with."""
        changes = {"sigma": decimals(self.sigma), "boundaries": decimals(self.boundaries)}
        settings = self.settings.model_copy(update=changes)
        return self._spec.model_copy(update={"settings": settings})

    def numbers(self) -> dict[str, float]:
        """Return `sigma` and `b1` ... `b15`; with numbers for each channel `sigma_r`, `b1_r` ..."""
        found: dict[str, float] = {}
        for channel, value in _by_channel(self.sigma, 0):
            found[f"sigma{channel}"] = decimals(value)
        for channel, row in _by_channel(self.boundaries, 1):
            found |= {f"b{n}{channel}": value for n, value in enumerate(decimals(row), 1)}
        return found

    def extra_repr(self) -> str:
        """Say what is not a parameter."""
        return f"hardness={self.hardness}, range_mode={self.range_mode!r}, range={self.range}"


def _by_channel(values: Tensor, dims: int) -> list[tuple[str, Tensor]]:
    if values.ndim == dims:
        return [("", values)]
    return list(zip(_CHANNELS, values.unbind(0), strict=True))


def decimals(values: Tensor) -> Any:
    """Return the shortest decimals that read back as the same numbers: 1.3, not 1.2999999523."""
    if values.ndim == 0:
        return float(str(values.detach().cpu().numpy()))
    return tuple(decimals(value) for value in values)


_BINS = 1 << 14
"""Resolution of r: a sixtieth of a grey level of 8-bit video."""


def calibrate_range(clips: Iterable[Tensor], sigma: float = 1.0, quantile: float = 0.995) -> float:
    """Return the quantile of `|B(v_i) - B(v_{i-1})|` over all values of the clips.

    With r = 1 nearly all motion would fall between two boundaries of the quantiser; a high
    percentile of what the data holds spreads it over the 15 levels. The clips are read once and
    counted into a histogram, so any number of them fits.

    Args:
        clips: Tensors `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2.
        sigma: Standard deviation of the blur in pixels, > 0.
        quantile: Share of the absolute differences below r, in (0, 1].

    Returns:
        r in (0, 1], exact to 1 / 16384.

    Raises:
        MotionveilError: There are no clips, or nothing moves in them.
        ValueError: A clip's shape, dtype or a value is wrong, or an argument is out of range.
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must lie in (0, 1], found {quantile}")
    counts = torch.zeros(_BINS, dtype=torch.float64)
    largest = 0.0
    for clip in clips:
        functional.check_clip(clip, least_frames=2)
        width = torch.tensor(sigma, dtype=torch.float32, device=clip.device)
        motion = functional.blur(functional.difference(clip.detach().float()), width).abs_()
        largest = max(largest, float(motion.max()))
        # Bin by bin and not by torch.histc, which has no deterministic form on CUDA.
        index = (motion.flatten() * _BINS).int().clamp_(max=_BINS - 1)
        counts += torch.bincount(index, minlength=_BINS).cpu()
    if counts.sum() == 0:
        raise MotionveilError("cannot calibrate the range: there are no clips")
    if largest == 0:
        raise MotionveilError("cannot calibrate the range: nothing moves in any clip")
    below = counts.cumsum(0)
    full = int(torch.searchsorted(below, quantile * below[-1]))
    return min(1.0, largest, (full + 1) / _BINS)
