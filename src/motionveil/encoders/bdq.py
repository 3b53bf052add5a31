"""BDQ: blur, difference, quantisation, with 16 learned numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionveil.encoders import compiled, functional, fused
from motionveil.encoders.base import Encoder
from motionveil.errors import MotionveilError
from motionveil.spec import KERNEL_SIZE, LEVELS, EncoderSpec

LEAST_SIGMA = 0.3
"""Smallest sigma that `BDQ.constrain` allows, in pixels.

The blur is next to nothing here (the middle weight is 0.98) but still has a gradient; much below,
the neighbours' weights vanish and with them the way back.
"""


_FUSED = {"cpu": fused, "cuda": compiled}
"""Modules that compute the fixed mode faster than torch operations one by one, by device."""


class BDQ(Encoder):
    """The encoder of Kumawat and Nagahara, ECCV 2022, section 3.1.

    `y = Q(N(B(v_i) - B(v_{i-1})))`: Gaussian blur B, normalisation N to [0, 15] and soft
    quantisation Q (see `motionveil.encoders.functional`). Exactly 16 numbers are learned: sigma
    and the 15 boundaries.

    **An untrained BDQ protects nothing**: its quantiser is almost the identity. With range_mode
    `"batch"` (the authors' released code) a clip's output depends on the other clips of its batch;
    it is there for comparing with that code only, and it cannot stream.

    After each step of the optimiser call `constrain()`: `forward` never changes a parameter, so
    that it can be exported, compiled and checked numerically.

    Attributes:
        sigma: Parameter, 0-dimensional, standard deviation of the blur in pixels, > 0.
        boundaries: Parameter, shape `(15,)`, ascending in [0, 15].
        hardness: H, steepness of the soft quantiser.
        range_mode: `"fixed"`, `"clip"` or `"batch"`.
        range: r of the fixed mode, in intensities of [0, 1]; None for the other modes.
        hard: Set to True for whole levels 0 ... 15 instead of soft ones (no gradient).

    Example:
        >>> encoder = BDQ(EncoderSpec.untrained(range=0.25))
        >>> encoder(torch.rand(2, 3, 16, 32, 32)).shape
        torch.Size([2, 3, 15, 32, 32])
    """

    window = KERNEL_SIZE

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        if spec.method != "bdq" or spec.hardness is None or spec.range_mode is None:
            raise MotionveilError(f"BDQ needs a spec of method 'bdq', found {spec.method!r}")
        self.sigma = nn.Parameter(torch.tensor(spec.sigma, dtype=torch.float32))
        self.boundaries = nn.Parameter(torch.tensor(spec.boundaries, dtype=torch.float32))
        self.hardness = spec.hardness
        self.range_mode = spec.range_mode
        self.range = spec.range
        self.hard = False
        self._geometry = spec.geometry
        self._provenance = dict(spec.provenance)

    def forward(self, clip: Tensor) -> Tensor:
        """Veil clips.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2.

        Returns:
            Shape `(B, 3, T - 1, H, W)`, values in [0, 15].

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        if self._runs_fused(clip):
            assert self.range is not None
            faster = _FUSED[clip.device.type]
            return faster.veil(clip, self.sigma, self.boundaries, self.hardness, self.range)
        return functional.veil(
            clip,
            self.sigma,
            self.boundaries,
            hardness=self.hardness,
            mode=self.range_mode,
            range=self.range,
            hard=self.hard,
        )

    def _runs_fused(self, clip: Tensor) -> bool:
        """Whether a fused kernel computes this: it has no gradient for the clip."""
        tensors = (clip, self.sigma, self.boundaries)
        return (
            not functional.is_traced()
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

        Sigma is kept at `LEAST_SIGMA` or more; the boundaries are sorted and kept in [0, 15].
        """
        self.sigma.clamp_(min=LEAST_SIGMA)
        self.boundaries.copy_(self.boundaries.sort().values.clamp_(0, LEVELS))

    @property
    def spec(self) -> EncoderSpec:
        """The encoder's numbers as they are now, with the geometry and provenance it was built
        with."""
        return EncoderSpec(
            method="bdq",
            sigma=decimals(self.sigma)[0],
            boundaries=tuple(decimals(self.boundaries)),
            hardness=self.hardness,
            range_mode=self.range_mode,
            range=self.range,
            geometry=self._geometry,
            provenance=self._provenance,
        )

    def numbers(self) -> dict[str, float]:
        """Return `sigma` and `b1` ... `b15`."""
        boundaries = {f"b{n}": value for n, value in enumerate(decimals(self.boundaries), 1)}
        return {"sigma": decimals(self.sigma)[0], **boundaries}

    def extra_repr(self) -> str:
        """Say what is not a parameter."""
        return f"hardness={self.hardness}, range_mode={self.range_mode!r}, range={self.range}"


def decimals(values: Tensor) -> list[float]:
    """Return the shortest decimals that read back as the same numbers: 1.3, not 1.2999999523."""
    return [float(str(value)) for value in values.detach().cpu().reshape(-1).numpy()]
