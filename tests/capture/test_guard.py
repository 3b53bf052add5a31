"""Each case without an honest difference, made from real video; can the scene be read?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.capture import Guard, StreamEncoder
from motionveil.capture.guard import block_differences
from motionveil.spec import EncoderSpec, load_spec
from motionveil.video import read_clip

Frames = NDArray[np.uint8]
# An untrained encoder hides nothing that moves, so it shows best what a guard must stop.
UNTRAINED = EncoderSpec.untrained(range=0.25)
SPECS = pytest.mark.parametrize("spec", [UNTRAINED, load_spec("bdq")], ids=["untrained", "bdq"])
SEAM = 20
READABLE = 0.3
"""Correlation with the scene's edges from which on a person sees the scene."""


@pytest.fixture(scope="module")
def street(ut_interaction: Path) -> Frames:
    return read_clip(ut_interaction / "segmented_set1" / "0_1_4.avi")


@pytest.fixture(scope="module")
def elsewhere(kth: Path, street: Frames) -> Frames:
    video = read_clip(kth / "boxing" / "person16_boxing_d4_uncomp.avi", 0, 60)
    return resize(video, *street.shape[1:3])


def resize(clip: Frames, height: int, width: int) -> Frames:
    rows = np.arange(height) * clip.shape[1] // height
    columns = np.arange(width) * clip.shape[2] // width
    return np.ascontiguousarray(clip[:, rows][:, :, columns])


def brighter(clip: Frames, gain: float) -> Frames:
    return np.clip(np.rint(clip * gain), 0, 255).astype(np.uint8)


def edges(image: NDArray) -> NDArray[np.float64]:
    down, across = np.gradient(image.astype(np.float64).mean(axis=-1))
    return np.hypot(down, across)


def correlation(veiled: NDArray, scene: NDArray) -> float:
    """Correlate the edges of a veiled frame with a scene's; a frame of one grey has none: 0."""
    ours, theirs = edges(veiled), edges(scene)
    return float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]) if ours.std() > 0 else 0.0


def veil(
    spec: EncoderSpec,
    frames: Sequence[Frames] | Frames,
    guard: Guard | None,
    *,
    times: Sequence[float] | None = None,
    fresh: int | None = None,
) -> tuple[list[Frames], list[str | None]]:
    encoder = StreamEncoder(spec, guard=guard)
    veiled, reasons = [], []
    for number, frame in enumerate(frames):
        time = None if times is None else times[number]
        veiled.append(encoder(frame, time=time, fresh=number == fresh))
        reasons.append(encoder.guarded)
    return veiled, reasons


class TestStillScene:
    """Behind a still camera the honest differences do not show the scene; these would."""

    @SPECS
    @pytest.mark.parametrize("case", ["cut", "brighter", "darker", "flash", "bleached"])
    def test_cannot_be_read_with_the_guard_and_can_without(
        self, spec: EncoderSpec, case: str, street: Frames, elsewhere: Frames
    ) -> None:
        before, after = street[:SEAM], street[SEAM : 2 * SEAM].copy()
        if case == "cut":
            after = elsewhere[:SEAM]
        elif case in ("brighter", "darker"):
            after = brighter(after, {"brighter": 1.25, "darker": 0.75}[case])
        elif case == "bleached":  # a gamma, not a gain
            after = (255 * (after / 255) ** 0.7).astype(np.uint8)
        elif case == "flash":
            after[0] = brighter(after[:1], 1.5)[0]
        frames = [*before, *after]
        bare, _ = veil(spec, frames, None)
        guarded, reasons = veil(spec, frames, Guard())
        scenes = (frames[SEAM - 1], frames[SEAM])
        assert max(correlation(bare[SEAM], scene) for scene in scenes) > READABLE
        apart = [*veil(spec, before, None)[0], *veil(spec, after, None)[0]]
        honest = max(map(correlation, apart, frames))
        for number in range(SEAM, SEAM + 5):
            assert correlation(guarded[number], scenes[0]) <= honest
            assert correlation(guarded[number], scenes[1]) <= honest
        assert np.ptp(guarded[SEAM]) == 0
        ends = SEAM + (2 if case == "flash" else 1)
        reason = "cut" if case == "cut" else "exposure"
        assert reasons[1:] == [None] * (SEAM - 1) + [reason] * (ends - SEAM) + [None] * (40 - ends)
        for number in range(ends, len(frames)):
            np.testing.assert_array_equal(guarded[number], bare[number])

    @SPECS
    def test_a_camera_that_settles_its_exposure_is_guarded_until_it_has(
        self, spec: EncoderSpec, street: Frames
    ) -> None:
        settling = [brighter(street[SEAM + n : SEAM + n + 1], 1.04 + 0.04 * n)[0] for n in range(6)]
        settled = brighter(street[SEAM + 6 : 2 * SEAM], 1.24)
        _, reasons = veil(spec, [*street[:SEAM], *settling, *settled], Guard())
        assert reasons[SEAM : SEAM + 6] == ["exposure"] * 6
        assert set(reasons[SEAM + 6 :]) == {None}

    def test_a_new_connection(self, street: Frames) -> None:
        frames = [*street[:SEAM], *street[40:60]]
        guarded, reasons = veil(UNTRAINED, frames, Guard(), fresh=SEAM)
        assert reasons[SEAM - 1 : SEAM + 2] == [None, "fresh", None]
        assert np.ptp(guarded[SEAM]) == 0

    @pytest.mark.parametrize("guard", [None, Guard()], ids=["bare", "guarded"])
    def test_another_size(self, street: Frames, guard: Guard | None) -> None:
        frames = [*street[:SEAM], *resize(street[SEAM:40], 60, 80)]
        guarded, reasons = veil(UNTRAINED, frames, guard)
        assert reasons[SEAM - 1 : SEAM + 2] == [None, "size", None]
        assert np.ptp(guarded[SEAM]) == 0
        assert guarded[SEAM].shape == (60, 80, 3)


class TestStretches:
    """A lost or repeated stretch shows the person at two places, whole."""

    @SPECS
    @pytest.mark.parametrize("step", [-20, 30, 45])
    def test_without_a_clock(self, spec: EncoderSpec, step: int, street: Frames) -> None:
        frames = [*street[22:42], *street[42 + step : 62 + step]]
        person = np.abs(frames[SEAM] - np.median(street, axis=0))
        bare, _ = veil(spec, frames, None)
        guarded, reasons = veil(spec, frames, Guard())
        assert correlation(bare[SEAM], person) > READABLE
        assert reasons[SEAM] in ("jump", "cut")
        assert np.ptp(guarded[SEAM]) == 0
        assert reasons[SEAM + 1 :].count(None) == len(reasons) - SEAM - 1

    @pytest.mark.parametrize(("step", "reason"), [(0.04, None), (0.08, None), (0.2, "gap")])
    def test_a_gap_in_the_clock(self, step: float, reason: str | None, street: Frames) -> None:
        times = [n * 0.04 for n in range(SEAM)]
        times += [times[-1] + step + n * 0.04 for n in range(SEAM)]
        _, reasons = veil(UNTRAINED, street[:40], Guard(), times=times)
        assert reasons[SEAM] == reason
        assert set(reasons[SEAM + 1 :]) == {None}

    def test_a_clock_that_goes_back(self, street: Frames) -> None:
        times = [n / 25 for n in (*range(SEAM), *range(10, 30))]
        _, reasons = veil(UNTRAINED, street[:40], Guard(), times=times)
        assert reasons[SEAM] == "gap"

    @pytest.mark.parametrize("clock", [True, False])
    def test_a_picture_that_froze(self, clock: bool, street: Frames) -> None:
        frames = [*street[:SEAM], *[street[SEAM]] * 20, *street[SEAM + 3 : SEAM + 10]]
        times = [n / 25 for n in range(len(frames))] if clock else None
        _, reasons = veil(UNTRAINED, frames, Guard(), times=times)
        assert reasons[SEAM + 20] in ("frozen", "jump")
        assert set(reasons[SEAM + 21 :]) == {None}

    def test_every_frame_twice_is_not_frozen(self, street: Frames) -> None:
        frames = np.repeat(street[:30], 2, axis=0)
        _, reasons = veil(UNTRAINED, frames, Guard(), times=[n / 50 for n in range(60)])
        assert set(reasons[1:]) == {None}

    def test_a_clock_that_slows_down_is_followed(self, street: Frames) -> None:
        steps = [1 / 30] * 20 + [1 / 15] * 20 + [1 / 7.5] * 20
        _, reasons = veil(UNTRAINED, street[:60], Guard(), times=np.cumsum(steps).tolist())
        assert set(reasons[1:]) == {None}


class TestQuietly:
    def test_no_false_alarm_on_real_video(self, ut_interaction: Path, kth: Path) -> None:
        videos = sorted(ut_interaction.rglob("*.avi"))[::6] + sorted(kth.rglob("*.avi"))
        frames = 0
        for video in videos:
            clip = read_clip(video, 0, 60)
            _, reasons = veil(UNTRAINED, clip, Guard(), times=[n / 25 for n in range(len(clip))])
            assert reasons == ["first"] + [None] * (len(clip) - 1), video
            frames += len(clip) - 1
        assert frames > 1000

    def test_reset_forgets_the_stream(self, street: Frames) -> None:
        encoder = StreamEncoder(UNTRAINED, guard=Guard())
        for frame in street[:5]:
            encoder(frame, time=0)
        encoder.reset()
        encoder(street[50], time=0)
        assert encoder.guarded == "first"
        encoder(street[51], time=100)
        assert encoder.guarded is None, "one interval is no rule yet"


class TestBlocks:
    @pytest.mark.parametrize("shape", [(1, 1), (5, 7), (13, 17), (97, 131), (480, 640)])
    def test_means_of_a_grid(self, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(0)
        frame, before = rng.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
        out = np.empty((12, 16))
        rows, rows_before = frame.reshape(shape[0], -1), before.reshape(shape[0], -1)
        block_differences(rows, rows_before, np.empty(rows.shape[1], np.int16), out)
        difference = frame.astype(float) - before
        for i, j in ((0, 0), (5, 9), (11, 15)):
            top, left = i * shape[0] // 12, j * shape[1] // 16
            bottom = max((i + 1) * shape[0] // 12, top + 1)
            right = max((j + 1) * shape[1] // 16, left + 1)
            rows = slice(top, bottom, max(1, (bottom - top) // 8))
            assert out[i, j] == pytest.approx(difference[rows, left:right].mean(), abs=1e-3)
