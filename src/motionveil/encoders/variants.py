"""BDQ with modules left out or changed: for the ablation (paper, section 5.1 and figure 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionveil.encoders import functional
from motionveil.encoders.base import Encoder
from motionveil.encoders.bdq import LEAST_SIGMA, decimals
from motionveil.errors import MotionveilError
from motionveil.settings import Stages, VariantSettings
from motionveil.spec import LEVELS, EncoderSpec

_CHANNELS = ("r", "g", "b")


class Variant(Encoder):
    """Some of BDQ's modules, with any number of levels, window, and numbers for each channel.

    Without D, frames stay frames: `x = N v`, and all T of them are kept; N is the number of
    boundaries. Without Q, x itself comes out. Values are scaled from [0, N] to [0, 15].
    It is written for comparisons and not for speed.

    Attributes:
        sigma: Shape `(1,)` or `(3,)`, standard deviations of the blur in pixels; a parameter where
            the encoder blurs and may learn it, else a buffer.
        boundaries: Shape `(1, N)` or `(3, N)`; a parameter where the encoder quantises.
    """

    sigma: Tensor
    boundaries: Tensor

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        assert isinstance(spec.settings, VariantSettings)
        self._spec = spec
        self.settings = spec.settings
        settings, stages = spec.settings, spec.settings.stages
        self.window = settings.kernel_size if "B" in stages else None
        self._hold("sigma", settings.sigma, learned="B" in stages and settings.learn_sigma)
        self._hold("boundaries", settings.boundaries, learned="Q" in stages and not settings.hard)

    def _hold(self, name: str, values: object, *, learned: bool) -> None:
        tensor = torch.tensor(values, dtype=torch.float32)
        if learned:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    @property
    def levels(self) -> int:
        """N, the number of boundaries and the largest value before scaling."""
        return self.boundaries.shape[1]

    def forward(self, clip: Tensor) -> Tensor:
        """Veil clips.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1]; T >= 2 where it takes differences.

        Returns:
            Shape `(B, 3, T', H, W)`, values in [0, 15]; T' = T - 1 with D, T without.

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        stages, settings = self.settings.stages, self.settings
        functional.check_clip(clip, least_frames=2 if "D" in stages else 1)
        x = clip
        if "B" in stages:
            x = functional.blur(x, self.sigma, settings.kernel_size)
        if "D" in stages:
            x = functional.normalise(functional.difference(x), settings.range_mode, settings.range)
            x = x * (self.levels / LEVELS)
        else:
            x = x * self.levels
        if "Q" in stages:
            x = self._quantise(x)
        return x * (LEVELS / self.levels)

    def _quantise(self, x: Tensor) -> Tensor:
        rows = self.boundaries.expand(3, -1)
        hardness, hard = self.settings.hardness, self.settings.hard
        if len(self.boundaries) == 1:
            return functional.quantise(x, self.boundaries[0], hardness, hard=hard)
        channels = zip(x.unbind(1), rows, strict=True)
        return torch.stack(
            [functional.quantise(one, row, hardness, hard=hard) for one, row in channels], 1
        )

    @torch.no_grad()
    def constrain(self) -> None:
        """Keep sigma at `LEAST_SIGMA` or more, and the boundaries sorted within [0, N]."""
        self.sigma.clamp_(min=LEAST_SIGMA)
        self.boundaries.copy_(self.boundaries.sort(1).values.clamp_(0, self.levels))

    def numbers(self) -> dict[str, float]:
        """Return sigma and the boundaries: `sigma`, `b1` ...; `sigma_r`, `b1_r` ... for each."""
        found: dict[str, float] = {}
        for channel, value in _by_channel(self.sigma):
            found[f"sigma{channel}"] = float(value)
        for channel, row in _by_channel(self.boundaries):
            found |= {f"b{n}{channel}": float(value) for n, value in enumerate(row, 1)}
        return found

    @property
    def spec(self) -> EncoderSpec:
        """The encoder's numbers as they are now."""
        settings = self.settings.model_copy(
            update={
                "sigma": tuple(decimals(self.sigma)),
                "boundaries": tuple(tuple(decimals(row)) for row in self.boundaries),
            }
        )
        return self._spec.model_copy(update={"settings": settings})


def _by_channel(values: Tensor) -> list[tuple[str, Tensor]]:
    rows = values.detach().cpu().unbind(0)
    return [(f"_{c}" if len(rows) > 1 else "", row) for c, row in zip(_CHANNELS, rows)]  # noqa: B905


def variant_of(spec: EncoderSpec, stages: Stages, *, hard: bool = False) -> EncoderSpec:
    """Return an encoder with some of the modules of a BDQ encoder, its numbers kept.

    Args:
        spec: A trained (or untrained) BDQ encoder.
        stages: The modules to keep.
        hard: Quantise hard.

    Raises:
        MotionveilError: It is no BDQ encoder.
    """
    if spec.method != "bdq":
        raise MotionveilError(f"an ablation takes a bdq encoder apart, found {spec.method!r}")
    assert spec.sigma is not None
    assert spec.boundaries is not None
    assert spec.hardness is not None
    assert spec.range_mode is not None
    settings = VariantSettings(
        stages=stages,
        sigma=(spec.sigma,),
        boundaries=(spec.boundaries,),
        hardness=spec.hardness,
        range_mode=spec.range_mode,
        range=spec.range if "D" in stages else None,
        hard=hard,
    )
    return EncoderSpec(
        method="bdq-variant",
        settings=settings,
        geometry=spec.geometry,
        provenance=spec.provenance,
    )
