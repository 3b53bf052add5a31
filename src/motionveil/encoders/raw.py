"""The identity: what networks see when nothing is veiled."""

from __future__ import annotations

from torch import Tensor

from motionveil.encoders import functional
from motionveil.encoders.base import Encoder
from motionveil.methods import LEVELS
from motionveil.spec import EncoderSpec


class Raw(Encoder):
    """Raw video on the encoders' scale: the reference that every encoder is measured against.

    It protects nothing and has no parameters.
    """

    def forward(self, clip: Tensor) -> Tensor:
        """Return `15 v` for clips v of shape `(B, 3, T, H, W)` in [0, 1]; T stays.

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        functional.check_clip(clip)
        return clip * LEVELS

    def __init__(self, spec: EncoderSpec | None = None) -> None:
        super().__init__()
        self._spec = spec or EncoderSpec(method="raw")

    @property
    def spec(self) -> EncoderSpec:
        """The spec of the identity."""
        return self._spec
