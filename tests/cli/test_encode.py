from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import av
import numpy as np
import pytest

from motionveil.cli import main
from motionveil.methods import method, method_names
from motionveil.spec import EncoderSpec, shipped_names
from motionveil.video import count_frames, probe, read_clip
from videos import (
    AS_FILMED,
    NTSC,
    cut_short,
    moving_square,
    write_pictures,
    write_sound,
    write_video,
)

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    spec = EncoderSpec.untrained(range=0.25, geometry=AS_FILMED, data="no data", seed=3)
    return str(spec.save(tmp_path / "spec" / "encoder.json"))


def test_writes_beside_the_source_and_says_so(
    tmp_path: Path, encoder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_video(tmp_path / "walk.mp4", moving_square(7), rate=NTSC)
    assert main(["encode", str(source), "--encoder", encoder]) == 0
    dest = tmp_path / "walk.veiled.mp4"
    assert count_frames(dest) == 7
    assert probe(dest).rate == NTSC
    said = capsys.readouterr()
    assert f"encoder {encoder}: bdq, 48 pixels, 1000 frames/s, data no data" in said.out
    assert str(dest) in said.out
    counted = (
        "7 frames in: 7 taken, 0 left out by rate, 0 dropped; 1 guarded (first 1); 7 written\n"
    )
    assert counted in said.out
    rate = "64x48 at 29.97 (30000/1001) frames/s"
    assert f"{rate} in, {rate} out" in said.out
    assert re.search(r"latency p50 [\d.e+]+ ms, p95 [\d.e+]+ ms", said.out)
    assert said.err == "", "no progress bar where no terminal is"


def test_works_at_the_size_and_rate_of_the_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(20, 96, 128), rate=30)
    small, large = tmp_path / "small.mkv", tmp_path / "large.mkv"
    assert main(["encode", str(source), str(small)]) == 0
    said = capsys.readouterr()
    assert "20 frames in: 10 taken, 10 left out by rate, 0 dropped" in said.out
    assert "128x96 at 30 frames/s in, 10x8 at 15 frames/s out" in said.out
    assert said.err == ""
    assert main(["encode", str(source), str(large), "--enlarge", "2"]) == 0
    enlarged = read_clip(small).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(read_clip(large), enlarged)


def test_native_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(6, 96, 128), rate=30)
    assert main(["encode", str(source), str(tmp_path / "b.mkv"), "--native"]) == 0
    said = capsys.readouterr()
    assert "128x96 at 30 frames/s in, 16x12 at 30 frames/s out" in said.out
    assert "warning: --native" in said.err
    assert read_clip(tmp_path / "b.mkv").shape == (6, 12, 16, 3)


def test_writes_a_folder_of_frames(tmp_path: Path, encoder: str) -> None:
    source = write_video(tmp_path / "a.mkv", moving_square(6))
    assert main(["encode", str(source), f"{tmp_path}/frames/", "--encoder", encoder]) == 0
    assert count_frames(tmp_path / "frames") == 6


def test_options(tmp_path: Path, encoder: str) -> None:
    source = write_pictures(tmp_path / "frames", moving_square(5))
    words = ["encode", str(source), "--encoder", encoder, "--first", "drop", "--hard"]
    assert main([*words, "--rate", "30000/1001"]) == 0
    dest = tmp_path / "frames.veiled.mp4"
    assert count_frames(dest) == 4
    assert probe(dest).rate == NTSC


@pytest.mark.parametrize("rate", ["0", "-3", "1/0", "fast"])
def test_wrong_rates(
    tmp_path: Path, encoder: str, rate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["encode", str(tmp_path), "--encoder", encoder, f"--rate={rate}"])
    assert "argument --rate: '" + rate + "' is no rate" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["truncated", "empty", "zero frames", "audio only", "missing"])
def test_faults_are_one_line_and_leave_nothing(
    tmp_path: Path, encoder: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    source = folder / "in.mp4"
    if fault == "truncated":
        write_video(source, moving_square(20), options={"movflags": "faststart"})
        cut_short(source, 0.8)
    elif fault == "empty":
        source.touch()
    elif fault == "zero frames":
        source = write_video(folder / "in.avi", moving_square(1)[:0])
    elif fault == "audio only":
        write_sound(source)
    before = set(folder.iterdir())
    assert main(["encode", str(source), "--encoder", encoder]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"motionveil: error: {source}: ")
    assert set(folder.iterdir()) == before


def test_no_such_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(2))
    assert main(["encode", str(source), "--encoder", "nonesuch"]) == 1
    assert "nonesuch: no such encoder" in capsys.readouterr().err


class TestEveryMethod:
    """A method that `tradeoff` knows is known here too, and what it lacks is said."""

    @pytest.mark.parametrize("command", ["encode", "export"])
    @pytest.mark.parametrize("name", method_names())
    def test_tells_why_not(self, tmp_path: Path, name: str, command: str, capsys: Captured):
        kind = method(name)
        words = [kind.usual_name(64)]
        words += [f"{words[0]}-untrained"] * kind.learned
        known = {word: _status(command, word, tmp_path, capsys) for word in words}
        assert not any("no such encoder" in said for _, said in known.values())
        first, said = known[words[0]]
        shipped = name in shipped_names()
        if kind.blurs_faces:
            assert (first, said.count("motionveil faces")) == (1, 1)
        elif kind.learned and not shipped:
            assert first == 1
            assert f"must be trained first: motionveil train MANIFEST --method {words[0]}" in said
            assert kind.stream or kind.unstreamable in said
        elif command == "encode":
            assert first == (kind.stream is None)

    @pytest.mark.parametrize(
        "word", ["flow-untrained", "flow:untrained", "bdq-untrained:range=0.2"]
    )
    def test_what_needs_no_clips_works_untrained(self, tmp_path: Path, word: str, capsys: Captured):
        status, said = _status("encode", word, tmp_path, capsys)
        assert status == 0
        assert "is untrained: no figure says what it hides" in said
        assert _status("export", word, tmp_path, capsys)[0] == 0

    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("bdq-untrained", "its range is measured on the training clips; give it"),
            ("bdq-untrained:range_mode=clip", "depends on frames still to come"),
            ("bdq:levels=31", "must be trained first"),
            ("ryoo", "motionveil train MANIFEST --method ryoo-"),
            ("ryoo-untrained", "size: Field required; a name with a strength is ryoo-"),
            ("blur", "sigma: Field required; a name with a strength is blur-4"),
            ("unet-untrained", "cannot"),
        ],
    )
    def test_reasons(self, tmp_path: Path, word: str, reason: str, capsys: Captured):
        status, said = _status("encode", word, tmp_path, capsys)
        assert (status, reason in said) == (1, True), said


def _status(command: str, word: str, folder: Path, capsys: Captured) -> tuple[int, str]:
    out = str(folder / f"{word.replace(':', '-')}.{'mkv' if command == 'encode' else 'c'}")
    words = {
        "encode": ["encode", "test:64x48", out, "--frames", "2", "--encoder", word],
        "export": ["export", word, "-o", out],
    }
    status = main(words[command])
    found = capsys.readouterr()
    return status, found.out + found.err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["encode", "--help"])
    assert "motionveil encode in.mp4 out.mkv" in capsys.readouterr().out


def test_never_imports_torch(tmp_path: Path, encoder: str) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(3))
    code = (
        "import sys, motionveil, motionveil.spec, motionveil.video, motionveil.streaming\n"
        "from motionveil.cli import main\n"
        f"status = main(['encode', {str(source)!r}, '--encoder', {encoder!r}])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.veiled.mp4").exists()


COMMAND = [sys.executable, "-m", "motionveil", "encode"]


class TestFolder:
    def test_lists_what_failed_at_the_end(
        self, tmp_path: Path, encoder: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        videos = tmp_path / "videos"
        videos.mkdir()
        for name in ("a.mp4", "b.mkv", "c.mp4"):
            write_video(videos / name, moving_square(5))
        cut_short(videos / "b.mkv", 0.6)
        words = ["encode", str(videos), "--out", str(tmp_path / "out"), "--encoder", encoder]
        assert main([*words, "--name", "{stem}.veiled.mkv"]) == 1
        said = capsys.readouterr()
        assert said.out.endswith(
            "2 videos veiled (10 frames, 2 guarded), 0 there already, 1 failed\n"
        )
        (line,) = said.err.splitlines()
        assert line.startswith(f"motionveil: error: {videos / 'b.mkv'}: cut short")
        write_video(videos / "b.mkv", moving_square(5))
        assert main([*words, "--name", "{stem}.veiled.mkv", "--jobs", "2"]) == 0
        assert "1 videos veiled (5 frames, 1 guarded), 2 there already" in capsys.readouterr().out

    def test_goes_with_no_dest(
        self, tmp_path: Path, encoder: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["encode", str(tmp_path), "x.mp4", "--out", str(tmp_path), "--encoder", encoder]
        assert main(words) == 1
        assert "--out veils a folder of videos: it goes with no DEST" in capsys.readouterr().err


class TestLive:
    def test_needs_somewhere_to_go(self, encoder: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["encode", "test:64x48@30", "--encoder", encoder]) == 1
        assert "test:64x48@30: give a DEST to write to, or --preview" in capsys.readouterr().err

    def test_records_so_many_frames(
        self,
        tmp_path: Path,
        encoder: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        # Room for all: a busy machine drops none.
        monkeypatch.setattr("motionveil.streaming.pipeline._WAITING_LIVE", 20)
        dest = tmp_path / "live.mkv"
        words = ["encode", "test:64x48@50", str(dest), "--frames", "20", "--codec", "h264"]
        assert main([*words, "--encoder", encoder]) == 0
        said = capsys.readouterr().out
        assert "20 frames in: 20 taken, 0 left out by rate, 0 dropped; " in said
        assert "; 20 written" in said
        assert count_frames(dest) == 20

    def test_shows_itself_in_a_browser(self, encoder: str) -> None:
        words = [*COMMAND, "test:64x48@30", "--preview", "127.0.0.1:0", "--encoder", encoder]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            url = next(line for line in lines if line.startswith("preview at ")).split()[-1]
            try:
                deadline = time.monotonic() + 20
                stats: dict[str, object] = {}
                while not stats.get("fps") and time.monotonic() < deadline:
                    with urllib.request.urlopen(url + "stats", timeout=10) as answer:
                        stats = json.load(answer)
                    time.sleep(0.1)
                assert stats["source"] == "test:64x48@30"
                assert (stats["width"], stats["height"]) == (64, 48)
                with urllib.request.urlopen(url, timeout=10) as answer:
                    assert b"motionveil preview" in answer.read()
            finally:
                process.terminate()
            assert process.wait(20) == 0, "SIGTERM is how a live source is stopped"


class TestPipes:
    def test_in_and_out(self, tmp_path: Path, encoder: str) -> None:
        clip = moving_square(8)
        source = write_video(tmp_path / "a.mkv", clip, rate=NTSC)
        words = [*COMMAND, "-", "-", "--encoder", encoder]
        with source.open("rb") as file:
            done = subprocess.run(words, stdin=file, capture_output=True, check=True)
        assert done.stdout.startswith(b"YUV4MPEG2 W64 H48 F30000:1001 ")
        assert b"8 frames in: 8 taken" in done.stderr, "what is said goes beside the video"
        with av.open(io.BytesIO(done.stdout), format="yuv4mpegpipe") as container:
            veiled = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        assert main(["encode", str(source), str(tmp_path / "b.mkv"), "--encoder", encoder]) == 0
        difference = np.stack(veiled).astype(int) - read_clip(tmp_path / "b.mkv")
        assert np.abs(difference).max() <= 4, "8-bit YUV, 4:4:4"

    def test_out_as_what_go2rtc_takes(self, tmp_path: Path, encoder: str) -> None:
        source = write_video(tmp_path / "a.mkv", moving_square(8))
        words = [*COMMAND, str(source), "-", "--format", "mpegts", "--encoder", encoder]
        done = subprocess.run(words, capture_output=True, check=True)
        with av.open(io.BytesIO(done.stdout)) as container:
            assert container.format.name == "mpegts"
            assert sum(1 for _ in container.decode(video=0)) == 8


class TestGuard:
    @pytest.mark.parametrize("guarded", [True, False])
    def test_a_cut_is_told_and_hidden(
        self, tmp_path: Path, encoder: str, guarded: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clip = moving_square(16)
        clip[8:] = 255 - clip[8:, ::-1]
        source, dest = write_video(tmp_path / "a.mkv", clip), tmp_path / "b.mkv"
        words = ["encode", str(source), str(dest), "--encoder", encoder]
        assert main(words if guarded else [*words, "--no-guard"]) == 0
        told = " guarded (first 1, exposure 1" if guarded else "; 1 guarded (first 1); "
        assert told in capsys.readouterr().out
        assert (np.ptp(read_clip(dest)[8]) == 0) == guarded


def test_a_percent_sign_in_a_source_s_name_is_no_time(
    tmp_path: Path, encoder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = write_video(folder / "100%d of %H%20x.mp4", moving_square(4))
    assert main(["encode", str(source), "--encoder", encoder]) == 0
    beside = folder / "100%d of %H%20x.veiled.mp4"
    assert count_frames(beside) == 4
    beside.unlink()
    words = ["encode", str(folder), "--out", str(tmp_path / "out"), "--encoder", encoder]
    assert main(words) == 0
    assert count_frames(tmp_path / "out" / beside.name) == 4
    assert main(words) == 0
    assert "0 videos veiled (0 frames, 0 guarded), 1 there already" in capsys.readouterr().out


def test_the_videos_own_folder_is_no_output(
    tmp_path: Path, encoder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "in.mp4", moving_square(4))
    assert main(["encode", str(tmp_path), "--out", str(tmp_path), "--encoder", encoder]) == 1
    assert "this is the folder of the videos itself" in capsys.readouterr().err
