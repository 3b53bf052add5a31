"""Sampling follows section 4.2: consecutive frames, one square a clip, the centre to validate."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motionveil.datasets.dataset import (
    Crop,
    centre_crop,
    centre_start,
    frame_indices,
    random_crop,
    random_start,
)

lengths = st.integers(1, 200)
counts = st.integers(1, 64)
sides = st.integers(1, 400)
seeds = st.integers(0, 2**32)


@given(length=lengths, t=counts, seed=seeds)
def test_frames_are_consecutive_or_held(length: int, t: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for start in (random_start(length, t, rng), centre_start(length, t)):
        indices = frame_indices(length, start, t)
        assert len(indices) == t
        assert indices.min() >= 0
        assert indices.max() < length
        steps = np.diff(indices)
        if length >= t:
            assert (steps == 1).all()
        else:  # all of the clip, then its last frame again and again
            assert indices.tolist() == [*range(length), *[length - 1] * (t - length)]


def test_every_start_is_drawn_alike() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(random_start(20, 16, rng) for _ in range(5000))
    assert sorted(drawn) == [0, 1, 2, 3, 4]
    assert all(900 < count < 1100 for count in drawn.values())


@given(length=lengths, t=counts)
def test_centre_leaves_as_much_before_as_after(length: int, t: int) -> None:
    start = centre_start(length, t)
    if length >= t:
        assert 0 <= (length - t - start) - start <= 1


@given(height=sides, width=sides, seed=seeds)
def test_crops_lie_inside(height: int, width: int, seed: int) -> None:
    for square in (True, False):
        for crop in (
            random_crop(height, width, np.random.default_rng(seed), square=square),
            centre_crop(height, width, square=square),
        ):
            assert min(crop.height, crop.width) >= 1
            assert crop.height == crop.width or not square
            assert 0 <= crop.top <= height - crop.height
            assert 0 <= crop.left <= width - crop.width


def test_scales_are_the_papers() -> None:
    rng = np.random.default_rng(0)
    crops = [random_crop(224, 300, rng) for _ in range(4000)]
    drawn = Counter((crop.height, crop.width) for crop in crops)
    # 224 times 1, 2^-1/4, 2^-3/4 and 1/2
    assert sorted(drawn) == [(112, 112), (133, 133), (188, 188), (224, 224)]
    assert all(850 < count < 1150 for count in drawn.values())


def test_a_region_of_the_frame_s_shape_has_the_same_scales() -> None:
    rng = np.random.default_rng(0)
    crops = [random_crop(224, 300, rng, square=False) for _ in range(4000)]
    drawn = Counter((crop.height, crop.width) for crop in crops)
    assert sorted(drawn) == [(112, 150), (133, 178), (188, 252), (224, 300)]
    assert all(850 < count < 1150 for count in drawn.values())
    halves = [crop for crop in crops if crop.height == 112]
    assert min(crop.left for crop in halves) < 5
    assert max(crop.left for crop in halves) > 145


def test_every_position_is_drawn() -> None:
    rng = np.random.default_rng(0)
    halves = [crop for _ in range(4000) if (crop := random_crop(8, 10, rng)).width == 4]
    assert {crop.top for crop in halves} == set(range(5))
    assert {crop.left for crop in halves} == set(range(7))


@given(height=sides, width=sides)
def test_centre_crop_is_the_largest_square_in_the_middle(height: int, width: int) -> None:
    crop = centre_crop(height, width)
    assert crop.height == crop.width == min(height, width)
    assert 0 <= (height - crop.height - crop.top) - crop.top <= 1
    assert 0 <= (width - crop.width - crop.left) - crop.left <= 1


@given(height=sides, width=sides)
def test_the_centre_of_the_frame_s_shape_is_the_frame(height: int, width: int) -> None:
    assert centre_crop(height, width, square=False) == Crop(0, 0, height, width)
