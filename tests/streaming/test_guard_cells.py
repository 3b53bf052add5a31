"""The guard on grids of cells, which the motion field gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.geometry import Geometry
from motionveil.spec import load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.guard_memory import blank_unchanged
from motionveil.video import SyntheticSource

NEUTRAL = 119


def field(cell: int, guard: Guard | None) -> StreamEncoder:
    spec = load_spec(f"flow-untrained:cell={cell}")
    geometry = Geometry(size=64, rate=15)
    return StreamEncoder(spec.model_copy(update={"geometry": geometry}), guard=guard)


def acting(frames: int) -> list[NDArray[np.uint8]]:
    """People who act before a still background."""
    source = SyntheticSource(160, 120, 15, frames=frames, paced=False, actors=True)
    return [source.picture(number) for number in range(frames)]


@pytest.mark.parametrize("cell", [4, 8])
def test_a_change_of_light_is_replaced(cell: int) -> None:
    """Light has a velocity too, that of the scene's slopes."""
    (scene,) = acting(1)
    brighter = np.clip(scene * 1.2, 0, 255).astype(np.uint8)
    bare, guarded = field(cell, None), field(cell, Guard())
    for number, image in enumerate((scene, scene, brighter)):
        shown = bare(image, time=number / 15)
        kept = guarded(image, time=number / 15)
    assert shown is not None
    assert kept is not None
    neutral = guarded.neutral
    assert (np.abs(shown.astype(int) - neutral).max(-1) > 17).mean() > 0.1
    assert guarded.guarded == "exposure"
    assert np.all(kept == neutral)


@pytest.mark.parametrize("cell", [4, 8])
def test_people_who_act_are_shown(cell: int) -> None:
    encoder = field(cell, Guard())
    reasons = []
    for number, image in enumerate(acting(200)):
        encoder(image, time=number / 15)
        reasons.append(encoder.guarded)
    assert len([reason for reason in reasons[1:] if reason]) < 10


def test_only_cells_that_changed_for_the_most_part_stay_whole() -> None:
    previous = np.full((8, 20, 3), 100, np.uint8)
    frame, shown = previous.copy(), np.full_like(previous, 200)
    frame[:, :8] += 5  # light
    frame[2:4, 10:12] += 50  # something that moves
    frame[0, 8] += 5  # noise
    frame[:, 17:, 1] -= 5  # light, in one channel of most of the last cell, which is cut
    blank_unchanged(shown, frame, previous, NEUTRAL, 8)
    assert np.all(shown[:, :8] == 200)
    assert np.all(shown[2:4, 10:12] == 200)
    assert np.all(shown[:, 16:] == 200)
    assert int((shown == NEUTRAL).all(-1).sum()) == 8 * 8 - 4
