"""Optimisers and their learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from motionveil.datasets.dataset import Batch
from motionveil.training.recipe import AttackerTraining, Schedule


def make_optimizer(parameters: Iterable[nn.Parameter], schedule: Schedule) -> Optimizer:
    """Return the optimiser of networks, at the schedule's learning rate."""
    if schedule.optimizer == "adamw":
        betas = (schedule.momentum, 0.999)
        return AdamW(parameters, schedule.lr, betas=betas, weight_decay=schedule.weight_decay)
    return SGD(
        parameters, schedule.lr, momentum=schedule.momentum, weight_decay=schedule.weight_decay
    )


def rate_factor(progress: float, warmup: float) -> float:
    """Return the factor of the learning rate: a linear rise, then half a cosine down to 0.

    Args:
        progress: Share of the training done, in [0, 1].
        warmup: Share of the training over which the rate rises, in [0, 1).
    """
    if progress < warmup:
        return max(progress / warmup, 0.01)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warmup) / (1 - warmup))


def saturated(accuracies: Sequence[float], rule: AttackerTraining) -> bool:
    """Return whether a network has learned its training clips, or learns no more of them.

    Args:
        accuracies: The accuracy on the training clips in each epoch so far, one at least.
        rule: What counts as either.
    """
    best = max(range(len(accuracies)), key=accuracies.__getitem__)
    return accuracies[-1] > rule.accuracy or len(accuracies) - 1 - best >= rule.patience


class Course:
    """How long a training goes on, and the learning rate of each step.

    Args:
        schedule: Its epochs and warm-up.
        steps: Steps of an epoch.
        rule: Ends the training by what was learned, instead of after the schedule's epochs.

    Attributes:
        epochs: How many epochs there will be, as far as is known.
    """

    def __init__(self, schedule: Schedule, steps: int, rule: AttackerTraining | None) -> None:
        longest = 1.0 if rule is None else rule.longest
        self.epochs = max(1, round(schedule.epochs * longest))
        self._warmup, self._steps, self._rule = schedule.warmup, steps, rule
        self._accuracies: list[float] = []
        self._fall = None if rule else 0

    def factor(self, step: int) -> float:
        """Return the factor of the learning rate in a step, counted from 0."""
        epoch = step / self._steps
        if self._rule is None:
            return rate_factor(epoch / self.epochs, self._warmup / self.epochs)
        if self._fall is None:
            return 1.0 if epoch >= self._warmup else max(epoch / self._warmup, 0.01)
        return rate_factor((epoch - self._fall) / (self.epochs - self._fall), 0.0)

    def follow(self, accuracy: float) -> None:
        """Take note of an epoch's accuracy on the training clips."""
        if self._rule is None or self._fall is not None:
            return
        self._accuracies.append(accuracy)
        done = len(self._accuracies)
        if saturated(self._accuracies, self._rule) or done >= self.epochs:
            self._fall = done
            self.epochs = done + max(1, round(self._rule.fall * done))


def set_rate(optimizer: Optimizer, factor: float) -> None:
    """Set the learning rates to `factor` times those that the optimiser began with.

    The rate is computed from the step's number and not carried along, so that a resumed run
    needs no state of a scheduler.
    """
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
        group["lr"] = factor * group["initial_lr"]


def parts_of(batch: Batch, accumulate: int, processes: int) -> Iterator[tuple[Batch, bool]]:
    """Yield a batch in parts whose gradients are added up, and whether each is the last.

    Args:
        batch: This process's share.
        accumulate: Parts wanted. There are fewer where some process has fewer clips, since all
            processes must make the same number.
        processes: Number of processes.
    """
    parts = batch.split(min(accumulate, batch.whole // processes))
    for number, part in enumerate(parts, 1):
        yield part, number == len(parts)
