"""A training that leads nowhere stops, and says when it went wrong and what to change."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.encoders import BDQ
from motionveil.errors import MotionveilError
from motionveil.training.adversarial import AdversarialModels, train_adversarial
from motionveil.training.checkpoint import PATIENCE, CollapseError, refuse_collapse
from motionveil.training.experiment import Experiment
from motionveil.training.loop import ADVERSARIAL
from tiny import tiny_recipe

CHANCE = 0.125


def curves(*accuracies: float) -> list[dict[str, float]]:
    return [{"epoch": n, "accuracy_action": a} for n, a in enumerate(accuracies, 1)]


def refused(accuracies: list[float], epochs: int = 12, chance: float = CHANCE) -> bool:
    try:
        refuse_collapse(curves(*accuracies), chance, tiny_recipe(epochs=epochs))
    except MotionveilError:
        return True
    return False


def test_says_when_and_what_to_change() -> None:
    recipe = tiny_recipe(epochs=20, alpha=8.0, adversarial={"lr": 0.02, "encoder_lr": 0.5})
    with pytest.raises(MotionveilError) as caught:
        refuse_collapse(curves(0.3, 0.8, 0.6, 0.11, 0.14, 0.13), CHANCE, recipe)
    message = str(caught.value)
    assert "accuracy 0.14 or less" in message
    assert "epochs 4 to 6" in message
    assert "chance level 0.12" in message
    assert "lower alpha (8)" in message
    assert "networks' 0.02" in message
    assert "encoder's 0.5" in message


def test_a_collapse_after_success_is_seen_at_once() -> None:
    assert not refused([0.2, 0.6, 0.12, 0.12], epochs=100)
    assert refused([0.2, 0.6, 0.12, 0.12, 0.12], epochs=100)


def test_slow_starters_are_given_half_of_the_training() -> None:
    for epochs in (4, 5, 6, 12, 15):
        accuracies = [0.12] * epochs
        first = next((n for n in range(1, epochs + 1) if refused(accuracies[:n], epochs)), None)
        half = (epochs + 1) // 2
        assert first == (half + PATIENCE if half + PATIENCE <= epochs else None), epochs


@given(
    chance=st.floats(0.02, 0.6),
    start=st.integers(1, 8),
    ends=st.floats(0, 1),
    epochs=st.integers(8, 60),
)
def test_a_steady_rise_is_never_refused(
    chance: float, start: int, ends: float, epochs: int
) -> None:
    """At chance level for less than half of the epochs, then rising to anything above it."""
    start = min(start, epochs // 2)
    top = chance + (0.3 + 0.7 * ends) * (1 - chance)
    rise = epochs - start
    accuracies = [chance] * start + [
        chance + (top - chance) * min(1, 2 * n / rise) for n in range(rise)
    ]
    assert not any(refused(accuracies[:n], epochs, chance) for n in range(1, epochs + 1))


@given(
    chance=st.floats(0.02, 0.6),
    good=st.lists(st.floats(0.3, 1), min_size=1, max_size=20),
    bad=st.lists(st.floats(0, 1), min_size=PATIENCE, max_size=PATIENCE),
)
def test_success_then_chance_level_is_always_refused(
    chance: float, good: list[float], bad: list[float]
) -> None:
    accuracies = [chance + share * (1 - chance) for share in good] + [chance * b for b in bad]
    assert refused(accuracies, epochs=1000, chance=chance)
    assert not refused(accuracies[:-1], epochs=1000, chance=chance)


@given(st.lists(st.floats(0.2, 1), min_size=1, max_size=30))
def test_above_chance_level_is_fine(accuracies: list[float]) -> None:
    assert not refused(accuracies, epochs=len(accuracies))


@pytest.mark.parametrize(
    ("schedule", "alpha", "epochs"),
    [
        ({"lr": 1e30}, 2.0, 2),
        ({"optimizer": "sgd", "lr": 1e12}, 2.0, 2),
        ({}, 1e39, 2),
    ],
)
def test_absurd_numbers_stop_the_training(
    experiment: Experiment, tmp_path: Path, schedule: dict[str, Any], alpha: float, epochs: int
) -> None:
    recipe = tiny_recipe(epochs=epochs, alpha=alpha, adversarial=schedule)
    wild = dataclasses.replace(experiment, recipe=recipe)
    with pytest.raises(MotionveilError) as caught:
        wild.train(experiment.untrained(), tmp_path)
    message = str(caught.value)
    assert "in step" in message
    assert "lower the learning rate" in message
    assert f"alpha ({alpha:g})" in message


@pytest.mark.parametrize("name", ["sigma", "boundaries"])
def test_an_encoder_that_is_not_finite_stops_it(
    experiment: Experiment, tmp_path: Path, name: str
) -> None:
    """The losses of the step are finite still; the next clip could not even be veiled."""
    networks = experiment.networks(ADVERSARIAL)
    models = AdversarialModels(BDQ(experiment.untrained()), networks.action, networks.privacy)
    getattr(models.encoder, name).register_hook(lambda gradient: gradient * float("nan"))
    data = experiment.clips(training=True)
    with pytest.raises(MotionveilError, match=f"{name} is nan in step 1 of epoch 1"):
        train_adversarial(experiment.fabric, models, data, experiment.recipe, run=tmp_path, seed=0)
    assert not (tmp_path / "encoder.json").exists()


def test_an_encoder_torn_from_its_data_collapses(experiment: Experiment, tmp_path: Path) -> None:
    """The boundaries are driven to the ends: nothing is left to recognise, so T accuracies."""
    recipe = tiny_recipe(epochs=8, alpha=1000.0, adversarial={"encoder_lr": 1000.0, "batch": 12})
    wild = dataclasses.replace(experiment, recipe=recipe)
    with pytest.raises(CollapseError, match="action recognition collapsed"):
        wild.train(experiment.untrained(), tmp_path)
    assert (tmp_path / "curves.csv").exists(), "what led there is kept"
    with pytest.raises(CollapseError):  # it is no success because it is asked for again
        wild.train(experiment.untrained(), tmp_path, resume=True)
