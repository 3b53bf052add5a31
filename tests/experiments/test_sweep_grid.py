"""Grids: what they become, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.sweep_examples import grid_of
from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.grid import read_grid

COMMANDS = ("train", "validate", "tradeoff")


def test_runs_are_the_product_of_the_axes() -> None:
    axes = {"--seed": [0, 1], "--set adversarial.lr": [0.001, 0.003], "--split": ["fold0"]}
    runs = grid_of(axes=axes).runs(Path("out"))
    assert [run.name for run in runs] == [
        "seed=0,adversarial.lr=0.001,split=fold0",
        "seed=0,adversarial.lr=0.003,split=fold0",
        "seed=1,adversarial.lr=0.001,split=fold0",
        "seed=1,adversarial.lr=0.003,split=fold0",
    ]
    assert runs[1].folder == Path("out/seed=0,adversarial.lr=0.003,split=fold0")
    words = (
        "tradeoff",
        "m.csv",
        "--seed",
        "0",
        "--set",
        "adversarial.lr=0.003",
        "--split",
        "fold0",
    )
    assert runs[1].words == words
    assert runs[1].values == {"--seed": "0", "--set adversarial.lr": "0.003", "--split": "fold0"}


def test_a_list_is_several_words_or_a_setting_s_list() -> None:
    axes = {"--alphas": [[0, 2], 4], "--set scales": [[1.0, 0.84]]}
    first, second = grid_of(axes=axes).runs(Path("out"))
    assert first.words[2:] == ("--alphas", "0", "2", "--set", "scales=[1.0, 0.84]")
    assert first.name == "alphas=0+2,scales=1.0+0.84"
    assert second.words[2:4] == ("--alphas", "4")


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    (file := tmp_path / "grid.yaml").write_text(
        "command: train\naxes: {--label: [007, 1e-3, no, 0x10, 1_000, 12:30, true]}"
    )
    labels = [run.words[-1] for run in read_grid(file, COMMANDS).runs(Path("out"))]
    assert labels == ["007", "1e-3", "no", "0x10", "1_000", "12:30", "true"]


def test_an_axis_fills_a_gap_of_the_arguments() -> None:
    grid = grid_of(
        command="validate", arguments=["{encoder}", "m.csv"], axes={"encoder": ["raw", "runs/a"]}
    )
    runs = grid.runs(Path("out"))
    assert [run.words for run in runs] == [
        ("validate", "raw", "m.csv"),
        ("validate", "runs/a", "m.csv"),
    ]
    assert runs[0].name == "encoder=raw"
    assert runs[1].name.startswith("encoder=runs-a-"), "a folder's name has no slash"


def test_excluded_combinations_are_left_out() -> None:
    axes = {"--seed": [0, 1], "--split": ["fold0", "fold1"]}
    grid = grid_of(axes=axes, exclude=[{"--seed": 1, "--split": "fold0"}])
    names = [run.name for run in grid.runs(Path("out"))]
    assert names == ["seed=0,split=fold0", "seed=0,split=fold1", "seed=1,split=fold1"]


def test_nothing_left_is_an_error() -> None:
    grid = grid_of(axes={"--seed": [0]}, exclude=[{"--seed": 0}])
    with pytest.raises(MotionveilError, match="no combination"):
        grid.runs(Path("out"))


def test_names_are_safe_and_differ_where_values_do() -> None:
    values = ["a b", "a/b", "../x", "ü" * 200, "ü" * 201]
    runs = grid_of(axes={"--label": values}).runs(Path("out"))
    names = [run.name for run in runs]
    assert len(set(names)) == len(values)
    for name in names:
        assert len(name) <= 120
        assert Path(name).name == name
        assert name.isascii()


def test_the_key_tells_commands_apart() -> None:
    one, other = (grid_of(axes={"--seed": [n]}).runs(Path("out"))[0] for n in (0, 1))
    moved = grid_of(axes={"--seed": [0]}).runs(Path("elsewhere"))[0]
    assert one.job.key != other.job.key
    assert one.job.key == moved.job.key, "a folder can be moved"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("axis: {--seed: [0]}", "no field 'axis'; there are command, arguments, axes"),
        ("command: tradeof\naxes: {--seed: [0]}", "command: no command 'tradeof'; there are"),
        ("command: train", "axes: Field required"),
        ("command: train\naxes: {}", "axes: "),
        ("command: train\naxes: {--seed: []}", "--seed: no values"),
        ("command: train\naxes: {--seed: [1, '1']}", "--seed: 1 stands there twice"),
        ("command: train\naxes: {--seed: 0}", "axes.--seed: "),
        ("command: train\naxes: {seed: [0]}", "seed: neither an option, such as --seed"),
        ("command: train\naxes: {--out: [a]}", "--out cannot stand in a grid"),
        ("command: train\narguments: [--out=a]\naxes: {--seed: [0]}", "--out cannot stand"),
        (
            "command: train\naxes: {--seed: [0]}\nexclude: [{--sed: 0}]",
            "exclude: no axis '--sed'; there are --seed",
        ),
        (
            "command: train\naxes: {--seed: [0]}\nexclude: [{--seed: 7}]",
            "exclude: --seed: 7 is not one of 0",
        ),
        ("command: train\naxes: {--seed: [0]}\ngpus: -1", "gpus: "),
        ("command: train\naxes: {--seed: [0]}\ngpus: 1.5", "gpus: 1.5: over 1 only whole GPUs"),
        ("command: train\naxes: {--seed: [0]}\ncpus: 0", "cpus: "),
        ("- train", "a grid is a list of `field: value` lines"),
        ("command: [", "is no YAML"),
    ],
)
def test_faults_name_the_file_and_the_field(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(text)
    with pytest.raises(MotionveilError) as caught:
        read_grid(file, COMMANDS)
    assert str(caught.value).startswith(f"{file}:")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"none\.yaml: cannot read the grid"):
        read_grid(tmp_path / "none.yaml", COMMANDS)
