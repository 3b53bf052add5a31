"""A split under which nothing could be recognised is refused before anything is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from motionveil.cli import main
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.experiments.tradeoff import describe_dataset
from tiny import tiny_values

COMMANDS = (["train"], ["validate", "bdq"], ["tradeoff"])


def clip(number: int, person: str, split: str, action: str = "run") -> Clip:
    """A clip of a video that is not there."""
    privacy = {"person": person, "hand": "lr"[number % 2]}
    return Clip(f"{number}.mkv", 0, 9, action, privacy, f"{number}", split)


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values()))
    return str(file)


def refusal(
    command: list[str], manifest: Manifest, recipe: str, capsys: pytest.CaptureFixture[str]
) -> str:
    file = manifest.write(manifest.root / "manifest.csv")
    words = [*command, str(file), "--recipe", recipe, "--device", "cpu"]
    assert main([*words, "--out", str(manifest.root / "out")]) == 1
    assert not (manifest.root / "out").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_other_people_in_validation(
    tmp_path: Path, recipe: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [clip(n, "ann", "train") for n in range(4)]
    clips += [clip(n, "bob", "validation") for n in range(4, 6)]
    manifest = Manifest("mine", tmp_path, tuple(clips))
    told = refusal(command, manifest, recipe, capsys)
    assert "no person of validation occurs in training" in told
    assert "choose --label hand" in told
    assert told.count("\n") == 1


def test_no_split_of_a_tradeoff_will_do(
    tmp_path: Path, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    people = ("ann", "ann", "bob", "bob", "cid", "cid")
    clips = tuple(clip(n, person, f"fold{n // 2}") for n, person in enumerate(people))
    told = refusal(["tradeoff"], Manifest("mine", tmp_path, clips), recipe, capsys)
    assert "no person of fold0 occurs in training" in told


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_training_clips_only(
    tmp_path: Path, recipe: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = Manifest("mine", tmp_path, tuple(clip(n, "ann", "train") for n in range(4)))
    assert "every clip is for training" in refusal(command, manifest, recipe, capsys)


def test_a_result_says_how_its_data_were_split(tmp_path: Path) -> None:
    clips = (clip(0, "ann", "train"), clip(1, "ann", "validation"))
    manifest = Manifest("mine", tmp_path, clips, split_rule="by hand")
    assert describe_dataset(manifest, ["validation"], "person").split_rule == "by hand"
