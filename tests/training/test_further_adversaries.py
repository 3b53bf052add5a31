"""Adversaries of other kinds than the recipe's privacy network: whole clips, and other views."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from motionveil.datasets.dataset import Batch, batches
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import BDQ
from motionveil.encoders.functional import for_networks
from motionveil.errors import MotionveilError
from motionveil.training.adversarial import (
    AdversarialModels,
    AdversarialTraining,
    train_adversarial,
)
from motionveil.training.adversaries import Adversary
from motionveil.training.adversary_inputs import VIEWS, InputFormat, Showing, all_frames
from motionveil.training.checkpoint import OtherTrainingError, read_facts
from motionveil.training.experiment import Experiment
from motionveil.training.loop import ADVERSARIAL
from tiny import tiny_recipe

FURTHER = [{"temporal": True}, {"view": "integrated"}, {"view": "stacked"}]
NAMES = ["small3d on whole clips", "small2d on frames, integrated", "small2d on frames, stacked"]


def experiment_of(
    experiment: Experiment, *, further: Any = FURTHER, adversarial: Any = None, **changes: Any
) -> Experiment:
    recipe = tiny_recipe(adversarial={"further": further, **(adversarial or {})}, **changes)
    return dataclasses.replace(experiment, recipe=recipe)


def one_step(experiment: Experiment, **schedule: Any) -> Experiment:
    """An experiment whose training is a single step of plain SGD over all clips and frames."""
    single = {"optimizer": "sgd", "epochs": 1, "batch": 12, "lr": 0.02, "privacy_frames": 99}
    return experiment_of(experiment, adversarial=single | schedule)


def train_here(
    experiment: Experiment, models: AdversarialModels, run: Path
) -> list[dict[str, float]]:
    data = experiment.clips(training=True)
    return train_adversarial(
        experiment.fabric, models, data, experiment.recipe, run=run, seed=experiment.seed
    )


def only_batch(experiment: Experiment) -> Batch:
    (batch,) = batches(experiment.clips(training=True), 12, epoch=0, seed=experiment.seed)
    return batch


def make_sure(network: nn.Module) -> None:
    """Make a network's answers far surer than any fresh network's are."""
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(30)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class TestShowing:
    def test_gives_each_its_own(self) -> None:
        clips = torch.rand(2, 3, 8, 4, 4, requires_grad=True)
        formats = [
            InputFormat(),
            InputFormat(temporal=True),
            InputFormat("integrated", temporal=True),
            InputFormat("stacked"),
        ]
        frames, whole, sums, three = Showing(formats, 2, 3)(clips, torch.arange(2))
        assert frames.shape == (6, 3, 4, 4)
        assert torch.equal(whole, clips)
        assert torch.equal(sums, VIEWS["integrated"](clips))
        assert three.shape == (6, 3, 4, 4)
        every = all_frames(VIEWS["stacked"](clips))
        assert all(any(torch.equal(one, other) for other in every) for one in three)
        torch.autograd.grad(three.sum(), clips)

    def test_the_same_view_shows_the_same_frames(self) -> None:
        clips = torch.rand(4, 3, 8, 2, 2)
        one, sums, other = Showing([InputFormat(), InputFormat("integrated"), InputFormat()], 4, 2)(
            clips, torch.arange(4)
        )
        assert torch.equal(one, other)
        assert not torch.equal(one, sums)

    def test_parts_draw_as_the_whole_does(self) -> None:
        clips = torch.rand(5, 3, 8, 2, 2)
        formats = [InputFormat(), InputFormat("stacked"), InputFormat("most-motion")]
        torch.manual_seed(3)
        whole = Showing(formats, 5, 2)(clips, torch.arange(5))
        torch.manual_seed(3)
        show = Showing(formats, 5, 2)
        parts = [show(clips[rows], rows) for rows in torch.arange(5).split(2)]
        for found, *pieces in zip(whole, *parts, strict=True):
            assert torch.equal(found, torch.cat(pieces))

    def test_other_kinds_leave_the_draws_of_the_first(self) -> None:
        clips = torch.rand(3, 3, 8, 2, 2)
        shown = []
        for formats in (
            [InputFormat()],
            [InputFormat(), InputFormat(temporal=True), InputFormat("stacked")],
        ):
            torch.manual_seed(1)
            shown.append(Showing(formats, 3, 2)(clips, torch.arange(3))[0])
        assert torch.equal(*shown)


@pytest.mark.parametrize("strongest", range(4))
def test_one_step_agrees_with_plain_torch(
    experiment: Experiment, tmp_path: Path, strongest: int
) -> None:
    """Whichever is surest, equation 1 has its entropy; equation 2 trains all on what they see."""
    single = one_step(experiment, encoder_lr=0.3)
    models = single.models(BDQ(single.untrained()))
    watching = [models.privacy, *(adversary.network for adversary in models.further)]
    make_sure(watching[strongest])
    E, T = copy.deepcopy(models.encoder), copy.deepcopy(models.action)
    plain = copy.deepcopy(watching)
    (row,) = train_here(single, models, tmp_path)

    batch = only_batch(single)
    for network in (T, *plain):
        network.train()

    def seen(veiled: Tensor) -> list[Tensor]:
        views = [veiled, VIEWS["integrated"](veiled), VIEWS["stacked"](veiled)]
        frames, sums, three = map(all_frames, views)
        return [frames, veiled, sums, three]

    veiled = for_networks(E(batch.clips))
    entropies = []
    for network, own in zip(plain, seen(veiled), strict=True):
        p = copy.deepcopy(network)(own).softmax(1)
        entropies.append(-(p * p.log()).sum(1).mean())
    assert min(range(4), key=lambda n: entropies[n].item()) == strongest
    action = nn.functional.cross_entropy(T(veiled), batch.actions)
    loss = action - single.recipe.alpha * entropies[strongest]
    gradients = torch.autograd.grad(loss, list(E.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(E.parameters(), gradients, strict=True):
            weight -= 0.3 * gradient
        E.constrain()
    again = seen(for_networks(E(batch.clips)).detach())
    for number, (network, own) in enumerate(zip(plain, again, strict=True), 1):
        labels = batch.privacy.repeat_interleave(len(own) // 12)
        predictions = network(own)
        own_loss = nn.functional.cross_entropy(predictions, labels)
        own_gradients = torch.autograd.grad(own_loss, list(network.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(network.parameters(), own_gradients, strict=True):
                weight -= 0.02 * gradient
        mark = f"_{number}" if number > 1 else ""
        assert row[f"loss_privacy{mark}"] == pytest.approx(own_loss.item(), rel=1e-4)
        right = (predictions.argmax(1) == labels).double().mean().item()
        assert row[f"accuracy_privacy{mark}"] == pytest.approx(right)
        if number > 1:
            found = row[f"entropy{mark}"]
            assert found == pytest.approx(entropies[number - 1].item(), rel=1e-4, abs=1e-6)

    assert row["entropy"] == pytest.approx(entropies[strongest].item(), rel=1e-4, abs=1e-6)
    assert row["loss_encoder"] == pytest.approx(loss.item(), rel=1e-5)
    # Running statistics of BatchNorm too: they have moved once, in step 2.
    for mine, its in zip([models.encoder, *watching], [E, *plain], strict=True):
        for name, value in its.state_dict().items():
            torch.testing.assert_close(
                mine.state_dict()[name], value, rtol=1e-3, atol=1e-5, msg=f"{name} differs"
            )


def test_one_of_the_same_kind_is_a_copy(experiment: Experiment, tmp_path: Path) -> None:
    """A copy and a further adversary that sees frames train the same, to the bit."""
    found = []
    for style in ("copies", "further"):
        own = experiment_of(experiment, adversarial={"batch": 4, "accumulate": 2})
        networks, other = own.networks(ADVERSARIAL), own.networks("other").privacy
        models = AdversarialModels(BDQ(own.untrained()), networks.action, networks.privacy)
        if style == "copies":
            models.more = (other,)
        else:
            models.further = (Adversary(other, InputFormat(), mark="_2"),)
        curves = train_here(own, models, tmp_path / style)
        found.append((models, other, curves))
    (one, another, curves), (two, further, its_curves) = found
    assert same(one.encoder, two.encoder)
    assert same(one.action, two.action)
    assert same(one.privacy, two.privacy)
    assert same(another, further)
    for row, its in zip(curves, its_curves, strict=True):
        assert all(its[name] == row[name] for name in ("entropy", "loss_encoder", "loss_action"))
        assert row["loss_privacy"] <= min(its["loss_privacy"], its["loss_privacy_2"])


def test_none_changes_nothing_and_one_that_counts_does(
    experiment: Experiment, tmp_path: Path
) -> None:
    """With alpha 0 a further adversary learns and changes nothing; with another it does."""
    specs, rows = {}, {}
    for alpha in (0.0, 2.0):
        for further in ([], [{"temporal": True}]):
            own = experiment_of(experiment, further=further, alpha=alpha)
            run = tmp_path / f"{alpha}-{len(further)}"
            specs[alpha, len(further)], curves = own.train(own.untrained(), run)
            rows[alpha, len(further)] = curves[-1]
    assert specs[0.0, 1].settings.boundaries == specs[0.0, 0].settings.boundaries
    assert specs[2.0, 1].settings.boundaries != specs[2.0, 0].settings.boundaries
    without, beside = rows[0.0, 0], rows[0.0, 1]
    assert set(beside) - set(without) == {"entropy_2", "loss_privacy_2", "accuracy_privacy_2"}
    assert beside["entropy"] <= without["entropy"]
    own = {name: value for name, value in without.items() if "entropy" not in name}
    assert {name: beside[name] for name in own} == own
    assert "further_adversaries" not in specs[2.0, 0].provenance
    assert specs[2.0, 1].provenance["further_adversaries"] == NAMES[:1]


def test_parts_of_a_batch_add_up(experiment: Experiment, tmp_path: Path) -> None:
    """With BatchNorm held and the same adversary the strongest in every part."""
    made = []
    for parts in (1, 3):
        own = one_step(experiment, accumulate=parts)
        models = own.models(BDQ(own.untrained()))
        make_sure(models.further[0].network)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.nn.modules.batchnorm._BatchNorm.forward", lambda norm, x: x)
            train_here(own, models, tmp_path / str(parts))
        made.append([models.encoder, *(adversary.network for adversary in models.further)])
    for whole, parted in zip(*made, strict=True):
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(
                parted.state_dict()[name], value, rtol=1e-3, atol=1e-5, msg=name
            )


def test_each_is_restarted_in_its_turn_as_what_it_is(experiment: Experiment) -> None:
    models = experiment_of(experiment).models(BDQ(experiment.untrained()))
    training = AdversarialTraining(
        experiment.fabric,
        models,
        experiment.clips(training=True),
        experiment_of(experiment).recipe,
        0,
    )
    networks = training.adversaries.bare
    before = copy.deepcopy(networks)
    training.adversaries.restart(1, seed=7)
    changed = [not same(one, other) for one, other in zip(networks, before, strict=True)]
    assert changed == [False, True, False, False]
    training.adversaries.restart(4, seed=7)
    assert not same(networks[0], before[0])
    names = [name for name in training.state() if name.startswith("privacy")]
    assert names == ["privacy", "privacy_2", "privacy_3", "privacy_4"]


def test_fresh_networks_differ_from_each_other(experiment: Experiment) -> None:
    own = experiment_of(experiment, further=[{"view": "integrated"}] * 2)
    one, two = own.models(BDQ(own.untrained())).further
    again = own.models(BDQ(own.untrained())).further[0]
    assert not same(one.network, two.network)
    assert same(one.network, again.network)


def test_a_training_that_was_stopped_resumes_to_the_bit(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps per epoch: it stops within one, and each network is restarted on the way."""
    own = experiment_of(experiment, adversarial={"restart_every": 1, "epochs": 3})
    spec, curves = own.train(own.untrained(), tmp_path / "whole")
    plain, calls = AdversarialTraining.step_privacy, []

    def stop_in_step_4(training: AdversarialTraining, batch: Batch) -> dict[str, Tensor]:
        calls.append(None)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(training, batch)

    with monkeypatch.context() as patch:
        patch.setattr(AdversarialTraining, "step_privacy", stop_in_step_4)
        with pytest.raises(KeyboardInterrupt):
            own.train(own.untrained(), tmp_path / "parts", checkpoint_every=1)
    torch.manual_seed(99)
    other = experiment_of(
        experiment, further=FURTHER[:2], adversarial={"restart_every": 1, "epochs": 3}
    )
    with pytest.raises(OtherTrainingError, match=r"encoder\.further_adversaries was .*stacked"):
        other.train(own.untrained(), tmp_path / "parts", resume=True)
    assert own.train(own.untrained(), tmp_path / "parts", resume=True) == (spec, curves)
    assert spec.provenance["further_adversaries"] == NAMES


def test_what_a_version_without_them_began_goes_on(experiment: Experiment, tmp_path: Path) -> None:
    """Its checkpoint says nothing of further adversaries."""
    own = experiment_of(experiment, further=[], epochs=1)
    own.train(own.untrained(), tmp_path)
    facts = read_facts(tmp_path / "checkpoints")
    assert facts is not None
    assert "further" not in facts["origin"]["recipe"]["adversarial"]
    assert "further" not in json.dumps(facts["origin"]["encoder"])


@pytest.mark.parametrize(
    ("further", "said"),
    [
        ({"network": {"name": "small2d"}, "temporal": True}, "no action network 'small2d'"),
        ({"network": {"name": "small3d"}}, "no privacy network 'small3d'"),
        ({"view": "stacked"}, "shows 3 veiled frames at once, there are 2: set frames higher"),
    ],
)
def test_what_cannot_be_is_refused(
    toys: Manifest, experiment: Experiment, tmp_path: Path, further: dict[str, Any], said: str
) -> None:
    own = experiment_of(experiment, further=[further], frames=3)
    with pytest.raises(MotionveilError, match=said):
        own.train(own.untrained(), tmp_path)
