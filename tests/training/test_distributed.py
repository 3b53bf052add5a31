"""Several processes make what one makes: torchrun and gloo, on this machine's CPU."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.validation import validate_encoder
from motionveil.spec import EncoderSpec
from motionveil.training.adversarial import AdversarialModels
from motionveil.training.distributed import make_fabric
from motionveil.training.experiment import Experiment
from tiny import tiny_experiment, tiny_recipe

SCHEDULE = {"optimizer": "sgd", "batch": 5, "lr": 0.01, "encoder_lr": 0.5, "momentum": 0.9}
"""Twelve clips in batches of 5, 5 and 2: shares of two processes are uneven."""

SCRIPT = """
import sys
from pathlib import Path
from test_distributed import leave
leave(sys.argv[1], Path(sys.argv[2]))
"""


def leave(manifest: str, folder: Path) -> None:
    """Train and validate; write this process's models and scores."""
    watching = {name: value for name, value in SCHEDULE.items() if name != "encoder_lr"}
    schedule = SCHEDULE | {"further": [{"temporal": True}, {"view": "integrated"}]}
    recipe = tiny_recipe(epochs=2, adversarial=schedule, validation=watching)
    experiment = tiny_experiment(Manifest.read(manifest), recipe)
    experiment = dataclasses.replace(experiment, fabric=make_fabric("cpu"))
    models: list[AdversarialModels] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "motionveil.training.experiment.AdversarialModels", lambda *p: remember(models, *p)
        )
        spec, curves = experiment.train(experiment.untrained(), folder / "run", checkpoint_every=1)
    row = validate_encoder(experiment, spec, method="bdq")
    (made,) = models
    rank = experiment.fabric.global_rank
    networks = {"encoder": made.encoder, "action": made.action, "privacy": made.privacy}
    networks |= {f"further{a.mark}": a.network for a in made.further}
    tensors = {
        f"{name}.{key}": value.contiguous()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    save_file(tensors, folder / f"models{rank}.safetensors")
    said = {"curves": curves, "row": row.model_dump(mode="json")}
    (folder / f"said{rank}.json").write_text(json.dumps(said))


def remember(models: list[AdversarialModels], *made: Any) -> AdversarialModels:
    models.append(AdversarialModels(*made))
    return models[-1]


def launch(processes: int, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run"),
            *("--standalone", f"--nproc-per-node={processes}", *words),
        ],
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests / 'training'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module")
def two(toys: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave."""
    folder = tmp_path_factory.mktemp("two")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    launch(2, str(script), str(toys.file), str(folder))
    return folder


@pytest.fixture(scope="module")
def one(toys: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process leaves."""
    folder = tmp_path_factory.mktemp("one")
    leave(str(toys.file), folder)
    return folder


@pytest.mark.slow
class TestTwoProcesses:
    def test_make_the_encoder_of_one(self, one: Path, two: Path) -> None:
        expected = EncoderSpec.read(one / "run" / "encoder.json")
        found = EncoderSpec.read(two / "run" / "encoder.json")
        assert found.settings.sigma == pytest.approx(expected.settings.sigma, abs=1e-4)
        assert found.settings.boundaries == pytest.approx(expected.settings.boundaries, abs=1e-4)
        assert expected.settings.boundaries != EncoderSpec.untrained(range=0.1).settings.boundaries

    def test_make_the_networks_of_one(self, one: Path, two: Path) -> None:
        expected = load_file(one / "models0.safetensors")
        found = load_file(two / "models0.safetensors")
        assert found.keys() == expected.keys()
        assert any("running_var" in name for name in found), "BatchNorm is meant to be there"
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-3, msg=name)

    def test_hold_the_same_numbers(self, two: Path) -> None:
        first, second = (load_file(two / f"models{rank}.safetensors") for rank in (0, 1))
        for name, value in first.items():
            assert torch.equal(second[name], value), name

    def test_measure_what_one_measures(self, one: Path, two: Path) -> None:
        expected, *found = (
            json.loads((folder / f"said{rank}.json").read_text())
            for folder, rank in ((one, 0), (two, 0), (two, 1))
        )
        for said in found:
            for row, right in zip(said["curves"], expected["curves"], strict=True):
                assert row == pytest.approx(right, rel=1e-2, abs=1e-3)
            pairs = zip(said["row"]["predictions"], expected["row"]["predictions"], strict=True)
            for clip, right in pairs:
                assert clip["clip"] == right["clip"]
                assert clip["action_probabilities"] == pytest.approx(
                    right["action_probabilities"], abs=0.01
                )

    def test_train_from_the_command_line_and_go_on(self, toys: Manifest, tmp_path: Path) -> None:
        recipe = tmp_path / "recipe.json"  # which is YAML too
        recipe.write_text(tiny_recipe(epochs=2, adversarial=SCHEDULE).model_dump_json())
        words = ["-m", "motionveil", "train", str(toys.file), "--recipe", str(recipe)]
        words += ["--label", "person", "--device", "cpu", "--out", str(tmp_path / "run")]
        done = launch(2, *words, "--checkpoint-every", "2")
        lines = done.stdout.splitlines()
        assert sum(line.startswith("wrote ") for line in lines) == len(set(lines)) - 2
        assert len(lines) == len(set(lines)), "said by one process only"
        whole = (tmp_path / "run" / "encoder.json").read_bytes()
        (tmp_path / "run" / "encoder.json").unlink()
        again = launch(2, *words, check=False)
        assert again.returncode != 0
        assert "there is a training here already" in again.stderr
        launch(2, *words, "--resume")
        assert (
            not (tmp_path / "run" / "encoder.json").exists()
            or (tmp_path / "run" / "encoder.json").read_bytes() == whole
        )


def test_a_device_of_several_is_refused_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(MotionveilError, match=r"cuda:1: each of several processes .* give cuda"):
        make_fabric("cuda:1")


@pytest.mark.parametrize("accumulate", [2, 3, 100])
def test_gradients_of_parts_add_up_to_the_batch_s(
    experiment: Experiment, tmp_path: Path, accumulate: int
) -> None:
    """With BatchNorm held, a step in parts is the step of the whole batch."""
    specs = []
    for parts in (1, accumulate):
        recipe = tiny_recipe(epochs=1, adversarial={**SCHEDULE, "batch": 12, "accumulate": parts})
        own = dataclasses.replace(experiment, recipe=recipe)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.nn.modules.batchnorm._BatchNorm.forward", lambda norm, x: x)
            specs.append(own.train(own.untrained(), tmp_path / str(parts)))
    (whole, curves), (parted, parted_curves) = specs
    assert parted.settings.sigma == pytest.approx(whole.settings.sigma, abs=1e-6)
    assert parted.settings.boundaries == pytest.approx(whole.settings.boundaries, abs=1e-6)
    for row, right in zip(parted_curves, curves, strict=True):
        assert row == pytest.approx(right, rel=1e-4, abs=1e-6)


def test_accumulating_needs_less_memory_at_once(experiment: Experiment, tmp_path: Path) -> None:
    seen: list[int] = []
    recipe = tiny_recipe(epochs=1, adversarial={**SCHEDULE, "accumulate": 2})
    own = dataclasses.replace(experiment, recipe=recipe)
    with pytest.MonkeyPatch.context() as patch:
        plain = torch.nn.modules.conv.Conv3d.forward
        patch.setattr(
            "torch.nn.modules.conv.Conv3d.forward",
            lambda layer, x: seen.append(len(x)) or plain(layer, x),  # type: ignore[func-returns-value]
        )
        own.train(own.untrained(), tmp_path)
    assert max(seen) == 3, "half of a batch of five, rounded up"
