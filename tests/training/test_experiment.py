from __future__ import annotations

import dataclasses

import pytest
import torch

from motionveil.datasets.manifest import Manifest
from motionveil.encoders import build_encoder, calibrate_range
from motionveil.errors import MotionveilError
from motionveil.methods.bdq import INITIAL_BOUNDARIES
from motionveil.spec import EncoderSpec
from motionveil.training.distributed import describe_environment, make_fabric, quickest_precision
from motionveil.training.experiment import Experiment, warn_unless_moved
from motionveil.training.loop import ADVERSARIAL
from tiny import every_clip, tiny_experiment, tiny_recipe


def test_parts_are_those_of_the_manifest(experiment: Experiment, toys: Manifest) -> None:
    training, held_out = experiment.clips(training=True), experiment.clips(training=False)
    assert [c.key for c in training.clips] == [c.key for c in toys.part(training=True)]
    assert [c.key for c in held_out.clips] == [c.key for c in toys.part(training=False)]
    assert not {c.group for c in training.clips} & {c.group for c in held_out.clips}
    assert held_out[0][0].shape == (3, 6, 16, 16)


def test_untrained_is_calibrated_on_the_training_clips(experiment: Experiment) -> None:
    spec = experiment.untrained()
    assert (spec.settings.sigma, spec.settings.boundaries) == (1.0, INITIAL_BOUNDARIES)
    clips = experiment.clips(training=True)
    drawn = clips.load(range(len(clips)), seed=experiment.seed, epoch=0).clips
    assert spec.settings.range == pytest.approx(calibrate_range([drawn], quantile=0.995), abs=1e-4)
    assert "protects nothing" in str(spec.provenance["note"])
    assert spec.provenance["manifest"] == experiment.cache.manifest.hash
    assert experiment.untrained() == spec


def test_the_recipe_decides_the_encoder(toys: Manifest) -> None:
    recipe = tiny_recipe(range_mode="clip", hardness=9.0)
    spec = tiny_experiment(toys, recipe).untrained()
    assert (spec.settings.range_mode, spec.settings.range, spec.settings.hardness) == (
        "clip",
        None,
        9.0,
    )
    wide = tiny_experiment(toys, tiny_recipe(range_quantile=1.0)).untrained()
    narrow = tiny_experiment(toys, tiny_recipe(range_quantile=0.5)).untrained()
    assert wide.settings.range is not None
    assert narrow.settings.range is not None
    assert wide.settings.range > narrow.settings.range


def test_networks_have_as_many_outputs_as_there_are_classes(experiment: Experiment) -> None:
    hands = dataclasses.replace(experiment, privacy_label="hand")
    networks = hands.networks(ADVERSARIAL)
    batch = every_clip(hands, training=False).load([0, 1], seed=0, epoch=0)
    networks.action.eval()
    networks.privacy.eval()
    veiled = build_encoder(experiment.untrained())(batch.clips) / 7.5 - 1
    assert networks.action(veiled).shape == (2, 2)
    assert networks.privacy(veiled[:, :, 0]).shape == (2, 2)


@pytest.mark.parametrize("device", ["nonesuch", "cuda:99", "cpu:first"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(MotionveilError, match=f"--device {device}: cannot be used here"):
        make_fabric(device)


def test_the_environment_is_described() -> None:
    found = describe_environment(make_fabric("cpu"))
    assert found["torch"] == torch.__version__
    assert found["device"] == "cpu"
    assert found["threads"] == str(torch.get_num_threads())
    assert all(isinstance(value, str) and value for value in found.values())


@pytest.mark.parametrize(("amx", "wanted"), [(True, "bf16-mixed"), (False, "32-true")])
def test_the_quickest_precision(monkeypatch: pytest.MonkeyPatch, amx: bool, wanted: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    assert quickest_precision("cpu") == quickest_precision("auto") == wanted
    assert quickest_precision("mps") == "32-true"
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert quickest_precision("cpu") == "32-true"


def test_an_encoder_that_hardly_moved_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    start = EncoderSpec.untrained(range=0.2)
    boundaries = list(start.settings.boundaries)
    boundaries[7] -= 0.3
    warn_unless_moved(start, start.change(sigma=0.82, boundaries=tuple(boundaries)))
    said = capsys.readouterr().err
    assert "no boundary by more than 0.30 of a level, sigma 1.00 to 0.82" in said
    boundaries[7] -= 0.3
    warn_unless_moved(start, start.change(boundaries=tuple(boundaries)))
    warn_unless_moved(EncoderSpec(method="unet", settings={}), start)
    assert capsys.readouterr().err == ""
