"""The adversarial training of an encoder: equations 1 and 2 of the paper (section 3.2).

Three models are trained: the encoder E, the action network T and the privacy network P. In each
step E and T are trained together against a fixed P, then P is trained against fixed E and T.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from motionveil.datasets.dataset import Batch, ClipDataset, batch_count, batches, prefetched
from motionveil.encoders import Encoder
from motionveil.encoders.functional import for_networks
from motionveil.errors import MotionveilError
from motionveil.training.adversaries import Adversaries, Adversary
from motionveil.training.adversary_inputs import InputFormat
from motionveil.training.checkpoint import (
    RandomState,
    TrainState,
    load_checkpoint,
    read_facts,
    refuse_collapse,
    refuse_other_training,
    save_checkpoint,
)
from motionveil.training.distributed import (
    added_up,
    average_gradients,
    prepare,
    refuse_parting,
    summed,
    unsynchronised,
)
from motionveil.training.heads import ONE_CLASS, head_of
from motionveil.training.loop import (
    ADVERSARIAL,
    Log,
    Tracker,
    make_optimizer,
    parts_of,
    rate_factor,
    seed_for,
    set_rate,
)
from motionveil.training.recipe import AdversarialSchedule, Recipe


@dataclass
class AdversarialModels:
    """The models, on one device.

    Attributes:
        encoder: E.
        action: T, from `(B, 3, T', H, W)` in [-1, 1] to logits of the actions.
        privacy: P, from `(N, 3, H, W)` in [-1, 1] to logits of the privacy label.
        more: Copies of P; the encoder is trained against the strongest.
        fresh: Makes another P, where adversaries are restarted.
        further: Adversaries of other kinds, of which one may be the strongest.
    """

    encoder: Encoder
    action: nn.Module
    privacy: nn.Module
    more: tuple[nn.Module, ...] = ()
    fresh: Callable[[], nn.Module] | None = None
    further: tuple[Adversary, ...] = ()

    def adversaries(self) -> list[Adversary]:
        """Return all adversaries, P first."""
        copies = (self.privacy, *self.more)
        return [
            *(Adversary(network, InputFormat(), self.fresh) for network in copies),
            *self.further,
        ]


def train_adversarial(
    fabric: Fabric,
    models: AdversarialModels,
    data: ClipDataset,
    recipe: Recipe,
    *,
    run: Path,
    seed: int,
    resume: bool = False,
    checkpoint_every: int | None = None,
    tracker: Tracker = lambda row: None,
) -> list[dict[str, float]]:
    """Train the encoder in place and return its curves.

    Writes `run/recipe.yaml`, and each epoch `run/checkpoints`, `run/encoder.json` and
    `run/curves.csv`. What is random in an epoch depends on (seed, epoch) only, and a checkpoint
    within one holds the state of the random generator: a resumed run goes on as if it had never
    stopped, to the bit on a CPU.

    Args:
        fabric: Device, precision and processes; with several, each calls this.
        models: Encoder and networks, freshly made.
        recipe: The recipe; `alpha` and `adversarial` are used.
        seed: Seed of batches and draws.
        resume: Resume from the checkpoint in `run`; without one, start from the beginning.
        checkpoint_every: Write a checkpoint after so many steps of an epoch too.
        tracker: Called with each epoch that ends, in the first process.

    Returns:
        A dictionary per epoch: `epoch`, the encoder's `numbers()` (BDQ: `sigma`, `b1` ... `b15`),
        `loss_action`, `loss_encoder` (equation 1), `loss_privacy` (equation 2), `entropy` (of the
        adversary that counts), `accuracy_action` and `accuracy_privacy` (on the training clips, as
        drawn, by frame); of each further adversary `entropy_2`, `loss_privacy_2` and
        `accuracy_privacy_2`, and so on.

    Raises:
        OtherTrainingError: The checkpoint has another recipe, seed or data (as the encoder's
            provenance says); only the recipe's schedule of validation may differ.
        MotionveilError: A loss is not finite, action recognition collapsed, or the checkpoint is
            damaged.
    """
    origin = _origin(models.encoder, recipe, seed)
    training = AdversarialTraining(fabric, models, data, recipe, seed)
    train_state = TrainState()
    facts = read_facts(run / "checkpoints") if resume else None
    if facts is not None:
        refuse_other_training(run / "checkpoints", facts, origin)
        load_checkpoint(run / "checkpoints", training.state())
        train_state = TrainState.of(facts)
        refuse_collapse(
            train_state.curves, _chance_level(data.actions), recipe
        )  # as when it stopped

    if fabric.is_global_zero:
        recipe.write(run / "recipe.yaml")

    def keep() -> None:
        if fabric.is_global_zero:
            save_checkpoint(
                run / "checkpoints", training.state(), **train_state.facts(), origin=origin
            )

    log = Log(f"alpha {recipe.alpha:g}", recipe.adversarial.epochs, quiet=not fabric.is_global_zero)
    while train_state.epoch < recipe.adversarial.epochs:
        training.epoch(train_state, keep, checkpoint_every)
        log.epoch(train_state.curves[-1])
        refuse_parting(fabric, models.encoder)
        if fabric.is_global_zero:
            models.encoder.save(run)
            train_state.write_curves(run / "curves.csv")
        keep()
        if fabric.is_global_zero:
            tracker(train_state.curves[-1])  # after the checkpoint: a tracker may fail
        refuse_collapse(train_state.curves, _chance_level(data.actions), recipe)
    return train_state.curves


def _origin(encoder: Encoder, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return what decides a training: a checkpoint may only go on where all of it is the same."""
    provenance = encoder.spec.model_dump(mode="json")["provenance"]
    # Left out where they are unset, as for the versions that knew none.
    defaults, own = AdversarialSchedule(), recipe.adversarial
    newer = ("further", "ahead", "privacy_steps")
    unset = {name for name in newer if getattr(own, name) == getattr(defaults, name)}
    left_out: dict[str, Any] = {"validation": True, "adversarial": unset, "weights": True}
    said_elsewhere = ("motionveil", "recipe", "weights")
    return {
        "method": encoder.spec.name,
        "seed": seed,
        "recipe": recipe.model_dump(mode="json", exclude=left_out),
        # A newer version may resume what an older one began.
        "encoder": {k: v for k, v in provenance.items() if k not in said_elsewhere},
    }


class AdversarialTraining:
    """The loop over one epoch's steps, and the state that it changes.

    Args:
        models: Encoder and networks; changed in place.
        seed: Seed of batches and draws.
    """

    def __init__(
        self,
        fabric: Fabric,
        models: AdversarialModels,
        data: ClipDataset,
        recipe: Recipe,
        seed: int,
    ) -> None:
        schedule = recipe.adversarial
        self.fabric, self.data, self.recipe, self.seed = fabric, data, recipe, seed
        self.steps = batch_count(len(data), schedule.batch, fabric.world_size)
        self.models = models
        # E runs bare: Fabric would round the clips to a mixed precision, and a small difference of
        # two frames needs all their digits. Its numbers' gradients are averaged by hand.
        fabric.to_device(models.encoder)
        self.optimize_encoder = self._encoder_optimizer()
        prepare(fabric, models.action)
        self.T, self.optimize_action = fabric.setup(
            models.action, make_optimizer(models.action.parameters(), schedule)
        )
        self.adversaries = Adversaries(
            fabric, models.adversaries(), schedule, head_of(data.privacy)
        )

    def _encoder_optimizer(self) -> Optimizer:
        learned = [p for p in self.models.encoder.parameters() if p.requires_grad]
        schedule = self.recipe.adversarial
        if self.models.encoder.is_network:
            return make_optimizer(learned, schedule)
        return SGD(learned, schedule.encoder_lr or schedule.lr, momentum=schedule.momentum)

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint holds."""
        return {
            "encoder": self.models.encoder,
            "action": self.models.action,
            "optimize_encoder": self.optimize_encoder,
            "optimize_action": self.optimize_action,
            **self.adversaries.state(),
            "random": RandomState(),
        }

    def epoch(
        self, train_state: TrainState, keep: Callable[[], None], checkpoint_every: int | None
    ) -> None:
        """Train to the end of one epoch, from the step that `train_state` tells; changes it.

        Args:
            checkpoint_every: After so many steps it is called; None for never.
        """
        epoch = train_state.epoch
        if train_state.step == 0:
            torch.manual_seed(seed_for(self.seed, ADVERSARIAL, epoch))
        self.T.train()
        self.adversaries.train()
        for batch in self._batches(epoch, train_state.step):
            done = epoch * self.steps + train_state.step
            self._restart(done)
            self._set_rates(done / (self.recipe.adversarial.epochs * self.steps))
            train_state.add(self._step(batch, train_state), batch.whole)
            if checkpoint_every and train_state.step % checkpoint_every == 0:
                keep()
        train_state.close(self.models.encoder.numbers())

    def _restart(self, done: int) -> None:
        """Start an adversary anew when it is time; with several, each in turn."""
        every = self.recipe.adversarial.restart_every
        if every and done and done % every == 0:
            number = done // every - 1
            self.adversaries.restart(number, seed_for(self.seed, "restart", number))

    def _step(self, batch: Batch, train_state: TrainState) -> dict[str, float]:
        """Make both moves, and return what was measured over all processes."""
        waits = train_state.epoch < self.recipe.adversarial.ahead
        encoder = added_up(self.fabric, self.step_encoder(batch, waits=waits))
        self._refuse_infinite(encoder | self._sums(), train_state)
        for _ in range(self.recipe.adversarial.privacy_steps):
            privacy = added_up(self.fabric, self.step_privacy(batch))
            self._refuse_infinite(privacy, train_state)
        return encoder | privacy

    def step_encoder(self, batch: Batch, *, waits: bool = False) -> dict[str, Tensor]:
        """Step 1, equation 1: train E and T, with P (and every other adversary) fixed.

        Args:
            waits: Train T alone: E stays as it is.

        Returns:
            This process's share of the mean over the whole batch, 0-dimensional tensors.
        """
        self.optimize_encoder.zero_grad()
        self.optimize_action.zero_grad()
        shares: list[dict[str, Tensor]] = []
        show = self.adversaries.showing(batch.whole)
        parts = parts_of(batch, self.recipe.adversarial.accumulate, self.fabric.world_size)
        for part, last in parts:
            with unsynchronised(self.fabric, self.T, not last):
                with torch.set_grad_enabled(not waits):
                    veiled = for_networks(self.models.encoder.views(part.clips))  # (B, 3, T', H, W)
                actions = self.T(veiled)  # (B, actions)
                recognised = ONE_CLASS.loss(actions, part.actions)
                # With alpha 0 the entropy is only logged: no unused gradients are computed.
                seen = show(veiled if self.recipe.alpha else veiled.detach(), part.rows)
                share = len(part.clips) / batch.whole
                with self.adversaries.held_fixed():
                    uncertainty = self.adversaries.uncertainty(seen, share)
                    loss = recognised - self.recipe.alpha * uncertainty["entropy"]
                    # Gradients are averaged over the processes; the loss is a sum of their shares.
                    self.fabric.backward(loss * (share * self.fabric.world_size))
            measured = {
                "loss_encoder": loss,
                "loss_action": recognised,
                **uncertainty,
                "accuracy_action": ONE_CLASS.accuracy(actions, part.actions),
            }
            shares.append({name: value.detach() * share for name, value in measured.items()})
        if not waits:
            average_gradients(self.fabric, self.models.encoder)
            self.optimize_encoder.step()
            self.models.encoder.constrain()
        self.optimize_action.step()
        return summed(shares)

    def step_privacy(self, batch: Batch) -> dict[str, Tensor]:
        """Step 2, equation 2: train P (and every other adversary), with E and T fixed.

        Returns:
            This process's share of the mean over the whole batch, 0-dimensional tensors.
        """
        self.adversaries.zero_grad()
        shares: list[dict[str, Tensor]] = []
        show = self.adversaries.showing(batch.whole)
        parts = parts_of(batch, self.recipe.adversarial.accumulate, self.fabric.world_size)
        for part, last in parts:
            with torch.no_grad():
                veiled = for_networks(self.models.encoder.views(part.clips))  # (B, 3, T', H, W)
                seen = show(veiled, part.rows)
            share = len(part.clips) / batch.whole
            measured = self.adversaries.learn(
                seen, part.privacy, share * self.fabric.world_size, more=not last
            )
            shares.append({name: value * share for name, value in measured.items()})
        self.adversaries.step()
        return summed(shares)

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        drawn = batches(
            self.data,
            self.recipe.adversarial.batch,
            epoch=epoch,
            seed=self.seed,
            rank=self.fabric.global_rank,
            ranks=self.fabric.world_size,
            first=first,
        )
        for batch in prefetched(drawn):
            yield Batch(*self.fabric.to_device(tuple(batch)))

    def _set_rates(self, progress: float) -> None:
        schedule = self.recipe.adversarial
        factor = rate_factor(progress, schedule.warmup / schedule.epochs)
        set_rate(self.optimize_encoder, factor)
        set_rate(self.optimize_action, factor)
        self.adversaries.set_rates(factor)

    def _sums(self) -> dict[str, float]:
        """Return a sum of each of the encoder's parameters, finite only if all its numbers are."""
        return {name: p.sum().item() for name, p in self.models.encoder.named_parameters()}

    def _refuse_infinite(self, measured: dict[str, float], train_state: TrainState) -> None:
        wrong = [name for name, value in measured.items() if not math.isfinite(value)]
        if wrong:
            schedule = self.recipe.adversarial
            raise MotionveilError(
                f"{wrong[0]} is {measured[wrong[0]]} in step {train_state.step + 1} of epoch"
                f" {train_state.epoch + 1}: lower the learning rate ({schedule.lr:g}, the"
                f" encoder's {schedule.encoder_lr or schedule.lr:g}) or alpha"
                f" ({self.recipe.alpha:g})"
            )


def _chance_level(labels: Tensor) -> float:
    return float(labels.bincount().max() / len(labels))
