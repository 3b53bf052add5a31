from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from export_examples import (
    GEOMETRY,
    SPECS,
    exact_position,
    hard_within,
    movers,
    noise,
    working,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.export import IntegerEncoder
from motionveil.export.difference_integer import LARGEST_SUM, LARGEST_TABLE, integer_numbers
from motionveil.export.integer import average
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.geometry import area_average

EACH = pytest.mark.parametrize("name", SPECS)


def veil(encoder: StreamEncoder | IntegerEncoder, clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Veil working frames, of whatever size."""
    one = encoder.veil if isinstance(encoder, IntegerEncoder) else encoder
    return np.stack([one(frame) for frame in clip])


def both(spec: EncoderSpec) -> tuple[IntegerEncoder, StreamEncoder]:
    return IntegerEncoder(spec), StreamEncoder(spec, native=True)


def position_errors(spec: EncoderSpec, clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return by how many levels of x each value is off."""
    numbers = integer_numbers(spec)
    assert spec.settings.range is not None
    entries = np.stack([numbers.entries(d) for d in np.diff(clip.astype(int), axis=0)])
    grey = (entries - numbers.zero) * numbers.step
    position = np.clip(7.5 + grey * 15 / (2 * 255 * spec.settings.range), 0, 15)
    return np.abs(position - exact_position(spec, clip))


class TestAgreement:
    @EACH
    @pytest.mark.parametrize("hard", [False, True])
    def test_with_the_stream_encoder_on_real_video(
        self, name: str, hard: bool, real_clip: NDArray[np.uint8]
    ) -> None:
        self.check(SPECS[name], real_clip, hard)

    @EACH
    @pytest.mark.parametrize("hard", [False, True])
    def test_with_the_stream_encoder_on_movers(self, name: str, hard: bool) -> None:
        self.check(SPECS[name], movers(), hard)

    def check(self, spec: EncoderSpec, clip: NDArray[np.uint8], hard: bool) -> None:
        encoder = IntegerEncoder(spec, hard=hard)
        whole, stream = veil(encoder, clip), veil(StreamEncoder(spec, native=True, hard=hard), clip)
        assert np.ptp(stream[1:].astype(int)) > 50, "the test needs motion"
        off = np.abs(whole.astype(int) - stream)
        if hard:
            assert hard_within(spec, clip, whole[1:], integer_numbers(spec, hard=hard).error)
            assert (off > 0).mean() < 0.01
        else:
            assert off.max() <= 1

    @EACH
    @settings(max_examples=25, deadline=None)
    @given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 1000))
    def test_with_the_stream_encoder_at_every_size(
        self, name: str, height: int, width: int, seed: int
    ) -> None:
        clip = noise(3, height, width, seed)
        whole, stream = (veil(encoder, clip) for encoder in both(SPECS[name]))
        assert np.abs(whole.astype(int) - stream).max() <= 1


class TestError:
    @EACH
    def test_is_below_its_bound_on_real_video(
        self, name: str, real_clip: NDArray[np.uint8]
    ) -> None:
        self.check(name, real_clip, "real video")

    @EACH
    def test_is_below_its_bound_on_noise(self, name: str) -> None:
        clips = [noise(3, 60, 80, seed) for seed in range(9)]
        self.check(name, np.concatenate(clips), "noise")

    def check(self, name: str, clip: NDArray[np.uint8], what: str) -> None:
        numbers = integer_numbers(SPECS[name])
        worst = position_errors(SPECS[name], clip).max()
        print(f"\n{name}, {what}: x off by {worst:.5f} at most, bound {numbers.error:.5f}")
        assert 0 < worst <= numbers.error

    @settings(max_examples=40, deadline=None)
    @given(sigma=st.floats(0.3, 20), reach=st.floats(0.01, 1), seed=st.integers(0, 100))
    def test_is_below_its_bound_for_every_blur_and_range(
        self, sigma: float, reach: float, seed: int
    ) -> None:
        spec = EncoderSpec.untrained(range=reach).change(sigma=sigma)
        clip = noise(3, 9, 11, 3 * seed)  # of 0 and 255, the worst there is
        assert position_errors(spec, clip).max() <= integer_numbers(spec).error

    @settings(max_examples=60, deadline=None)
    @given(sigma=st.floats(0.3, 20), reach=st.floats(0.1, 1))
    def test_bound_is_small_for_every_blur_and_range(self, sigma: float, reach: float) -> None:
        spec = EncoderSpec.untrained(range=reach).change(sigma=sigma)
        numbers = integer_numbers(spec)
        # Near sigma 0.41 the outermost weight is 1/2 of what the least whole one is.
        assert numbers.error <= (0.0035 if sigma > 0.5 else 0.0075)
        assert LARGEST_TABLE / 2 - 2 <= len(numbers.table) <= LARGEST_TABLE
        assert all(0 <= weight <= LARGEST_SUM for weight in numbers.weights)
        assert numbers.sum % 2 == 0
        assert numbers.sum <= LARGEST_SUM

    def test_grows_where_the_range_is_narrow(self) -> None:
        assert 0.0035 < integer_numbers(SPECS["narrow"]).error < 0.011

    @pytest.mark.parametrize("reach", [1e-9, 1e-4, 1])
    def test_extreme_ranges_and_greatest_differences(self, reach: float) -> None:
        spec = EncoderSpec.untrained(range=reach, geometry=GEOMETRY)
        black, white = np.zeros((1, 7, 9, 3), np.uint8), np.full((1, 7, 9, 3), 255, np.uint8)
        clip = np.concatenate([black, white, white, black])
        whole, stream = (veil(encoder, clip) for encoder in both(spec))
        np.testing.assert_array_equal(whole, stream)
        numbers = integer_numbers(spec)
        difference = np.full((7, 9, 3), 255)
        np.testing.assert_array_equal(numbers.entries(difference), len(numbers.table) - 1)
        assert numbers.entries(difference).dtype == np.int32


class TestNeutralFrame:
    @EACH
    @pytest.mark.parametrize("hard", [False, True])
    def test_first_after_reset_and_after_a_change_of_size(self, name: str, hard: bool) -> None:
        encoder = IntegerEncoder(SPECS[name], hard=hard)
        clip = noise(2, 48, 36)
        neutral = StreamEncoder(SPECS[name], hard=hard)(clip[0])
        np.testing.assert_array_equal(encoder(clip[0]), neutral)
        np.testing.assert_array_equal(encoder(clip[0]), neutral)
        assert np.ptp(encoder(clip[1])) > 0
        encoder.reset()
        np.testing.assert_array_equal(encoder(clip[0]), neutral)
        assert np.ptp(encoder(clip[1].reshape(36, 48, 3))) == 0

    def test_keeps_a_copy_of_the_frame_before(self) -> None:
        clip = noise(2, 8, 6)
        expected = veil(IntegerEncoder(SPECS["shipped"]), clip)
        encoder = IntegerEncoder(SPECS["shipped"])
        camera = clip[0].copy()
        encoder.veil(camera)
        camera[...] = clip[1]
        np.testing.assert_array_equal(encoder.veil(camera), expected[1])


class TestAverage:
    @settings(max_examples=150, deadline=None)
    @given(sizes=st.tuples(*[st.integers(1, 70)] * 4), seed=st.integers(0, 1000))
    def test_equals_area_average(self, sizes: tuple[int, int, int, int], seed: int) -> None:
        frame = noise(1, *sizes[:2], seed)[0]
        np.testing.assert_array_equal(average(frame, sizes[2:]), area_average(frame, sizes[2:]))

    def test_a_frame_of_a_camera_is_averaged_and_then_veiled(self) -> None:
        spec, clip = SPECS["untrained"], movers(4, 90, 160)
        encoder = IntegerEncoder(spec)
        veiled = np.stack([encoder(frame) for frame in clip])
        assert veiled.shape == (4, 36, 64, 3)
        np.testing.assert_array_equal(veiled, veil(IntegerEncoder(spec), working(spec, clip)))

    def test_a_working_frame_passes_unchanged(self) -> None:
        clip = movers(3, 36, 52)
        encoder = IntegerEncoder(SPECS["untrained"])
        veiled = np.stack([encoder(frame) for frame in clip])
        np.testing.assert_array_equal(veiled, veil(IntegerEncoder(SPECS["untrained"]), clip))

    def test_pixels_that_are_not_square(self) -> None:
        encoder = IntegerEncoder(SPECS["untrained"])
        assert encoder(noise(1, 57, 72)[0], Fraction(64, 45)).shape == (36, 64, 3)


class TestInput:
    @pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
    def test_wrong_arrays_are_refused(self, shape: tuple[int, ...]) -> None:
        encoder = IntegerEncoder(SPECS["shipped"])
        for one in (encoder, encoder.veil):
            with pytest.raises(ValueError, match=r"a frame is uint8 \(H, W, 3\), not"):
                one(np.zeros(shape, np.uint8))

    def test_encoders_that_cannot_run_are_refused(self) -> None:
        with pytest.raises(MotionveilError, match="at which size and rate"):
            IntegerEncoder(EncoderSpec.untrained(range=0.25))
        with pytest.raises(MotionveilError, match="raw cannot be exported"):
            IntegerEncoder(EncoderSpec(method="raw"))
        clip = SPECS["shipped"].change(range_mode="clip", range=None)
        with pytest.raises(MotionveilError, match="only 'fixed' can stream"):
            IntegerEncoder(clip)
