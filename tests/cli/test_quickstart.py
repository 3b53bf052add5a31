from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from motionveil.cli import main
from tiny import tiny_values


def recipe_file(folder: Path, **changes: object) -> str:
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values(**changes)))
    return str(file)


def test_a_wrong_recipe_fails_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["quickstart", "--out", str(tmp_path / "out"), "--recipe"]
    assert main([*words, recipe_file(tmp_path, range_mode="batch")]) == 1
    error = capsys.readouterr().err
    assert "range_mode batch" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
