from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_c_says_where_how_large_and_how_to_start(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "bdq", "--format", "c"]) == 0
    assert [path.name for path in here.iterdir()] == ["bdq.c"]
    said = capsys.readouterr().out
    assert said.startswith("wrote bdq.c\n")
    assert "geometry: 64 pixels, 15 frames/s" in said
    assert "25,312 for 114 x 64 (of 1920 x 1080), 19,096 for 86 x 64 (of 640 x 480)" in said
    assert "motionveil_start(state)" in said
    assert "by sigmoids (soft)" in Path("bdq.c").read_text()


def test_onnx_says_where_and_how_to_start(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    assert main(["export", "bdq", "--format", "onnx"]) == 0
    assert [path.name for path in here.iterdir()] == ["bdq.onnx"]
    said = capsys.readouterr().out
    assert said.startswith("wrote bdq.onnx\n")
    assert "geometry: 64 pixels, 15 frames/s" in said
    assert "filled with NaN, never with zeros" in said


def test_the_default_encoder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    assert main(["export", "moments", "-o", "veil.c"]) == 0
    said = capsys.readouterr().out
    assert "52,520 for 80 x 64 (of 640 x 480)" in said
    assert re.search(r"relative moments by \S+ \+ \S+ \|r\|\n", said)
    assert main(["export", "moments", "-o", "veil.onnx"]) == 0
    said = capsys.readouterr().out
    assert "frame, previous, running -> veiled, blurred, running_next; feed" in said
    assert "running_next as running\n" in said


def test_format_by_suffix_and_names_by_file_and_folder(here: Path) -> None:
    geometry = Geometry(size=64, rate=15)
    EncoderSpec.untrained(range=0.25, geometry=geometry).save("runs/seed0.1/encoder.json")
    assert main(["export", "runs/seed0.1", "--format", "c"]) == 0
    assert main(["export", "runs/seed0.1/encoder.json", "--format", "c"]) == 0
    assert main(["export", "bdq", "-o", "deep/Veil.C", "--hard"]) == 0
    assert main(["export", "bdq", "-o", "veil.h", "--format", "c"]) == 0
    files = {str(path.relative_to(here)) for path in here.rglob("*.[cCh]")}
    assert files == {"seed0.1.c", "encoder.c", "deep/Veil.C", "veil.h"}
    assert "in steps (hard)" in Path("deep/Veil.C").read_text()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["bdq"], "in which format? Give --format, or -o FILE.onnx or FILE.c"),
        (["bdq", "-o", "a.txt"], "a.txt: in which format?"),
        (["nonesuch", "-o", "a.c"], "nonesuch: no such encoder"),
        (["raw", "-o", "a.c"], "raw cannot be exported"),
    ],
)
def test_faults_are_one_line_and_leave_nothing(
    here: Path, words: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *words]) == 1
    error = capsys.readouterr().err
    assert fault in error
    assert error.count("\n") == 1
    assert not list(here.iterdir())


@pytest.mark.parametrize("kind", ["c", "onnx"])
def test_an_encoder_without_a_geometry_is_refused_with_the_way_out(
    here: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    EncoderSpec.untrained(range=0.25).save("encoder.json")
    assert main(["export", "encoder.json", "--format", kind]) == 1
    error = capsys.readouterr().err
    assert 'add "geometry": {"size": 96, "rate": 10}' in error
    assert error.endswith("to its encoder.json\n"), "export has no --native"
    assert [path.name for path in here.iterdir()] == ["encoder.json"]


def test_never_imports_torch(here: Path) -> None:
    pytest.importorskip("onnx")
    code = (
        "import sys\n"
        "from motionveil.cli import main\n"
        "import motionveil.export\n"
        "status = main(['export', 'bdq', '-o', 'a.c'])\n"
        "assert not {'torch', 'onnx', 'numba'} & set(sys.modules)\n"
        "status += main(['export', 'bdq', '-o', 'a.onnx'])\n"
        "assert 'torch' not in sys.modules\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


NO_ONNX = """
import sys
sys.modules["onnx"] = None
from motionveil.cli import main
print(main(["export", "bdq", "-o", "a.onnx"]), main(["export", "bdq", "-o", "a.c"]))
"""


def test_without_the_extra_it_says_what_to_install(here: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NO_ONNX], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "motionveil: error: `export` needs the package 'onnx': pip install 'motionveil[export]'\n"
    )
    assert done.stdout.splitlines()[-1] == "1 0"
    assert [path.name for path in here.iterdir()] == ["a.c"]


def test_the_encoder_is_not_replaced_by_its_export(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = EncoderSpec.untrained(geometry=Geometry(size=8, rate=10)).save("encoder.json")
    before = file.read_bytes()
    for encoder in ("encoder.json", "."):
        assert main(["export", encoder, "--format", "c", "-o", "encoder.json"]) == 1
        assert "this is the source itself" in capsys.readouterr().err
    assert file.read_bytes() == before
