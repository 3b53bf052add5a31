"""The scripts of `examples/`: short, and they run as they are, without a download."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
SAID = {
    "add_a_method": ("raw: action ", "box-5: action ", "box-13: action "),
    "audit_a_function": ("frame, veiled: ", "clip, veiled: ", "frame, raw: ", "wrote "),
    "train_on_a_folder": ("action ",),
}


def test_there_are_three() -> None:
    assert {file.stem for file in EXAMPLES} == set(SAID)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_is_under_40_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.slow
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_runs_as_a_script(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(file)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for beginning in SAID[file.stem]:
        assert any(line.startswith(beginning) for line in lines), done.stdout
