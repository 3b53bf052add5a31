from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from motionveil.cli import main
from motionveil.datasets.manifest import Manifest
from motionveil.results import Result
from tiny import tiny_values, write_toys


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_toys(tmp_path_factory.mktemp("toys")).file)


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values(epochs=1)))
    return str(file)


@pytest.mark.slow
def test_every_seed_and_alpha_is_a_row(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["tradeoff", manifest, "--recipe", recipe, "--out", str(out), "--device", "cpu"]
    words += ["--alphas", "0", "4", "--seeds", "0", "1", "--label", "hand", "--protocol", "paper"]
    assert main(words) == 0
    said = capsys.readouterr().out
    result = Result.read(out)
    found = [(row.seed, row.method, row.alpha) for row in result.rows]
    methods = [("raw", None), ("bdq-untrained", None), ("bdq", 0.0), ("bdq", 4.0)]
    assert found == [(seed, *method) for seed in (0, 1) for method in methods]
    assert result.dataset.privacy_label == "hand"
    assert result.seed == 0
    table = [line for line in said.splitlines() if line.startswith(("raw", "bdq"))]
    assert len(table) == 8
    assert "seed" in said
    assert f"wrote {out / 'report.html'}" in said
    assert json.loads((out / "results.json").read_text())["command"].startswith("motionveil")


@pytest.mark.slow
def test_folds_without_a_known_person_are_left_out(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of SBU's sets: a pair of one fold only is never trained on when that is held out."""
    toys = Manifest.read(manifest)
    clips = [
        replace(c, split="fold2" if c.privacy["person"] == "p1" else f"fold{int(c.path[3]) % 2}")
        for c in toys.clips
    ]
    file = Manifest("folds", toys.root, tuple(clips)).write(tmp_path / "folds.csv")
    words = ["tradeoff", str(file), "--recipe", recipe, "--out", str(tmp_path / "out")]
    assert main([*words, "--device", "cpu", "--alphas", "0"]) == 0
    assert {row.split for row in Result.read(tmp_path / "out").rows} == {"fold0", "fold1"}
    said = capsys.readouterr().err
    assert "no person of fold2 occurs in training" in said
    assert "it is left out" in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--alphas", "0", "-2"], "alpha -2: the weight must be 0 or more"),
        (["--alphas", "nan"], "alpha nan"),
        (["--split", "fold3"], "--split fold3: it has validation"),
    ],
)
def test_faults_are_one_line(
    manifest: str,
    recipe: str,
    tmp_path: Path,
    words: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fixed = ["tradeoff", manifest, "--recipe", recipe, "--out", str(tmp_path / "out")]
    assert main([*fixed, *words]) == 1
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_seeds_are_whole_numbers(manifest: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["tradeoff", manifest, "--seeds", "-1"])
