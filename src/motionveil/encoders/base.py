"""What every encoder has: a spec, and what training and storing need to know of it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from torch import Tensor, nn

from motionveil.spec import FILE_NAME, EncoderSpec


class Encoder(nn.Module):
    """A module from clips `(B, 3, T, H, W)` in [0, 1] to veiled `(B, 3, T', H, W)` in [0, 15].

    `forward` never changes a parameter, so that it can be exported, compiled and checked
    numerically; what keeps parameters meaningful stands in `constrain`.

    Attributes:
        is_network: Whether it is trained as networks are, with their optimiser and learning rate,
            and has weights in a file beside its spec.
        window: Width in pixels of the Gaussian window that it convolves every frame with; None
            where it blurs none.
        varies_training: Whether `views` differs from `forward`: then networks must be trained on
            raw clips, which it varies.
    """

    is_network = False
    window: int | None = None
    varies_training = False

    @property
    def spec(self) -> EncoderSpec:
        """The encoder as data, as it is now."""
        raise NotImplementedError

    def views(self, clip: Tensor) -> Tensor:
        """Return what a network is trained on: `forward`, unless training videos are varied."""
        veiled: Tensor = self(clip)
        return veiled

    def filter_taps(self, shape: tuple[int, ...]) -> int:
        """Return the taps of its Gaussian windows for a clip, as two-dimensional convolutions.

        Args:
            shape: The clip's, `(B, 3, T, H, W)`.
        """
        return 0 if self.window is None else self.window**2 * math.prod(shape)

    def load(self, folder: str | os.PathLike[str]) -> None:
        """Read what lies beside `encoder.json` in its folder; most encoders have nothing there."""

    def constrain(self) -> None:
        """Bring the parameters back to where they are meaningful, after a step of training."""

    def numbers(self) -> dict[str, float]:
        """Return what the curves of a training show of the encoder, by name."""
        return {}

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `encoder.json`, and weights beside it where there are any; return its path."""
        return self.spec.save(Path(folder) / FILE_NAME)
