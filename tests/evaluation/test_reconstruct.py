"""What can be undone is undone, and what is gone stays gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit.leaks import Frames, attack_of, ground_of, hue
from audit.leaks import write_films as films
from motionveil.audit.attack import Ground
from motionveil.audit.reconstruction import Rebuilt, Sample, reconstruct
from motionveil.data.cache import ClipCache, Times
from motionveil.errors import MotionveilError
from motionveil.training.recipe import Schedule

SCHEDULE = Schedule(optimizer="adamw", epochs=16, batch=4, lr=0.006, privacy_frames=4)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> ClipCache:
    return films(tmp_path_factory.mktemp("films"), hue, people=8, takes=6)


def rebuilt(filmed: ClipCache, name: str, veil: object) -> tuple[Rebuilt, list[Sample]]:
    ground: Ground = ground_of(filmed)
    ground = replace(ground, cache=filmed.derive(name, veil))  # type: ignore[arg-type]
    return reconstruct(attack_of(kind="reconstruct", schedule=SCHEDULE), ground, filmed)


def negative(frames: Frames, times: Times) -> Frames:
    return 255 - frames


def blank(frames: Frames, times: Times) -> Frames:
    return np.full_like(frames, 7)


def test_a_negative_is_undone(filmed: ClipCache) -> None:
    found, shown = rebuilt(filmed, "negative", negative)
    assert found.error.mean() < 0.6 * found.blank_error.mean()
    assert found.structure.mean() > found.blank_structure.mean()
    assert found.gradients.mean() < found.blank_gradients.mean()
    # Those whom the U-Net never saw are undone too.
    assert 0 < (~found.known).sum() < len(found.known)
    strangers = found.error[~found.known].mean()
    assert strangers < 0.7 * found.blank_error[~found.known].mean()
    assert found.recognised_original.mean() >= 0.6
    assert found.recognised.mean() >= 0.5
    assert {sample.known for sample in shown} == {True, False}
    for sample in shown:
        assert np.allclose(sample.veiled, 1 - sample.original, atol=1e-6)
        assert sample.rebuilt.shape == sample.original.shape == (24, 24, 3)


def test_from_nothing_comes_no_more_than_the_mean(filmed: ClipCache) -> None:
    found, _ = rebuilt(filmed, "blank", blank)
    assert found.error.mean() >= 0.95 * found.blank_error.mean()
    assert found.recognised.mean() <= 0.25


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    few = films(tmp_path, hue, people=3, takes=3)
    with pytest.raises(MotionveilError, match="3 values of 'person'"):
        rebuilt(few, "negative", negative)
