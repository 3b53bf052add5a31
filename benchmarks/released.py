"""The released code's work, written anew from its description: what the benchmarks compare with.

Nothing here is copied: the released code has no licence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy
from torch.optim import SGD

from motionveil.datasets.dataset import Batch
from motionveil.encoders import Encoder
from motionveil.encoders.functional import for_networks
from motionveil.methods.bdq import INITIAL_BOUNDARIES
from motionveil.training.adversarial import AdversarialModels
from motionveil.training.adversary_inputs import draw_frames
from motionveil.training.heads import ONE_CLASS
from motionveil.training.loop import make_optimizer
from motionveil.training.recipe import Recipe


class ReleasedEncoder(Encoder):
    """The formulation of the authors' code, with a learnable sigma.

    A depthwise 5 x 5 convolution a frame, the difference by `roll`, minimum and maximum of the
    whole batch, 15 sigmoids summed, scaled back to the range of the differences.

    Args:
        sigma: Standard deviation of the blur to begin with; the authors' is fixed at 3.
    """

    def __init__(self, sigma: float = 1.0) -> None:
        super().__init__()
        self.sigma = nn.Parameter(torch.tensor(sigma))
        self.boundaries = nn.Parameter(torch.tensor(INITIAL_BOUNDARIES))

    def forward(self, clip: Tensor) -> Tensor:
        """Veil clips `(B, 3, T, H, W)`, giving T - 1 frames in the range of the differences."""
        B, C, T, H, W = clip.shape
        offsets = torch.arange(5) - 2.0
        squares = offsets[:, None] ** 2 + offsets[None, :] ** 2
        kernel = torch.exp(-squares / (2 * self.sigma**2))
        kernel = (kernel / kernel.sum()).expand(C, 1, 5, 5)
        frames = clip.transpose(1, 2).reshape(B * T, C, H, W)
        blurred = conv2d(frames, kernel, padding=2, groups=C).reshape(B, T, C, H, W)
        difference = (blurred - torch.roll(blurred, 1, dims=1))[:, 1:]
        low, high = difference.min(), difference.max()
        x = (difference - low) / (high - low) * 15
        levels = sum(torch.sigmoid(5.0 * (x - boundary)) for boundary in self.boundaries)
        veiled = levels / 15 * (high - low) + low
        return veiled.transpose(1, 2)


class ReferenceStep:
    """One step of the adversarial training, by the mathematics of our own, no work saved.

    In step 1 the gradients of P's weights are computed and thrown away. Step 2 runs T again and
    goes back through E, as the released code does; neither changes anything but BatchNorm's
    running statistics.

    Args:
        models: E, T and P, in training mode.
        recipe: `alpha` and `adversarial` are used.
    """

    def __init__(self, models: AdversarialModels, recipe: Recipe) -> None:
        schedule = recipe.adversarial
        self.models, self.recipe = models, recipe
        self.optimize_encoder = SGD(
            models.encoder.parameters(),
            schedule.encoder_lr or schedule.lr,
            momentum=schedule.momentum,
        )
        self.optimize_action = make_optimizer(models.action.parameters(), schedule)
        self.optimize_privacy = make_optimizer(models.privacy.parameters(), schedule)

    def step_encoder(self, batch: Batch) -> None:
        """Step 1, equation 1: train E and T."""
        E, T, P = self.models.encoder, self.models.action, self.models.privacy
        self._forget_gradients()
        veiled = for_networks(E(batch.clips))  # (B, 3, T - 1, H, W)
        recognised = cross_entropy(T(veiled), batch.actions)
        frames = draw_frames(
            veiled, self.recipe.adversarial.privacy_frames
        )  # (B * frames, 3, H, W)
        loss = recognised - self.recipe.alpha * ONE_CLASS.entropy(P(frames))
        loss.backward()
        self.optimize_encoder.step()
        self.optimize_action.step()
        E.constrain()

    def step_privacy(self, batch: Batch) -> None:
        """Step 2, equation 2: train P."""
        E, T, P = self.models.encoder, self.models.action, self.models.privacy
        self._forget_gradients()
        veiled = for_networks(E(batch.clips))  # (B, 3, T - 1, H, W)
        T(veiled)  # unused
        frames = draw_frames(
            veiled, self.recipe.adversarial.privacy_frames
        )  # (B * frames, 3, H, W)
        labels = batch.privacy.repeat_interleave(len(frames) // len(batch.privacy))
        cross_entropy(P(frames), labels).backward()  # through E too, unused
        self.optimize_privacy.step()

    def _forget_gradients(self) -> None:
        for module in (self.models.encoder, self.models.action, self.models.privacy):
            module.zero_grad()
