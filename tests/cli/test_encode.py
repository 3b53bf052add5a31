from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.spec import EncoderSpec
from motionveil.video import count_frames, probe
from videos import NTSC, cut_short, moving_square, write_pictures, write_sound, write_video


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    spec = EncoderSpec.untrained(range=0.25, data="no data", seed=3)
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
    assert f"encoder {encoder}: bdq, data no data, seed 3" in said.out
    assert str(dest) in said.out
    assert "7 frames in, 7 out, 0 dropped, 1 guarded (first 1)\n" in said.out
    assert "64x48, 29.97 (30000/1001) frames/s" in said.out
    assert re.search(r"latency p50 [\d.e+]+ ms, p95 [\d.e+]+ ms", said.out)
    assert said.err == "", "no progress bar where no terminal is"


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


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["encode", "--help"])
    assert "motionveil encode in.mp4 out.mkv" in capsys.readouterr().out


def test_never_imports_torch(tmp_path: Path, encoder: str) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(3))
    code = (
        "import sys, motionveil, motionveil.spec, motionveil.video, motionveil.capture\n"
        "from motionveil.cli import main\n"
        f"status = main(['encode', {str(source)!r}, '--encoder', {encoder!r}])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.veiled.mp4").exists()
