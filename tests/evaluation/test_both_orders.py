"""In the camera's order networks see stored frames; in the paper's, the encoder on crops."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motionveil.datasets.dataset import batches
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import BDQ, build_encoder
from motionveil.errors import MotionveilError
from motionveil.evaluation.encode_clips import encode_parts
from motionveil.evaluation.validation import validate_encoder
from motionveil.geometry import Geometry
from motionveil.methods.ryoo import RyooSettings
from motionveil.results import Order, Row
from motionveil.spec import EncoderSpec, load_spec
from motionveil.training.adversaries import Networks
from motionveil.training.experiment import Experiment
from tiny import first_motions, tiny_experiment, tiny_recipe

RATE = 25
"""Frames a second of the toy videos, which are 24 x 24 pixels."""


class Spied(Experiment):
    """An experiment that keeps what its networks were given, in [0, 15]."""

    def networks(self, purpose: str) -> Networks:
        networks = super().networks(purpose)
        for network, kept in ((networks.action, CLIPS), (networks.privacy, FRAMES)):
            network.register_forward_pre_hook(
                lambda module, inputs, kept=kept: kept.append((inputs[0].detach() + 1) * 7.5)
            )
        return networks


CLIPS: list[Tensor] = []
FRAMES: list[Tensor] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    CLIPS.clear()
    FRAMES.clear()


def validated(toys: Manifest, order: Order, spec: EncoderSpec | None = None) -> tuple[Row, Spied]:
    """Validate an encoder, by default an untrained one, and return the row and the experiment."""
    made = tiny_experiment(toys, tiny_recipe(order=order))
    experiment = Spied(**{f.name: getattr(made, f.name) for f in dataclasses.fields(made)})
    return validate_encoder(experiment, spec or experiment.untrained(), method="bdq"), experiment


def off_grid(seen: list[Tensor]) -> float:
    """Return by how much values are off the steps of 8 bits, at the most."""
    return max(float((17 * x - (17 * x).round()).abs().max()) for x in seen)


def test_a_camera_stores_8_bits(toys: Manifest) -> None:
    row, _ = validated(toys, "camera")
    assert (row.order, row.geometry) == ("camera", Geometry(size=16, rate=RATE))
    assert off_grid(CLIPS) < 1e-3
    assert off_grid(FRAMES) < 1e-3
    # One frame fewer than the recipe's: the first has no difference.
    assert {x.shape[1:] for x in CLIPS} == {(3, 5, 16, 16)}
    assert {x.shape[1:] for x in FRAMES} == {(3, 16, 16)}


def test_the_centre_of_what_was_stored_is_validated(toys: Manifest) -> None:
    """Whole frames of 16 x 16 pixels, and the five in the middle of the seven that are left."""
    row, experiment = validated(toys, "camera")
    encoded = encode_parts(experiment, build_encoder(row.encoder), order="camera")
    for clip in toys.part(training=False):
        stored = encoded.validation.cache.frames(clip)
        assert stored.shape == (7, 16, 16, 3)
        wanted = torch.from_numpy(stored[1:6].copy()).permute(3, 0, 1, 2) / 17
        assert any(
            torch.allclose(wanted, shown, atol=1e-4) for batch in CLIPS[-2:] for shown in batch
        )


def test_the_paper_s_encoder_is_run_on_crops(toys: Manifest) -> None:
    row, experiment = validated(toys, "paper")
    assert (row.order, row.geometry) == ("paper", None)
    assert off_grid(CLIPS) > 0.2
    assert off_grid(FRAMES) > 0.2
    encoder = BDQ(row.encoder)
    with torch.no_grad():
        wanted = [encoder(b.clips) for b in batches(experiment.clips(training=False), 6)]
    shown = CLIPS[-len(wanted) :]
    for one, other in zip(wanted, shown, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_both_are_stored(toys: Manifest) -> None:
    for order in ("camera", "paper"):
        row, _ = validated(toys, order)  # type: ignore[arg-type]
        assert Row.model_validate_json(row.model_dump_json()) == row


def test_an_encoder_works_at_its_own_geometry(toys: Manifest) -> None:
    """Every other frame of 25 per second is taken; networks see 16 x 16 pixels all the same."""
    spec = load_spec("bdq").model_copy(update={"geometry": Geometry(size=20, rate=15)})
    row, experiment = validated(toys, "camera", spec)
    assert row.geometry == spec.geometry
    encoded = encode_parts(experiment, build_encoder(spec), order="camera")
    clip = toys.clips[0]
    assert encoded.training.cache.frames(clip).shape == (3, 20, 20, 3)
    assert {x.shape[1:] for x in CLIPS} == {(3, 5, 16, 16)}


def test_one_without_a_geometry_works_at_the_experiment_s(toys: Manifest) -> None:
    row, experiment = validated(toys, "camera", EncoderSpec(method="raw"))
    assert row.geometry == experiment.geometry == Geometry(size=16, rate=RATE)
    recipe = tiny_recipe(rate=12.5, size=20)
    assert tiny_experiment(toys, recipe).geometry == Geometry(size=20, rate=12.5)


def test_an_encoder_is_trained_to_the_geometry_of_the_experiment(
    toys: Manifest, tmp_path: Path
) -> None:
    recipe = tiny_recipe(rate=12.5, epochs=1)
    experiment = tiny_experiment(toys, recipe)
    assert experiment.untrained().geometry == Geometry(size=16, rate=12.5)
    elsewhere = load_spec("bdq-ut").model_copy(update={"provenance": {}})
    spec, _ = experiment.train(elsewhere, run=tmp_path / "run")
    assert spec.geometry == Geometry(size=16, rate=12.5)
    assert not {"size", "frame_step"} & spec.provenance.keys()


def test_varied_training_needs_raw_clips(toys: Manifest) -> None:
    """Ryoo's networks are trained on clips moved before they are made small."""
    settings = RyooSettings(size=8, motions=first_motions(2, 0))
    spec = EncoderSpec(method="ryoo", settings=settings)
    assert build_encoder(spec).varies_training
    row, _ = validated(toys, "camera", spec)
    assert (row.order, row.geometry) == ("paper", None)
    assert off_grid(CLIPS) > 0.2
    plain, _ = validated(toys, "camera", load_spec("downsample-8"))
    assert (plain.order, plain.geometry) == ("camera", Geometry(size=16, rate=RATE))


def test_too_few_frames_are_refused(toys: Manifest) -> None:
    experiment = tiny_experiment(toys, tiny_recipe(frames=2))
    encoder = build_encoder(experiment.untrained())
    with pytest.raises(MotionveilError, match=r"1 veiled frames are left .* set frames=3 or more"):
        encode_parts(experiment, encoder, order="camera")
    assert encode_parts(experiment, encoder, order="paper").geometry is None


def test_caches_lie_beside_the_experiment_s(toys: Manifest) -> None:
    """A manifest that was not read from a file has no folder of its own."""
    experiment = tiny_experiment(toys)
    nameless = dataclasses.replace(toys, file=None)
    cache = dataclasses.replace(experiment.cache, manifest=nameless)
    encoded = encode_parts(
        dataclasses.replace(experiment, cache=cache),
        build_encoder(experiment.untrained()),
        order="camera",
    )
    assert encoded.training.cache.folder.parent == experiment.cache.folder.parent
    assert encoded.training.cache.frames(toys.clips[0]).shape == (7, 16, 16, 3)
