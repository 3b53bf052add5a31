"""Events between frames, interpolated along the motion: edges and bars whose events are known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark_code import import_benchmark
from motionveil.cli import main
from motionveil.events import EventCamera, read_events
from motionveil.events.camera import Events
from motionveil.events.motion import MOST_STEPS, MotionInterpolation
from motionveil.methods import choose
from motionveil.methods.dvs import EventSettings
from motionveil.video import read_frames
from videos import moving_square, write_video

HEIGHT, WIDTH = 48, 96
DARK, BRIGHT = 0.2, 0.7
EPS = 1e-3
SETTINGS = EventSettings(threshold=0.1, eps=EPS)
ALONG = SETTINGS.model_copy(update={"motion": True})

Luma = NDArray[np.float64]


def step(x: Luma, place: float) -> Luma:
    """A soft edge: 0 far left of a place, 1 far right of it."""
    return 1 / (1 + np.exp(-2 * (x - place)))


def edge(place: float) -> Luma:
    """Bright left of a place, dark right of it."""
    x = np.arange(WIDTH, dtype=np.float64)
    return np.tile(BRIGHT - (BRIGHT - DARK) * step(x, place), (HEIGHT, 1))


def bar(place: float) -> Luma:
    """A bright bar six pixels wide."""
    x = np.arange(WIDTH, dtype=np.float64)
    row = step(x, place) - step(x, place + 6)
    return np.tile(DARK + (BRIGHT - DARK) * row, (HEIGHT, 1))


def between(scene: Callable[[float], Luma], speed: float, settings: EventSettings) -> Events:
    """Return the events of one second in which a scene moves from column 30, of two frames."""
    camera = EventCamera(settings, HEIGHT, WIDTH)
    camera.events(scene(30.0), 0.0)
    return camera.events(scene(30.0 + speed), 1.0)


def passing(events: Events, column: int) -> float:
    """Return the mean time of a column's events, in seconds."""
    return float(events["t"][events["x"] == column].mean() / 1e6)


@pytest.mark.parametrize("speed", [4.0, 8.0, 13.0])
def test_an_edge_gives_its_events_where_it_is(speed: float) -> None:
    along, linear = (between(edge, speed, s) for s in (ALONG, SETTINGS))
    each = int(np.log((BRIGHT + EPS) / (DARK + EPS)) / 0.1)  # in the columns that it crosses whole
    errors = []
    for column in range(34, int(30 + speed) - 3):
        for events in (along, linear):
            assert (events["p"][events["x"] == column] == 1).all()
            assert (events["x"] == column).sum() == pytest.approx(each * HEIGHT, abs=HEIGHT)
        errors.append(abs(passing(along, column) - (column - 30) / speed) * speed)
    assert all(error < 0.6 for error in errors)  # pixels
    crossed = np.arange(30, int(30 + speed) + 1)
    spread = [np.ptp(e["t"][e["x"] == crossed[len(crossed) // 2]]) / 1e6 for e in (along, linear)]
    assert spread[0] < (0.8 if speed == 4 else 0.6) * spread[1]


def test_a_bar_is_seen_where_no_frame_shows_it() -> None:
    """It jumps by more than twice its width: pixels that it only passes have known events."""
    along, linear = (between(bar, 16.0, s) for s in (ALONG, SETTINGS))
    each = int(np.log((BRIGHT + EPS) / (DARK + EPS)) / 0.1)
    for column in (40, 41):  # behind its end in the first frame, before its start in the second
        assert (linear["x"] == column).sum() == 0
        for polarity in (0, 1):
            count = ((along["x"] == column) & (along["p"] == polarity)).sum()
            assert count == pytest.approx(each * HEIGHT, rel=0.2)
        rises = along["t"][(along["x"] == column) & (along["p"] == 1)]
        assert rises.mean() / 1e6 == pytest.approx((column - 36) / 16, abs=0.06)


@pytest.mark.parametrize("speed", [0.0, 3.0, 8.0, 14.0])
def test_nothing_moves_by_more_than_a_pixel_in_a_step(speed: float) -> None:
    first, second = edge(30.0), edge(30.0 + speed)
    levels = (np.log(first + EPS), np.log(second + EPS))
    found = MotionInterpolation(HEIGHT, WIDTH).between(first, second, levels)
    assert len(found) + 1 == pytest.approx(max(1, speed), abs=1)
    middle = (np.log(BRIGHT + EPS) + np.log(DARK + EPS)) / 2
    places = [int((level[HEIGHT // 2] > middle).sum()) for level in (levels[0], *found, levels[1])]
    assert all(0 <= after - before <= 1 for before, after in pairwise(places))


def test_motion_is_found_in_both_directions() -> None:
    rng = np.random.default_rng(0)
    texture = np.asarray(rng.random((HEIGHT + 40, WIDTH + 40)))
    for _ in range(2):
        texture = (texture + np.roll(texture, 1, 0) + np.roll(texture, 1, 1)) / 3
    first = texture[20 : 20 + HEIGHT, 20 : 20 + WIDTH]
    second = texture[17 : 17 + HEIGHT, 25 : 25 + WIDTH]  # what is at (x, y) goes to (x - 5, y + 3)
    u, v = MotionInterpolation(HEIGHT, WIDTH).motion(first, second)
    inside = (slice(8, -8), slice(8, -8))
    assert np.abs(u[inside] + 5).max() < 0.3
    assert np.abs(v[inside] - 3).max() < 0.3


def test_a_still_pattern_that_repeats_itself_stays_where_it_is() -> None:
    """A square jumps by 14 pixels over stripes that match each other at 18.8."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float64)

    def scene(place: float) -> Luma:
        square = (step(x, place) - step(x, place + 20)) * (step(y, 30) - step(y, 60))
        return np.asarray(0.3 + 0.1 * np.sin(x / 3) * np.sin(y / 4) + 0.4 * square)

    camera = EventCamera(ALONG, 96, 128)
    camera.events(scene(40.0), 0.0)
    events = camera.events(scene(54.0), 1.0)
    far = (np.abs(events["y"].astype(int) - 45) > 26) | (np.abs(events["x"].astype(int) - 57) > 32)
    assert len(events) > 1000
    assert far.sum() < 0.01 * len(events)


def test_where_nothing_moves_it_is_linear() -> None:
    rng = np.random.default_rng(0)
    frames = [np.clip(bar(30.0) * light, 0, 1) for light in (1, 1.3, 1.1, 1.1)]
    frames.append(rng.permutation(frames[0].ravel()).reshape(frames[0].shape))  # a cut
    for first, second in pairwise(frames):
        cameras = [EventCamera(s, HEIGHT, WIDTH) for s in (SETTINGS, ALONG)]
        for camera in cameras:
            camera.events(first, 0.0)
        linear, along = (camera.counts(second, 1.0) for camera in cameras)
        # Steps of noise may be cut into thresholds differently; the level reached is the same.
        assert np.abs(linear - along).max() <= 1
    still = between(lambda place: bar(30.0), 0.0, ALONG)
    assert len(still) == 0


def test_steps_have_a_limit() -> None:
    wide = MotionInterpolation(64, 640)
    x = np.arange(640, dtype=np.float64)
    scenes = [np.tile(0.2 + 0.6 * np.exp(-(((x - at) / 40) ** 2)), (64, 1)) for at in (200, 300)]
    levels = (np.log(scenes[0] + EPS), np.log(scenes[1] + EPS))
    assert len(wide.between(*scenes, levels)) + 1 <= MOST_STEPS


def test_colour_and_counts_agree_with_the_list(tmp_path: Path) -> None:
    frames = moving_square(8)
    cameras = [EventCamera(ALONG, *frames.shape[1:3]) for _ in range(2)]
    for frame in frames:
        events, counts = cameras[0].events(frame), cameras[1].counts(frame)
        signed = np.zeros(counts.shape, int)
        np.add.at(signed, (events["y"], events["x"]), 2 * events["p"].astype(int) - 1)
        assert (signed == counts).all()
    write_video(tmp_path / "in.mkv", frames)
    for words in ([], ["--motion"]):
        assert main(["events", str(tmp_path / "in.mkv"), str(tmp_path / "out.raw"), *words]) == 0
    assert sum(map(len, read_events(tmp_path / "out.raw"))) > 0


def test_by_name_and_not_with_steps() -> None:
    settings = choose("dvs:0.4,motion=true").changes
    assert settings["motion"] is True
    with pytest.raises(ValueError, match="must be 1 with motion"):
        EventSettings(threshold=0.2, motion=True, interpolate=4)


def test_steps_and_motion_are_refused_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["events", "in.mp4", str(tmp_path / "out.raw"), "--motion", "--interpolate", "4"]
    assert main(words) == 1
    assert "must be 1 with motion" in capsys.readouterr().err


def test_real_video_agrees_better_with_frames_left_out(kth: Path) -> None:
    """Every second frame of a runner, against all of them."""
    benchmark = import_benchmark("event_motion")
    video = next(iter(sorted((kth / "running").glob("*.avi"))))
    row = benchmark.compare(list(islice(read_frames(video), 17)), 2, 0.2)
    linear, motion = row["linear"], row["motion"]
    assert motion["agreement"] > linear["agreement"] + 0.1
    assert abs(motion["events"] / row["reference"] - 1) < abs(
        linear["events"] / row["reference"] - 1
    )
