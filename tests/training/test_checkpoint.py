"""Checkpoints come back as they were, and a damaged one is never taken for a whole one."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from motionveil.datasets.dataset import Batch
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.training.adversarial import AdversarialTraining
from motionveil.training.checkpoint import (
    OtherTrainingError,
    load_checkpoint,
    read_facts,
    refuse_other_training,
    save_checkpoint,
)
from motionveil.training.loop import make_optimizer
from motionveil.training.recipe import Recipe, Schedule
from tiny import tiny_experiment, tiny_recipe, write_toys

OPTIMIZERS = {
    "sgd": Schedule(optimizer="sgd", lr=0.01, momentum=0.9, weight_decay=0.01),
    "plain": Schedule(optimizer="sgd", lr=0.01, momentum=0.0),
    "adamw": Schedule(optimizer="adamw", lr=0.1),
}


def network(schedule: Schedule, seed: int) -> tuple[nn.Module, Optimizer]:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    return module, make_optimizer(module.parameters(), schedule)


def step(module: nn.Module, optimizer: Optimizer, seed: int) -> None:
    inputs = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    module(inputs).square().sum().backward()
    optimizer.step()


def save(folder: Path, epoch: int = 1, **state: Any) -> None:
    curves = [{"epoch": n + 1.0} for n in range(epoch)]
    save_checkpoint(folder, state, epoch=epoch, curves=curves, origin={"seed": 0})


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_goes_on_as_if_it_had_never_stopped(tmp_path: Path, kind: str) -> None:
    one, optimizer = network(OPTIMIZERS[kind], seed=0)
    for seed in range(3):
        step(one, optimizer, seed)
    save(tmp_path, net=one, optimize_net=optimizer)
    other, fresh = network(OPTIMIZERS[kind], seed=1)
    load_checkpoint(tmp_path, {"net": other, "optimize_net": fresh})
    for seed in range(3, 6):
        step(one, optimizer, seed)
        step(other, fresh, seed)
    for name, value in one.state_dict().items():
        assert torch.isfinite(value).all()
        assert torch.equal(value, other.state_dict()[name]), name


def test_names_that_begin_alike_are_kept_apart(tmp_path: Path) -> None:
    one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    save(tmp_path, net=one, net2=two)
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    load_checkpoint(tmp_path, {"net": a, "net2": b})
    assert torch.equal(a.weight, one.weight)
    assert torch.equal(b.weight, two.weight)


def test_tied_weights_and_odd_layouts_can_be_saved(tmp_path: Path) -> None:
    module = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    tied = nn.ModuleDict({"a": module, "b": module})
    save(tmp_path, net=tied)
    other = nn.ModuleDict({"a": nn.Conv2d(3, 4, 3), "b": nn.Conv2d(3, 4, 3)})
    load_checkpoint(tmp_path, {"net": other})
    assert torch.equal(other["b"].weight, module.weight)


def test_only_the_latest_stays(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    save(tmp_path, net=module)
    (tmp_path / ".epoch-0002.0badcafe.part.safetensors").write_bytes(b"left by a killed process")
    save(tmp_path, epoch=2, net=module)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint.json", "epoch-0002-step-00000.safetensors"]
    facts = read_facts(tmp_path)
    assert facts is not None
    assert facts["epoch"] == 2
    assert facts["curves"] == [{"epoch": 1.0}, {"epoch": 2.0}]


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    (tmp_path / "epoch-0001-step-00000.safetensors").write_bytes(
        b"tensors without the JSON, written last"
    )
    assert read_facts(tmp_path) is None
    with pytest.raises(MotionveilError, match="no checkpoint here"):
        load_checkpoint(tmp_path, {})


def junk(**changes: Any) -> str:
    """Return a checkpoint's JSON with something wrong in it."""
    whole = {"epoch": 1, "step": 0, "clips": 0, "sums": {}, "tensors": "a", "curves": [{}]}
    return json.dumps({**whole, "origin": {}, **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"epoch": 1}',
        junk(epoch="1"),
        junk(tensors=7),
        junk(tensors="../a"),
        "[" * 5000,
        junk(epoch=2),
        junk(step=None),
        junk(sums=[]),
        b"\xff\xfe\x00",
    ],
)
def test_junk_is_refused(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "checkpoint.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(MotionveilError) as caught:
        read_facts(tmp_path)
    assert str(caught.value).startswith(f"{file}: cannot read the checkpoint: ")
    assert f"delete {tmp_path} to start over" in str(caught.value)


@pytest.mark.parametrize("fault", ["truncated", "empty", "missing", "junk"])
def test_damaged_tensors_are_refused(tmp_path: Path, fault: str) -> None:
    module = nn.Linear(4, 4)
    save(tmp_path, net=module)
    file = tmp_path / "epoch-0001-step-00000.safetensors"
    data = file.read_bytes()
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes({"truncated": data[:-9], "empty": b"", "junk": b"junk" * 50}[fault])
    before = module.weight.detach().clone()
    with pytest.raises(MotionveilError, match=r"epoch-0001-step-00000\.safetensors: cannot read"):
        load_checkpoint(tmp_path, {"net": module})
    assert torch.equal(module.weight, before)


def test_tensors_that_do_not_fit_are_refused_on_one_line(tmp_path: Path) -> None:
    save(tmp_path, net=nn.Linear(4, 4))
    with pytest.raises(MotionveilError, match=r"does not fit net: .*size mismatch") as caught:
        load_checkpoint(tmp_path, {"net": nn.Linear(4, 5)})
    assert "\n" not in str(caught.value)
    with pytest.raises(MotionveilError, match=r"does not fit other: .*Missing key"):
        load_checkpoint(tmp_path, {"other": nn.Linear(4, 4)})


def test_another_origin_is_refused_by_name(tmp_path: Path) -> None:
    facts = {"origin": {"seed": 0, "recipe": {"alpha": 2.0, "scales": [1.0], "frames": 16}}}
    same = {"seed": 0, "recipe": {"alpha": 2.0, "scales": (1.0,), "frames": 16}}
    refuse_other_training(tmp_path, facts, same)
    other = {"seed": 3, "recipe": {"alpha": 1.0, "scales": (1.0,), "frames": 16}}
    with pytest.raises(OtherTrainingError) as caught:
        refuse_other_training(tmp_path, facts, other)
    assert f"{tmp_path}: the checkpoint is of another training" in str(caught.value)
    assert "recipe.alpha was 2.0, is 1.0; seed was 0, is 3" in str(caught.value)
    assert "frames" not in str(caught.value)
    added = {**same, "a": 1, "b": 2, "c": 3, "d": 4}
    with pytest.raises(OtherTrainingError, match="c was None, is 3; and 1 more"):
        refuse_other_training(tmp_path, facts, added)


class Interrupting(io.StringIO):
    """A terminal on which someone presses Ctrl-C as soon as a text appears."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def write(self, text: str) -> int:
        if self.text in text:
            raise KeyboardInterrupt
        return super().write(text)


FOUR = tiny_recipe(epochs=4, adversarial={"warmup": 1.0})


def stopped_in_epoch_3(
    toys: Manifest, run: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe = FOUR
) -> None:
    experiment = tiny_experiment(toys, recipe)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Interrupting("epoch 3/4"))
        with pytest.raises(KeyboardInterrupt):
            experiment.train(experiment.untrained(), run)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_resumed_training_equals_one_in_one_go(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    recipe = tiny_recipe(epochs=4, adversarial={"optimizer": optimizer, "warmup": 1.0})
    whole = tiny_experiment(toys, recipe)
    spec, curves = whole.train(whole.untrained(), tmp_path / "whole")
    stopped_in_epoch_3(toys, tmp_path / "parts", monkeypatch, recipe)
    facts = read_facts(tmp_path / "parts" / "checkpoints")
    assert facts is not None
    assert facts["epoch"] == 2
    torch.manual_seed(99)
    again = tiny_experiment(toys, recipe)
    resumed, resumed_curves = again.train(again.untrained(), tmp_path / "parts", resume=True)
    assert resumed == spec
    assert resumed_curves == curves
    for name in ("curves.csv", "encoder.json"):
        assert (tmp_path / "parts" / name).read_text() == (tmp_path / "whole" / name).read_text()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_training_stopped_within_an_epoch_equals_one_in_one_go(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    recipe = tiny_recipe(epochs=3, adversarial={"optimizer": optimizer, "batch": 3})
    whole = tiny_experiment(toys, recipe)
    spec, curves = whole.train(whole.untrained(), tmp_path / "whole")

    steps = 0

    def stop_in_step_7(self: AdversarialTraining, batch: Batch) -> Any:
        nonlocal steps
        steps += 1
        if steps == 7:
            raise KeyboardInterrupt
        return plain(self, batch)

    plain = AdversarialTraining.step_privacy
    parts = tiny_experiment(toys, recipe)
    with monkeypatch.context() as patch:
        patch.setattr(AdversarialTraining, "step_privacy", stop_in_step_7)
        with pytest.raises(KeyboardInterrupt):
            parts.train(parts.untrained(), tmp_path / "parts", checkpoint_every=1)
    facts = read_facts(tmp_path / "parts" / "checkpoints")
    assert facts is not None
    assert (facts["epoch"], facts["step"], facts["clips"]) == (1, 2, 6)
    torch.manual_seed(99)
    again = tiny_experiment(toys, recipe)
    resumed = again.train(again.untrained(), tmp_path / "parts", resume=True)
    assert resumed == (spec, curves)


def test_a_finished_training_resumes_to_itself(
    toys: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = tiny_experiment(toys)
    first = experiment.train(experiment.untrained(), tmp_path)
    capsys.readouterr()
    assert experiment.train(experiment.untrained(), tmp_path, resume=True) == first
    assert "epoch" not in capsys.readouterr().err, "nothing is trained"


def test_without_a_checkpoint_resume_begins_anew(toys: Manifest, tmp_path: Path) -> None:
    experiment = tiny_experiment(toys)
    _, curves = experiment.train(experiment.untrained(), tmp_path, resume=True)
    assert [row["epoch"] for row in curves] == [1, 2]


@pytest.mark.parametrize("change", ["recipe", "seed", "data", "split label"])
def test_resume_refuses_another_training(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    stopped_in_epoch_3(toys, tmp_path / "run", monkeypatch)
    before = (tmp_path / "run" / "checkpoints" / "checkpoint.json").read_bytes()
    experiment, named = tiny_experiment(toys, FOUR), ""
    if change == "recipe":
        recipe = tiny_recipe(epochs=4, alpha=1.0, adversarial={"warmup": 1.0})
        experiment, named = (
            dataclasses.replace(experiment, recipe=recipe),
            "recipe.alpha was 2.0, is 1.0",
        )
    elif change == "seed":
        experiment, named = dataclasses.replace(experiment, seed=5), "seed was 0, is 5"
    elif change == "data":
        experiment = tiny_experiment(write_toys(tmp_path / "more", takes=4), FOUR)
        named = f"encoder.manifest was {toys.hash}"
    else:
        experiment = dataclasses.replace(experiment, privacy_label="hand")
        named = "encoder.privacy_label was person, is hand"
    with pytest.raises(OtherTrainingError, match="another training") as caught:
        experiment.train(experiment.untrained(), tmp_path / "run", resume=True)
    assert named in str(caught.value)
    assert (tmp_path / "run" / "checkpoints" / "checkpoint.json").read_bytes() == before


def test_the_schedule_of_validation_may_change(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_in_epoch_3(toys, tmp_path, monkeypatch)
    recipe = tiny_recipe(epochs=4, adversarial={"warmup": 1.0}, validation={"lr": 0.5})
    experiment = tiny_experiment(toys, recipe)
    _, curves = experiment.train(experiment.untrained(), tmp_path, resume=True)
    assert len(curves) == 4


def test_a_checkpoint_from_before_a_field_was_renamed_resumes(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_in_epoch_3(toys, tmp_path, monkeypatch)
    file = tmp_path / "checkpoints" / "checkpoint.json"
    facts = json.loads(file.read_text())
    recipe = facts["origin"]["recipe"]
    recipe["game"] = recipe.pop("adversarial")
    file.write_text(json.dumps(facts))
    experiment = tiny_experiment(toys, FOUR)
    _, curves = experiment.train(experiment.untrained(), tmp_path, resume=True)
    assert len(curves) == 4
    other = dataclasses.replace(experiment, recipe=tiny_recipe(epochs=5))
    with pytest.raises(OtherTrainingError, match=r"recipe\.adversarial\.epochs was 4, is 5"):
        other.train(experiment.untrained(), tmp_path, resume=True)


def test_a_damaged_checkpoint_stops_a_resumed_training(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_in_epoch_3(toys, tmp_path, monkeypatch)
    file = tmp_path / "checkpoints" / "epoch-0002-step-00000.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    experiment = tiny_experiment(toys, FOUR)
    with pytest.raises(MotionveilError, match=r"epoch-0002-step-00000\.safetensors: cannot read"):
        experiment.train(experiment.untrained(), tmp_path, resume=True)


SCRIPT = """
import sys
from pathlib import Path
from motionveil.datasets.manifest import Manifest
from tiny import tiny_recipe, tiny_experiment
recipe = tiny_recipe(epochs=60, adversarial={"batch": 3})
experiment = tiny_experiment(Manifest.read(sys.argv[1]), recipe)
experiment.train(experiment.untrained(), Path(sys.argv[2]), resume=True, checkpoint_every=1)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(toys: Manifest, tmp_path: Path) -> None:
    """SIGKILL, three times, at moments not chosen, within epochs too; the encoder is the same."""
    assert toys.file is not None
    run = tmp_path / "run"
    words = [sys.executable, "-c", SCRIPT, str(toys.file), str(run)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    reached, within = 0, set()
    for number in range(3):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, env=environment)
        while process.poll() is None and _step(run) < reached + 7 + number:
            time.sleep(0.005)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        facts = read_facts(run / "checkpoints")
        assert facts is not None
        assert _step(run) > reached
        reached = _step(run)
        within.add(facts["step"])
        assert [row["epoch"] for row in facts["curves"]] == list(range(1, facts["epoch"] + 1))
        assert (run / "checkpoints" / facts["tensors"]).exists()
    assert within - {0}, "no kill fell within an epoch"
    subprocess.run(words, stderr=subprocess.DEVNULL, env=environment, check=True)
    whole = tiny_experiment(toys, tiny_recipe(epochs=60, adversarial={"batch": 3}))
    whole.train(whole.untrained(), tmp_path / "whole")
    for name in ("encoder.json", "curves.csv"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _step(run: Path) -> int:
    facts = read_facts(run / "checkpoints")
    return 0 if facts is None else 4 * int(facts["epoch"]) + int(facts["step"])
