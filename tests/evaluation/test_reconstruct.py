"""What can be undone is undone, and what is gone stays gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.attack_examples import Frames, attack_of, data_of, hue
from evaluation.attack_examples import write_films as films
from motionveil.audit_results import Reconstruction
from motionveil.datasets.cache import ClipCache, Times
from motionveil.errors import MotionveilError
from motionveil.evaluation.attacks.reconstruct import WIDTHS, Rebuilt, unet
from motionveil.training.recipe import Schedule

pytestmark = pytest.mark.slow  # trains

SCHEDULE = Schedule(optimizer="adamw", epochs=16, batch=4, lr=0.006, privacy_frames=4)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> ClipCache:
    return films(tmp_path_factory.mktemp("films"), hue, people=8, takes=6)


def rebuilt(filmed: ClipCache, name: str, veil: object) -> Rebuilt:
    original = data_of(filmed)
    data = replace(original, cache=filmed.derive(name, veil))  # type: ignore[arg-type]
    found: Rebuilt = attack_of(kind="reconstruct", schedule=SCHEDULE).rebuild(data, original)
    return found


def negative(frames: Frames, times: Times) -> Frames:
    return 255 - frames


def blank(frames: Frames, times: Times) -> Frames:
    return np.full_like(frames, 7)


def test_a_negative_is_undone(filmed: ClipCache) -> None:
    found = rebuilt(filmed, "negative", negative)
    figures, known = found.figures, found.known
    assert figures["error"].mean() < 0.6 * figures["mean_error"].mean()
    assert figures["ssim"].mean() > figures["mean_ssim"].mean()
    assert figures["gmsd"].mean() < figures["mean_gmsd"].mean()
    # Those whom the U-Net never saw are undone too.
    assert 0 < (~known).sum() < len(known)
    assert figures["error"][~known].mean() < 0.7 * figures["mean_error"][~known].mean()
    assert figures["original_recognised"].mean() >= 0.6
    assert figures["recognised"].mean() >= 0.5
    assert len(found.losses) == SCHEDULE.epochs
    assert found.losses[-1] < found.losses[0] / 2
    assert {known for known, _ in found.samples} == {True, False}
    for _, (veiled, reconstructed, original) in found.samples:
        assert np.allclose(veiled, 1 - original, atol=1e-6)
        assert reconstructed.shape == original.shape == (24, 24, 3)


@pytest.mark.parametrize(
    ("losses", "fall"),
    [([8, 7, 6, 5, 4, 3, 2, 2], 0.4), ([8, 4, 2, 2, 2, 2, 1, 1], 0.0), ([8, 4, 2], None)],
)
def test_whether_the_u_net_had_converged(losses: list[float], fall: float | None) -> None:
    found = Reconstruction.model_construct(losses=losses)
    assert found.still_falling == (None if fall is None else pytest.approx(fall))


@pytest.mark.parametrize(("size", "scales"), [(64, 4), (56, 3), (68, 3)])
def test_the_u_net_is_as_deep_as_the_size_allows(size: int, scales: int) -> None:
    network = unet(size)
    widths = {m.out_channels for m in network.modules() if isinstance(m, torch.nn.Conv3d)} - {3}
    assert widths == set(WIDTHS[:scales])
    clip = torch.zeros(1, 3, 2, size, size)
    assert network.eval()(clip).shape == clip.shape


def test_from_nothing_comes_no_more_than_the_mean(filmed: ClipCache) -> None:
    figures = rebuilt(filmed, "blank", blank).figures
    assert figures["error"].mean() >= 0.95 * figures["mean_error"].mean()
    assert figures["recognised"].mean() <= 0.25


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    few = films(tmp_path, hue, people=3, takes=3)
    with pytest.raises(MotionveilError, match="3 values of 'person'"):
        rebuilt(few, "negative", negative)
