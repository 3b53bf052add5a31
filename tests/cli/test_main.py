"""The command line as a whole: help, errors, exit statuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import motionveil
from motionveil import __version__
from motionveil.cli import COMMANDS, main
from motionveil.errors import MotionveilError
from motionveil.video import count_frames
from videos import moving_square, write_video


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert name in said
        assert line.split()[0] in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_s_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    said = capsys.readouterr().out
    assert "example" in said
    assert f"motionveil {name} " in said.partition("example")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_a_command_line_that_parses(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    lines = capsys.readouterr().out.partition("example")[2].splitlines()
    # A comment may stand beside an example, two spaces away.
    examples = [
        re.split(r"\s{2,}", line.strip())[0].split()[1:]
        for line in lines
        if line.strip().startswith("motionveil ")
    ]
    assert examples
    for words in examples:
        own = words[: words.index(">")] if ">" in words else words
        module: ModuleType = import_module(f"motionveil.cli.{own[0]}")
        monkeypatch.setattr(module, "run", lambda arguments: 0)
        assert main(own) == 0, words


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"motionveil {__version__}"


def test_no_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["nonesuch"], ["quickstrat", "--out", "x"], ["--nonesuch"]])
def test_an_unknown_command_is_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert words[0] in capsys.readouterr().err


def test_faults_are_one_line_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> int:
        raise MotionveilError("a.mp4: 12 frames, the recipe needs 16")

    monkeypatch.setattr("motionveil.cli.check.run", fail)
    assert main(["check", "m.csv"]) == 1
    said = capsys.readouterr()
    assert said.err == "motionveil: error: a.mp4: 12 frames, the recipe needs 16\n"
    assert said.out == ""


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("motionveil.cli.check.run", stop)
    assert main(["check", "m.csv"]) == 130
    assert capsys.readouterr().err == "motionveil: stopped\n"


def test_our_own_missing_module_is_a_bug_and_no_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> int:
        raise ModuleNotFoundError("no", name="motionveil.nonesuch")

    monkeypatch.setattr("motionveil.cli.check.run", fail)
    assert main(["check", "m.csv"]) == 1
    assert "an error of motionveil itself (ModuleNotFoundError" in capsys.readouterr().err


NO_TORCH = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from motionveil.cli import main
for words in (["train", "m.csv"], ["validate", "raw", "m.csv"], ["tradeoff", "m.csv"],
              ["quickstart", "--out", "nowhere"]):
    print(words[0], main(words))
try:
    main(["train", "--help"])
except SystemExit as end:
    print("help", end.code)
"""


def test_without_the_extra_it_says_what_to_install(tmp_path: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH], capture_output=True, text=True, cwd=str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    for name in ("train", "validate", "tradeoff", "quickstart"):
        assert f"{name} 1\n" in done.stdout
        hint = (
            f"motionveil: error: `{name}` needs the package 'torch':"
            " pip install 'motionveil[train]'"
        )
        assert hint in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert done.stdout.endswith("help 0\n"), "help needs no torch"


def test_a_missing_extra_is_named_by_the_wheel_that_was_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Installed:
        @staticmethod
        def read_text(name: str) -> str | None:
            url = "file:///some/d%20ist/motionveil-0.1.0-py3-none-any.whl"
            return json.dumps({"url": url}) if name == "direct_url.json" else None

    def fail(arguments: object) -> int:
        raise ModuleNotFoundError("no", name="onnxruntime")

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed)
    monkeypatch.setattr("motionveil.cli.recognise.run", fail)
    monkeypatch.delenv("UV", raising=False)
    wanted = "'/some/d ist/motionveil-0.1.0-py3-none-any.whl[recognise]'"
    told = "motionveil: error: `recognise` needs the package 'onnxruntime': "
    assert main(["recognise", "test"]) == 1
    assert capsys.readouterr().err == f"{told}pip install {wanted}\n"
    monkeypatch.setenv("UV", "/usr/bin/uv")
    assert main(["recognise", "test"]) == 1
    uvx = f"uvx --from {wanted} motionveil recognise ..., or pip install {wanted}"
    assert capsys.readouterr().err == f"{told}{uvx}\n"


COMPLETE = """
source "$1"
function=$(complete -p motionveil | sed 's/.*-F \\([^ ]*\\).*/\\1/')
while IFS= read -r line; do
    COMP_WORDS=(${line%% *} ${line#* }); [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    $function motionveil "${COMP_WORDS[COMP_CWORD]}"
    echo "${COMPREPLY[@]}"
done
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_names_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scene.mp4").touch()
    folder = Path(motionveil.__file__).parent / "recipes"
    recipes = sorted(file.stem for file in folder.glob("*.yaml"))
    scripts = {}
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        scripts[shell] = capsys.readouterr().out
        assert " ".join(recipes) in scripts[shell]
    (tmp_path / "script").write_text(scripts["bash"])
    answers = {
        "motionveil recog": "recognise",
        "motionveil encode sce": "scene.mp4",
        "motionveil encode --codec v": "vp9",
        "motionveil encode --encoder moment": "moments",
        "motionveil train --method ryo": "ryoo",
        "motionveil train --recipe ut": "ut-interaction",
        "motionveil study create --opt": "--options",
    }
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", str(tmp_path / "script")],
        input="\n".join(answers) + "\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(zip(answers, done.stdout.splitlines(), strict=True)) == answers


def test_doctor_tells_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*arguments: object) -> object:
        raise ImportError("libGL.so.1: cannot open\nshared object file")

    for name in ("motionveil.streaming.avx512.is_supported", "motionveil.video.source.cameras"):
        monkeypatch.setattr(name, fail)
    for name in ("requires", "find_spec"):  # of the package's own metadata, of torch
        monkeypatch.setattr(f"motionveil.cli.doctor.{name}", fail)
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    fails = "fails: ImportError: libGL.so.1: cannot open\\nshared object file"
    broken = [found[name] for name in ("extras", "packages", "cameras", "gpu for training")]
    assert [*broken, found["machine"]["AVX-512 VBMI"]] == [fails] * 5
    assert found["codecs"].startswith("fails: ModuleNotFoundError: ")
    assert main(["doctor"]) == 0
    assert f"extras: {fails}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kept", "said"), [("empty", "the first frame: "), (None, "every start: compiled code cannot")]
)
def test_doctor_judges_the_folder_that_compiled_code_goes_to(
    kept: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("colorsys.py").write_text("")  # asked for below in torch's place, which takes seconds
    monkeypatch.setattr("motionveil.cli.doctor._TORCH", "import colorsys; print(colorsys.__file__)")
    monkeypatch.setattr("motionveil.numba_cache.KEPT", kept and tmp_path / kept)
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    told = [line for line in found["slow"] if "compiled" in line]
    assert [line.startswith(said) for line in told] == [True]
    assert found["gpu for training"].endswith("colorsys.py")
    assert str(tmp_path) not in found["gpu for training"], "nothing of the current folder is run"


def test_doctor_tells_what_is_installed_and_what_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("motionveil.cli.doctor.find_spec", lambda name: None)  # torch takes seconds
    monkeypatch.setattr(
        "motionveil.cli.doctor.version",
        lambda name: (
            (_ for _ in ()).throw(PackageNotFoundError) if name == "ray" else version(name)
        ),
    )
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["motionveil"] == __version__
    assert found["packages"]["numpy"] == np.__version__
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["extras"]["sweep"] == "lacks ray"
    assert found["extras"]["recognise"] == "complete"
    assert "libx264" in found["codecs"]["writes"]
    assert main(["doctor"]) == 0
    assert "sweep: lacks ray\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["encode", ""], "argument 2 is empty; is a variable not set?"),
        (["train", "manifest.csv", "--out", ""], "argument 4 is empty"),
        (["encode", "in.mp4", "--encoder="], "--encoder= is given no value"),
    ],
)
def test_an_empty_word_is_no_working_directory(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_closed_standard_streams(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", moving_square(4))
    for number, closed in enumerate(("<&-", ">&-", "2>&-", "<&- >&- 2>&-")):
        dest = tmp_path / f"{number}.mkv"
        line = f"exec {sys.executable} -m motionveil encode {source} {dest} {closed}"
        assert subprocess.run(["sh", "-c", line], check=False).returncode == 0, closed
        assert count_frames(dest) == 2, closed
    line = f"exec {sys.executable} -m motionveil encode {source} - >&-"
    done = subprocess.run(["sh", "-c", line], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "motionveil: error: -: the standard output is closed"


@pytest.mark.parametrize(
    "words",
    [
        ["encode", "rtsp://127.0.0.1:1/x", "a.mkv", "--give-up", "nan"],
        ["encode", "rtsp://127.0.0.1:1/x", "a.mkv", "--give-up", "0"],
        ["recognise", "rtsp://127.0.0.1:1/x", "--give-up", "inf"],
        ["encode", "frames", "a.mkv", "--rate", "5/0"],
        ["recognise", "frames", "--rate", "5/0"],
        ["recognise", "frames", "--rate", "0"],
        ["score", "a.jsonl", "b.csv", "--seconds", "nan"],
    ],
)
def test_numbers_that_make_no_sense_are_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert words[-1] in capsys.readouterr().err
