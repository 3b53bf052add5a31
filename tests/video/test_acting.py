"""The made-up camera before which drawn people act: the same for a seed, true to its truth."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.actors import ACTIONS
from motionveil.actors.people import make_people
from motionveil.actors.play import Act, Play
from motionveil.errors import MotionveilError
from motionveil.video import SyntheticSource, open_source

RATE = 15


@pytest.fixture(scope="module")
def source() -> SyntheticSource:
    return SyntheticSource(128, 96, RATE, paced=False, actors=True)


def first(source: SyntheticSource, action: str) -> Act:
    return next(act for act in source.truth(60) if act.action == action)


def silhouette(source: SyntheticSource, seconds: float) -> NDArray[np.intp]:
    """Return rows and columns of pixels, (n, 2), that are not as in the empty room at 0 s."""
    room, now = (source.picture(number).astype(int) for number in (0, round(RATE * seconds)))
    return np.argwhere(np.abs(now - room).max(2) > 30)


def test_a_frame_is_a_function_of_seed_and_number(source: SyntheticSource) -> None:
    """Asked for in any order, and by a source that has just started: the same picture."""
    late, early = (source.picture(number) for number in (45 * RATE, 7 * RATE))
    again = SyntheticSource(128, 96, RATE, frames=7 * RATE + 1, paced=False, actors=True)
    *_, last = again.frames(Event())
    assert np.array_equal(last.image, early)
    assert np.array_equal(again.picture(45 * RATE), late)
    other = SyntheticSource(128, 96, RATE, paced=False, actors=True, seed=1)
    assert np.abs(other.picture(0).astype(int) - source.picture(0)).mean() > 10
    assert other.truth(60) != source.truth(60)


def test_everybody_does_everything_and_nobody_twice_at_once(source: SyntheticSource) -> None:
    acts = source.truth(600)
    assert {act.action for act in source.truth(60)} == set(ACTIONS)
    assert all(one.start < one.end <= other.start for one, other in pairwise(acts))
    seconds = np.array([act.end - act.start for act in acts])
    assert 0.1 < seconds.min() < seconds.max() < 6
    assert seconds.sum() < 0.6 * 600, "there are pauses"
    cut = source.truth(acts[1].start + 0.1)
    assert cut[0] == acts[0]
    assert cut[1].end == pytest.approx(acts[1].start + 0.1)
    large = SyntheticSource(320, 180, 30, paced=False, actors=True)
    assert large.truth(600) == acts, "whatever the size and the rate"
    assert SyntheticSource(64, 48, paced=False).truth(60) == []


def test_the_truth_is_what_is_seen(source: SyntheticSource) -> None:
    """Who squats gets smaller, who raises arms taller; walkers go ahead and come back."""
    tops = {}
    for action in ("squat-down", "stand-up", "raise-arms", "lower-arms"):
        act = first(source, action)
        start, end = (silhouette(source, at)[:, 0].min() for at in (act.start, act.end))
        tops[action] = int(start - end)  # rows upwards
    assert tops["squat-down"] < -8
    assert tops["stand-up"] > 8
    assert tops["raise-arms"] > 1
    assert tops["lower-arms"] < -1


def test_walkers_go_where_they_look_or_back(source: SyntheticSource) -> None:
    play = Play()
    for action, sign in (("walk-forward", 1), ("walk-backward", -1)):
        act = first(source, action)
        ends = [silhouette(source, at)[:, 1].mean() for at in (act.start + 0.2, act.end)]
        seen = play.at((act.start + act.end) / 2)
        assert seen is not None
        assert (ends[1] - ends[0]) * math.sin(seen[1].yaw) * sign > 8


def test_rooms_are_empty_between_two_people(source: SyntheticSource) -> None:
    acts = source.truth(90)
    leaves, enters = next(
        (one, other)
        for one, other in pairwise(acts)
        if one.action == other.action == "walk-forward" and other.start - one.end > 3
    )
    assert len(silhouette(source, (leaves.end + enters.start) / 2)) == 0


def test_they_are_none_of_those_that_are_trained_on() -> None:
    seen = [Play(seed).at(at) for seed in (0, 1) for at in range(1, 200, 10)]
    acting = {one[0] for one in seen if one is not None}
    assert len(acting) > 4
    for seed in range(10):
        assert not acting & set(make_people(10, seed))


@pytest.mark.parametrize(
    ("written", "name", "paced"),
    [
        ("test:actors", "test:actors:640x480@30", True),
        ("test:actors:64x48", "test:actors:64x48@30", True),
        ("test:actors:64x48@15:seed=3:fast", "test:actors:64x48@15:seed=3", False),
        ("test:64x48:fast", "test:64x48@30", False),
    ],
)
def test_how_it_is_written(written: str, name: str, paced: bool) -> None:
    source = open_source(written)
    assert isinstance(source, SyntheticSource)
    assert (source.name, source.live) == (name, paced)
    assert source.acts == ("actors" in written)


@pytest.mark.parametrize("written", ["test:actor", "test:actors:fast:seed=1", "test:actors@15"])
def test_what_is_not_written_so(written: str) -> None:
    with pytest.raises(MotionveilError, match="must look like"):
        open_source(written)


def test_it_is_cheap() -> None:
    source = SyntheticSource(640, 480, 30, frames=300, paced=False, actors=True)
    start = time.process_time()
    for number in range(200, 230):  # somebody is there
        source.picture(number)
    assert time.process_time() - start < 30 / 30
