"""`motionveil recognise`: what it prints, and the files that it writes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from motionveil.cli import main
from motionveil.video import VideoSink, probe, read_clip
from recognition.conftest import CLASSES, Make
from recognition.conftest import make as make
from recognition.veiled_frames import REST, UNSURE, write_veiled

QUICK = ["--veiled", "--stride", "0.1", "--half-life", "0", "--shortest", "0"]
SHOWN = [0] * 10 + [REST] * 10 + [1] * 10


@pytest.fixture
def video(tmp_path: Path) -> str:
    return str(write_veiled(tmp_path / "in.mkv", SHOWN))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_lines_of_json(make: Make, video: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recognise", video, "--model", str(make()), *QUICK, "--json", "--top", "2"]) == 0
    found = lines(capsys)
    assert [(line["state"], line["label"]) for line in found if line["kind"] == "action"] == [
        ("begins", CLASSES[0]),
        ("ends", CLASSES[0]),
        ("begins", CLASSES[1]),
        ("ends", CLASSES[1]),
    ]
    first, second = found[0], found[1]
    assert first["source"] == video
    assert first["to"] is None
    assert (first["from"], first["time"]) == (0.1, 0.4)
    assert second["from"] == 0.1
    assert first["probability"] > 0.9
    assert [one["label"] for one in first["top"]] == [CLASSES[0], CLASSES[1]]


def test_lines_for_every_window(make: Make, video: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recognise", video, "--model", str(make()), *QUICK, "--json", "--windows"]) == 0
    windows = [line for line in lines(capsys) if line["state"] == "window"]
    assert len(windows) == len(SHOWN) - 3
    assert windows[0]["to"] == windows[0]["time"] == 0.4


def test_lines_for_people(make: Make, video: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recognise", video, "--model", str(make()), *QUICK]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].startswith(f"00:00:00.100  {CLASSES[0]}  1.00")
    assert "no motion" in said.out
    assert "31 frames in, 30 veiled frames, 27 windows, 0 breaks" in said.err


def test_tables_and_subtitles(make: Make, video: str, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "vtt", "srt")}
    words = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    assert main(["recognise", video, "--model", str(make()), *QUICK, *words]) == 0
    with files["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["kind"] for row in rows} >= {"action", "no motion"}
    actions = [row for row in rows if row["kind"] == "action"]
    assert [row["label"] for row in actions] == list(CLASSES[:2])
    assert actions[0]["from"] == "0.100"
    assert actions[1]["to"] == "3.000"
    vtt = files["vtt"].read_text(encoding="utf-8")
    assert vtt.startswith("WEBVTT\n\n1\n00:00:00.100 --> 00:00:0")
    assert f"{CLASSES[1]} 100%\n" in vtt
    assert "no motion" not in vtt
    assert "00:00:00,100 --> 00:00:0" in files["srt"].read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*part*"))


def test_ffmpeg_reads_the_subtitles(make: Make, video: str, tmp_path: Path) -> None:

    names = ("a <b> & c", "d --> e", "f")
    folder = make(classes=names)
    for kind in ("vtt", "srt"):
        out = tmp_path / f"named.{kind}"
        words = ["--model", str(folder), *QUICK, f"--{kind}", str(out)]
        assert main(["recognise", video, *words]) == 0
        with av.open(str(out)) as container:
            (stream,) = container.streams.subtitles
            packets = [packet for packet in container.demux(stream) if packet.size]
        assert len(packets) == 2
        assert packets[0].pts * packets[0].time_base == pytest.approx(0.1)


def test_the_overlay_leaves_the_picture_as_it_is(make: Make, video: str, tmp_path: Path) -> None:
    out = tmp_path / "named.mkv"
    playlist = tmp_path / "hls" / "live.m3u8"
    words = ["--overlay", str(out), "--overlay", str(playlist), "--enlarge", "8"]
    assert main(["recognise", video, "--model", str(make()), *QUICK, *words]) == 0
    assert probe(out).rate == 10
    with av.open(str(playlist)) as live:
        assert sum(1 for _ in live.decode(video=0)) == 31
    drawn, frames = read_clip(out), read_clip(video)
    assert drawn.shape == (31, 128 + 40, 128, 3)
    assert np.array_equal(drawn[:, :128], frames.repeat(8, 1).repeat(8, 2))
    band = drawn[:, 128:]
    assert np.ptp(band[0]) == 0  # no answer yet
    assert (band[8] != band[0]).any()
    assert (band[8] != band[18]).any()  # "no motion"
    bar = (band[8] == (64, 176, 255)).all(-1).sum(1).max()
    assert 0.9 * 116 < bar <= 117  # a probability of over 0.9


def test_a_font_for_other_scripts(
    make: Make, video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--overlay", str(tmp_path / "o.mkv"), "--font", video]
    assert main(["recognise", video, "--model", str(make()), *QUICK, *words]) == 1
    assert "cannot be read as a font" in capsys.readouterr().err
    assert not (tmp_path / "o.mkv").exists()


def test_a_whole_test_set(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = [
        str(write_veiled(tmp_path / f"{name}.mkv", shown))
        for name, shown in (("a", [0] * 9), ("b", [2] * 2), ("c", [UNSURE] * 5))
    ]
    table = tmp_path / "all.csv"
    words = ["--model", str(make()), "--veiled", "--clips", "--json", "--top", "3"]
    assert main(["recognise", *clips, *words, "--csv", str(table)]) == 0
    found = lines(capsys)
    assert [(line["source"], line["label"]) for line in found] == [
        (clips[0], CLASSES[0]),
        (clips[1], CLASSES[2]),
        (clips[2], "none of these"),
    ]
    assert sum(one["probability"] for one in found[0]["top"]) == pytest.approx(1, abs=0.01)
    assert len(table.read_text(encoding="utf-8").splitlines()) == 4


def test_a_clip_that_cannot_be_read_costs_its_own_answer(
    make: Make, video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = str(write_veiled(tmp_path / "large.mkv", [0] * 4, rate=25))
    words = ["--model", str(make()), "--veiled", "--clips"]
    assert main(["recognise", large, video, *words]) == 1
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert "large.mkv: 25 frames/s" in said.err


def test_several_files_one_after_the_other(
    make: Make, video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(write_veiled(tmp_path / "other.mkv", [2] * 8))
    assert main(["recognise", video, other, "--model", str(make()), *QUICK, "--json"]) == 0
    sources = [line["source"] for line in lines(capsys)]
    assert sources == sorted(sources, key=[video, other].index)
    assert set(sources) == {video, other}


def test_several_raw_files_and_cameras(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("a.mkv", "b.mkv")]
    for file in files:
        with VideoSink(file, rate=10) as sink:
            for number in range(12):
                sink.write(np.full((32, 32, 3), 60 + number, np.uint8))
    assert main(["recognise", *files, "--model", str(make())]) == 0
    said = capsys.readouterr().err
    for file in files:
        assert f"{file}: 12 frames in, 11 veiled frames" in said
    cameras = ["test:64x48@30", "test:48x48@30"]
    assert main(["recognise", *cameras, "--model", str(make()), "--frames", "9", "--json"]) == 0
    assert capsys.readouterr().err.count(": 9 frames in") == 2


def test_a_made_up_camera(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", str(make()), "--frames", "15", "--json"]
    assert main(["recognise", "test:64x48@30", *words]) == 0
    assert "15 frames in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--windows"], "goes with --json"),
        (["--clips", "--vtt", "x.vtt"], "--vtt: is for one SOURCE"),
        (["--stride", "0"], "stride 0: give seconds above 0"),
        (["--overlay", "x.avi"], "x.avi"),
    ],
)
def test_what_does_not_go_together(
    make: Make, video: str, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recognise", video, "--veiled", "--model", str(make()), *words]) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_no_such_model(video: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recognise", video, "--model", "nothing"]) == 1
    assert "nothing: no such recogniser" in capsys.readouterr().err


def test_loads_no_torch(make: Make, video: str) -> None:
    words = ["recognise", video, "--model", str(make()), *QUICK]
    code = f"import sys; from motionveil.cli import main; main({words!r});"
    code += "sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert CLASSES[0] in done.stdout


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (["--csv", "in.mkv"], "this is the source itself"),
        (["--vtt", "in.mkv"], "this is the source itself"),
        (["--overlay", "in.mkv"], "this is the source itself"),
        (["--csv", "a.txt", "--vtt", "./a.txt"], "is given twice"),
        (["--csv", "a.mkv", "--overlay", "a.mkv"], "is given twice"),
    ],
)
def test_the_source_and_what_was_written_are_not_overwritten(
    make: Make,
    video: str,
    outputs: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, before = str(make()), Path(video).read_bytes()
    monkeypatch.chdir(Path(video).parent)
    assert main(["recognise", video, "--model", model, *QUICK, *outputs]) == 1
    assert said in capsys.readouterr().err
    assert Path(video).read_bytes() == before
