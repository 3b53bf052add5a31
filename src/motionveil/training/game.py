"""The adversarial training of an encoder: equations 1 and 2 of the paper (section 3.2).

A game of three players: the encoder E, the action network T and the privacy network P. In each
step E and T are trained together against a fixed P, then P is trained against fixed E and T.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Optimizer

from motionveil.data.dataset import Batch, ClipDataset, batches, prefetched
from motionveil.encoders import BDQ
from motionveil.encoders.functional import for_networks
from motionveil.errors import MotionveilError
from motionveil.files import write_text_atomically
from motionveil.training.checkpoint import (
    load_checkpoint,
    read_facts,
    refuse_other_training,
    save_checkpoint,
)
from motionveil.training.log import Log
from motionveil.training.privacy_view import draw_frames, entropy, held_fixed
from motionveil.training.recipe import Recipe
from motionveil.training.schedule import make_optimizer, rate_factor, set_rate
from motionveil.training.seeds import seed_for

PATIENCE = 3
"""Epochs without action recognition before the training is given up."""


@dataclass
class Players:
    """The three players, on one device, with their optimisers.

    Attributes:
        encoder: E.
        action: T, from `(B, 3, T - 1, H, W)` in [-1, 1] to logits of the actions.
        privacy: P, from `(N, 3, H, W)` in [-1, 1] to logits of the privacy label.
    """

    encoder: BDQ
    action: nn.Module
    privacy: nn.Module


@dataclass
class Curves:
    """What is logged: a dictionary an epoch, on disk as a CSV."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the CSV, whole or not at all."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text_atomically(path, text.getvalue())


def play(
    fabric: Fabric,
    players: Players,
    data: ClipDataset,
    recipe: Recipe,
    *,
    run: Path,
    seed: int,
    resume: bool = False,
) -> list[dict[str, float]]:
    """Train the encoder in place and return its curves.

    Each epoch writes `run/checkpoints`, `run/encoder.json` and `run/curves.csv`. What is random in
    an epoch depends on (seed, epoch) only, so a run resumed at an epoch goes on as if it had never
    stopped.

    Args:
        fabric: Device, precision and processes.
        players: Encoder and networks, freshly made.
        data: The clips to train on.
        recipe: The recipe; `alpha` and `game` are used.
        run: The run's folder.
        seed: Seed of batches and draws.
        resume: Go on from the checkpoint in `run`; where there is none, begin anew.

    Returns:
        A dictionary an epoch: `epoch`, `sigma`, `b1` ... `b15`, `loss_action`, `loss_encoder`
        (equation 1), `loss_privacy` (equation 2), `entropy`, `accuracy_action` and
        `accuracy_privacy` (on the training clips, as drawn, by frame).

    Raises:
        OtherTrainingError: The checkpoint has another recipe, seed or data (as the encoder's
            provenance says); only the recipe's schedule of validation may differ.
        MotionveilError: A loss is not finite, action recognition collapsed, or the checkpoint is
            damaged.
    """
    origin = _origin(players.encoder, recipe, seed)
    game = Game(fabric, players, data, recipe, seed)
    curves, first = Curves(), 0
    facts = read_facts(run / "checkpoints") if resume else None
    if facts is not None:
        refuse_other_training(run / "checkpoints", facts, origin)
        load_checkpoint(run / "checkpoints", game.state())
        curves.rows, first = facts["curves"], facts["epoch"]
    log = Log(f"alpha {recipe.alpha:g}", recipe.game.epochs)
    for epoch in range(first, recipe.game.epochs):
        curves.rows.append(game.epoch(epoch))
        log.epoch(curves.rows[-1])
        if fabric.is_global_zero:
            players.encoder.spec.save(run / "encoder.json")
            curves.write(run / "curves.csv")
            save_checkpoint(
                run / "checkpoints",
                game.state(),
                epoch=epoch + 1,
                curves=curves.rows,
                origin=origin,
            )
        refuse_collapse(curves.rows, _floor(data.actions), recipe)
    return curves.rows


def _origin(encoder: BDQ, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return what decides a training: a checkpoint may only go on where all of it is the same."""
    provenance = encoder.spec.model_dump(mode="json")["provenance"]
    return {
        "seed": seed,
        "recipe": recipe.model_dump(mode="json", exclude={"validation"}),
        # A newer version may go on with what an older one began.
        "encoder": {key: value for key, value in provenance.items() if key != "motionveil"},
    }


class Game:
    """The loop over one epoch's steps, and the state that it changes."""

    def __init__(
        self, fabric: Fabric, players: Players, data: ClipDataset, recipe: Recipe, seed: int
    ) -> None:
        schedule = recipe.game
        self.fabric, self.data, self.recipe, self.seed = fabric, data, recipe, seed
        self.steps = math.ceil(len(data) / schedule.batch)
        self.players = players
        # The networks as Fabric wraps them (device, precision, processes). P is also used bare,
        # when it is held fixed and nothing of it is to be synchronised. E runs bare always: Fabric
        # would round the clips to a mixed precision, and a small difference of two frames needs
        # all their digits.
        self.optimizers: dict[str, Optimizer] = {
            "optimize_encoder": SGD(
                players.encoder.parameters(),
                schedule.encoder_lr or schedule.lr,
                momentum=schedule.momentum,
            ),
            "optimize_action": make_optimizer(players.action.parameters(), schedule),
            "optimize_privacy": make_optimizer(players.privacy.parameters(), schedule),
        }
        optimizers = self.optimizers.values()
        setups = zip((players.encoder, players.action, players.privacy), optimizers, strict=True)
        (
            (_, self.optimize_encoder),
            (self.T, self.optimize_action),
            (self.P, self.optimize_privacy),
        ) = (fabric.setup(network, optimizer) for network, optimizer in setups)

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint holds."""
        return {
            "encoder": self.players.encoder,
            "action": self.players.action,
            "privacy": self.players.privacy,
            **self.optimizers,
        }

    def epoch(self, epoch: int) -> dict[str, float]:
        """Play one epoch and return what is logged of it."""
        torch.manual_seed(seed_for(self.seed, "game", epoch))
        self.T.train()
        self.P.train()
        sums: dict[str, float] = {}
        weights = 0
        for step, batch in enumerate(self._batches(epoch)):
            self._set_rates((epoch * self.steps + step) / (self.recipe.game.epochs * self.steps))
            measured = self.step_encoder(batch)
            self._refuse_infinite(measured | self._sums(), epoch, step)
            measured |= self.step_privacy(batch)
            self._refuse_infinite(measured, epoch, step)
            weights += len(batch.clips)
            for name, value in measured.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch.clips)
        numbers = self.players.encoder.spec
        assert numbers.sigma is not None
        assert numbers.boundaries is not None
        boundaries = {f"b{n}": value for n, value in enumerate(numbers.boundaries, 1)}
        means = {name: total / weights for name, total in sums.items()}
        return {"epoch": epoch + 1, "sigma": numbers.sigma, **boundaries, **means}

    def step_encoder(self, batch: Batch) -> dict[str, float]:
        """Step 1, equation 1: train E and T, with P fixed."""
        frames_drawn = self.recipe.game.privacy_frames
        veiled = for_networks(self.players.encoder(batch.clips))  # (B, 3, T - 1, H, W)
        actions = self.T(veiled)  # (B, actions)
        recognised = cross_entropy(actions, batch.actions)
        frames = draw_frames(veiled, frames_drawn)  # (B * frames, 3, H, W)
        with held_fixed(self.players.privacy) as fixed, self.fabric.autocast():
            # With alpha 0 the entropy is only logged: no gradient is computed to be thrown away.
            guesses = fixed(frames if self.recipe.alpha else frames.detach())
        uncertainty = entropy(guesses)
        loss = recognised - self.recipe.alpha * uncertainty
        self.optimize_encoder.zero_grad()
        self.optimize_action.zero_grad()
        self.fabric.backward(loss)
        self.optimize_encoder.step()
        self.optimize_action.step()
        self.players.encoder.constrain()
        return {
            "loss_encoder": loss.item(),
            "loss_action": recognised.item(),
            "entropy": uncertainty.item(),
            "accuracy_action": _accuracy(actions, batch.actions),
        }

    def step_privacy(self, batch: Batch) -> dict[str, float]:
        """Step 2, equation 2: train P, with E and T fixed."""
        with torch.no_grad():
            veiled = for_networks(self.players.encoder(batch.clips))  # (B, 3, T - 1, H, W)
            frames = draw_frames(veiled, self.recipe.game.privacy_frames)
        labels = batch.privacy.repeat_interleave(len(frames) // len(batch.privacy))
        guesses = self.P(frames)
        loss = cross_entropy(guesses, labels)
        self.optimize_privacy.zero_grad()
        self.fabric.backward(loss)
        self.optimize_privacy.step()
        return {"loss_privacy": loss.item(), "accuracy_privacy": _accuracy(guesses, labels)}

    def _batches(self, epoch: int) -> Iterator[Batch]:
        drawn = batches(self.data, self.recipe.game.batch, epoch=epoch, seed=self.seed)
        for batch in prefetched(drawn):
            yield Batch(*self.fabric.to_device(tuple(batch)))

    def _set_rates(self, progress: float) -> None:
        factor = rate_factor(progress, self.recipe.game.warmup / self.recipe.game.epochs)
        for optimizer in self.optimizers.values():
            set_rate(optimizer, factor)

    def _sums(self) -> dict[str, float]:
        """Return a sum of each of the encoder's parameters, finite only if all its numbers are."""
        return {name: p.sum().item() for name, p in self.players.encoder.named_parameters()}

    def _refuse_infinite(self, measured: dict[str, float], epoch: int, step: int) -> None:
        wrong = [name for name, value in measured.items() if not math.isfinite(value)]
        if wrong:
            raise MotionveilError(
                f"{wrong[0]} is {measured[wrong[0]]} in step {step + 1} of epoch {epoch + 1}:"
                f" lower the learning rate ({self.recipe.game.lr:g}, the encoder's"
                f" {self.recipe.game.encoder_lr or self.recipe.game.lr:g}) or alpha"
                f" ({self.recipe.alpha:g})"
            )


def refuse_collapse(rows: list[dict[str, float]], floor: float, recipe: Recipe) -> None:
    """Raise an error when actions have been guessed, not recognised, for `PATIENCE` epochs.

    Epochs before action recognition first succeeded (a quarter of the way from guessing to
    perfection) count only in the second half of the training: networks that start from scratch take
    their time.

    Args:
        rows: The curves so far; `epoch` and `accuracy_action` are used.
        floor: Share of the commonest action among the training clips.
        recipe: The recipe; names what to change.

    Raises:
        MotionveilError: The training collapsed; says when and what to change.
    """
    accuracies = [row["accuracy_action"] for row in rows]
    guessing = floor + 0.05 * (1 - floor)
    succeeded = floor + 0.25 * (1 - floor)
    last = accuracies[-PATIENCE:]
    if len(last) < PATIENCE or max(last) > guessing:
        return
    if max(accuracies) > succeeded or len(accuracies) - PATIENCE >= recipe.game.epochs / 2:
        first = int(rows[-PATIENCE]["epoch"])
        raise MotionveilError(
            f"action recognition collapsed: accuracy {max(last):.2f} or less on the training clips"
            f" in epochs {first} to {first + PATIENCE - 1}, guessing gives {floor:.2f};"
            f" lower alpha ({recipe.alpha:g}) or a learning rate (the networks'"
            f" {recipe.game.lr:g}, the encoder's {recipe.game.encoder_lr or recipe.game.lr:g})"
        )


def _floor(labels: torch.Tensor) -> float:
    return float(labels.bincount().max() / len(labels))


def _accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float((logits.argmax(1) == labels).float().mean())
