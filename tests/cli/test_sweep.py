from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.sweep_examples import grid_of
from motionveil.cli import main
from motionveil.job_store import Record, Status
from motionveil.results import Result
from tiny import tiny_values, write_toys


def write_grid(folder: Path, **fields: Any) -> str:
    file = folder / "grid.yaml"
    file.write_text(yaml.safe_dump(fields, sort_keys=False))
    return str(file)


@pytest.fixture
def toys(tmp_path: Path) -> list[str]:
    """The arguments of a command on a toy that takes a second or two."""
    manifest = write_toys(tmp_path / "toys").file
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(tiny_values(epochs=1)))
    return [str(manifest), "--recipe", str(recipe), "--device", "cpu", "--workers", "1"]


def put(out: Path, status: Status, **fields: Any) -> None:
    """Leave run `seed=0` as an earlier sweep did."""
    (run,) = grid_of(axes={"--seed": [0]}).runs(out)
    run.job.write(Record(status, attempts=1, **fields))
    run.log.write_text("".join(f"line {n}\n" for n in range(9)) + "\n")


def test_list_shows_the_runs_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(tmp_path, command="tradeoff", arguments=["m.csv"], axes={"--seed": [0, 1]})
    out = tmp_path / "out"
    put(out, "done", seconds=75.0)
    assert main(["sweep", grid, "--out", str(out), "--list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["seed=0", "done", "1", "min", "15", "s", "1"] in lines
    assert ["seed=1", "to", "do"] in lines
    assert not (out / "seed=1").exists()


def test_the_folder_is_named_after_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_grid(tmp_path, command="tradeoff", arguments=["m.csv"], axes={"--seed": [0]})
    put(tmp_path / "runs" / "grid", "stopped")
    assert main(["sweep", "grid.yaml", "--list"]) == 0
    assert "stopped" in capsys.readouterr().out


def test_failed_runs_are_shown_with_the_end_of_their_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(tmp_path, command="tradeoff", arguments=["m.csv"], axes={"--seed": [0]})
    put(tmp_path / "out", "failed", value={"exit_status": 3})
    assert main(["sweep", grid, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    log = tmp_path / "out" / "seed=0" / "log.txt"
    assert f"failed: seed=0: exit status 3, see {log}" in said.err
    shown = [line.strip() for line in said.err.splitlines() if line.startswith("    ")]
    assert shown == [f"line {n}" for n in range(4, 9)]
    assert "--retry" in said.err
    summary = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert summary["runs"][0]["exit_status"] == 3


@pytest.mark.parametrize(
    ("fields", "words", "named"),
    [
        ({"axes": {"--sed": [0]}}, [], "grid.yaml: run sed=0: motionveil tradeoff: error:"),
        ({"axes": {"--seed": ["x"]}}, [], "'x' is no whole number of 0 or more"),
        ({"arguments": []}, [], "the following arguments are required: MANIFEST"),
        ({"arguments": ["m.csv", "--help"]}, [], "asks for help"),
        ({"command": "sweep"}, [], "no command 'sweep'"),
        ({"command": "check"}, [], "unrecognized arguments: "),
        ({}, ["--address", "auto"], "--address auto: it goes with --engine ray"),
        ({}, ["--engine", "ray", "--jobs", "2"], "--jobs 2: it goes with --engine local"),
    ],
)
def test_faults_are_one_line_before_anything_runs(
    tmp_path: Path,
    fields: dict[str, Any],
    words: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = {"command": "tradeoff", "arguments": ["m.csv"], "axes": {"--seed": [0]}}
    grid = write_grid(tmp_path, **(usual | fields))
    assert main(["sweep", grid, "--out", str(tmp_path / "out"), *words]) == 1
    said = capsys.readouterr()
    assert named in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_validations_on_a_toy_end_to_end(
    tmp_path: Path, toys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(
        tmp_path,
        command="validate",
        arguments=["{encoder}", *toys],
        axes={"encoder": ["raw", "missing"], "--seed": [0, 1]},
        exclude=[{"encoder": "missing", "--seed": 1}],
    )
    out = tmp_path / "out"
    assert main(["sweep", grid, "--out", str(out), "--jobs", "2"]) == 1
    said = capsys.readouterr()
    assert "2 of 3 done, 1 failed" in said.err
    assert "failed: encoder=missing,seed=0: exit status 1" in said.err
    assert "    motionveil: error: missing" in said.err
    assert f"wrote {out / 'report.html'} (encoder=raw)" in said.out
    results = [Result.read(out / f"encoder=raw,seed={seed}") for seed in (0, 1)]
    assert [result.seed for result in results] == [0, 1]
    (out / "encoder=raw,seed=0" / "results.json").rename(tmp_path / "kept.json")
    assert main(["sweep", grid, "--out", str(out)]) == 1
    assert not (out / "encoder=raw,seed=0" / "results.json").exists(), (
        "finished runs are not repeated"
    )


@pytest.mark.slow
def test_both_engines_train_the_same_and_an_interrupted_training_resumes(
    tmp_path: Path, toys: list[str]
) -> None:
    pytest.importorskip("ray")
    grid = write_grid(tmp_path, command="train", arguments=toys, axes={"--seed": [0, 1]})
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(["sweep", grid, "--out", str(here)]) == 0
    # As after a stop between the last checkpoint and the end.
    shutil.copytree(here / "seed=1", there / "seed=1")
    for name in ("job.json", "log.txt"):
        (there / "seed=1" / name).unlink()
    assert main(["sweep", grid, "--out", str(there), "--engine", "ray"]) == 0
    for seed in (0, 1):
        files = [out / f"seed={seed}" / "encoder.json" for out in (here, there)]
        one, other = (json.loads(file.read_text()) for file in files)
        assert one == other
    assert "--resume" in (there / "seed=1" / "log.txt").read_text().splitlines()[0]
