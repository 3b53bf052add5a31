"""Training networks on frozen veiled video and asking them: the loop of validation and attacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from motionveil.datasets.dataset import Batch, ClipDataset, batch_count, batches, prefetched
from motionveil.datasets.manifest import VALIDATION, Clip
from motionveil.datasets.splits import stratified_split
from motionveil.errors import MotionveilError
from motionveil.evaluation.data import AttackData
from motionveil.results import Training
from motionveil.statistics import Floats
from motionveil.training.adversary_inputs import VIEWS, InputFormat, Showing, all_frames
from motionveil.training.distributed import added_up, prepare, summed, unsynchronised
from motionveil.training.heads import ONE_CLASS, Head, head_of, per_input
from motionveil.training.loop import Course, Log, make_optimizer, parts_of, set_rate
from motionveil.training.recipe import AttackerTraining, Schedule

Encode = Callable[[Tensor], Tensor]
"""From clips `(B, 3, T, H, W)` in [0, 1] to what networks see, `(B, 3, T', H, W)` in [-1, 1]."""

HELD_OUT = "loss_held_out"
"""Figure of an epoch: the error on clips kept back from the training."""

Loss = Callable[[nn.Module, Tensor, Batch, int], tuple[Tensor, dict[str, Tensor]]]
"""From a network, its input, the batch and its epoch to the loss and further figures of the log."""


def as_stored(clips: Tensor) -> Tensor:
    """Return veiled clips from a cache in [0, 1] as networks see them, in [-1, 1]."""
    return clips * 2 - 1


@dataclass(frozen=True)
class Learner:
    """A network to train.

    Attributes:
        network: Trained in place.
        target: What it learns, `"action"` or `"privacy"`; ends the names of its figures.
        input_format: What it is shown of a clip.
        loss: By default the cross-entropy of the target's classes or attributes.
    """

    network: nn.Module
    target: str
    input_format: InputFormat
    loss: Loss | None = None

    def head(self, data: ClipDataset) -> Head:
        """Return what the network's outputs mean."""
        return head_of(data.actions if self.target == "action" else data.privacy)

    def measure(self, network: nn.Module, seen: Tensor, batch: Batch, epoch: int) -> Figures:
        """Return the loss and what the log shows of it."""
        if self.loss is not None:
            loss, figures = self.loss(network, seen, batch, epoch)
            return loss, {f"loss_{self.target}": loss, **figures}
        labels = batch.actions if self.target == "action" else batch.privacy
        truth = per_input(labels, seen)
        outputs, head = network(seen), head_of(labels)
        loss = head.loss(outputs, truth)
        return loss, {
            f"loss_{self.target}": loss,
            f"accuracy_{self.target}": head.accuracy(outputs, truth),
        }


Figures = tuple[Tensor, dict[str, Tensor]]


def fit(
    title: str,
    learners: Sequence[Learner],
    data: ClipDataset,
    schedule: Schedule,
    fabric: Fabric,
    encode: Encode = as_stored,
    rule: AttackerTraining | None = None,
    error: Callable[[nn.Module], float] | None = None,
) -> tuple[list[nn.Module], list[dict[str, float]]]:
    """Train networks on the same veiled batches.

    Args:
        title: What the log and errors call it.
        schedule: How they are trained.
        encode: Applied to every batch without gradient.
        rule: Ends the training by the first learner's accuracy on the training clips, instead of
            after the schedule's epochs.
        error: With `rule`: measures the first network after each epoch on clips kept back, and
            the training ends by that instead.

    Returns:
        The networks as Fabric wraps them, in evaluation mode; and the figures of each epoch.

    Raises:
        MotionveilError: A loss is not finite.
    """
    networks, optimizers = [], []
    for learner in learners:
        prepare(fabric, learner.network)
        optimizer = make_optimizer(learner.network.parameters(), schedule)
        network, optimizer = fabric.setup(learner.network, optimizer)
        networks.append(network)
        optimizers.append(optimizer)
    steps = batch_count(len(data), schedule.batch, fabric.world_size)
    course, step = Course(schedule, steps, rule), 0
    log = Log(title, course.epochs, quiet=not fabric.is_global_zero)
    curve: list[dict[str, float]] = []
    while (epoch := len(curve)) < course.epochs:
        for network in networks:
            network.train()
        sums: dict[str, float] = {}
        for batch in batches_of(fabric, data, schedule.batch, epoch, share=True):
            for optimizer in optimizers:
                set_rate(optimizer, course.factor(step))
                optimizer.zero_grad()
            shares = _gradients(fabric, learners, networks, batch, schedule, encode, epoch)
            for optimizer in optimizers:
                optimizer.step()
            figures = added_up(fabric, shares)
            if not all(math.isfinite(figures[f"loss_{learner.target}"]) for learner in learners):
                raise MotionveilError(
                    f"{title}: the loss is not finite in epoch {epoch + 1}:"
                    f" lower the learning rate ({schedule.lr:g})"
                )
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value * batch.whole
            step += 1
        curve.append({"epoch": epoch + 1} | {name: s / len(data) for name, s in sums.items()})
        if rule is not None and error is not None:
            curve[-1][HELD_OUT] = error(networks[0].eval())
            course.follow(-curve[-1][HELD_OUT])
        elif rule is not None:
            course.follow(curve[-1][f"accuracy_{learners[0].target}"])
        log.epoch(curve[-1], course.epochs)
    return [network.eval() for network in networks], curve


def _gradients(
    fabric: Fabric,
    learners: Sequence[Learner],
    networks: Sequence[nn.Module],
    batch: Batch,
    schedule: Schedule,
    encode: Encode,
    epoch: int,
) -> dict[str, Tensor]:
    """Give the networks their gradients for a batch; return this process's share of means."""
    showing = Showing([one.input_format for one in learners], batch.whole, schedule.privacy_frames)
    shares: list[dict[str, Tensor]] = []
    for part, last in parts_of(batch, schedule.accumulate, fabric.world_size):
        with torch.no_grad():
            shown = showing(encode(part.clips), part.rows)
        share = len(part.clips) / batch.whole
        figures: dict[str, Tensor] = {}
        for learner, network, seen in zip(learners, networks, shown, strict=True):
            with unsynchronised(fabric, network, not last):
                loss, measured = learner.measure(network, seen, part, epoch)
                # Gradients are averaged over the processes; the loss is a sum of their shares.
                fabric.backward(loss * (share * fabric.world_size))
            figures |= measured
        shares.append({name: value.detach() * share for name, value in figures.items()})
    return summed(shares)


def batches_of(
    fabric: Fabric,
    data: ClipDataset,
    size: int,
    epoch: int = 0,
    *,
    shuffle: bool | None = None,
    share: bool = False,
) -> Iterator[Batch]:
    """Yield batches on the device: whole ones, or this process's share of each."""
    rank, ranks = (fabric.global_rank, fabric.world_size) if share else (0, 1)
    drawn = batches(data, size, epoch=epoch, shuffle=shuffle, rank=rank, ranks=ranks)
    for batch in prefetched(drawn):
        yield Batch(*fabric.to_device(tuple(batch)))


@dataclass(frozen=True)
class Classifier:
    """A trained network, to be asked about clips.

    Attributes:
        network: In evaluation mode.
        input_format: What it is shown: whole views, or every frame of them.
        fabric: Device and precision.
        batch: Clips asked about in one batch.
        encode: As in `fit`.
        head: What its outputs mean.
    """

    network: nn.Module
    input_format: InputFormat
    fabric: Fabric
    batch: int
    encode: Encode = as_stored
    head: Head = ONE_CLASS

    def shown(self, clips: Tensor) -> Tensor:
        """Return what the network is shown of clips `(B, 3, T, H, W)` in [0, 1]."""
        view = VIEWS[self.input_format.view](self.encode(clips))
        return view if self.input_format.temporal else all_frames(view)

    @torch.no_grad()
    def outputs(self, data: ClipDataset, *, epoch: int = 0, shuffle: bool = False) -> Tensor:
        """Return its outputs for every clip: `(clips, inputs, outputs)`, on the CPU."""
        found = torch.empty(0)
        for batch in batches_of(self.fabric, data, self.batch, epoch, shuffle=shuffle):
            answers = self.network(self.shown(batch.clips)).float().cpu()
            answers = answers.reshape(len(batch.clips), -1, answers.shape[-1])
            if not len(found):
                found = answers.new_empty((len(data), *answers.shape[1:]))
            found[batch.positions.cpu()] = answers
        return found

    def probabilities(self, data: ClipDataset, *, epoch: int = 0, shuffle: bool = False) -> Floats:
        """Return the probabilities for every input of every clip: (clips, inputs, outputs)."""
        outputs = self.outputs(data, epoch=epoch, shuffle=shuffle)
        return np.asarray(self.head.probabilities(outputs).double())

    def batchnorm_modes(self, data: ClipDataset) -> Iterator[str]:
        """Yield once for each way to read BatchNorm, the network set to it.

        `eval`: statistics of the training. `batch`: of each batch that is asked about; ask in
        shuffled order. `reestimated`: estimated again on all of `data`, which an attacker has. Wu
        et al. (ECCV 2018) warn that the first alone can make video look far too private.
        """
        yield "eval"
        if has_batchnorm(self.network):
            self.network.train()
            yield "batch"
            self.network.eval()
            self.reestimate(data)
            yield "reestimated"

    @torch.no_grad()
    def reestimate(self, data: ClipDataset) -> None:
        """Estimate BatchNorm's statistics again on clips."""
        shuffled = batches_of(self.fabric, data, self.batch, shuffle=True)
        reestimate(self.network, (self.shown(batch.clips) for batch in shuffled))


def has_batchnorm(network: nn.Module) -> bool:
    """Return whether any layer of a network is a BatchNorm."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


@torch.no_grad()
def reestimate(network: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Set the running statistics of BatchNorm to plain means over batches; all else stays.

    Args:
        network: In evaluation mode, as it is left.
        inputs: Batches of what the network takes; shuffled, since a batch of neighbours (one
            person, one room) is no sample of the whole.
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a cumulative mean
        layer.train()
    for batch in inputs:
        network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


MakeLearner = Callable[[], Learner]
"""Returns a new learner, drawn from torch's global generator."""


@dataclass(frozen=True)
class Learned:
    """A trained attacker.

    Attributes:
        classifier: Its network, to be asked.
        training: How it was trained.
        curve: Accuracy on the training clips, as drawn, in each epoch.
    """

    classifier: Classifier
    training: Training
    curve: tuple[float, ...]


def learn(
    title: str,
    make: MakeLearner,
    data: AttackData,
    clips: Sequence[Clip],
    schedule: Schedule,
    rule: AttackerTraining | None = None,
) -> Learned:
    """Train an attacker on clips.

    Args:
        title: What the log and errors call it.
        make: Makes the learner; of the same weights for every rate.
        data: What is attacked; of its clips, only `clips` are read.
        schedule: How it is trained.
        rule: Ends the training by what was learned, and has the learning rate chosen; None for the
            schedule's epochs and rate.

    Raises:
        MotionveilError: A loss is not finite, or no clip can be kept back for the choice.
    """
    tried: dict[float, float] = {}
    if rule is not None and len(rule.rates) > 1:
        tried = _try_rates(title, make, data, clips, schedule, rule)
        schedule = schedule.model_copy(update={"lr": max(tried, key=tried.__getitem__)})
    learner = make()
    drawn = data.some(clips, drawn=True)
    (network,), rows = fit(title, [learner], drawn, schedule, data.fabric, rule=rule)
    curve = tuple(row[f"accuracy_{learner.target}"] for row in rows)
    return Learned(
        Classifier(
            network, learner.input_format, data.fabric, schedule.batch, head=learner.head(drawn)
        ),
        Training(epochs=len(curve), accuracy=curve[-1], rate=schedule.lr, tried=tried),
        curve,
    )


def keep_back(clips: Sequence[Clip], share: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Divide clips into those to learn from and those to choose by.

    Recordings stay whole, and every action and every value of every label is learned from. Where
    each recording holds the last clip of one of these, as when everybody was filmed once, clips are
    kept back instead.

    Raises:
        MotionveilError: Each clip is the last of its kind.
    """
    try:
        divided = stratified_split(clips, share=share, seed=seed)
    except MotionveilError:
        alone = [replace(clip, group=clip.key) for clip in clips]
        divided = stratified_split(alone, share=share, seed=seed)
    back = [part.split == VALIDATION for part in divided]
    return (
        [clip for clip, kept in zip(clips, back, strict=True) if not kept],
        [clip for clip, kept in zip(clips, back, strict=True) if kept],
    )


def _try_rates(
    title: str,
    make: MakeLearner,
    data: AttackData,
    clips: Sequence[Clip],
    schedule: Schedule,
    rule: AttackerTraining,
) -> dict[float, float]:
    """Return for each learning rate the accuracy on clips that were kept back."""
    learned, asked = keep_back(clips, rule.held_out, data.seed)
    drawn, centre = data.some(learned, drawn=True), data.some(asked, drawn=False)
    epochs = max(1, round(rule.trial * schedule.epochs))
    tried: dict[float, float] = {}
    for factor in rule.rates:
        changes = {"lr": float(f"{factor * schedule.lr:.6g}"), "epochs": epochs}
        changes["warmup"] = min(schedule.warmup, epochs / 2)
        trial = schedule.model_copy(update=changes)
        # Each from the same weights and draws, and what follows from those too.
        with torch.random.fork_rng():
            learner = make()
            name = f"{title}, lr {trial.lr:g}"
            (network,), _ = fit(name, [learner], drawn, trial, data.fabric)
            classifier = Classifier(network, learner.input_format, data.fabric, trial.batch)
            # As on the clips held out: statistics of a short training lag behind the weights.
            classifier.reestimate(centre)
            tried[trial.lr] = _accuracy(learner, classifier, centre)
    return tried


@torch.no_grad()
def _accuracy(learner: Learner, classifier: Classifier, data: ClipDataset) -> float:
    """Return the accuracy on clips, by frame where frames are seen."""
    right = 0.0
    for batch in batches_of(classifier.fabric, data, classifier.batch):
        seen = classifier.shown(batch.clips)
        _, figures = learner.measure(classifier.network, seen, batch, 0)
        right += float(figures[f"accuracy_{learner.target}"]) * len(batch.clips)
    return right / len(data)
