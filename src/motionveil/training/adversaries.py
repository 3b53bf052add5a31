"""The adversaries of an encoder: one privacy network, or several of which the strongest counts.

Wu et al. (ECCV 2018) train their filter against an ensemble of M adversaries, and start one anew
every so many steps: a filter that has beaten one adversary's weights has not yet hidden anything.
Nor has one that has beaten one kind of adversary: others see whole clips, or sums over time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.utils.checkpoint import checkpoint

from motionveil.networks import create_action_network, create_privacy_network
from motionveil.training.adversary_inputs import InputFormat, Showing, held_fixed
from motionveil.training.distributed import over_all, prepare, unsynchronised
from motionveil.training.heads import ONE_CLASS, Head, per_input
from motionveil.training.loop import make_optimizer, set_rate
from motionveil.training.recipe import NetworkRecipe, Schedule


@dataclass(frozen=True)
class Adversary:
    """One adversary.

    Attributes:
        network: From what it is shown to logits of the privacy label.
        input_format: What it is shown.
        fresh: Makes another network like it, where adversaries are restarted.
        mark: Ends the names of its figures, such as `"_2"` that of `accuracy_privacy_2`. Those of
            the same mark are copies, of which the best is measured.
    """

    network: nn.Module
    input_format: InputFormat
    fresh: Callable[[], nn.Module] | None = None
    mark: str = ""


class Adversaries:
    """The adversaries' networks with their optimisers.

    Each is there twice: as Fabric wraps it (device, precision, processes), to be trained; and bare,
    to be held fixed while gradients pass through it to the encoder and none is to be averaged.

    Args:
        adversaries: At least one; their networks are trained in place.
        schedule: How they are trained.
        head: What their outputs mean.
    """

    def __init__(
        self,
        fabric: Fabric,
        adversaries: Sequence[Adversary],
        schedule: Schedule,
        head: Head = ONE_CLASS,
    ) -> None:
        self.fabric, self.schedule, self.all = fabric, schedule, tuple(adversaries)
        self.head = head
        self.bare = [adversary.network for adversary in adversaries]
        self.wrapped, self.optimizers = [], []
        for network in self.bare:
            prepare(fabric, network)
            wrapped, optimizer = fabric.setup(
                network, make_optimizer(network.parameters(), schedule)
            )
            self.wrapped.append(wrapped)
            self.optimizers.append(optimizer)

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint holds of them, by name."""
        names, copies = [], Counter[str]()
        for adversary in self.all:
            copies[adversary.mark] += 1
            number = copies[adversary.mark]
            names.append(f"privacy{adversary.mark}{number if number > 1 else ''}")
        networks = dict(zip(names, self.bare, strict=True))
        optimizers = {f"optimize_{n}": o for n, o in zip(names, self.optimizers, strict=True)}
        return networks | optimizers

    def train(self) -> None:
        """Put all networks into training mode."""
        for network in self.wrapped:
            network.train()

    def set_rates(self, factor: float) -> None:
        """Set all learning rates to `factor` times those at the start."""
        for optimizer in self.optimizers:
            set_rate(optimizer, factor)

    def showing(self, clips: int) -> Showing:
        """Return what shows them a batch of so many clips."""
        formats = [adversary.input_format for adversary in self.all]
        return Showing(formats, clips, self.schedule.privacy_frames)

    @contextmanager
    def held_fixed(self) -> Iterator[None]:
        """Keep all networks as they are while gradients pass through them; see `held_fixed`."""
        with ExitStack() as stack:
            for network in self.bare:
                stack.enter_context(held_fixed(network))
            yield

    def uncertainty(self, seen: Sequence[Tensor], share: float) -> dict[str, Tensor]:
        """Return the entropy of the adversary that is least uncertain; for use in `held_fixed`.

        It is the least over all kinds of adversaries and not their mean. All have the same classes,
        so their entropies are in the same nats; an encoder leaks what its strongest adversary
        finds, and a mean could hide one confident adversary behind others at chance level. The
        drawback: an entirely confident adversary, whose softmax is flat, stops the gradient for all
        others too.

        Args:
            seen: What each adversary sees, from `Showing`; the gradient reaches it.
            share: Share of the whole batch that this is. Where it is all of it but for what other
                processes have, all of them take the same adversary.

        Returns:
            `entropy`, the least, with the gradient; and of each further adversary its own, such as
            `entropy_2`. 0-dimensional, in nats.
        """
        with self.fabric.autocast():
            predictions = [network(shown) for network, shown in zip(self.bare, seen, strict=True)]
        found = [self.head.entropy(logits) for logits in predictions]
        each = {f"entropy{a.mark}": e.detach() for a, e in zip(self.all, found, strict=True)}
        return each | {"entropy": found[self._least(found, share)]}

    def _least(self, entropies: Sequence[Tensor], share: float) -> int:
        """Return the place of the least over all processes' shares."""
        if len(entropies) == 1:  # nothing to wait for
            return 0
        values = torch.stack([value.detach() for value in entropies])
        # In double precision, or two that differ by little could become equal.
        return int(over_all(self.fabric, values.double() * share).argmin())

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def learn(
        self, seen: Sequence[Tensor], labels: Tensor, weight: float, *, more: bool
    ) -> dict[str, Tensor]:
        """Give every network its gradient for a part of a batch (equation 2).

        Args:
            seen: What each adversary sees, from `Showing`.
            labels: The clips' classes, `(B,)`, or attributes, `(B, attributes)`.
            more: Whether the batch has more parts.

        Returns:
            `loss_privacy` and `accuracy_privacy`, the best of the copies, and the same of each
            further adversary, such as `accuracy_privacy_2`; 0-dimensional.
        """
        losses: dict[str, list[Tensor]] = {}
        accuracies: dict[str, list[Tensor]] = {}
        for adversary, network, shown in zip(self.all, self.wrapped, seen, strict=True):
            truth = per_input(labels, shown)
            with unsynchronised(self.fabric, network, more):
                predictions = network(shown)
                loss = self.head.loss(predictions, truth)
                self.fabric.backward(loss * weight)
            losses.setdefault(adversary.mark, []).append(loss.detach())
            accuracies.setdefault(adversary.mark, []).append(self.head.accuracy(predictions, truth))
        measured = {}
        for mark in losses:
            measured[f"loss_privacy{mark}"] = torch.stack(losses[mark]).min()
            measured[f"accuracy_privacy{mark}"] = torch.stack(accuracies[mark]).max()
        return measured

    def step(self) -> None:
        """Let every optimiser make its step."""
        for optimizer in self.optimizers:
            optimizer.step()

    def restart(self, number: int, seed: int) -> None:
        """Give one network fresh weights and its optimiser a fresh state.

        Args:
            number: Of the adversary, counted from 0; taken modulo their number.
            seed: Of the fresh weights; torch's global generator is left as it was.
        """
        place = number % len(self.all)
        fresh = self.all[place].fresh
        assert fresh is not None, "an adversary is restarted, but nothing makes fresh ones"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bare[place].load_state_dict(fresh().state_dict())
        optimizer = self.optimizers[place]
        # What Fabric wraps is the optimiser whose state it shows.
        getattr(optimizer, "optimizer", optimizer).state.clear()


class Networks(NamedTuple):
    """An action network and a privacy network.

    Attributes:
        action: From `(B, 3, T', H, W)` in [-1, 1] to logits of the actions.
        privacy: From `(N, 3, H, W)` in [-1, 1] to logits of the privacy label, one for each class
            or attribute.
    """

    action: nn.Module
    privacy: nn.Module


def create_network(
    recipe: NetworkRecipe, outputs: int, *, temporal: bool, checkpointing: bool = False
) -> nn.Module:
    """Return a network drawn from torch's global generator, in the layout that suits it.

    Args:
        temporal: Whether it sees whole clips `(B, 3, T', H, W)`, as action networks do, or frames
            `(N, 3, H, W)`, as privacy networks do; in [-1, 1].
        checkpointing: Whether activations are computed again for the gradients, see
            `recompute_activations`.

    Raises:
        MotionveilError: There is no such network, or its weights cannot be had.
    """
    create = create_action_network if temporal else create_privacy_network
    network = create(recipe.name, outputs, weights=recipe.weights)
    if checkpointing:
        recompute_activations(network)
    # Channels last is the faster layout for convolutions, on CPUs and GPUs.
    layout = torch.channels_last_3d if temporal else torch.channels_last
    return network.to(memory_format=layout)  # type: ignore[call-overload]


def recompute_activations(network: nn.Module) -> nn.Module:
    """Make a network forget what is inside its blocks and compute it again when gradients need it.

    A block is a smallest part with more than one convolution: a residual block, an inverted
    residual. Outputs, gradients and BatchNorm's statistics stay what they were.

    Args:
        network: Changed in place; names of parameters stay.
    """
    for block in _blocks(network):
        block.forward = partial(_recomputed, block, block.forward)
    return network


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the smallest parts with more than one convolution."""
    inner = [block for child in module.children() for block in _blocks(child)]
    if inner:
        yield from inner
    elif sum(isinstance(part, _ConvNd) for part in module.modules()) > 1:
        yield module


def _recomputed(block: nn.Module, forward: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(*inputs)

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), _uncounted(block)

    result: Tensor = checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)
    return result


@contextmanager
def _uncounted(block: nn.Module) -> Iterator[None]:
    """Keep BatchNorm from counting clips a second time.

    With a momentum of 0 its running statistics stay; without running statistics it would remember
    other things for its gradient than it did the first time.
    """
    layers = [m for m in block.modules() if isinstance(m, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    counters = [m.num_batches_tracked for m in layers if m.num_batches_tracked is not None]
    counts = [counter.clone() for counter in counters]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for counter, count in zip(counters, counts, strict=True):
            counter.copy_(count)
