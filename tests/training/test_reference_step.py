"""A step of ours against a plain one that wastes the work of the released code: the same result."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from benchmark_code import import_benchmark
from motionveil.datasets.dataset import batches
from motionveil.encoders import BDQ
from motionveil.training.adversarial import AdversarialModels, AdversarialTraining
from motionveil.training.experiment import Experiment
from motionveil.training.loop import ADVERSARIAL
from tiny import tiny_recipe

ReferenceStep = import_benchmark("released").ReferenceStep


def train_both(
    experiment: Experiment, steps: int, **changes: Any
) -> tuple[AdversarialModels, AdversarialModels, AdversarialModels]:
    """Return the models as they start, after our steps, and after the plain ones."""
    schedule = {"optimizer": "sgd", "batch": 4, "lr": 0.01, "encoder_lr": 0.1, "privacy_frames": 2}
    experiment = dataclasses.replace(
        experiment, recipe=tiny_recipe(adversarial=schedule, **changes)
    )
    networks = experiment.networks(ADVERSARIAL)
    start = AdversarialModels(BDQ(experiment.untrained()), networks.action, networks.privacy)
    ours, plain = copy.deepcopy(start), copy.deepcopy(start)
    for models in (ours, plain):
        models.action.train()
        models.privacy.train()
    data = experiment.clips(training=True)
    drawn = [b for epoch in range(2) for b in batches(data, 4, epoch=epoch, seed=0)][:steps]
    for part in (
        AdversarialTraining(experiment.fabric, ours, data, experiment.recipe, 0),
        ReferenceStep(plain, experiment.recipe),
    ):
        for number, batch in enumerate(drawn):
            torch.manual_seed(number)
            part.step_encoder(batch)
            part.step_privacy(batch)
    return start, ours, plain


def differing(one: nn.Module, other: nn.Module, *, parameters: bool) -> set[str]:
    """Return the names of the parameters, or of the buffers, that are not equal to the bit."""
    kind = "named_parameters" if parameters else "named_buffers"
    its = dict(getattr(other, kind)())
    return {name for name, value in getattr(one, kind)() if not torch.equal(value, its[name])}


def refuse_any_difference(
    start: AdversarialModels, ours: AdversarialModels, plain: AdversarialModels, steps: int
) -> None:
    for part in ("encoder", "action", "privacy"):
        mine, its = getattr(ours, part), getattr(plain, part)
        assert differing(mine, its, parameters=True) == set(), part
        # Not all have moved: the last BatchNorm of a block may start at zero and stop gradients.
        moved = differing(mine, getattr(start, part), parameters=True)
        assert len(moved) > len(list(mine.parameters())) / 2, part
    # The plain step runs T, in step 2, and P, in step 1, where ours does not or leaves them as
    # they are: BatchNorm's running statistics are updated twice. Training does not use them.
    for part in ("action", "privacy"):
        mine, its = getattr(ours, part), getattr(plain, part)
        counters = {name for name, _ in mine.named_buffers() if name.endswith("_tracked")}
        assert counters <= differing(mine, its, parameters=False)
        assert {int(mine.get_buffer(name)) for name in counters} == {steps}
        assert {int(its.get_buffer(name)) for name in counters} == {2 * steps}


def test_the_parameters_are_equal_to_the_bit(experiment: Experiment) -> None:
    refuse_any_difference(*train_both(experiment, 6), steps=6)


@pytest.mark.slow
def test_those_of_the_resnets_too(experiment: Experiment) -> None:
    networks = {"action": {"name": "resnet18_3d"}, "privacy": {"name": "resnet18"}}
    refuse_any_difference(*train_both(experiment, 2, size=32, **networks), steps=2)
