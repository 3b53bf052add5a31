"""`motionveil check` finds every clip that is missing, unreadable or short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionveil.cli import main
from motionveil.data.manifest import Clip, Manifest
from motionveil.video import VideoSink


def _clip(name: str, start: int, end: int) -> Clip:
    return Clip(name, start, end, "run", {"person": "ann"}, name, "train")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One video of 20 frames, `long.mkv`."""
    with VideoSink(tmp_path / "long.mkv", rate=25) as sink:
        for level in range(20):
            sink.write(np.full((8, 8, 3), level, np.uint8))
    return tmp_path


def _check(folder: Path, *clips: Clip, frames: int = 16) -> int:
    file = Manifest("mine", folder, clips).write(folder / "manifest.csv")
    return main(["check", str(file), "--frames", str(frames)])


def test_all_is_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _check(folder, _clip("long.mkv", 0, 20)) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == f"{folder / 'manifest.csv'}: 1 clips, 0 faults, 0 warnings"
    assert printed.err == ""


def test_short_clips_are_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = (_clip("long.mkv", 0, 20), _clip("long.mkv", 0, 15), _clip("long.mkv", 4, 30))
    assert _check(folder, *clips) == 0
    video = folder / "long.mkv"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {video}: 15 frames from 0 to 15, the recipe needs 16",
        f"warning: {video}: 20 frames, the clip is frames 4 to 30",
    ]
    assert _check(folder, clips[1], frames=15) == 0
    assert capsys.readouterr().err == ""


def test_every_fault_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.mkv").write_text("not a video")
    (folder / "empty.mkv").touch()
    whole = (folder / "long.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    clips = (
        _clip("none.mkv", 0, 20),
        _clip("text.mkv", 0, 20),
        _clip("empty.mkv", 0, 20),
        _clip("cut.mkv", 0, 20),
        _clip("long.mkv", 20, 40),
        _clip("long.mkv", 0, 18),
    )
    assert _check(folder, *clips) == 1
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    for line, name in zip(lines, ("none", "text", "empty", "cut", "long"), strict=True):
        assert line.startswith(f"{folder / name}.mkv: ")
    assert "missing" in lines[0]
    assert lines[4].endswith("20 frames, the clip is frames 20 to 40")
    assert "6 clips, 5 faults, 0 warnings" in printed.out


def test_manifest_at_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "none.csv")]) == 1
    assert "none.csv: cannot read the manifest" in capsys.readouterr().err
    assert _check(folder, _clip("long.mkv", 0, 20), frames=0) == 1
    assert "--frames is 0" in capsys.readouterr().err
