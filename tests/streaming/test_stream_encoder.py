from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.methods.bdq import INITIAL_BOUNDARIES
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.avx512 import evaluate_segments, is_supported
from motionveil.streaming.stream_encoder import prepare
from motionveil.streaming.veils import DifferenceVeil, make_quantiser
from motionveil.video import read_clip

TRAINED = EncoderSpec(
    sigma=1.9,
    # As training leaves them: a dead zone around zero motion, boundaries that fall together.
    boundaries=(0.5, 1.5, 2.5, 3.5, 4.5, 5.4, 5.4, 9.3, 9.3, 9.3, 10.5, 11.5, 12.5, 13.5, 14.5),
    hardness=5.0,
    range_mode="fixed",
    range=0.2,
)
UNTRAINED = EncoderSpec.untrained(range=0.25)
VECTORS = pytest.mark.parametrize(
    "vectors",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(not is_supported(), reason="needs AVX-512 VBMI"),
        ),
    ],
    ids=["table", "vectors"],
)
SPECS = pytest.mark.parametrize("spec", [UNTRAINED, TRAINED], ids=["untrained", "trained"])


def stream(
    spec: EncoderSpec, clip: NDArray[np.uint8], *, hard: bool = False, vectors: bool | None = None
) -> NDArray[np.uint8]:
    encoder = StreamEncoder(
        spec, native=True, hard=hard, veil=DifferenceVeil(spec, hard=hard, vectors=vectors)
    )
    return np.stack([encoder(frame) for frame in clip])


def definition(spec: EncoderSpec, clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The paper's order: blur each frame with the 5 x 5 window, subtract, quantise; float64."""
    height, width = clip.shape[1:3]
    padded = np.pad(clip / 255, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    window = np.outer(spec.difference().weights, spec.difference().weights)
    blurred = np.zeros(clip.shape)
    for y in range(5):
        for x in range(5):
            blurred += window[y, x] * padded[:, y : y + height, x : x + width]
    return 17 * spec.difference().levels(np.diff(blurred, axis=0))


@pytest.fixture(scope="module")
def real_clip(ut_interaction: Path) -> NDArray[np.uint8]:
    return read_clip(ut_interaction / "segmented_set1" / "0_1_4.avi", 40, 60)


class TestAgreement:
    @SPECS
    def test_with_the_torch_module_on_real_video(
        self, spec: EncoderSpec, real_clip: NDArray[np.uint8]
    ) -> None:
        torch = pytest.importorskip("torch")
        from motionveil.encoders import build_encoder

        clip = torch.from_numpy(real_clip).permute(3, 0, 1, 2)[None].float() / 255
        with torch.no_grad():
            veiled = build_encoder(spec)(clip)  # (1, 3, T - 1, H, W)
        offline = torch.round(17 * veiled)[0].permute(1, 2, 3, 0).numpy().astype(int)
        assert offline.shape == real_clip[1:].shape
        assert np.abs(stream(spec, real_clip)[1:] - offline).max() <= 1
        assert np.ptp(offline) > 50, "the test needs motion"

    @VECTORS
    @pytest.mark.parametrize("reach", [1e-9, 1e-4, 0.01, 1.0])
    def test_in_any_range(self, reach: float, vectors: bool) -> None:
        clip = np.random.default_rng(0).integers(0, 256, (4, 20, 70, 3), dtype=np.uint8)
        clip[3] = 255 - clip[2] // 128 * 255
        spec = EncoderSpec.untrained(range=reach)
        difference = stream(spec, clip, vectors=vectors)[1:] - np.rint(definition(spec, clip))
        # In so narrow a range single precision shows: a value beside a boundary of almost no width.
        assert (np.abs(difference) > 1).mean() < (1e-2 if reach < 1e-3 else 1e-9)

    @SPECS
    @settings(max_examples=30, deadline=None)
    @given(
        height=st.integers(1, 12),
        width=st.integers(1, 12),
        contrast=st.integers(1, 255),
        seed=st.integers(0, 1000),
    )
    def test_with_the_definition_at_every_size(
        self, spec: EncoderSpec, height: int, width: int, contrast: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        clip = rng.integers(0, contrast + 1, (4, height, width, 3), dtype=np.uint8)
        difference = stream(spec, clip)[1:] - np.rint(definition(spec, clip))
        assert np.abs(difference).max() <= 1

    @VECTORS
    @pytest.mark.parametrize("spec", [load_spec("bdq"), UNTRAINED], ids=["bdq", "untrained"])
    @settings(max_examples=40, deadline=None)
    @given(
        height=st.integers(1, 9),
        width=st.integers(1, 260),
        moving=st.integers(0, 6),
        noise=st.integers(0, 12),
        seed=st.integers(0, 1000),
    )
    def test_where_little_moves(
        self,
        spec: EncoderSpec,
        vectors: bool,
        height: int,
        width: int,
        moving: int,
        noise: int,
        seed: int,
    ) -> None:
        # What is within the quantiser's step around zero is not blurred: no motion may be missed.
        rng = np.random.default_rng(seed)
        still = rng.integers(20, 230, (height, width, 3))
        clip = still + rng.integers(-noise, noise + 1, (4, height, width, 3))
        for _ in range(moving):
            place = (rng.integers(4), rng.integers(height), rng.integers(width))
            clip[place] = rng.integers(0, 256, 3)
        clip = clip.astype(np.uint8)
        difference = stream(spec, clip, vectors=vectors)[1:] - np.rint(definition(spec, clip))
        assert np.abs(difference).max() <= 1

    def test_hard_but_for_values_on_a_boundary(self, real_clip: NDArray[np.uint8]) -> None:
        hard = stream(TRAINED, real_clip, hard=True)
        assert set(np.unique(hard // 17 * 17)) == set(np.unique(hard)), "whole levels only"
        step = 0.001 * 2 * TRAINED.settings.range / 15
        low, high = (
            17 * TRAINED.difference(hard=True).levels(blurred_difference(real_clip) + sign * step)
            for sign in (-1, 1)
        )
        assert ((hard[1:] >= low) & (hard[1:] <= high)).all()


def blurred_difference(clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    identity = EncoderSpec(
        sigma=TRAINED.settings.sigma,
        boundaries=INITIAL_BOUNDARIES,
        hardness=5.0,
        range_mode="fixed",
        range=1.0,
    )
    height, width = clip.shape[1:3]
    padded = np.pad(np.diff(clip / 255, axis=0), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    weights = identity.difference().weights
    rows = sum(w * padded[:, k : k + height] for k, w in enumerate(weights))
    return sum(w * rows[:, :, k : k + width] for k, w in enumerate(weights))


class TestNeutralFrame:
    @SPECS
    @pytest.mark.parametrize("hard", [False, True])
    def test_first_frame_is_what_no_motion_gives(self, spec: EncoderSpec, hard: bool) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
        first, second = stream(spec, np.stack([picture, picture]), hard=hard)
        assert np.ptp(first) == 0
        np.testing.assert_array_equal(first, second)
        assert first[0, 0, 0] == round(
            17 * float(spec.difference(hard=hard).levels(np.zeros(1))[0])
        )

    def test_after_reset_and_after_a_change_of_size(self) -> None:
        rng = np.random.default_rng(0)
        encoder = StreamEncoder(UNTRAINED, native=True)
        neutral = int(encoder(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))[0, 0, 0])
        assert np.ptp(encoder(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))) > 0
        encoder.reset()
        assert (encoder(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) == neutral).all()
        assert (encoder(rng.integers(0, 256, (4, 16, 3), dtype=np.uint8)) == neutral).all()
        assert np.ptp(encoder(rng.integers(0, 256, (4, 16, 3), dtype=np.uint8))) > 0


class TestInput:
    def test_is_left_alone_and_output_is_new(self) -> None:
        clip = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
        before = clip.copy()
        encoder = StreamEncoder(UNTRAINED, native=True)
        outputs = [encoder(frame) for frame in clip]
        kept = [output.copy() for output in outputs]
        encoder(clip[0])
        np.testing.assert_array_equal(clip, before)
        np.testing.assert_array_equal(outputs, kept)

    def test_views_give_the_same_as_copies(self) -> None:
        clip = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), dtype=np.uint8)
        view = clip[:, ::-1, 1:9:2]
        np.testing.assert_array_equal(
            stream(UNTRAINED, view), stream(UNTRAINED, np.ascontiguousarray(view))
        )

    @pytest.mark.parametrize(
        "frame",
        [
            np.zeros((4, 4, 3), np.float32),
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((0, 4, 3), np.uint8),
        ],
    )
    def test_wrong_arrays_are_refused(self, frame: NDArray[np.uint8]) -> None:
        with pytest.raises(ValueError, match=r"a frame is uint8 \(H, W, 3\), not"):
            StreamEncoder(UNTRAINED, native=True)(frame)

    @pytest.mark.parametrize("mode", ["clip", "batch"])
    def test_ranges_that_look_ahead_are_refused(self, mode: str) -> None:
        spec = UNTRAINED.change(range_mode=mode, range=None)
        with pytest.raises(MotionveilError, match="only 'fixed' can stream"):
            StreamEncoder(spec, native=True)

    def test_raw_is_refused(self) -> None:
        with pytest.raises(MotionveilError, match="raw cannot veil a stream"):
            StreamEncoder(EncoderSpec(method="raw"))

    def test_without_a_geometry_is_refused_with_a_way_out(self) -> None:
        with pytest.raises(MotionveilError, match=r'add "geometry": .* or veil .* --native'):
            StreamEncoder(UNTRAINED)


class TestQuantiser:
    @VECTORS
    @pytest.mark.parametrize(
        "spec",
        [
            load_spec("bdq"),
            UNTRAINED,
            TRAINED,
            TRAINED.change(boundaries=(7.5,) * 15),
        ],
        ids=["bdq", "untrained", "trained", "one step"],
    )
    def test_is_as_exact_as_it_says(self, spec: EncoderSpec, vectors: bool) -> None:
        quantiser = make_quantiser(spec.difference(), vectors=vectors)
        steepest = spec.settings.boundaries == (7.5,) * 15
        assert quantiser.error <= (0.005 if steepest else 0.003)
        assert (quantiser.factor >= 0) == (vectors and not steepest)
        values = quantiser.table
        if quantiser.factor >= 0:
            values = evaluate_segments(quantiser.table, quantiser.factor)
        entries = np.arange(len(values)) - (quantiser.last + 1) // 2
        for part in (-0.5, 0, 0.5):  # the differences that are rounded to the entry
            differences = (entries + part) * spec.settings.range / ((quantiser.last + 1) // 2)
            exact = spec.difference().levels(
                np.clip(differences, -spec.settings.range, spec.settings.range)
            )
            assert np.abs(values / 17 - exact).max() <= quantiser.error + 0.5 / 17 + 1e-6
        assert (np.diff(values.astype(int)) >= (-1 if quantiser.factor >= 0 else 0)).all()

    def test_vectors_that_are_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("motionveil.streaming.veils.is_supported", lambda: False)
        assert make_quantiser(UNTRAINED.difference()).factor == -1
        with pytest.raises(MotionveilError, match="AVX-512 VBMI"):
            make_quantiser(UNTRAINED.difference(), vectors=True)


def allocated(height: int, width: int, *, guard: Guard | None) -> int:
    """Return the most bytes that Python and NumPy hold at a time while a frame is veiled.

    The least of several frames: another thread may allocate something meanwhile.
    """
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (16, height, width, 3), dtype=np.uint8)
    encoder, out = StreamEncoder(TRAINED, native=True, guard=guard), np.empty_like(clip[0])
    peaks = []
    tracemalloc.start()
    try:
        for frame in clip:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            assert encoder(frame, out=out) is out
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return min(peaks[4:])  # the first ones make room


class TestSpeed:
    def test_nothing_is_allocated_for_a_frame(self) -> None:
        assert allocated(240, 320, guard=None) < 2000, "a frame is 230,400 bytes"
        assert allocated(480, 640, guard=None) < 2000
        assert allocated(480, 640, guard=Guard()) < 12_000, "some figures; a frame is 921,600 bytes"

    def test_the_wait_for_compiled_code_is_told(self) -> None:
        assert prepare() > 0

    def test_where_to_write(self) -> None:
        frame = np.zeros((6, 5, 3), np.uint8)
        encoder = StreamEncoder(UNTRAINED, native=True)
        for out in (
            np.zeros((6, 5, 3)),
            np.zeros((5, 5, 3), np.uint8),
            np.zeros((6, 10, 3), np.uint8)[:, ::2],
        ):
            with pytest.raises(ValueError, match="out must be contiguous uint8"):
                encoder(frame, out=out)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="out must not be the frame itself"):
            encoder(frame, out=frame)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_none_is_refused(time: float) -> None:
    encoder = StreamEncoder(load_spec("moments"))
    with pytest.raises(ValueError, match="a frame's time is"):
        encoder(np.zeros((48, 64, 3), np.uint8), time=time)


@pytest.mark.parametrize("frame", [None, [[[0, 0, 0]]]])
def test_what_is_no_array_is_refused(frame: object) -> None:
    with pytest.raises(ValueError, match="a frame is a NumPy array, not a"):
        StreamEncoder(load_spec("moments"))(frame)  # type: ignore[arg-type]


@pytest.mark.parametrize("aspect", [float("nan"), float("inf")])
def test_an_aspect_that_is_none_is_refused(aspect: float) -> None:
    with pytest.raises(MotionveilError, match="times as wide as it is high"):
        StreamEncoder(load_spec("moments"))(np.zeros((48, 64, 3), np.uint8), aspect=aspect)
