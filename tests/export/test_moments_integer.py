"""Motion moments in whole numbers: their error, drift, and the stream encoder beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from export_examples import movers, noise
from flow_examples import GEOMETRY, MOMENTS, hard_pairs, wandering
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.export import IntegerEncoder
from motionveil.export.moments_integer import MomentsNumbers, WholeMoments, integer_moments
from motionveil.methods.moments import MomentsSettings, RunningMoments
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.geometry import area_average
from motionveil.video import read_clip

EACH = pytest.mark.parametrize("name", MOMENTS)
Array = NDArray[np.float64]
Whole = NDArray[np.int64]


def relative_moments(own: MomentsSettings, fields: Whole) -> Array:
    """Return each frame's moments over their running means, (T, 6), by float64 sums over frames.

    Args:
        fields: Levels from no motion on, (T, h, w, 2).
    """
    _, h, w, _ = fields.shape
    velocity, moving = fields / 7, np.abs(fields).sum(3) / 7
    x, y = (np.arange(w) + 0.5) / w - 0.5, (np.arange(h) + 0.5) / h - 0.5
    places = np.broadcast_arrays(x, y[:, None])
    moments, found = np.zeros((len(fields), 6)), []
    for now in range(len(fields)):
        ages = own.memory ** np.arange(now, -1, -1.0)
        mass = np.tensordot(ages, moving[: now + 1], 1)
        total = mass.sum() + 1e-6
        by = [np.ones((h, w))]
        for place in places:
            middle = (mass * place).sum() / total
            # From the middle, where the definition subtracts the middle's square: no cancellation.
            square = ((mass * (place - middle) ** 2).sum() + 1e-6 * middle**2) / total
            by.append((place - middle) / (np.sqrt(square) + 0.04))
        moments[now] = [(velocity[now, ..., k] * b).mean() for k in (0, 1) for b in by]
        mean = ages @ np.abs(moments[: now + 1]) / ages.sum()
        found.append(moments[now] / (mean + own.floor))
    return np.array(found)


def whole_relative(numbers: MomentsNumbers, fields: Whole) -> Array:
    running = WholeMoments(numbers, fields.shape[1:3])
    return np.array([running.relative(field) for field in fields]) / 2.0**40


def random_fields(rng: np.random.Generator, frames: int, h: int, w: int) -> Whole:
    """Return levels (T, h, w, 2): crowded or sparse, fast or slow, with pauses, in one row only."""
    shape = (frames, h, w, 2)
    speed, share = rng.integers(1, 9), rng.random() ** 2
    fields = np.clip(rng.integers(-speed, speed + 1, shape), -7, 8)
    fields *= rng.random((frames, h, w, 1)) < share
    fields[rng.random(frames) < 0.3] = 0
    if rng.random() < 0.3:
        fields[:, np.arange(h) != rng.integers(h)] = 0
    return fields


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"memory": 0.0},
        {"memory": 0.999, "floor": 1e-4},
        {"memory": 0.5, "floor": 1.0, "levels": 15, "step": 0.1},
    ],
)
def test_error_is_below_its_bound(change: dict[str, float]) -> None:
    numbers = integer_moments(MOMENTS["moments"].change(**change))
    rng, shares, differ = np.random.default_rng(0), [], 0
    sizes = [(1, 1), (1, 9), (8, 3), (8, 4), (16, 40), (3, 200)]
    for h, w in sizes * 4:
        fields = random_fields(rng, 25, h, w)
        right, found = relative_moments(numbers.settings, fields), whole_relative(numbers, fields)
        off, bound = np.abs(found - right), numbers.error(right)
        assert (off <= bound).all()
        shares.append((off / bound).max())
        exact = RunningMoments(numbers.settings, (h, w))
        whole = WholeMoments(numbers, (h, w))
        for field in fields:
            differ += int((exact(field / 7) != whole(field)).sum())
    print(f"\n{change}: {numbers.accuracy}; {max(shares):.2f} of it is reached")
    assert 1e-5 < max(shares) <= 1
    assert differ == 0, "no moment lies so near a boundary here"
    assert numbers.error(1.0) < 1e-3


def test_nothing_drifts() -> None:
    """After 100,000 frames it is as exact as at first: what is older than 1,000 frames is gone."""
    numbers = integer_moments(MOMENTS["moments"])
    shown = random_fields(np.random.default_rng(1), 997, 2, 3)
    running = WholeMoments(numbers, (2, 3))
    frames = itertools.islice(itertools.cycle(shown), 100_000)
    found = np.array([running.relative(field) for field in frames])[-20:] / 2.0**40
    last = np.stack(list(itertools.islice(itertools.cycle(shown), 99_000, 100_000)))
    right = relative_moments(numbers.settings, last)[-20:]
    assert np.ptp(right) > 1, "the test needs motion"
    assert (np.abs(found - right) <= numbers.error(right)).all()


def levels_that_differ(spec: EncoderSpec, clips: Iterable[NDArray[np.uint8]]) -> tuple[int, int]:
    """Return how many levels of working frames are not the stream encoder's, and of how many.

    None may be off by more than one.
    """
    own = spec.settings
    assert isinstance(own, MomentsSettings)
    step, differ, count = 119 / own.side, 0, 0
    for clip in clips:
        whole, stream = IntegerEncoder(spec), StreamEncoder(spec, native=True)
        found, expected = (
            np.stack([one(frame) for frame in clip]).astype(int) for one in (whole.veil, stream)
        )
        assert found.shape == expected.shape
        assert (found[0] == stream.neutral).all()
        off = np.abs(found - expected)
        assert off.max() <= step + 1
        starts = [part.start for part in own.columns(found.shape[2])]
        levels = off[1:, [0, -1]][:, :, starts]
        differ, count = differ + int((levels > 1).sum()), count + levels.size
    print(f"\n{differ} of {count} levels differ")
    return differ, count


@EACH
def test_what_leaves_is_the_stream_encoders(name: str) -> None:
    """Of 1,000 levels one may differ, where a cell's velocity lies at a level's end; by one."""
    clips = [wandering(60, 32, 48, seed) for seed in range(3)]
    clips += [noise(9, 32, 40, 1), noise(3, 9, 7, 2), movers(8, 45, 60)]
    differ, count = levels_that_differ(MOMENTS[name], [*clips, *hard_pairs(32, 48).values()])
    assert differ <= count / 1000


def test_what_leaves_of_real_video_is_the_stream_encoders(ut_interaction: Path) -> None:
    spec = load_spec("moments")
    videos = sorted((ut_interaction / "segmented_set1").glob("*.avi"))[:4]
    filmed = [read_clip(video, 0, 60)[::2] for video in videos]
    shape = spec.required_geometry().shape(*filmed[0].shape[1:3], multiple=spec.multiple)
    clips = [[area_average(frame, shape) for frame in clip] for clip in filmed]
    differ, count = levels_that_differ(spec, map(np.stack, clips))
    assert differ <= count / 1000


def test_a_reset_and_another_size_forget_all_that_runs() -> None:
    encoder, clip = IntegerEncoder(MOMENTS["moments"]), wandering(10, 32, 48, 0)
    right = [encoder.veil(frame) for frame in clip]
    for forget in (encoder.reset, lambda: encoder.veil(noise(1, 16, 16)[0])):
        for frame in clip[::-1]:
            encoder.veil(frame)
        forget()
        np.testing.assert_array_equal([encoder.veil(frame) for frame in clip], right)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"memory": 0.9999}, "moments cannot be exported as C: memory is 0.9999"),
        ({"floor": 1e-5}, "floor is 1e-05"),
        ({"step": 1e4}, "step is 10000"),
        ({"eps": 0.3}, "flow cannot be exported as C: eps"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, float], fault: str) -> None:
    with pytest.raises(MotionveilError, match=fault):
        IntegerEncoder(EncoderSpec.untrained("moments", geometry=GEOMETRY).change(**change))
