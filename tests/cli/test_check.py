"""`motionveil check` finds every clip that is missing, unreadable or short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionveil.cli import main
from motionveil.datasets.loaders import DatasetInfo, loaders
from motionveil.datasets.loaders.ut_interaction import index
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.datasets.validate_manifest import find_missing
from motionveil.video import VideoSink


def _clip(name: str, start: int, end: int) -> Clip:
    """Return one of a data set of two actions and two people, dealt by the last frame."""
    action, person = ("run", "ann") if end in (10, 20) else ("jump", "joe")
    return Clip(name, start, end, action, {"person": person}, name, "train")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One video of 20 frames, `long.mkv`."""
    with VideoSink(tmp_path / "long.mkv", rate=25) as sink:
        for level in range(20):
            sink.write(np.full((8, 8, 3), level, np.uint8))
    return tmp_path


def _check(folder: Path, *clips: Clip, frames: int = 16) -> int:
    file = Manifest("mine", folder, clips).write(folder / "manifest.csv")
    return main(["check", str(file), "--frames", str(frames)])


def test_all_is_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = [
        Clip("long.mkv", 0, 20, "run", {"person": "ann"}, "a", "train"),
        Clip("long.mkv", 20, 40, "walk", {"person": "bob"}, "b", "train"),
    ]
    with VideoSink(folder / "long.mkv", rate=25) as sink:
        for level in range(40):
            sink.write(np.full((8, 8, 3), level, np.uint8))
    assert _check(folder, *clips) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == f"{folder / 'manifest.csv'}: 2 clips, 0 faults, 0 warnings"
    assert printed.err == ""


def test_short_clips_are_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = (_clip("long.mkv", 0, 20), _clip("long.mkv", 0, 15), _clip("long.mkv", 4, 30))
    assert _check(folder, *clips) == 0
    video = folder / "long.mkv"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {video}: 15 frames from 0 to 15, the recipe needs 16",
        f"warning: {video}: 20 frames, the clip is frames 4 to 30",
    ]
    assert _check(folder, *clips[:2], frames=15) == 0
    assert capsys.readouterr().err == ""


def test_every_fault_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.mkv").write_text("not a video")
    (folder / "empty.mkv").touch()
    whole = (folder / "long.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    clips = (
        _clip("none.mkv", 0, 20),
        _clip("text.mkv", 0, 20),
        _clip("empty.mkv", 0, 20),
        _clip("cut.mkv", 0, 20),
        _clip("long.mkv", 20, 40),
        _clip("long.mkv", 0, 18),
    )
    assert _check(folder, *clips) == 1
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    for line, name in zip(lines, ("none", "text", "empty", "cut", "long"), strict=True):
        assert line.startswith(f"{folder / name}.mkv: ")
    assert "missing" in lines[0]
    assert lines[4].endswith("20 frames, the clip is frames 20 to 40")
    assert "6 clips, 5 faults, 0 warnings" in printed.out


def test_parts_that_share_too_much_or_too_little(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = Clip("long.mkv", 10, 20, "wave", {"person": "bob"}, "long.mkv", "validation")
    assert _check(folder, _clip("long.mkv", 0, 10), held_out, frames=10) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "warning: recordings in both parts: 1 of 1 (validation)",
        "warning: action in validation only: wave (validation)",
        "warning: action in training only: run",
        "warning: person in validation only: bob (validation)",
        "warning: person in training only: ann",
    ]
    assert "2 clips, 0 faults, 5 warnings" in printed.out


def test_what_is_missing_of_a_published_data_set(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is no fault: what there is can be used."""
    clips = tuple(
        Clip("long.mkv", 4 * i, 4 * i + 4, "hug", {"pair": f"pair{i % 2}"}, "s", f"fold{i % 2}")
        for i in range(4)
    )
    file = Manifest("ut-interaction", folder, clips, split_rule="folds: as they are").write(
        folder / "manifest.csv"
    )
    assert main(["check", str(file), "--frames", "4"]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines()[:2] == [
        "warning: ut-interaction, of what is published at"
        " https://cvrc.ece.utexas.edu/SDHA2010/Human_Interaction.html:"
        " clips 4 of 60, videos 1 of 60, actions 1 of 6, pair 2 of 10",
        "warning: ut-interaction, split folds: fold0 2 of 21, fold1 2 of 19, fold2 0 of 20",
    ]
    assert "4 clips, 0 faults, 5 warnings" in printed.out


def test_nothing_is_missing(ut_interaction: Path) -> None:
    assert find_missing(index(ut_interaction)) == []


PUBLISHED = {name: of.published for name, of in loaders().items() if of.published is not None}


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)
def test_published_parts_add_up(published: DatasetInfo) -> None:
    assert published.page.startswith("https://")
    assert published.splits
    for parts in published.splits.values():
        assert sum(parts.values()) == published.clips


def test_my_own_data_set_may_bear_a_published_name(folder: Path) -> None:
    mine = Manifest("kth", folder, (_clip("long.mkv", 0, 20),))
    assert find_missing(mine) == []


def test_manifest_at_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "none.csv")]) == 1
    assert "none.csv: cannot read the manifest" in capsys.readouterr().err
    assert _check(folder, _clip("long.mkv", 0, 20), frames=0) == 1
    assert "--frames is 0" in capsys.readouterr().err


def test_labels_that_tell_nothing_apart_or_look_alike(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [
        Clip("long.mkv", number, number + 1, action, {"person": "ann"}, "a", "train")
        for number, action in enumerate(("run", "Run", "run ", "walk"))
    ]
    assert _check(folder, *clips, frames=1) == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: action: 'Run' and 'run' and 'run ' differ in case or spaces only, and are classes"
        " apart",
        "warning: person: every clip has 'ann', so there is nothing to tell apart",
    ]
