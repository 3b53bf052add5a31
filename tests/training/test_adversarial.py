"""Equations 1 and 2, one step at a time: what changes, what must not, and by how much."""

from __future__ import annotations

import contextlib
import copy
import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from motionveil.datasets.dataset import Batch, batches
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import BDQ, functional
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec, load_spec
from motionveil.training.adversarial import AdversarialModels, train_adversarial
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment
from motionveil.training.loop import ADVERSARIAL
from tiny import every_clip, tiny_experiment, tiny_recipe

State = dict[str, Tensor]


def snapshot(module: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(one: State, other: State) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


def one_step(experiment: Experiment, **changes: Any) -> Experiment:
    """An experiment whose training is a single step of plain SGD over all clips and frames."""
    schedule = {"optimizer": "sgd", "epochs": 1, "batch": 12, "lr": 0.02, "privacy_frames": 99}
    recipe = tiny_recipe(adversarial=schedule | changes.pop("adversarial", {}), **changes)
    return dataclasses.replace(experiment, recipe=recipe)


def models_of(experiment: Experiment) -> AdversarialModels:
    networks = experiment.networks(ADVERSARIAL)
    return AdversarialModels(BDQ(experiment.untrained()), networks.action, networks.privacy)


def train_here(
    experiment: Experiment, models: AdversarialModels, run: Path, **options: Any
) -> list[dict[str, float]]:
    return train_adversarial(
        experiment.fabric,
        models,
        experiment.clips(training=True),
        experiment.recipe,
        run=run,
        seed=experiment.seed,
        **options,
    )


def only_batch(experiment: Experiment) -> Batch:
    (batch,) = batches(experiment.clips(training=True), 12, epoch=0, seed=experiment.seed)
    return batch


class CallRecorder:
    """Records the models' states whenever the action or the privacy network is called."""

    def __init__(self, models: AdversarialModels) -> None:
        self.calls: list[str] = []
        self.states: list[tuple[State, State, State]] = []
        self.gradients: list[list[Tensor | None]] = []
        self.models = models
        for name in ("action", "privacy"):
            getattr(models, name).register_forward_pre_hook(
                lambda module, inputs, name=name: self._record(name)
            )

    def _record(self, name: str) -> None:
        p = self.models
        self.calls.append(name)
        self.states.append((snapshot(p.encoder), snapshot(p.action), snapshot(p.privacy)))
        self.gradients.append(
            [None if w.grad is None else w.grad.clone() for w in p.encoder.parameters()]
        )
        if name == "privacy":
            assert all(w.grad is None for w in p.privacy.parameters())


def test_each_step_changes_its_own_networks_only(experiment: Experiment, tmp_path: Path) -> None:
    single = one_step(experiment)
    models = models_of(single)
    recorder = CallRecorder(models)
    start = recorder.models
    before = snapshot(start.encoder), snapshot(start.action), snapshot(start.privacy)
    train_here(single, models, tmp_path)
    # T runs once and P twice: fixed in step 1, trained in step 2.
    assert recorder.calls == ["action", "privacy", "privacy"]
    E, T, P = recorder.states[2]  # as step 2 begins
    assert same(P, before[2]), "step 1 changed P, its weights or its BatchNorm statistics"
    assert not same(E, before[0])
    assert not same(T, before[1])
    assert same(snapshot(models.encoder), E), "step 2 changed E"
    assert same(snapshot(models.action), T), "step 2 changed T"
    assert not same(snapshot(models.privacy), P)
    kept = [w.grad for w in models.encoder.parameters()]
    pairs = zip(kept, recorder.gradients[2], strict=True)
    assert all(torch.equal(after, at) for after, at in pairs), "step 2 gave E a gradient"
    assert all(w.requires_grad for w in models.privacy.parameters())


def test_one_step_agrees_with_plain_torch(experiment: Experiment, tmp_path: Path) -> None:
    alpha, lr, encoder_lr = 2.0, 0.02, 0.3
    single = one_step(experiment, alpha=alpha, adversarial={"encoder_lr": encoder_lr})
    models = models_of(single)
    E, T, P = (copy.deepcopy(p) for p in (models.encoder, models.action, models.privacy))
    (row,) = train_here(single, models, tmp_path)

    batch = only_batch(single)
    for network in (T, P):
        network.train()
    # Equation 1: cross-entropy of T minus alpha times the entropy of P, over E and T.
    veiled = plain_veil(E, batch.clips)
    logits = T(veiled)
    action_loss = nn.CrossEntropyLoss()(logits, batch.actions)
    probability = copy.deepcopy(P)(frames_of(veiled)).softmax(1)
    uncertainty = (-probability * probability.log()).sum(1).mean()
    loss = action_loss - alpha * uncertainty
    gradients = torch.autograd.grad(loss, [*E.parameters(), *T.parameters()])
    rates = [encoder_lr] * 2 + [lr] * len(list(T.parameters()))
    with torch.no_grad():
        for weight, gradient, rate in zip(
            [*E.parameters(), *T.parameters()], gradients, rates, strict=True
        ):
            weight -= rate * gradient
        E.sigma.clamp_(min=0.3)
        E.boundaries.copy_(E.boundaries.clamp(0, 15).sort().values)
    # Equation 2: cross-entropy of P, on what the new E gives.
    labels = batch.privacy.repeat_interleave(veiled.shape[2])
    predictions = P(frames_of(plain_veil(E, batch.clips)).detach())
    privacy_loss = nn.CrossEntropyLoss()(predictions, labels)
    privacy_gradients = torch.autograd.grad(privacy_loss, list(P.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(P.parameters(), privacy_gradients, strict=True):
            weight -= lr * gradient

    assert row["loss_action"] == pytest.approx(action_loss.item(), rel=1e-5)
    assert row["entropy"] == pytest.approx(uncertainty.item(), rel=1e-5)
    assert row["loss_encoder"] == pytest.approx(loss.item(), rel=1e-5)
    assert row["loss_privacy"] == pytest.approx(privacy_loss.item(), rel=1e-5)
    right = (logits.argmax(1) == batch.actions).double().mean().item()
    assert row["accuracy_action"] == pytest.approx(right)
    right = (predictions.argmax(1) == labels).double().mean().item()
    assert row["accuracy_privacy"] == pytest.approx(right)
    for mine, plain in ((models.encoder, E), (models.action, T), (models.privacy, P)):
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(
                mine.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=f"{name} differs"
            )


def plain_veil(encoder: BDQ, clips: Tensor) -> Tensor:
    """BDQ written out with plain operations, scaled to [-1, 1]."""
    assert encoder.range is not None
    moved = functional.blur(clips[:, :, 1:], encoder.sigma)
    moved = moved - functional.blur(clips[:, :, :-1], encoder.sigma)
    x = ((moved + encoder.range) / (2 * encoder.range) * 15).clamp(0, 15)
    steps = torch.sigmoid(encoder.hardness * (x[..., None] - encoder.boundaries))
    return steps.sum(-1) / 7.5 - 1


def frames_of(veiled: Tensor) -> Tensor:
    return torch.cat([clip.unbind(1)[t][None] for clip in veiled for t in range(clip.shape[1])])


def test_alpha_0_is_the_cross_entropy_alone(experiment: Experiment, tmp_path: Path) -> None:
    single = one_step(experiment, alpha=0.0)
    models = models_of(single)
    E, T = copy.deepcopy(models.encoder), copy.deepcopy(models.action)
    (row,) = train_here(single, models, tmp_path)
    batch = only_batch(single)
    T.train()
    loss = nn.functional.cross_entropy(T(functional.for_networks(E(batch.clips))), batch.actions)
    loss.backward()
    assert row["loss_encoder"] == row["loss_action"] == loss.item()
    for mine, plain in zip(models.encoder.parameters(), E.parameters(), strict=True):
        assert mine.grad is not None
        assert plain.grad is not None
        assert mine.grad.abs().sum() > 0
        assert torch.equal(mine.grad, plain.grad)


def test_the_adversary_pushes_the_encoder_towards_entropy(
    experiment: Experiment, tmp_path: Path
) -> None:
    """With a huge alpha, E's gradient points up the entropy: minus the gradient of the loss."""
    single = one_step(experiment, alpha=1000.0, adversarial={"encoder_lr": 1e-6})
    models = models_of(single)
    E, P = copy.deepcopy(models.encoder), copy.deepcopy(models.privacy)
    train_here(single, models, tmp_path)
    P.train()
    probability = P(frames_of(functional.for_networks(E(only_batch(single).clips)))).softmax(1)
    (-probability * probability.log()).sum(1).mean().backward()
    mine = torch.cat([w.grad.reshape(-1) for w in models.encoder.parameters()])  # type: ignore[union-attr]
    up = torch.cat([w.grad.reshape(-1) for w in E.parameters()])  # type: ignore[union-attr]
    assert torch.cosine_similarity(mine, -up, dim=0) > 0.99


def test_the_constraints_hold_after_every_step(experiment: Experiment, tmp_path: Path) -> None:
    wild = dataclasses.replace(
        experiment, recipe=tiny_recipe(epochs=3, adversarial={"encoder_lr": 20.0})
    )
    models = models_of(wild)
    seen: list[tuple[float, Tensor]] = []
    models.privacy.register_forward_pre_hook(
        lambda module, inputs: seen.append(
            (models.encoder.sigma.item(), models.encoder.boundaries.detach().clone())
        )
    )
    train_here(wild, models, tmp_path)
    assert len(seen) == 3 * 2 * 2
    for sigma, boundaries in seen:
        assert sigma >= 0.3 - 1e-6
        assert (boundaries.diff() >= 0).all()
        assert boundaries[0] >= 0
        assert boundaries[-1] <= 15
    assert (seen[-1][1] - seen[0][1]).abs().max() > 1, "the rate was meant to move them far"


def test_each_epoch_leaves_curves_and_an_encoder(
    experiment: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three = dataclasses.replace(experiment, recipe=tiny_recipe(epochs=3))
    spec, curves = three.train(three.untrained(), tmp_path)
    with (tmp_path / "curves.csv").open(newline="") as file:
        stored = list(csv.DictReader(file))
    assert list(stored[0]) == [
        "epoch",
        "sigma",
        *(f"b{n}" for n in range(1, 16)),
        "loss_encoder",
        "loss_action",
        "entropy",
        "accuracy_action",
        "loss_privacy",
        "accuracy_privacy",
    ]
    assert [{name: float(value) for name, value in row.items()} for row in stored] == curves
    assert [row["epoch"] for row in curves] == [1, 2, 3]
    for row in curves:
        expected = row["loss_action"] - three.recipe.alpha * row["entropy"]
        assert row["loss_encoder"] == pytest.approx(expected, abs=1e-5)
    assert load_spec(tmp_path) == spec
    assert [curves[-1][f"b{n}"] for n in range(1, 16)] == list(spec.settings.boundaries or ())
    assert spec.provenance["alpha"] == three.recipe.alpha
    assert spec.provenance["split"] == "validation"
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if not line.startswith("warning: the encoder hardly moved")]
    assert len(lines) == 6, "a line for the figures and one for the boundaries"
    assert lines[2].startswith("alpha 2: epoch 2/3  sigma ")
    for figure in ("loss action", "loss privacy", "entropy", "accuracy action", "accuracy privacy"):
        assert figure in lines[2]
    shown = [float(number) for number in lines[5].removeprefix("  boundaries ").split()]
    assert shown == pytest.approx(list(spec.settings.boundaries or ()), abs=0.051)


def test_the_encoder_is_written_each_epoch(experiment: Experiment, tmp_path: Path) -> None:
    two = dataclasses.replace(experiment, recipe=tiny_recipe(epochs=2))
    models = models_of(two)
    found: list[EncoderSpec] = []

    def look(module: nn.Module, inputs: object) -> None:
        if (tmp_path / "encoder.json").exists():
            found.append(EncoderSpec.read(tmp_path / "encoder.json"))

    models.action.register_forward_pre_hook(look)
    curves = train_here(two, models, tmp_path)
    assert [spec.settings.sigma for spec in found] == [curves[0]["sigma"]] * 2, (
        "in epoch 2, that of epoch 1"
    )


def test_the_seed_decides(toys: Manifest, tmp_path: Path) -> None:
    specs = []
    for number, seed in enumerate((0, 0, 1)):
        experiment = tiny_experiment(toys, seed=seed)
        torch.manual_seed(number)  # what was drawn before must not matter
        specs.append(experiment.train(experiment.untrained(), tmp_path / str(number))[0])
    assert specs[0] == specs[1]
    assert specs[0].settings.boundaries != specs[2].settings.boundaries


def test_a_mixed_precision_leaves_the_encoder_whole(experiment: Experiment, tmp_path: Path) -> None:
    """Clips rounded to bfloat16 would lose half of what differs between two frames."""
    mixed = dataclasses.replace(one_step(experiment), fabric=make_fabric("cpu", "bf16-mixed"))
    models = models_of(mixed)
    seen: list[Tensor] = []
    models.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    expected = copy.deepcopy(models.encoder)(only_batch(mixed).clips)
    # Some builds of torch make NaN of bfloat16 convolutions on the CPU, now and then.
    with contextlib.suppress(MotionveilError):
        train_here(mixed, models, tmp_path)
    assert torch.equal(seen[0], expected)


def test_short_of_clips_for_a_batch_is_no_trouble(experiment: Experiment, tmp_path: Path) -> None:
    one = dataclasses.replace(
        experiment, recipe=tiny_recipe(adversarial={"batch": 11})
    )  # 11 + 1 clips
    rows = train_here(one, models_of(one), tmp_path)
    assert len(rows) == 2
    assert len(every_clip(one, training=True)) == 12
