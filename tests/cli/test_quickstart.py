from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from motionveil.cli import main
from motionveil.datasets.manifest import Manifest
from motionveil.results import Result
from motionveil.spec import load_spec
from tiny import tiny_values, write_toys


def recipe_file(folder: Path, **changes: object) -> str:
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values(**changes)))
    return str(file)


def test_prints_the_table_and_where_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def toys(root: Path, *, seed: int, workers: int | None) -> Manifest:
        return write_toys(root / f"seed{seed}")

    monkeypatch.setattr("motionveil.experiments.quickstart.make_actors", toys)
    out = tmp_path / "quick"
    words = ["quickstart", "--out", str(out), "--device", "cpu", "--alpha", "3", "--seed", "2"]
    assert main([*words, "--recipe", recipe_file(tmp_path, epochs=1)]) == 0
    said = capsys.readouterr()
    for name in ("report.html", "results.json", "encoder.json", "veiled.mp4"):
        assert f"wrote {out / name}" in said.out
        assert (out / name).stat().st_size > 0
    assert "filming the built-in data set" in said.err
    result = Result.read(out)
    assert [row.alpha for row in result.rows] == [None, None, None, 0.0, 3.0]
    assert result.seed == 2
    assert load_spec(out).provenance["alpha"] == 3.0


def test_a_wrong_recipe_fails_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["quickstart", "--out", str(tmp_path / "out"), "--recipe"]
    assert main([*words, recipe_file(tmp_path, range_mode="batch")]) == 1
    error = capsys.readouterr().err
    assert "range_mode batch" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
