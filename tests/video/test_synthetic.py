from __future__ import annotations

import time
from fractions import Fraction
from itertools import islice
from threading import Event, Timer

import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.video import SyntheticSource
from videos import NTSC


def images(source: SyntheticSource) -> np.ndarray:
    return np.stack([frame.image for frame in source.frames(Event())])


def test_a_frame_is_a_function_of_its_number() -> None:
    one = images(SyntheticSource(96, 64, 25, frames=6, paced=False))
    two = SyntheticSource(96, 64, 25, paced=False)
    assert one.shape == (6, 64, 96, 3)
    assert one.dtype == np.uint8
    for number in (5, 0, 3):
        np.testing.assert_array_equal(two.picture(number), one[number])
    assert (images(SyntheticSource(96, 64, 25, frames=6, paced=False, seed=1)) != one).any()


def test_noise_over_a_still_scene_in_which_two_things_move() -> None:
    clip = images(SyntheticSource(160, 120, 10, frames=10, paced=False)).astype(int)
    still = np.abs(clip - np.median(clip, axis=0)).max(axis=(0, 3)) <= 20
    assert 0.3 < still.mean() < 0.95
    noise = np.diff(clip, axis=0)[:, still]
    assert 4 < noise.std() < 8  # sqrt(2) times that of one frame
    assert abs(noise.mean()) < 0.05
    assert clip[:, still].min() > 0, "noise must not wrap around"
    assert np.abs(np.corrcoef(noise[0].ravel(), noise[3].ravel())[0, 1]) < 0.05


def test_what_it_says() -> None:
    source = SyntheticSource(64, 48, NTSC, frames=3, paced=False)
    assert not source.live
    assert source.info is not None
    assert (source.info.width, source.info.height, source.info.rate) == (64, 48, NTSC)
    frames = list(source.frames(Event()))
    assert [frame.pts * frame.time_base for frame in frames] == [n / NTSC for n in range(3)]
    assert [frame.fresh for frame in frames] == [True, False, False]


def test_real_time_and_stop() -> None:
    source = SyntheticSource(64, 48, 50)
    assert source.live
    start, stop = time.monotonic(), Event()
    frames = list(islice(source.frames(stop), 26))
    assert time.monotonic() - start >= 0.5
    arrived = [frame.arrived for frame in frames]
    np.testing.assert_allclose(np.diff(np.array(arrived, float)), 1 / 50)
    slow = SyntheticSource(64, 48, Fraction(1, 60))
    Timer(0.1, stop.set).start()
    start = time.monotonic()
    assert len(list(slow.frames(stop))) == 1
    assert time.monotonic() - start < 30, "the next frame comes in a minute"


def test_frames_that_nobody_fetches_are_lost() -> None:
    frames = SyntheticSource(64, 48, 50).frames(Event())
    first = next(frames)
    time.sleep(1.5)
    late = next(frames)
    assert first.pts == 0
    assert late.pts >= 75


def test_it_is_cheap() -> None:
    source = SyntheticSource(1280, 720, 30, frames=20, paced=False)
    start = time.process_time()
    assert sum(1 for _ in source.frames(Event())) == 20
    assert time.process_time() - start < 20 / 30  # faster than real time on any machine


def test_impossible() -> None:
    with pytest.raises(MotionveilError, match=r"test:8x48@30: .* 16x16 or more"):
        SyntheticSource(8, 48, 30)
