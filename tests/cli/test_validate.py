from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from motionveil.cli import main
from motionveil.datasets.manifest import Manifest
from motionveil.results import Result
from motionveil.spec import EncoderSpec, load_spec
from tiny import tiny_values, write_toys


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Five takes a person, in two folds."""
    root = tmp_path_factory.mktemp("toys")
    manifest = write_toys(root)
    clips = [
        dataclasses.replace(clip, split=f"fold{int(clip.path[3]) % 2}") for clip in manifest.clips
    ]
    return Manifest.read(Manifest("folds", root, tuple(clips)).write(root / "folds.csv"))


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values()))
    return str(file)


def validate(encoder: object, toys: Manifest, recipe: str, out: Path, *words: str) -> int:
    fixed = ["--recipe", recipe, "--out", str(out), "--device", "cpu"]
    return main(["validate", str(encoder), str(toys.file), *fixed, *words])


@pytest.mark.parametrize("encoder", ["bdq", "raw"])
def test_prints_a_row_and_writes_a_result(
    toys: Manifest, recipe: str, tmp_path: Path, encoder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate(encoder, toys, recipe, tmp_path / "out") == 0
    said = capsys.readouterr().out
    result = Result.read(tmp_path / "out")
    (row,) = result.rows
    assert row.method == load_spec(encoder).method
    assert row.split == "fold0"
    assert f"{100 * row.privacy.frame.accuracy:.1f}" in said
    assert "person by frame %" in said
    assert "person by clip %" in said
    assert "chance level (person): 50.0 %" in said
    assert f"order: camera, {row.geometry}\n" in said
    assert f"wrote {tmp_path / 'out' / 'results.json'}" in said
    assert f"wrote {tmp_path / 'out' / 'report.html'}" in said
    assert (tmp_path / "out" / "report.html").exists()
    assert result.kind == "validate"
    assert result.dataset.parts == {"fold0": (8, 12)}


def test_warns_of_an_encoder_that_has_seen_these_clips(
    toys: Manifest, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = EncoderSpec.untrained(range=0.25, manifest=toys.hash, split="fold1", alpha=2.0)
    file = spec.save(tmp_path / "encoder.json")
    assert validate(file, toys, recipe, tmp_path / "out") == 0
    warning = "warning: the encoder was trained with --split fold1, so it has seen the clips of"
    assert warning in capsys.readouterr().err
    assert Result.read(tmp_path / "out").rows[0].alpha == 2.0
    assert validate(file, toys, recipe, tmp_path / "out", "--split", "fold1") == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("encoder", "named"),
    [("nonesuch", "nonesuch: no such encoder"), ("none.json", "none.json: cannot read")],
)
def test_no_such_encoder(
    toys: Manifest,
    recipe: str,
    tmp_path: Path,
    encoder: str,
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert validate(encoder, toys, recipe, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
