"""The adversaries of a game: one privacy network, or several of which the strongest counts.

Wu et al. (ECCV 2018) train their filter against an ensemble of M adversaries, and start one anew
every so many steps: a filter that has beaten one adversary's weights has not yet hidden anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from motionveil.training.privacy_view import entropy, held_fixed
from motionveil.training.processes import prepare, unsynchronised
from motionveil.training.recipe import Schedule
from motionveil.training.schedule import make_optimizer, set_rate


class Adversaries:
    """M privacy networks with their optimisers.

    Each is there twice: as Fabric wraps it (device, precision, processes), to be trained; and bare,
    to be held fixed while gradients pass through it to the encoder and none is to be averaged.

    Args:
        fabric: Device, precision and processes.
        networks: The networks, at least one; trained in place.
        schedule: How they are trained.
        fresh: Makes a network as one of them was made, for `restart`.
    """

    def __init__(
        self,
        fabric: Fabric,
        networks: Sequence[nn.Module],
        schedule: Schedule,
        fresh: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.fabric, self.bare, self.fresh = fabric, list(networks), fresh
        self.wrapped, self.optimizers = [], []
        for network in networks:
            prepare(fabric, network)
            wrapped, optimizer = fabric.setup(
                network, make_optimizer(network.parameters(), schedule)
            )
            self.wrapped.append(wrapped)
            self.optimizers.append(optimizer)

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint holds of them, by name."""
        names = ["", *(str(number) for number in range(2, len(self.bare) + 1))]
        networks = {f"privacy{n}": net for n, net in zip(names, self.bare, strict=True)}
        optimizers = {
            f"optimize_privacy{n}": o for n, o in zip(names, self.optimizers, strict=True)
        }
        return networks | optimizers

    def train(self) -> None:
        """Put all networks into training mode."""
        for network in self.wrapped:
            network.train()

    def set_rates(self, factor: float) -> None:
        """Set all learning rates to `factor` times those at the start."""
        for optimizer in self.optimizers:
            set_rate(optimizer, factor)

    @contextmanager
    def held_fixed(self) -> Iterator[None]:
        """Keep all networks as they are while gradients pass through them; see `held_fixed`."""
        with ExitStack() as stack:
            for network in self.bare:
                stack.enter_context(held_fixed(network))
            yield

    def uncertainty(self, frames: Tensor) -> Tensor:
        """Return the entropy of the adversary that is least uncertain; for use in `held_fixed`.

        Args:
            frames: Veiled frames `(N, 3, H, W)` in [-1, 1]; the gradient reaches them.

        Returns:
            0-dimensional, in nats.
        """
        with self.fabric.autocast():
            guesses = [network(frames) for network in self.bare]
        return torch.stack([entropy(logits) for logits in guesses]).min()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def learn(
        self, frames: Tensor, labels: Tensor, weight: float, *, more: bool
    ) -> dict[str, Tensor]:
        """Give every network its gradient for a part of a batch (equation 2).

        Args:
            frames: Veiled frames `(N, 3, H, W)` in [-1, 1].
            labels: Their classes, `(N,)`.
            weight: Factor of the loss.
            more: Whether the batch has more parts.

        Returns:
            `loss_privacy` and `accuracy_privacy` of the best network, 0-dimensional.
        """
        losses, accuracies = [], []
        for network in self.wrapped:
            with unsynchronised(self.fabric, network, more):
                guesses = network(frames)
                loss = cross_entropy(guesses, labels)
                self.fabric.backward(loss * weight)
            losses.append(loss.detach())
            accuracies.append((guesses.argmax(1) == labels).float().mean())
        return {
            "loss_privacy": torch.stack(losses).min(),
            "accuracy_privacy": torch.stack(accuracies).max(),
        }

    def step(self) -> None:
        """Let every optimiser make its step."""
        for optimizer in self.optimizers:
            optimizer.step()

    def restart(self, number: int, seed: int) -> None:
        """Give one network fresh weights and its optimiser a fresh state.

        Args:
            number: Of the network, counted from 0; taken modulo their number.
            seed: Of the fresh weights; torch's global generator is left as it was.
        """
        assert self.fresh is not None, "an adversary is restarted, but nothing makes fresh ones"
        place = number % len(self.bare)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bare[place].load_state_dict(self.fresh().state_dict())
        optimizer = self.optimizers[place]
        # What Fabric wraps is the optimiser whose state it shows.
        getattr(optimizer, "optimizer", optimizer).state.clear()
