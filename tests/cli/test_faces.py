"""`motionveil faces` on a video and on a data set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.experiments.face_blur import FaceBlur, FaceLog
from motionveil.video import count_frames
from videos import write_video
from white_squares import squares, write_detector


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a video of eight frames, a face in the first six, and a detector."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "in.mkv", squares([(16, 16)] * 6 + [None] * 2))
    write_detector(tmp_path / "white.onnx")
    return tmp_path


def _faces(*words: str) -> int:
    return main(["faces", *words, "--face-detector", "white.onnx"])


def test_a_video(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _faces("in.mkv", "out.mp4") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "wrote out.mp4",
        "8 frames, 6 with a face (75.0%), 6 faces; something blurred in 8 (100.0%)",
    ]
    assert printed.err == ""
    assert count_frames("out.mp4") == 8


def test_a_data_set(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = tuple(
        Clip("in.mkv", start, start + 4, "run", {"person": "ann"}, "in.mkv", "train")
        for start in (0, 4)
    )
    Manifest("mine", here, clips).write("mine.csv")
    assert _faces("mine.csv", "out", "--hold", "0", "--workers", "1") == 0
    assert capsys.readouterr().out.splitlines() == [
        "wrote out/manifest.csv, 1 videos and faces.json",
        "8 frames, 6 with a face (75.0%), 6 faces; something blurred in 6 (75.0%)",
    ]
    assert Manifest.read("out/manifest.csv").clips == clips
    assert FaceLog.read("out").settings["hold"] == 0


def test_options(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A threshold that nothing reaches, and frames too small for the network to see a face."""
    for option, value in (("--threshold", "1"), ("--enlarge", "1")):
        assert _faces("in.mkv", "out.mkv", option, value) == 0
        printed = capsys.readouterr()
        assert "8 frames, 0 with a face (0.0%), 0 faces; something blurred in 0" in printed.out
        assert printed.err == (
            "warning: out.mkv: few faces were found, so most of it is raw video\n"
        )


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["none.mkv", "out.mkv"], "none.mkv: no such file"),
        (["none.csv", "out"], "none.csv: cannot read the manifest"),
        (["in.mkv", "out.txt"], "out.txt"),
        (["in.mkv", "in.mkv"], "this is the source itself"),
        (["in.mkv", "out.mkv", "--threshold", "7"], "threshold is 7"),
    ],
)
def test_faults_are_one_line_and_leave_nothing(
    here: Path, words: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _faces(*words) == 1
    said = capsys.readouterr().err
    assert said.startswith("motionveil: error: ")
    assert fault in said
    assert len(said.splitlines()) == 1
    assert sorted(file.name for file in here.iterdir()) == ["in.mkv", "white.onnx"]


def test_a_detector_is_needed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["faces", "in.mkv", "out.mkv"])
    assert "--face-detector" in capsys.readouterr().err
    assert main(["faces", "in.mkv", "out.mkv", "--face-detector", "none.onnx"]) == 1
    assert "none.onnx: cannot read the detector" in capsys.readouterr().err


def test_help_tells_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """They stand there in words, since help must not need the extra."""
    with pytest.raises(SystemExit, match="0"):
        main(["faces", "--help"])
    said = " ".join(capsys.readouterr().out.partition("options:")[2].split())
    for name in ("threshold", "enlarge", "hold"):
        told = said.partition(f"--{name} ")[2].partition("default: ")[2].partition(")")[0]
        assert float(told) == getattr(FaceBlur(), name)


WITHOUT = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", PACKAGE):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from motionveil.cli import main
sys.exit(main(["faces", "in.mkv", "out.mkv", "--face-detector", "white.onnx"]))
"""


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "torch"])
def test_needs_its_extra_and_no_torch(here: Path, package: str) -> None:
    code = WITHOUT.replace("PACKAGE", repr(package))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if package == "torch":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 1
    assert done.stderr == (
        f"motionveil: error: `faces` needs the package {package!r}:"
        " pip install 'motionveil[faces]'\n"
    )
