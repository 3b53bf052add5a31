"""The torch module of the method."""

import torch
from torch import nn

from motionveil.encoders import Encoder, functional
from motionveil.methods import LEVELS


class SignEncoder(Encoder):
    """Blur, difference, two sigmoids; sigma and the dead zone are learned."""

    def __init__(self, spec):
        super().__init__()
        self._spec = spec
        self.sigma = nn.Parameter(torch.tensor(spec.settings.sigma))
        self.zone = nn.Parameter(torch.tensor(spec.settings.zone))

    def forward(self, clip):
        """Map `(B, 3, T, H, W)` to `(B, 3, T - 1, H, W)`."""
        x = functional.blur(functional.difference(clip), self.sigma) / self._spec.settings.range
        steps = torch.sigmoid(20 * (x - self.zone)) + torch.sigmoid(20 * (x + self.zone))
        return steps * (LEVELS / 2)

    @torch.no_grad()
    def constrain(self):
        """Keep both where they are meaningful."""
        self.sigma.clamp_(min=0.3)
        self.zone.clamp_(0, 1)

    def numbers(self):
        """Return what the curves show."""
        return {"sigma": self.sigma.item(), "zone": self.zone.item()}

    @property
    def spec(self):
        """The numbers as they are now."""
        return self._spec.change(**self.numbers())
