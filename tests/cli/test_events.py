"""`motionveil events` on small videos."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from motionveil.cli import main
from motionveil.events import EventCamera, event_frame, read_events, signed_counts
from motionveil.methods.dvs import EventSettings
from motionveil.video import VideoSink, probe, read_clip, read_frames
from videos import NTSC, moving_square, write_pictures, write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in" / "walk.mkv", moving_square(8), rate=NTSC)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()


@pytest.mark.parametrize("suffix", ["txt", "raw"])
def test_writes_the_events_that_the_camera_gives(
    tmp_path: Path, video: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dest = tmp_path / "out" / f"walk.{suffix}"
    assert main(["events", str(video), str(dest), "--threshold", "0.3"]) == 0
    camera = EventCamera(EventSettings(threshold=0.3), 48, 64)
    wanted = np.concatenate([camera.events(f.image, f.time) for f in read_frames(video)])
    events = np.concatenate(list(read_events(dest)))
    assert len(events) > 1000
    assert np.array_equal(events, wanted)
    said = capsys.readouterr()
    total, positive = len(events), int(events["p"].sum())
    seconds = list(read_frames(video))[-1].time
    assert said.out.splitlines() == [
        f"wrote {dest}",
        f"64x48, 8 frames, {seconds:.2f} s",
        f"{total} events: {positive} positive, {total - positive} negative",
        f"{total / seconds:.4g} events/s, {total / (7 * 64 * 48):.3g} per pixel and frame",
    ]
    assert said.err == "", "no progress bar where no terminal is"


def test_times_are_the_video_s_own(tmp_path: Path) -> None:
    pts = [0, 40, 240, 250, 1000]
    source = write_video(
        tmp_path / "in" / "a.mkv", moving_square(5), time_base=Fraction(1, 1000), pts=pts
    )
    assert main(["events", str(source), str(tmp_path / "out" / "a.raw")]) == 0
    times = np.concatenate(list(read_events(tmp_path / "out" / "a.raw")))["t"]
    edges = [1000 * t for t in pts]
    in_each, _ = np.histogram(times, edges)
    assert (in_each > 0).all()
    assert edges[0] < times[0]
    assert times[-1] <= edges[-1]


def test_event_frames(tmp_path: Path, video: Path) -> None:
    dest = tmp_path / "out" / "walk.mkv"
    assert main(["events", str(video), str(dest), "--full-scale", "5"]) == 0
    frames = list(read_frames(dest))
    assert [f.time for f in frames] == [f.time for f in read_frames(video)]
    camera = EventCamera(EventSettings(threshold=0.2), 48, 64)
    for written, frame in zip(frames, read_frames(video), strict=True):
        counts = signed_counts(camera.events(frame.image, frame.time), 48, 64)
        wanted = np.rint(17 * event_frame(counts, 5))
        assert np.array_equal(written.image, np.repeat(wanted[..., None], 3, axis=2))
    assert np.unique(frames[0].image).tolist() == [128]
    assert len(np.unique(frames[1].image)) >= 4


def test_event_frames_that_every_player_shows(tmp_path: Path) -> None:
    source, dest = tmp_path / "in" / "walk.mp4", tmp_path / "out" / "walk.mp4"
    source.parent.mkdir(exist_ok=True)
    with VideoSink(source, rate=NTSC, aspect=Fraction(64, 45)) as sink:
        for frame in moving_square(8):
            sink.write(frame)
    assert main(["events", str(source), str(dest)]) == 0
    assert (probe(dest).rate, probe(dest).aspect) == (NTSC, Fraction(64, 45))
    assert read_clip(dest).shape == (8, 48, 64, 3)


def test_every_option_reaches_the_camera(tmp_path: Path, video: Path) -> None:
    dest = tmp_path / "out" / "a.raw"
    words = ["--threshold", "0.25", "--negative", "0.15", "--refractory", "0.002"]
    words += [
        "--mismatch",
        "0.1",
        "--leak",
        "1.5",
        "--shot",
        "4",
        "--interpolate",
        "3",
        "--eps",
        "1e-5",
    ]
    assert main(["events", str(video), str(dest), *words, "--seed", "5"]) == 0
    settings = EventSettings(
        threshold=0.25,
        negative=0.15,
        refractory=0.002,
        mismatch=0.1,
        leak=1.5,
        shot=4,
        interpolate=3,
        eps=1e-5,
        seed=5,
    )
    camera = EventCamera(settings, 48, 64)
    wanted = [camera.events(f.image, f.time) for f in read_frames(video)]
    assert np.array_equal(np.concatenate(list(read_events(dest))), np.concatenate(wanted))


def test_a_folder_of_frames(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "in" / "frames", moving_square(4))
    assert main(["events", str(source), str(tmp_path / "out" / "a.txt")]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--threshold", "0"], "--threshold: .*greater than 0"),
        (["--threshold", "1e-5"], "threshold 1e-05: .* 0.001 or more"),
        (["--mismatch", "1.5"], "--mismatch: .*less than 1"),
        (["--shot", "-1"], "--shot: .*greater than or equal to 0"),
    ],
)
def test_wrong_settings(
    tmp_path: Path,
    video: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["events", str(video), str(tmp_path / "out" / "a.raw"), *words]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert os.listdir(tmp_path / "out") == []


def test_faults_are_one_line_and_leave_nothing(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    one = write_video(tmp_path / "in" / "one.mkv", moving_square(1))
    for source, dest, message in (
        (video, out / "a.avi", f"{out}/a.avi: events go to .txt or .raw, event frames to .mp4"),
        (video, video, f"{video}: this is the source itself"),
        (tmp_path / "none.mp4", out / "a.raw", f"{tmp_path}/none.mp4: no such file"),
        (one, out / "a.raw", f"{one}: 1 frame, events need 2 or more"),
        (one, out / "a.mkv", f"{one}: 1 frame, events need 2 or more"),
    ):
        before = sorted(os.listdir(tmp_path / "in"))
        assert main(["events", str(source), str(dest)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"motionveil: error: {message}")
        assert said.count("\n") == 1
        assert os.listdir(out) == []
        assert sorted(os.listdir(tmp_path / "in")) == before


def test_runs_without_torch(tmp_path: Path, video: Path) -> None:
    words = ["events", str(video), str(tmp_path / "out" / "a.raw")]
    code = f"from motionveil.cli import main; status = main({words!r}); import sys"
    code += "; sys.exit(status or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert (tmp_path / "out" / "a.raw").exists()
