"""Several adversaries, of which the strongest counts, and their fresh starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from motionveil.datasets.manifest import Manifest
from motionveil.encoders import build_encoder
from motionveil.evaluation.validation import validate_encoder
from motionveil.methods.bdq import BDQSettings
from motionveil.methods.ryoo import RyooSettings
from motionveil.methods.unet import UnetSettings
from motionveil.spec import EncoderSpec
from motionveil.training.adversarial import AdversarialTraining
from motionveil.training.adversaries import Adversaries, Adversary
from motionveil.training.adversary_inputs import InputFormat
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment
from motionveil.training.heads import ONE_CLASS
from motionveil.training.recipe import Schedule
from tiny import tiny_experiment, tiny_recipe, write_toys


def linear(seed: int, scale: float = 1.0) -> nn.Module:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    return network


def frames() -> Tensor:
    return torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def adversaries(*networks: nn.Module) -> Adversaries:
    schedule = Schedule(optimizer="adamw", lr=0.01)
    several = [Adversary(network, InputFormat(), lambda: linear(99)) for network in networks]
    return Adversaries(make_fabric("cpu"), several, schedule)


def test_the_least_uncertain_counts() -> None:
    sure, unsure = linear(1, scale=5.0), linear(2, scale=0.1)
    several = adversaries(unsure, sure)
    seen = frames().requires_grad_()
    with several.held_fixed():
        found = several.uncertainty([seen, seen], 1.0)["entropy"]
        found.backward()
    assert all(p.grad is None for net in (sure, unsure) for p in net.parameters())
    expected = ONE_CLASS.entropy(sure(frames()))
    torch.testing.assert_close(found, expected)
    assert found < ONE_CLASS.entropy(unsure(frames()))
    own = frames().requires_grad_()
    ONE_CLASS.entropy(sure(own)).backward()
    torch.testing.assert_close(seen.grad, own.grad)


def test_all_of_them_learn() -> None:
    one, two = linear(1), linear(2)
    before = [p.detach().clone() for net in (one, two) for p in net.parameters()]
    several = adversaries(one, two)
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    several.zero_grad()
    measured = several.learn([frames()] * 2, labels, 1.0, more=False)
    several.step()
    losses = [nn.functional.cross_entropy(net(frames()), labels) for net in (linear(1), linear(2))]
    torch.testing.assert_close(measured["loss_privacy"], min(losses).detach())
    after = [p for net in (one, two) for p in net.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_fresh_start_takes_one_in_turn_and_forgets_its_optimiser() -> None:
    one, two = linear(1), linear(2)
    several = adversaries(one, two)
    several.learn([frames()] * 2, torch.zeros(6, dtype=torch.int64), 1.0, more=False)
    several.step()
    kept = {name: value.clone() for name, value in one.state_dict().items()}
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    several.restart(3, seed=7)
    assert torch.equal(torch.rand(1), drawn)  # the training's own draws are not disturbed
    assert all(torch.equal(kept[name], value) for name, value in one.state_dict().items())
    fresh = linear(99).state_dict()
    assert all(torch.equal(fresh[name], value) for name, value in two.state_dict().items())
    states = [optimizer.state_dict()["state"] for optimizer in several.optimizers]
    assert states[0]
    assert not states[1]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_toys(tmp_path_factory.mktemp("toys"))


def several_adversaries(toys: Manifest, *, epochs: int = 3) -> Experiment:
    schedule = {"adversaries": 2, "restart_every": 3, "epochs": epochs}
    return tiny_experiment(toys, tiny_recipe(adversarial=schedule))


FILTER = EncoderSpec(method="unet", settings=UnetSettings(widths=(4, 4, 8), blocks=1))


def test_a_filter_trains_against_two_and_resumes_to_the_bit(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve clips in batches of six: two steps per epoch, so restarts fall within epochs."""
    experiment = several_adversaries(toys)
    spec, curves = experiment.train(FILTER, tmp_path / "whole")
    assert [row["epoch"] for row in curves] == [1, 2, 3]
    plain, calls = AdversarialTraining.step_privacy, []

    def stop_in_step_4(training: AdversarialTraining, batch: object) -> dict[str, Tensor]:
        calls.append(None)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(training, batch)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(AdversarialTraining, "step_privacy", stop_in_step_4)
        with pytest.raises(KeyboardInterrupt):
            experiment.train(FILTER, tmp_path / "parts", checkpoint_every=1)
    resumed, resumed_curves = experiment.train(FILTER, tmp_path / "parts", resume=True)
    assert resumed_curves == curves
    assert resumed.weights == spec.weights  # a name by the weights' hash
    one, two = (
        build_encoder(found, tmp_path / name).state_dict()
        for found, name in ((spec, "whole"), (resumed, "parts"))
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_restarts_change_the_training(toys: Manifest, tmp_path: Path) -> None:
    experiment = several_adversaries(toys)
    never = dataclasses.replace(
        experiment, recipe=tiny_recipe(adversarial={"adversaries": 2, "epochs": 3})
    )
    specs = [t.train(FILTER, tmp_path / str(i))[0] for i, t in enumerate((experiment, never))]
    assert specs[0].weights != specs[1].weights


def test_transformations_are_learned(toys: Manifest, tmp_path: Path) -> None:
    """Ryoo's motions move under the action network's loss, and validation uses their views."""
    from tiny import first_motions

    settings = RyooSettings(size=8, motions=first_motions(2, 0))
    experiment = tiny_experiment(toys, tiny_recipe(alpha=0.0))
    spec, curves = experiment.train(EncoderSpec(method="ryoo", settings=settings), tmp_path)
    assert isinstance(spec.settings, RyooSettings)
    assert spec.settings.motions != settings.motions
    assert {"x1", "shear_y2"} < curves[-1].keys()
    row = validate_encoder(experiment, spec, method=spec.name)
    plain = validate_encoder(
        experiment,
        EncoderSpec.model_validate({"method": "downsample", "settings": {"size": 8}}),
        method="downsample-8",
    )
    assert row.method == "ryoo-8"
    assert row.predictions != plain.predictions


def test_an_encoder_waits_until_its_adversaries_have_learned(
    toys: Manifest, tmp_path: Path
) -> None:
    recipe = tiny_recipe(adversarial={"ahead": 2, "epochs": 3, "encoder_lr": 0.5})
    experiment = tiny_experiment(toys, recipe)
    start = experiment.untrained()
    _, curves = experiment.train(start, tmp_path / "run")
    sigmas = [epoch["sigma"] for epoch in curves]
    assert isinstance(start.settings, BDQSettings)
    assert sigmas[:2] == [start.settings.sigma] * 2
    assert sigmas[2] != sigmas[1]
    losses = [epoch["loss_action"] for epoch in curves]
    assert losses[1] < losses[0], "the action network learns meanwhile"


def test_adversaries_make_several_steps_to_one(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    for name in ("step_encoder", "step_privacy"):
        plain = getattr(AdversarialTraining, name)

        def step(self: Any, batch: Any, _name: str = name, _plain: Any = plain, **more: Any) -> Any:
            made.append(_name)
            return _plain(self, batch, **more)

        monkeypatch.setattr(AdversarialTraining, name, step)
    recipe = tiny_recipe(adversarial={"privacy_steps": 3, "epochs": 1})
    experiment = tiny_experiment(toys, recipe)
    experiment.train(experiment.untrained(), tmp_path / "run")
    assert made[:5] == ["step_encoder", *["step_privacy"] * 3, "step_encoder"]
    assert made.count("step_privacy") == 3 * made.count("step_encoder")
