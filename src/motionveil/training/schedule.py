"""Optimisers and their learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from motionveil.datasets.dataset import Batch
from motionveil.training.recipe import Schedule


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
