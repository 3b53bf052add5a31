"""What every training loop needs: seeds, the learning rate of an epoch, the log, trackers."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from motionveil.datasets.dataset import Batch
from motionveil.errors import MotionveilError, one_line
from motionveil.methods import LEVELS
from motionveil.plugins import import_object
from motionveil.training.recipe import AttackerTraining, Schedule

ADVERSARIAL = "game"
"""Purpose of what adversarial training draws; its text decides the seeds of stored trainings."""

FIGURES = (
    "sigma",
    "loss_action",
    "loss_privacy",
    "entropy",
    "accuracy_action",
    "accuracy_privacy",
)
"""What is printed of an epoch's row, where it has it; then further adversaries' accuracies."""


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


def saturated(scores: Sequence[float], rule: AttackerTraining) -> bool:
    """Return whether a network has learned its training clips, or learns no more.

    Args:
        scores: For each epoch so far, one at least, the accuracy on the training clips; or less
            than 0, the negative error on clips kept back.
    """
    best = max(range(len(scores)), key=scores.__getitem__)
    return scores[-1] > rule.accuracy or len(scores) - 1 - best >= rule.patience


def longest(schedule: Schedule, rule: AttackerTraining | None) -> int:
    """Return the most epochs before the learning rate falls; without a rule, all epochs."""
    return max(1, round(schedule.epochs * (1.0 if rule is None else rule.longest)))


class Course:
    """How long a training goes on, and the learning rate of each step.

    Args:
        rule: Ends the training by what was learned, instead of after the schedule's epochs.

    Attributes:
        epochs: How many epochs there will be, as far as is known.
    """

    def __init__(self, schedule: Schedule, steps: int, rule: AttackerTraining | None) -> None:
        self.epochs = longest(schedule, rule)
        self._warmup, self._steps, self._rule = schedule.warmup, steps, rule
        self._scores: list[float] = []
        self._fall = None if rule else 0

    def factor(self, step: int) -> float:
        """Return the factor of the learning rate in a step, counted from 0."""
        epoch = step / self._steps
        if self._rule is None:
            return rate_factor(epoch / self.epochs, self._warmup / self.epochs)
        if self._fall is None:
            return 1.0 if epoch >= self._warmup else max(epoch / self._warmup, 0.01)
        return rate_factor((epoch - self._fall) / (self.epochs - self._fall), 0.0)

    def follow(self, score: float) -> None:
        """Take note of an epoch's score, see `saturated`."""
        if self._rule is None or self._fall is not None:
            return
        self._scores.append(score)
        done = len(self._scores)
        if saturated(self._scores, self._rule) or done >= self.epochs:
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
    """
    parts = batch.split(min(accumulate, batch.whole // processes))
    for number, part in enumerate(parts, 1):
        yield part, number == len(parts)


class Log:
    """Prints each epoch's figures to the standard error, with the time that is left.

    Args:
        title: What is trained.
        epochs: How many epochs there will be.
        quiet: Print nothing, since another process does.
    """

    def __init__(self, title: str, epochs: int, *, quiet: bool = False) -> None:
        self._title, self._epochs, self._quiet = title, epochs, quiet
        self._began, self._first = time.monotonic(), 0

    def epoch(self, row: Mapping[str, float], epochs: int | None = None) -> None:
        """Print one epoch's figures; `row["epoch"]` is its number, from 1.

        Args:
            epochs: How many epochs there will be, where that has changed.
        """
        self._epochs = epochs or self._epochs
        if self._quiet:
            return
        epoch = int(row["epoch"])
        self._first = self._first or epoch
        spent = time.monotonic() - self._began
        left = spent / (epoch - self._first + 1) * (self._epochs - epoch)
        further = [name for name in row if name.startswith("accuracy_privacy_")]
        figures = "  ".join(
            f"{name.replace('_', ' ')} {row[name]:.3f}"
            for name in (*FIGURES, *further)
            if name in row
        )
        boundaries = " ".join(f"{row[f'b{n}']:.1f}" for n in range(1, LEVELS + 1) if f"b{n}" in row)
        print(
            f"{self._title}: epoch {epoch}/{self._epochs}  {figures}  ({left:.0f} s left)"
            + (f"\n  boundaries {boundaries}" if boundaries else ""),
            file=sys.stderr,
            flush=True,
        )


Row = Mapping[str, float]
Tracker = Callable[[Row], None]
"""Called with each epoch: what `curves.csv` has of it; `row["epoch"]` is its number, from 1."""

Opened = tuple[Tracker, Callable[[], object]]
"""A tracker, and what closes it."""

Opener = Callable[[Path], Opened]
"""Opens a tracker for a run folder."""


@contextmanager
def open_trackers(names: Sequence[str | Tracker], run: Path) -> Iterator[Tracker]:
    """Open trackers and give a function that tells all of them of an epoch.

    Args:
        names: `tensorboard:DIR`, `wandb:DIR` (offline, unless WANDB_MODE says otherwise; DIR is a
            folder of the run where it is left out), `module:function`, `file.py:function`, or a
            function.
        run: The run folder.

    A tracker that fails later does not end the training: its first fault is printed, and it is told
    of the epochs that follow.

    Raises:
        MotionveilError: There is no such tracker, its package is not installed, what is named
            cannot be called, or the tracker does not open.
    """
    openers = find_trackers(names)
    with ExitStack() as stack:
        opened = []
        for name, opens in openers:
            try:
                tell, close = opens(run)
            except Exception as error:  # whatever a tracker's package raises
                raise MotionveilError(f"--log-to {name}: {_fault(error)}") from error
            stack.callback(_unfailing(name, close))
            opened.append(_unfailing(name, tell))

        def tell_all(row: Row) -> None:
            for tell in opened:
                tell(row)

        yield tell_all


def find_trackers(names: Sequence[str | Tracker]) -> list[tuple[str, Opener]]:
    """Return what opens each tracker, and what it is called; opens and writes nothing.

    Raises:
        MotionveilError: There is no such tracker, its package is not installed, or what is named
            cannot be called.
    """
    return [(str(name), _find_tracker(name)) for name in names]


def _find_tracker(name: str | Tracker) -> Opener:
    kind, _, place = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind in _PACKAGES:
        package, wanted, opens = _PACKAGES[kind]
        try:
            import_module(package)
        except Exception as error:  # missing, or broken in any way
            raise MotionveilError(
                f"--log-to {name}: {_fault(error)}; it needs {package}: pip install '{wanted}'"
            ) from error
        return lambda run: opens(Path(place) if place else run / kind, run)
    if isinstance(name, str) and not place:
        raise MotionveilError(
            f"--log-to {name}: there are tensorboard:DIR, wandb:DIR, module:function and"
            " file.py:function"
        )
    found = import_object(name) if isinstance(name, str) else name
    if not callable(found):
        raise MotionveilError(
            f"--log-to {name}: that is a {type(found).__name__}; it must be a function of a row"
        )
    return lambda run: (found, lambda: None)


def _unfailing(name: str, function: Callable[..., object]) -> Callable[..., None]:
    """Return a function that prints its first fault, since training is worth more than a log."""
    warned = False

    def call(*arguments: Row) -> None:
        nonlocal warned
        try:
            function(*arguments)
        except Exception as error:  # whatever a tracker raises
            if not warned:
                print(f"motionveil: warning: --log-to {name}: {_fault(error)}", file=sys.stderr)
            warned = True

    return call


def _fault(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")


def _tensorboard(folder: Path, run: Path) -> Opened:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))

    def tell(row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name, value, int(row["epoch"]))
        writer.flush()  # a curve can be looked at while the next epoch runs

    return tell, writer.close


def _wandb(folder: Path, run: Path) -> Opened:
    import wandb

    # Its reports of how it is used and how it fails go to servers even of a run that is offline.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    folder.mkdir(parents=True, exist_ok=True)
    opened = wandb.init(
        dir=str(folder),
        project="motionveil",
        name=run.name,
        mode=os.environ.get("WANDB_MODE", "offline"),
        # No command line, no code, nothing that is printed, and no name of the machine. Versions of
        # Python and wandb and the kind of system are in every run; no setting leaves them out.
        settings=wandb.Settings(
            host="motionveil",
            console="off",
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        ),
    )
    return lambda row: opened.log(dict(row), step=int(row["epoch"])), opened.finish


_PACKAGES = {
    "tensorboard": ("tensorboardX", "motionveil[track]", _tensorboard),
    "wandb": ("wandb", "wandb>=0.31,<1", _wandb),
}
"""The package of each tracker, how it is installed, and what opens it."""


def seed_for(seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2^63) for a purpose, such as `seed_for(0, ADVERSARIAL, 3)` for epoch 3.

    Draws for one purpose do not shift those for another, and a resumed run can draw again what an
    uninterrupted one would have.
    """
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
