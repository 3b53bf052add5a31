"""The simulated event camera, against known ramps and a plain reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from events.event_reference import pixel_events
from motionveil.errors import MotionveilError
from motionveil.events import EVENT, EventCamera, camera, event_frame, signed_counts
from motionveil.methods.dvs import EventSettings

EPS = 1e-3

Luma = NDArray[np.float64]


def from_levels(*levels: float) -> Luma:
    """Return 1 x N luma whose `ln(Y + eps)` is the levels."""
    return np.exp(np.array([levels])) - EPS


def film(camera: EventCamera, frames: Sequence[NDArray[Any]], times: Sequence[float]) -> Any:
    """Return all events of frames that come at these times."""
    parts = [camera.events(frame, time) for frame, time in zip(frames, times, strict=True)]
    return np.concatenate(parts)


def moving_bar(frames: int = 6, size: int = 24) -> list[NDArray[np.uint8]]:
    """Return RGB frames in which a bright bar moves over noise."""
    random = np.random.default_rng(0)
    still = random.integers(20, 90, (size, size, 3), dtype=np.uint8)
    pictures = []
    for number in range(frames):
        picture = still.copy()
        picture[:, 2 * number : 2 * number + 5] = (230, 180, 140)
        pictures.append(picture)
    return pictures


class TestRamp:
    @pytest.mark.parametrize(("sign", "polarity"), [(1, 1), (-1, 0)])
    def test_gives_an_event_a_threshold_at_its_time(self, sign: int, polarity: int):
        camera = EventCamera(EventSettings(threshold=0.2), 1, 1)
        levels = from_levels(-1.0), from_levels(-1.0 + sign * 0.2 * 4.5)
        events = film(camera, levels, (2.0, 3.0))
        assert events["p"].tolist() == [polarity] * 4
        # A linear level is k thresholds away after k / 4.5 of the second.
        assert events["t"].tolist() == [round(2e6 + 1e6 * k / 4.5) for k in range(1, 5)]

    def test_just_short_of_a_threshold_gives_none(self):
        camera = EventCamera(EventSettings(threshold=0.2), 1, 2)
        events = film(camera, (from_levels(-1, -1), from_levels(-0.80001, -0.79999)), (0, 1))
        assert events["x"].tolist() == [1]

    def test_small_changes_add_up(self):
        camera = EventCamera(EventSettings(threshold=0.2), 1, 1)
        frames = [from_levels(-1 + 0.05 * n) for n in range(22)]  # 5.25 thresholds
        assert len(film(camera, frames, [float(n) for n in range(22)])) == 5

    def test_the_two_thresholds_differ(self):
        camera = EventCamera(EventSettings(threshold=0.5, negative=0.1), 1, 2)
        frames = from_levels(-1, -1), from_levels(0.2, -2.05)
        assert camera.counts(frames[0]).tolist() == [[0, 0]]
        assert camera.counts(frames[1]).tolist() == [[2, -10]]

    def test_default_times_follow_the_rate(self):
        camera = EventCamera(EventSettings(threshold=0.2, rate=10), 1, 1)
        camera.events(from_levels(-1))
        camera.events(from_levels(-1))
        events = camera.events(from_levels(-0.6001))  # two thresholds less a little: one event
        assert events["t"].tolist() == [100_000 + math.ceil(1e5 * 0.2 / 0.3999 - 0.5)]

    def test_luma_is_that_of_bt_601(self):
        for channel, weight in enumerate((0.299, 0.587, 0.114)):
            frame = np.zeros((1, 1, 3), np.uint8)
            camera = EventCamera(EventSettings(threshold=0.01), 1, 1)
            camera.counts(frame)
            frame[..., channel] = 255
            rise = math.log((weight + EPS) / EPS)
            assert camera.counts(frame).item() == math.floor(rise / 0.01)


class TestReference:
    @settings(max_examples=150, deadline=None)
    @given(
        intensities=st.lists(
            st.lists(st.integers(0, 255), min_size=3, max_size=3), min_size=2, max_size=8
        ),
        positive=st.floats(0.03, 1.5),
        negative=st.floats(0.03, 1.5),
        refractory=st.sampled_from([0.0, 0.011, 0.2]),
    )
    def test_pixels_do_what_the_equations_say(
        self,
        intensities: list[list[int]],
        positive: float,
        negative: float,
        refractory: float,
    ):
        frames = [np.array([row]) / 255 for row in intensities]
        times = [0.5 + 0.04 * n for n in range(len(frames))]
        camera = EventCamera(
            EventSettings(threshold=positive, negative=negative, refractory=refractory), 1, 3
        )
        events = film(camera, frames, times)
        for x in range(3):
            wanted = pixel_events(
                [frame[0, x] for frame in frames],
                times,
                positive=positive,
                negative=negative,
                eps=EPS,
                refractory=refractory,
            )
            found = events[events["x"] == x]
            assert [(1 if p else -1) for p in found["p"]] == [sign for _, sign in wanted]
            assert found["t"].tolist() == pytest.approx([1e6 * time for time, _ in wanted], abs=1)

    def test_a_pixel_that_returns_gives_as_many_events_back(self):
        random = np.random.default_rng(0)
        camera = EventCamera(EventSettings(threshold=1.0), 64, 64)
        one, other = random.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
        camera.counts(one)
        away = camera.counts(other)
        assert np.abs(away).max() > 1
        for _ in range(5):
            assert np.array_equal(camera.counts(one), -away)
            assert np.array_equal(camera.counts(other), away)


CAMERAS = [
    {},
    {"negative": 0.35},
    {"mismatch": 0.2},
    {"leak": 3.0},
    {"shot": 4.0},
    {"refractory": 0.01},
    {"interpolate": 3},
    {"mismatch": 0.1, "leak": 2.0, "shot": 5.0, "refractory": 0.004, "interpolate": 2},
]


class TestTwoWays:
    """The same asked for in another way."""

    @pytest.mark.parametrize("options", CAMERAS, ids=str)
    def test_counts_are_the_events_counted(self, options: dict[str, Any]):
        one = EventCamera(EventSettings(threshold=0.15, **options), 24, 24)
        other = EventCamera(EventSettings(threshold=0.15, **options), 24, 24)
        total = 0
        for frame in moving_bar():
            events = one.events(frame)
            counts = other.counts(frame)
            assert counts.dtype == np.int32
            assert np.array_equal(counts, signed_counts(events, 24, 24))
            total += len(events)
        assert total > 500

    @settings(max_examples=60, deadline=None)
    @given(
        pixels=st.lists(
            st.lists(st.integers(0, 255), min_size=4, max_size=4), min_size=2, max_size=6
        ),
        threshold=st.floats(0.02, 1),
        negative=st.floats(0.02, 1),
        leak=st.sampled_from([0.0, 7.0]),
    )
    def test_counts_are_the_events_counted_for_any_frames(
        self, pixels: list[list[int]], threshold: float, negative: float, leak: float
    ):
        camera = EventSettings(threshold=threshold, negative=negative, leak=leak)
        one, other = EventCamera(camera, 2, 2), EventCamera(camera, 2, 2)
        for values in pixels:
            frame = np.array(values, np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
            assert np.array_equal(other.counts(frame), signed_counts(one.events(frame), 2, 2))

    @pytest.mark.parametrize("options", [*CAMERAS[:6], CAMERAS[7] | {"interpolate": 1}], ids=str)
    def test_frames_between_that_bring_nothing_new_change_nothing(self, options: dict[str, Any]):
        random = np.random.default_rng(1)
        levels = random.uniform(-4, 0, (5, 60))
        middle = 0.3 * levels[1:] + 0.7 * levels[:-1]  # at 3/10 of the way
        fine = np.empty((9, 60))
        fine[::2], fine[1::2] = levels, middle
        times = np.arange(5) / 25
        fine_times = np.empty(9)
        fine_times[::2], fine_times[1::2] = times, 0.3 * times[1:] + 0.7 * times[:-1]
        camera = EventSettings(threshold=0.15, **options)
        few, many = (
            film(EventCamera(camera, 1, 60), [from_levels(*row) for row in rows], moments.tolist())
            for rows, moments in ((levels, times), (fine, fine_times))
        )
        assert len(few) > 500
        assert len(few) == len(many)
        for x in range(60):
            one, other = few[few["x"] == x], many[many["x"] == x]
            assert one["p"].tolist() == other["p"].tolist()
            assert np.abs(one["t"] - other["t"]).max(initial=0) <= 1

    def test_bytes_are_luma_divided_by_255(self):
        by_bytes, by_luma = (EventCamera(EventSettings(threshold=0.15), 24, 24) for _ in range(2))
        for frame in moving_bar():
            luma = (frame / 255) @ np.array([0.299, 0.587, 0.114])
            assert np.array_equal(by_bytes.counts(frame), by_luma.counts(luma))

    def test_events_are_in_the_order_of_time(self):
        camera = EventCamera(EventSettings(threshold=0.1, interpolate=2), 24, 24)
        frames = moving_bar()
        events = film(camera, frames, [n / 30 for n in range(len(frames))])
        assert (np.diff(events["t"]) >= 0).all()
        assert events.dtype == EVENT

    def test_after_reset_everything_repeats(self):
        camera = EventCamera(EventSettings(threshold=0.1, **CAMERAS[7]), 24, 24)
        times = [n / 30 for n in range(6)]
        first = film(camera, moving_bar(), times)
        camera.reset()
        assert np.array_equal(first, film(camera, moving_bar(), times))


class TestRefractory:
    def test_no_pixel_gives_two_within_it(self):
        camera = EventCamera(EventSettings(threshold=0.05, refractory=0.004, shot=50), 24, 24)
        frames = moving_bar()
        events = film(camera, frames, [n / 30 for n in range(len(frames))])
        pixels = events["y"].astype(int) * 24 + events["x"]
        gaps = [np.diff(events["t"][pixels == pixel]) for pixel in range(24 * 24)]
        assert np.concatenate(gaps).min() >= 4000 - 1

    def test_a_lost_event_moves_the_reference(self):
        camera = EventCamera(EventSettings(threshold=0.2, refractory=10), 1, 1)
        frames = from_levels(-2), from_levels(-1.1), from_levels(-1.1), from_levels(-0.95)
        events = film(camera, frames, (0, 1, 20, 21))
        # The first of four thresholds, and the fifth: the three between were lost, not put off.
        assert events["t"].tolist() == [222_222, 20_666_667]


class TestInterpolation:
    def test_makes_intensity_linear_instead_of_its_logarithm(self):
        low, high = 0.05, 0.8
        for steps, share in ((1, None), (400, (0.2 - low) / (high - low))):
            camera = EventCamera(
                EventSettings(threshold=math.log((0.2 + EPS) / (low + EPS)), interpolate=steps),
                1,
                1,
            )
            events = film(camera, [np.array([[low]]), np.array([[high]])], (0, 1))
            if share is None:
                share = math.log((0.2 + EPS) / (low + EPS)) / math.log((high + EPS) / (low + EPS))
            assert events["t"][0] / 1e6 == pytest.approx(share, abs=1e-3)

    def test_counts_the_same(self):
        one = EventCamera(EventSettings(threshold=0.2), 24, 24)
        other = EventCamera(EventSettings(threshold=0.2, interpolate=5), 24, 24)
        for frame in moving_bar():
            assert np.array_equal(one.counts(frame), other.counts(frame))


class TestThreshold:
    def test_a_higher_one_gives_fewer_events(self):
        totals = []
        for threshold in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
            camera = EventCamera(EventSettings(threshold=threshold), 24, 24)
            totals.append(sum(len(camera.events(frame)) for frame in moving_bar()))
        assert totals[-1] > 0
        assert all(more > fewer for more, fewer in pairwise(totals))

    def test_mismatch_spreads_them_as_said(self):
        camera = EventCamera(EventSettings(threshold=0.3, negative=0.2, mismatch=0.1), 100, 100)
        for sign, nominal in ((1, 0.3), (-1, 0.2)):
            camera.reset()
            camera.events(np.full((100, 100), math.exp(-2) - EPS), 0.0)
            events = camera.events(np.full((100, 100), math.exp(-2 + sign) - EPS), 1.0)
            _, first = np.unique(events["y"].astype(int) * 100 + events["x"], return_index=True)
            thresholds = events["t"][first] / 1e6  # one level per second
            assert len(thresholds) == 10_000
            # Five standard errors of the mean and of the standard deviation.
            assert thresholds.mean() == pytest.approx(nominal, abs=5 * 0.1 * nominal / 100)
            assert thresholds.std() == pytest.approx(0.1 * nominal, rel=5 / math.sqrt(20_000))

    def test_mismatch_is_the_sensor_s_and_not_the_stream_s(self):
        frames, times = moving_bar(), [n / 30 for n in range(6)]
        camera = EventCamera(EventSettings(threshold=0.2, mismatch=0.2), 24, 24)
        first = film(camera, frames, times)
        camera.reset(stream=7)
        assert np.array_equal(first, film(camera, frames, times))
        other = EventCamera(EventSettings(threshold=0.2, mismatch=0.2, seed=1), 24, 24)
        assert not np.array_equal(first, film(other, frames, times))

    def test_the_wildest_mismatch_leaves_every_pixel_a_threshold(self):
        camera = EventCamera(EventSettings(threshold=0.5, mismatch=0.99), 50, 50)
        camera.counts(np.full((50, 50), 0.1))
        counts = camera.counts(np.full((50, 50), 0.9))
        rise = math.log((0.9 + EPS) / (0.1 + EPS))
        assert counts.max() == math.floor(rise / 0.05)


class TestNoise:
    still = np.full((40, 40, 3), 90, np.uint8)

    def film_still(self, frames: int = 21, seconds: float = 10.0, **options: Any) -> Any:
        camera = EventCamera(EventSettings(threshold=0.2, **options), 40, 40)
        times = np.linspace(3, 3 + seconds, frames).tolist()
        return film(camera, [self.still] * frames, times)

    @pytest.mark.parametrize("options", [{}, {"mismatch": 0.3}, {"refractory": 0.1}], ids=str)
    def test_none_of_a_still_scene(self, options: dict[str, Any]):
        assert len(self.film_still(**options)) == 0

    def test_leak_gives_each_pixel_its_rate(self):
        events = self.film_still(leak=1.25)  # 12.5 thresholds in 10 s, from any phase
        counts = signed_counts(events, 40, 40)
        assert set(np.unique(counts)) == {12, 13}
        assert counts.mean() == pytest.approx(12.5, abs=5 * 0.5 / 40)
        assert events["p"].all()

    def test_leaks_are_not_in_step(self):
        events = self.film_still(leak=1.0, seconds=1.0)
        assert len(events) == 1600
        quarters = np.histogram(events["t"], 4, (3e6, 4e6))[0]
        assert np.abs(quarters - 400).max() < 5 * math.sqrt(300)

    def test_shot_noise_is_a_poisson_process(self):
        events = self.film_still(shot=2.0)
        pixels = events["y"].astype(int) * 40 + events["x"]
        counts = np.bincount(pixels, minlength=1600)
        assert counts.mean() == pytest.approx(20, abs=5 * math.sqrt(20 / 1600))
        assert counts.var() == pytest.approx(20, rel=5 * math.sqrt(2 / 1600))
        share = events["p"].mean()
        assert share == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(len(events)))
        gaps = np.concatenate([np.diff(events["t"][pixels == p]) for p in range(1600)]) / 1e6
        # The half-life of waiting; gaps that the end of the film cuts off are a little too few.
        assert (gaps < math.log(2) / 2).mean() == pytest.approx(0.5, abs=0.03)

    def test_neighbours_and_signs_know_nothing_of_each_other(self):
        counts = signed_counts(self.film_still(shot=2.0), 40, 40).astype(float)
        for one, other in ((counts[:, 1:], counts[:, :-1]), (counts[1:], counts[:-1])):
            correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
            assert abs(correlation) < 5 / 40

    def test_does_not_depend_on_the_frame_rate(self):
        for options in ({"shot": 2.0}, {"leak": 1.3}, {"shot": 3.0, "refractory": 0.1}):
            few, many = (self.film_still(frames, **options) for frames in (11, 301))
            assert len(few) == len(many)
            assert np.abs(np.sort(few["t"]) - np.sort(many["t"])).max() <= 1

    def test_the_seed_and_the_stream_decide_it(self):
        camera = EventCamera(EventSettings(threshold=0.2, shot=3.0), 40, 40)
        seen = []
        for stream in (0, 0, 1):
            camera.reset(stream)
            seen.append(film(camera, [self.still] * 3, (3, 8, 13)))
        assert np.array_equal(seen[0], seen[1])
        assert not np.array_equal(seen[0], seen[2])
        assert not np.array_equal(seen[0], self.film_still(shot=3.0, seed=1))
        assert np.array_equal(seen[0], self.film_still(3, shot=3.0))


class TestEventFrame:
    def test_known_values(self):
        counts = np.array([[-9, -3, -1, 0], [1, 2, 3, 9]])
        wanted = [[0, 0, 5, 7.5], [10, 12.5, 15, 15]]
        frame = event_frame(counts, 3)
        assert frame.dtype == np.float32
        assert frame.tolist() == wanted


class TestFaults:
    @pytest.mark.parametrize(
        "frame",
        [
            np.zeros((2, 3), np.uint8),
            np.zeros((3, 2, 3), np.uint8),
            np.zeros((2, 3, 3), np.float32),
            np.zeros((2, 3), np.int64),
        ],
        ids=lambda frame: f"{frame.dtype}{frame.shape}",
    )
    def test_wrong_frames(self, frame: NDArray[Any]):
        camera = EventCamera(EventSettings(threshold=0.2), 2, 3)
        with pytest.raises(ValueError, match=r"uint8 \(2, 3, 3\) or floating \(2, 3\)") as fault:
            camera.events(frame)
        assert str(frame.shape) in str(fault.value)

    @pytest.mark.parametrize("value", [-0.1, math.nan])
    def test_wrong_values(self, value: float):
        camera = EventCamera(EventSettings(threshold=0.2), 1, 2)
        with pytest.raises(ValueError, match=f"found {value:g}"):
            camera.counts(np.array([[0.5, value]]))

    @pytest.mark.parametrize("time", [1.0, 0.5, math.nan])
    def test_time_that_does_not_ascend(self, time: float):
        camera = EventCamera(EventSettings(threshold=0.2), 1, 1)
        camera.events(np.zeros((1, 1)), 1.0)
        with pytest.raises(MotionveilError, match="frame 1: its time"):
            camera.events(np.zeros((1, 1)), time)

    @pytest.mark.parametrize("size", [(0, 4), (4, 65536)])
    def test_wrong_sizes(self, size: tuple[int, int]):
        with pytest.raises(ValueError, match=f"{size[0]} and {size[1]}"):
            EventCamera(EventSettings(threshold=0.2), *size)

    def test_thresholds_that_are_none(self):
        with pytest.raises(MotionveilError, match=r"threshold 0.0001: .* 0.001 or more"):
            EventCamera(EventSettings(threshold=1e-4), 4, 4)
        with pytest.raises(MotionveilError, match=r"negative 1e-05: .* 0.001 or more"):
            EventCamera(EventSettings(threshold=0.2, negative=1e-5), 4, 4)


class TestTooManyEvents:
    @pytest.mark.parametrize("noise", [{"leak": 1e6}, {"shot": 1e6, "refractory": 1.0}])
    def test_are_refused_and_fill_no_memory(
        self, noise: dict[str, float], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(camera, "MOST_EVENTS", 1000)
        eye = EventCamera(EventSettings(threshold=0.2, **noise), 4, 4)
        frame = np.full((4, 4), 0.5)
        eye.events(frame, 0.0)
        with pytest.raises(MotionveilError, match="over 1000 events between 0 and 1e"):
            eye.events(frame, 1e8)

    @pytest.mark.parametrize("field", ["leak", "shot"])
    def test_cannot_be_asked_for(self, field: str):
        with pytest.raises(ValueError, match="less than or equal"):
            EventSettings(threshold=0.2, **{field: 10**12})

    def test_steps_that_fill_the_memory_are_refused(self):
        with pytest.raises(MotionveilError, match="interpolate 1000000000: at most 268435 for"):
            EventCamera(EventSettings(threshold=0.2, interpolate=10**9), 20, 50)
