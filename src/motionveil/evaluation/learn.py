"""An attacker's training: how long it learns, and at which of several learning rates.

Which rate is best is asked on recordings kept back from the training clips, never on those that the
attacker is scored on: the best of several is no luck then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from motionveil.datasets.dataset import ClipDataset
from motionveil.datasets.manifest import VALIDATION, Clip
from motionveil.datasets.splits import stratified_split
from motionveil.errors import MotionveilError
from motionveil.evaluation.data import AttackData
from motionveil.evaluation.fit import Classifier, Learner, batches_of, fit
from motionveil.results import Training
from motionveil.training.recipe import AttackerTraining, Schedule

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
        Classifier(network, learner.look, data.fabric, schedule.batch),
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
            classifier = Classifier(network, learner.look, data.fabric, trial.batch)
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
