from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from motionveil.cli import main
from motionveil.cli.options import duration
from motionveil.datasets.manifest import Manifest
from motionveil.spec import load_spec
from motionveil.training.recipe import load_recipe
from tiny import tiny_values, write_toys


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_toys(tmp_path_factory.mktemp("toys")).file)


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values()))
    return str(file)


def train(manifest: str, recipe: str, out: Path, *words: str) -> int:
    return main(
        ["train", manifest, "--recipe", recipe, "--out", str(out), "--device", "cpu", *words]
    )


def test_writes_a_run_and_says_where(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(manifest, recipe, out, "--workers", "1") == 0
    said = capsys.readouterr()
    for name in ("encoder.json", "curves.csv", "recipe.yaml", "checkpoints"):
        assert (out / name).exists()
        assert f"wrote {out / name}" in said.out
    spec = load_spec(out)
    assert "bdq; on the training clips: action " in said.out
    assert "person by frame" in said.out
    assert "epoch 2/2" in said.err
    assert spec.provenance["alpha"] == 2.0
    assert spec.provenance["seed"] == 0


def test_further_adversaries_from_the_command_line(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "adversarial.further=[{temporal: true}, {view: integrated}]"]
    assert train(manifest, recipe, tmp_path / "run", *words) == 0
    said = capsys.readouterr()
    assert ", by small3d on whole clips " in said.out
    assert ", by small2d on frames, integrated " in said.out
    assert "accuracy privacy 3 " in said.err
    names = ["small3d on whole clips", "small2d on frames, integrated"]
    assert load_spec(tmp_path / "run").provenance["further_adversaries"] == names
    header = (tmp_path / "run" / "curves.csv").read_text().splitlines()[0].split(",")
    assert [name for name in header if name.endswith("_3")] == [
        "entropy_3",
        "loss_privacy_3",
        "accuracy_privacy_3",
    ]


def test_options_reach_the_encoder(manifest: str, recipe: str, tmp_path: Path) -> None:
    words = ["--alpha", "0.5", "--seed", "3", "--label", "hand", "--split", "validation"]
    assert train(manifest, recipe, tmp_path / "run", *words) == 0
    found = load_spec(tmp_path / "run").provenance
    assert (found["alpha"], found["seed"], found["privacy_label"]) == (0.5, 3, "hand")


def test_the_next_command_it_names_works(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And scores the encoder on the split that was held out, under the label it was hidden from."""
    folder = tmp_path / "a run"
    assert train(manifest, recipe, folder, "--label", "hand") == 0
    said = capsys.readouterr().out
    words = shlex.split(said.partition("next: ")[2])
    assert words[:2] == ["motionveil", "validate"]
    assert words[words.index("--split") + 1] == "validation"
    assert words[words.index("--label") + 1] == "hand"
    assert main([*words[1:], "--device", "cpu", "--out", str(tmp_path / "validated")]) == 0
    said = capsys.readouterr()
    assert "hand by frame" in said.out
    assert "warning" not in said.err


def test_the_resolved_recipe_is_kept_with_the_run(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was set on the command line is in it, and the next command takes it from there."""
    out = tmp_path / "run"
    assert train(manifest, recipe, out, "--alpha", "0.5", "--set", "validation.epochs=1") == 0
    given = {"alpha": 0.5, "validation.epochs": 1}
    assert load_recipe(out / "recipe.yaml") == load_recipe(recipe, given)
    words = shlex.split(capsys.readouterr().out.partition("next: ")[2])
    assert words[words.index("--recipe") + 1] == str(out / "recipe.yaml")
    assert train(manifest, str(out / "recipe.yaml"), out, "--resume") == 0


class TestDryRun:
    def test_prints_shapes_memory_and_time(
        self, manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert (
            train(manifest, recipe, tmp_path / "run", "--dry-run", "--set", "adversarial.batch=4")
            == 0
        )
        lines = capsys.readouterr().out.splitlines()
        said = {line[:16].strip(): line[16:] for line in lines}
        assert said["clip"] == "4 x 3 x 6 x 16 x 16 (B, 3, T, H, W)"
        assert said["veiled clip"] == "4 x 3 x 5 x 16 x 16"
        assert said["privacy frames"] == "8 x 3 x 16 x 16"
        assert said["parameters"].startswith("E 16, T ")
        assert said["memory"].endswith(("GiB at most by the whole process", "on this system"))
        assert " s: computing on cpu " in said["step"]
        assert said["epoch"].startswith("3 steps, ")
        assert said["training"].startswith("2 epochs, ")
        assert said["validation"].startswith("2 epochs, up to about ")
        assert "weights" not in said

    def test_leaves_nothing_behind(self, recipe: str, tmp_path: Path) -> None:
        toys = write_toys(tmp_path / "toys", takes=2)
        before = sorted(tmp_path.rglob("*"))
        assert train(str(toys.file), recipe, tmp_path / "run", "--dry-run") == 0
        assert sorted(tmp_path.rglob("*")) == before

    def test_faults_are_one_line(
        self, manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["--dry-run", "--split", "fold7"]
        assert train(manifest, recipe, tmp_path / "run", *words) == 1
        assert "--split fold7: it has validation" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [(0.0123, "0.0123 s"), (41.2, "41.2 s"), (494.4, "8 min 14 s"), (24744, "6 h 52 min")],
    )
    def test_durations_are_for_people(self, seconds: float, said: str) -> None:
        assert duration(seconds) == said


def test_a_run_that_is_there_is_not_overwritten(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(manifest, recipe, tmp_path) == 0
    before = (tmp_path / "encoder.json").read_bytes()
    capsys.readouterr()
    assert train(manifest, recipe, tmp_path, "--seed", "1") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"motionveil: error: {tmp_path}: there is a training here already; --resume" in error
    assert (tmp_path / "encoder.json").read_bytes() == before
    assert train(manifest, recipe, tmp_path, "--resume") == 0
    assert (tmp_path / "encoder.json").read_bytes() == before


def test_resume_names_what_is_another(
    manifest: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(manifest, recipe, tmp_path) == 0
    capsys.readouterr()
    assert train(manifest, recipe, tmp_path, "--resume", "--seed", "1") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "another training" in error
    assert "seed was 0, is 1" in error


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--label", "age"], "--label age: it has person, hand"),
        (["--split", "fold7"], "--split fold7: it has validation"),
        (["--device", "cuda:99"], "--device cuda:99: cannot be used here"),
        (["--recipe", "nonesuch"], "nonesuch: no such recipe"),
        (["--alpha", "-1"], "alpha"),
        (["--action-weights", "none.safetensors"], "none.safetensors"),
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
    assert train(manifest, recipe, tmp_path / "run", *words) == 1
    error = capsys.readouterr().err
    assert error.startswith("motionveil: error: ")
    assert error.count("\n") == 1
    assert named in error
    assert not (tmp_path / "run").exists()


def test_a_manifest_that_is_not_there(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(str(tmp_path / "none.csv"), recipe, tmp_path / "run") == 1
    assert "none.csv: cannot read the manifest" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--seed", "-1"],
        ["--seed", "1.5"],
        ["--workers", "0"],
        ["--workers", "-2"],
        ["--alpha", "much"],
        ["--precision", "8"],
    ],
)
def test_wrong_usage_is_2(
    manifest: str, recipe: str, tmp_path: Path, words: list[str], capsys: object
) -> None:
    with pytest.raises(SystemExit, match="2"):
        train(manifest, recipe, tmp_path / "run", *words)


def test_one_person_is_nobody_to_tell_apart(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone: Manifest = write_toys(tmp_path / "toys", people=1)
    assert train(str(alone.file), recipe, tmp_path / "run") == 1
    error = capsys.readouterr().err
    assert "1 class to train on" in error
    assert error.count("\n") == 1
