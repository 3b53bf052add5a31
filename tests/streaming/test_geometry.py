"""A source is brought to an encoder's geometry: by exact averages, and by its timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.geometry import FrameRate, Geometry, rate_fraction
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.geometry import area_average, working_frames
from motionveil.video import Frame


def overlaps(source: int, target: int) -> NDArray[np.int64]:
    """Return (target, source): how much of each source pixel lies in each pixel of the result.

    In units in which a source pixel is `target` long and a pixel of the result `source`.
    """
    begins, ends = np.arange(source) * target, np.arange(1, source + 1) * target
    firsts, lasts = np.arange(target) * source, np.arange(1, target + 1) * source
    shared = np.minimum(ends, lasts[:, None]) - np.maximum(begins, firsts[:, None])
    return np.maximum(shared, 0)


def exact_average(frame: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return the averages in whole numbers, rounded half up, by two products of matrices."""
    down, across = overlaps(frame.shape[0], shape[0]), overlaps(frame.shape[1], shape[1])
    rows = np.einsum("iy,yxc->ixc", down, frame.astype(np.int64))
    total = np.einsum("ixc,kx->ikc", rows, across)
    area = frame.shape[0] * frame.shape[1]
    return (2 * total + area) // (2 * area)


sides = st.integers(1, 90)


class TestAreaAverage:
    @given(height=sides, width=sides, to=st.tuples(sides, sides), seed=st.integers(0, 99))
    @settings(max_examples=60, deadline=None)
    def test_is_exact_at_every_size(
        self, height: int, width: int, to: tuple[int, int], seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        frame = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        np.testing.assert_array_equal(area_average(frame, to), exact_average(frame, to))

    @pytest.mark.parametrize("shape", [(1080, 1920), (2160, 3840), (1920, 1080), (700, 3)])
    def test_does_not_overflow(self, shape: tuple[int, int]) -> None:
        white = np.full((*shape, 3), 255, np.uint8)
        assert (area_average(white, (64, 4)) == 255).all()
        assert (area_average(white, (1, 1)) == 255).all()

    def test_of_large_frames_is_exact(self) -> None:
        frame = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
        np.testing.assert_array_equal(
            area_average(frame, (64, 114)), exact_average(frame, (64, 114))
        )

    def test_of_the_same_size_is_the_frame(self) -> None:
        frame = np.random.default_rng(0).integers(0, 256, (64, 86, 3), dtype=np.uint8)
        np.testing.assert_array_equal(area_average(frame, (64, 86)), frame)

    def test_every_row_and_column_counts_alike(self) -> None:
        """No line of a frame is passed over: a white one moves the mean wherever it lies."""
        means = []
        for line in range(45):
            frame = np.zeros((45, 60, 3), np.uint8)
            frame[line] = 255
            means.append(float(area_average(frame, (8, 10)).sum()))
        assert max(means) - min(means) <= 0.03 * max(means)  # of rounding to 8 bits


class TestShape:
    @pytest.mark.parametrize(
        ("height", "width", "aspect", "shape"),
        [
            (1080, 1920, 1, (64, 114)),
            (1920, 1080, 1, (114, 64)),
            (480, 640, 1, (64, 86)),
            (576, 720, Fraction(64, 45), (64, 114)),
            (64, 64, 1, (64, 64)),
            (8, 10, 1, (64, 80)),
        ],
    )
    def test_keeps_the_aspect(
        self, height: int, width: int, aspect: Fraction, shape: tuple[int, int]
    ) -> None:
        assert Geometry(size=64, rate=15).shape(height, width, aspect) == shape

    def test_sides_are_multiples(self) -> None:
        assert Geometry(size=65, rate=15).shape(1080, 1920, multiple=4) == (64, 116)

    def test_a_line_is_no_picture(self) -> None:
        with pytest.raises(MotionveilError, match="is no scene"):
            Geometry(size=64, rate=15).shape(4, 100)


Times = Sequence[float | Fraction]


def taken(rate: float, times: Times) -> list[float | Fraction]:
    limit = FrameRate(rate)
    return [time for time in times if limit.takes(time)]


def taken_by_definition(rate: Fraction, times: Sequence[Fraction]) -> list[Fraction]:
    """The rule of `FrameRate` in fractions of an interval since the beginning of the stream."""
    allowance, found = Fraction(1, 10**6), []
    due = before = None
    for time in times:
        at = time * rate
        if due is None or before is None or at < before:
            due = before = at
        gap, before, early = at - before, at, due - at
        if early > Fraction(1, 10) + allowance:
            continue
        found.append(time)
        if -early > Fraction(1, 10) + allowance:
            due = at + 1
        elif gap > Fraction(1, 5) + allowance:
            due += 1 - (early if abs(early) < Fraction(1, 100) else Fraction(1, 100) * sign(early))
        else:
            due += 1
    return found


def sign(number: Fraction) -> int:
    return (number > 0) - (number < 0)


class TestFrameRate:
    @pytest.mark.parametrize(
        ("source", "rate", "every"),
        [
            (30, 15, 2),
            (29.97, 15, 2),
            (30, 10, 3),
            (25, 15, 2),
            (15, 15, 1),
            (14, 15, 1),
            (60, 15, 4),
        ],
    )
    def test_of_constant_rates(self, source: float, rate: float, every: int) -> None:
        times = [n / source for n in range(300)]
        assert taken(rate, times) == times[::every]
        exact = Geometry(size=64, rate=rate).frame_rate(Fraction(source).limit_denominator(1001))
        assert float(exact) == pytest.approx(source / every)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("source", "rate"), [(50, 15), (48, 15), (48, 10), (31, 30)])
    def test_a_source_that_is_too_fast_gives_no_more(self, source: float, rate: float) -> None:
        times = [n / source for n in range(6000)]
        found = taken(rate, times)
        said = Geometry(size=64, rate=rate).frame_rate(Fraction(source).limit_denominator(1001))
        assert said is not None
        assert (len(found) - 1) / found[-1] == pytest.approx(float(said), rel=0.01)
        assert len(found) <= rate / 0.99 * times[-1] + 1.2

    @pytest.mark.parametrize(
        ("source", "rate", "every"),
        [
            (30.2, 30, 1),
            (30.3, 30, 1),
            (10.07, 10, 1),
            (30, 30000 / 1001, 1),
            (30.2, 15, 2),
            (30.2, 10, 3),
            (60.4, 15, 4),
        ],
    )
    def test_a_source_that_is_one_percent_too_fast_keeps_its_beat(
        self, source: float, rate: float, every: int
    ) -> None:
        times = [n / source for n in range(20_000)]
        assert taken(rate, times) == times[::every]
        rounded = [round(time, 3) for time in times]
        assert taken(rate, rounded) == rounded[::every]
        said = Geometry(size=64, rate=rate).frame_rate(Fraction(source).limit_denominator(1001))
        assert float(said) == pytest.approx(source / every)  # type: ignore[arg-type]

    @given(
        rate=st.floats(0.01, 1000),
        every=st.integers(1, 4),
        excess=st.fractions(0, Fraction(1, 100)),
        start=st.fractions(0, 10**6, max_denominator=1000),
    )
    @settings(max_examples=200, deadline=None)
    @example(rate=1000, every=1, excess=Fraction(1, 100), start=Fraction(0))
    def test_of_any_rate(self, rate: float, every: int, excess: Fraction, start: Fraction) -> None:
        source = rate_fraction(rate) * every * (1 + excess)
        times = [start + n / source for n in range(500)]
        assert taken(rate, times) == times[::every]

    def test_above_one_percent_frames_are_left_out(self) -> None:
        times = [Fraction(n * 100, 102 * 30) for n in range(2000)]
        assert len(taken(30, times)) < 1999

    @given(
        rate=st.one_of(
            st.sampled_from([10, 12.5, 15, 24000 / 1001, 25, 30000 / 1001, 30, 60, 1 / 3]),
            st.floats(0.5, 1000),
        ),
        # Parts of an interval; those at which the rule turns are tried often.
        gaps=st.lists(
            st.one_of(
                st.fractions(0, 3, max_denominator=1000),
                st.fractions(Fraction(98, 100), Fraction(102, 100), max_denominator=1000),
                st.sampled_from([Fraction(n, 100) for n in (-50, 0, 10, 20, 50, 89, 90, 99)]),
                st.sampled_from([Fraction(n, 100) for n in (100, 101, 110, 111, 180, 190)]),
            ),
            min_size=1,
            max_size=150,
        ),
    )
    @settings(max_examples=300, deadline=None)
    def test_is_as_defined(self, rate: float, gaps: list[Fraction]) -> None:
        exact, at = rate_fraction(rate), Fraction(5)
        times = [at]
        for gap in gaps:  # in whole nanoseconds
            at = max(Fraction(0), at + gap / exact)
            times.append(Fraction(round(at * 10**9), 10**9))
        assert taken(rate, times) == taken_by_definition(exact, times)

    def test_rounded_timestamps_are_all_taken(self) -> None:
        times = [round(1000 * n / 15) / 1000 for n in range(200)]  # Matroska's milliseconds
        assert taken(15, times) == times

    @given(
        gaps=st.lists(st.floats(0.001, 0.3), min_size=1, max_size=200),
        rate=st.floats(1, 60),
    )
    def test_never_more_than_the_rate(self, gaps: list[float], rate: float) -> None:
        found = taken(rate, np.cumsum([0.0, *gaps]).tolist())
        for first in range(0, len(found), 7):
            for last in range(first + 1, len(found)):
                # Of an interval a tenth may be borrowed, once.
                assert last - first <= float(found[last] - found[first]) * rate / 0.99 + 0.21

    def test_a_slow_source_is_taken_whole(self) -> None:
        times = np.cumsum(np.random.default_rng(0).uniform(0.07, 0.4, 100)).tolist()
        assert taken(15, times) == times

    def test_a_clock_that_goes_back_begins_anew(self) -> None:
        assert taken(10, [5.0, 5.1, 0.0, 0.05, 0.1]) == [5.0, 5.1, 0.0, 0.1]

    def test_no_time_is_taken(self) -> None:
        limit = FrameRate(1)
        assert all(limit.takes(None) for _ in range(5))


def moving(number: int, height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


class TestStreamEncoder:
    def test_is_the_native_encoder_on_working_frames(self) -> None:
        spec = load_spec("bdq")
        assert spec.geometry is not None
        encoder, native = StreamEncoder(spec), StreamEncoder(spec, native=True)
        for number in range(9):
            frame = moving(number, 120, 161)
            found = encoder(frame, time=number / 30)
            if number % 2:
                assert found is None
                continue
            small = area_average(frame, (64, 86))
            np.testing.assert_array_equal(found, native(small))

    def test_what_is_missing_in_a_frame_left_out_is_not_forgotten(self) -> None:
        encoder = StreamEncoder(
            EncoderSpec.untrained(range=0.25, geometry=Geometry(size=8, rate=10))
        )
        fresh = {3}
        guarded = []
        for number in range(9):
            out = encoder(moving(number, 16, 16), time=number / 20, fresh=number in fresh)
            guarded += [] if out is None else [encoder.guarded]
        assert guarded == ["first", None, "fresh", None, None]

    def test_another_size_of_the_same_shape_goes_on(self) -> None:
        """A camera that changes its resolution shows the same scene."""
        encoder = StreamEncoder(load_spec("bdq"))
        assert encoder(moving(0, 120, 160)) is not None
        encoder(moving(0, 240, 320).copy())
        assert encoder.guarded is None
        encoder(moving(0, 320, 240))
        assert encoder.guarded == "size"

    def test_working_frames_are_those_of_the_encoder(self) -> None:
        geometry = Geometry(size=64, rate=15)
        base = Fraction(1, 30)
        frames = [
            Frame(moving(n, 144, 180), n, base, fresh=n == 5, aspect=Fraction(64, 45))
            for n in range(9)
        ]
        found = list(working_frames(frames, geometry))
        assert [frame.pts for frame in found] == [0, 2, 4, 6, 8]
        assert [frame.fresh for frame in found] == [False, False, False, True, False]
        assert {frame.image.shape for frame in found} == {(64, 114, 3)}
