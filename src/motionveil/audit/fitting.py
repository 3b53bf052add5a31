"""Training a network on veiled clips: the one loop of all attacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from lightning_fabric import Fabric
from torch import Tensor, nn

from motionveil.data.dataset import Batch, ClipDataset, batches, prefetched
from motionveil.errors import MotionveilError
from motionveil.training.log import Log
from motionveil.training.processes import prepare
from motionveil.training.recipe import Schedule
from motionveil.training.schedule import make_optimizer, rate_factor, set_rate

Step = Callable[[nn.Module, Batch, int], tuple[Tensor, dict[str, float]]]
"""From the network, a batch and its epoch to the loss, and what the log shows of it besides."""


def fit(
    title: str,
    network: nn.Module,
    data: ClipDataset,
    schedule: Schedule,
    fabric: Fabric,
    step: Step,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train a network.

    Args:
        title: What the log and errors call it.
        network: Trained in place.
        data: The clips.
        schedule: How it is trained.
        fabric: Device and precision; one process.
        step: Computes the loss of a batch.

    Returns:
        The network as Fabric wraps it, in evaluation mode; and for each epoch what the log shows.

    Raises:
        MotionveilError: A loss is not finite.
    """
    prepare(fabric, network)
    wrapped, optimizer = fabric.setup(network, make_optimizer(network.parameters(), schedule))
    log = Log(title, schedule.epochs)
    steps, done = schedule.epochs * math.ceil(len(data) / schedule.batch), 0
    curve: list[dict[str, float]] = []
    for epoch in range(schedule.epochs):
        wrapped.train()
        sums: dict[str, float] = {}
        for batch in batches_of(fabric, data, schedule.batch, epoch):
            set_rate(optimizer, rate_factor(done / steps, schedule.warmup / schedule.epochs))
            loss, figures = step(wrapped, batch, epoch)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise MotionveilError(
                    f"{title}: the loss is not finite in epoch {epoch + 1}:"
                    f" lower the learning rate ({schedule.lr:g})"
                )
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value * batch.whole
            done += 1
        curve.append({"epoch": epoch + 1} | {name: s / len(data) for name, s in sums.items()})
        log.epoch(curve[-1])
    return wrapped.eval(), curve


def batches_of(
    fabric: Fabric, data: ClipDataset, size: int, epoch: int, *, shuffle: bool | None = None
) -> Iterator[Batch]:
    """Yield a data set's batches on the device."""
    for batch in prefetched(batches(data, size, epoch=epoch, shuffle=shuffle)):
        yield Batch(*fabric.to_device(tuple(batch)))
