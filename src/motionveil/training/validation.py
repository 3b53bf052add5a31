"""Validation: fresh networks on a frozen encoder (paper, section 4.2).

A fresh action network and a fresh privacy network are trained on the encoder's output for the
training clips and scored on the validation clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from motionveil.data.dataset import Batch, ClipDataset, batches, prefetched
from motionveil.encoders import Encoder
from motionveil.encoders.functional import for_networks
from motionveil.errors import MotionveilError
from motionveil.results import Accuracy, ClipPrediction, Privacy, PrivacyScore
from motionveil.training.batchnorm import has_batchnorm, reestimate
from motionveil.training.log import Log
from motionveil.training.privacy_view import all_frames, pick_frames, take_frames
from motionveil.training.processes import added_up, prepare, summed, unsynchronised
from motionveil.training.recipe import Schedule
from motionveil.training.schedule import make_optimizer, parts_of, rate_factor, set_rate
from motionveil.training.seeds import seed_for


@dataclass(frozen=True)
class Scores:
    """What validation measures: both accuracies and the answers behind them."""

    action: Accuracy
    privacy: Privacy
    predictions: list[ClipPrediction]


@dataclass(frozen=True)
class Watchers:
    """The two networks that watch an encoder's output.

    Attributes:
        action: From `(B, 3, T', H, W)` in [-1, 1] to logits of the actions.
        privacy: From `(N, 3, H, W)` in [-1, 1] to logits of the privacy label.
    """

    action: nn.Module
    privacy: nn.Module


def validate(
    fabric: Fabric,
    encoder: Encoder,
    watchers: Watchers,
    training: ClipDataset,
    validation: ClipDataset,
    schedule: Schedule,
    *,
    privacy_label: str,
    seed: int,
    title: str,
) -> Scores:
    """Train fresh networks on a frozen encoder's output and score them.

    Args:
        fabric: Device and precision.
        encoder: The encoder; its parameters get no gradient. Networks are trained on its `views`.
        watchers: Freshly made networks; trained in place.
        training, validation: The clips.
        schedule: How the networks are trained.
        privacy_label: The label's name, stored with the score.
        seed: Seed of batches and draws.
        title: What the log calls this.

    Raises:
        MotionveilError: A loss is not finite.
    """
    # What was drawn before shall not decide what these networks see.
    torch.manual_seed(seed_for(seed, "validation"))
    # Not `setup`, by which Fabric would round the encoder's input to a mixed precision.
    fabric.to_device(encoder)
    encoder.eval()
    _fit(fabric, encoder, watchers, training, schedule, seed=seed, title=title)
    return score(fabric, encoder, watchers, validation, schedule.batch, privacy_label)


def _fit(
    fabric: Fabric,
    encoder: Encoder,
    watchers: Watchers,
    data: ClipDataset,
    schedule: Schedule,
    *,
    seed: int,
    title: str,
) -> None:
    """Train both networks on the same veiled batches."""
    T, optimize_action = _set_up(fabric, watchers.action, schedule)
    P, optimize_privacy = _set_up(fabric, watchers.privacy, schedule)
    log = Log(title, schedule.epochs, quiet=not fabric.is_global_zero)
    steps = schedule.epochs * math.ceil(len(data) / schedule.batch)
    step = 0
    for epoch in range(schedule.epochs):
        T.train()
        P.train()
        sums: dict[str, float] = {}
        for batch in _batches(fabric, data, schedule.batch, epoch, seed, share=True):
            for optimizer in (optimize_action, optimize_privacy):
                set_rate(optimizer, rate_factor(step / steps, schedule.warmup / schedule.epochs))
                optimizer.zero_grad()
            shares = _gradients(fabric, encoder, Watchers(T, P), batch, schedule)
            for optimizer in (optimize_action, optimize_privacy):
                optimizer.step()
            measured = added_up(fabric, shares)
            if not math.isfinite(measured["loss_action"] + measured["loss_privacy"]):
                raise MotionveilError(
                    f"{title}: the loss is not finite in epoch {epoch + 1}:"
                    f" lower the learning rate ({schedule.lr:g})"
                )
            for name, value in measured.items():
                sums[name] = sums.get(name, 0.0) + value * batch.whole
            step += 1
        log.epoch({"epoch": epoch + 1} | {name: s / len(data) for name, s in sums.items()})


def _set_up(fabric: Fabric, network: nn.Module, schedule: Schedule) -> tuple[nn.Module, Optimizer]:
    """Return the network and its optimiser as Fabric wraps them."""
    prepare(fabric, network)
    return fabric.setup(network, make_optimizer(network.parameters(), schedule))


def _gradients(
    fabric: Fabric, encoder: Encoder, watchers: Watchers, batch: Batch, schedule: Schedule
) -> dict[str, Tensor]:
    """Give both networks their gradients for a batch, and return this process's share of means."""
    shares: list[dict[str, Tensor]] = []
    picked: Tensor | None = None
    for part, last in parts_of(batch, schedule.accumulate, fabric.world_size):
        with torch.no_grad():
            veiled = for_networks(encoder.views(part.clips))  # (B, 3, T', H, W)
        if picked is None:  # for the whole batch, whatever process or part draws
            picked = pick_frames(batch.whole, veiled.shape[2], schedule.privacy_frames)
        frames = take_frames(veiled, picked[part.rows.cpu()])  # (B * frames, 3, H, W)
        labels = part.privacy.repeat_interleave(picked.shape[1])
        share = len(part.clips) / batch.whole
        measured: dict[str, Tensor] = {}
        for player, network, seen, right in (
            ("action", watchers.action, veiled, part.actions),
            ("privacy", watchers.privacy, frames, labels),
        ):
            with unsynchronised(fabric, network, not last):
                answers = network(seen)
                loss = cross_entropy(answers, right)
                # Gradients are averaged over the processes; the loss is a sum of their shares.
                fabric.backward(loss * (share * fabric.world_size))
            measured[f"loss_{player}"] = loss
            measured[f"accuracy_{player}"] = (answers.argmax(1) == right).float().mean()
        shares.append({name: value.detach() * share for name, value in measured.items()})
    return summed(shares)


@torch.no_grad()
def veil(encoder: nn.Module, clips: Tensor) -> Tensor:
    """Return clips `(B, 3, T, H, W)` in [0, 1] veiled and scaled to [-1, 1], without gradient."""
    veiled: Tensor = for_networks(encoder(clips))
    return veiled


@torch.no_grad()
def score(
    fabric: Fabric,
    encoder: nn.Module,
    watchers: Watchers,
    data: ClipDataset,
    batch_size: int,
    privacy_label: str,
) -> Scores:
    """Score trained networks: actions on one clip and one crop, privacy by frame and by clip.

    The privacy network is scored twice: with the BatchNorm statistics of its training, and with
    statistics estimated again on the clips that it attacks (which an attacker has). Wu et al. warn
    that the first alone can look far too private. The higher frame accuracy is reported.
    """
    watchers.action.eval()
    watchers.privacy.eval()
    actions = torch.cat(
        [
            watchers.action(veil(encoder, batch.clips)).softmax(1).cpu()
            for batch in _batches(fabric, data, batch_size, 0, 0)
        ]
    )  # (clips, actions)
    guesses = {"eval": _guess(fabric, encoder, watchers.privacy, data, batch_size)}
    if has_batchnorm(watchers.privacy):
        shuffled = _batches(fabric, data, batch_size, 0, 0, shuffle=True)
        reestimate(watchers.privacy, (all_frames(veil(encoder, b.clips)) for b in shuffled))
        guesses["reestimated"] = _guess(fabric, encoder, watchers.privacy, data, batch_size)
    modes = {mode: _privacy_score(guess, data.privacy) for mode, guess in guesses.items()}
    reported = max(modes, key=lambda mode: modes[mode].frame.accuracy)
    right = (actions.argmax(1) == data.actions).float()
    return Scores(
        action=Accuracy.of(right.tolist(), data.actions.tolist()),
        privacy=Privacy(
            label=privacy_label,
            batchnorm=reported,
            modes=modes,
            frame=modes[reported].frame,
            clip=modes[reported].clip,
        ),
        predictions=_predictions(data, actions, guesses[reported]),
    )


def _guess(
    fabric: Fabric, encoder: nn.Module, network: nn.Module, data: ClipDataset, batch_size: int
) -> Tensor:
    """Return the privacy network's softmax for every frame: `(clips, T', identities)`."""
    found = []
    for batch in _batches(fabric, data, batch_size, 0, 0):
        veiled = veil(encoder, batch.clips)  # (B, 3, T', H, W)
        probabilities = network(all_frames(veiled)).softmax(1)
        found.append(probabilities.reshape(len(batch.clips), veiled.shape[2], -1).cpu())
    return torch.cat(found)


def _privacy_score(guesses: Tensor, labels: Tensor) -> PrivacyScore:
    right = (guesses.argmax(2) == labels[:, None]).double()  # (clips, T')
    clip_right = (guesses.mean(1).argmax(1) == labels).double()  # (clips,)
    return PrivacyScore(
        frame=Accuracy.of(right.mean(1).tolist(), labels.tolist()),
        clip=Accuracy.of(clip_right.tolist(), labels.tolist()),
    )


def _predictions(data: ClipDataset, actions: Tensor, guesses: Tensor) -> list[ClipPrediction]:
    right = (guesses.argmax(2) == data.privacy[:, None]).double().mean(1)
    return [
        ClipPrediction(
            clip=clip.key,
            action=int(data.actions[position]),
            privacy=int(data.privacy[position]),
            action_probabilities=_rounded(actions[position]),
            privacy_probabilities=_rounded(guesses[position].mean(0)),
            privacy_frames=float(right[position]),
        )
        for position, clip in enumerate(data.clips)
    ]


def _rounded(probabilities: Tensor) -> list[float]:
    # So many decimals keep apart what float32 keeps apart: the argmax is that of the accuracy.
    return [round(value, 9) for value in probabilities.tolist()]


def _batches(
    fabric: Fabric,
    data: ClipDataset,
    size: int,
    epoch: int,
    seed: int,
    *,
    shuffle: bool | None = None,
    share: bool = False,
) -> Iterator[Batch]:
    """Yield batches on the device: whole ones, or this process's share of each."""
    rank, ranks = (fabric.global_rank, fabric.world_size) if share else (0, 1)
    drawn = batches(data, size, epoch=epoch, seed=seed, shuffle=shuffle, rank=rank, ranks=ranks)
    for batch in prefetched(drawn):
        yield Batch(*fabric.to_device(tuple(batch)))
