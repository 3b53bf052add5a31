"""A user's own videos: folders by action and person, and CSVs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionveil.datasets.loaders.folder import index, index_csv
from motionveil.errors import MotionveilError

WriteVideo = Callable[..., Any]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Two actions, two people, three videos of 4 to 6 frames each."""
    root = tmp_path_factory.mktemp("own") / "videos"
    for action in ("run", "wave"):
        for person in ("ann", "bob"):
            for take in range(3):
                write_video(root / action / person / f"{take}.mkv", 4 + take, 8, 8)
    return root


def test_folder(videos: Path) -> None:
    manifest = index(videos, share=0.34, seed=3)
    assert manifest.name == "videos"
    assert manifest.actions == ("run", "wave")
    assert manifest.names_of("person") == ("ann", "bob")
    assert sorted((c.path, c.start, c.end) for c in manifest.clips) == sorted(
        (f"{a}/{p}/{take}.mkv", 0, 4 + take)
        for a in ("run", "wave")
        for p in ("ann", "bob")
        for take in range(3)
    )
    for clip in manifest.clips:
        assert clip.path.split("/")[:2] == [clip.action, clip.privacy["person"]]
    assert len(manifest.part(training=False)) == 4
    assert manifest == index(videos, share=0.34, seed=3)


def test_folder_passes_over_what_is_no_video(tmp_path: Path, write_video: WriteVideo) -> None:
    for take in range(2):
        write_video(tmp_path / "run" / "ann" / f"{take}.MKV", 3, 8, 8)
    (tmp_path / "run" / "ann" / "notes.txt").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "old.mp4").touch()
    assert len(index(tmp_path).clips) == 2


def test_folder_faults(tmp_path: Path, write_video: WriteVideo) -> None:
    with pytest.raises(MotionveilError, match="no such folder"):
        index(tmp_path / "none")
    with pytest.raises(MotionveilError, match="no videos in <action>/<person>/"):
        index(tmp_path)
    write_video(tmp_path / "run" / "0.mkv", 3, 8, 8)
    with pytest.raises(MotionveilError, match=r"run/0\.mkv: a video must be at"):
        index(tmp_path)
    (tmp_path / "run" / "ann").mkdir()
    (tmp_path / "run" / "0.mkv").rename(tmp_path / "run" / "ann" / "0.mkv")
    with pytest.raises(MotionveilError, match="nothing can be held out"):
        index(tmp_path)
    for name in ("1", "2"):
        (tmp_path / "run" / "ann" / f"{name}.mp4").write_bytes(b"not a video")
    with pytest.raises(MotionveilError) as raised:
        index(tmp_path)
    assert "1.mp4" in str(raised.value)
    assert "2.mp4" in str(raised.value)


def test_csv_of_whole_videos(videos: Path) -> None:
    table = videos / "labels.csv"
    rows = [
        f"run/{p}/{take}.mkv, run, {p}, {take % 2}" for p in ("ann", "bob") for take in range(3)
    ]
    table.write_text("\n".join(["path,action,person,glasses", *rows]) + "\n")
    manifest = index_csv(table, seed=1)
    assert manifest.name == "labels"
    assert manifest.root == videos
    assert manifest.privacy_labels == ("person", "glasses")
    assert [(c.start, c.end) for c in manifest.clips] == [(0, 4), (0, 5), (0, 6)] * 2
    assert {c.group for c in manifest.clips} == {c.path for c in manifest.clips}
    assert {c.split for c in manifest.clips} == {"train", "validation"}


def test_csv_with_every_column(videos: Path) -> None:
    table = videos / "folds.csv"
    table.write_text(
        "split,group,path,start,end,action,person\n"
        "fold0,s1,run/ann/0.mkv,0,2,run,ann\n\n"
        "fold1,s2,run/ann/0.mkv,2,4,wave,ann\n"
    )
    first, second = index_csv(table).clips
    assert (first.start, first.end, first.group, first.split) == (0, 2, "s1", "fold0")
    assert (second.start, second.end, second.group, second.split) == (2, 4, "s2", "fold1")
    assert index_csv(table).split_rule == "as folds.csv has it"


def test_csv_keeps_recordings_whole(videos: Path) -> None:
    table = videos / "parts.csv"
    rows = [
        f"run/{person}/{take}.mkv,{half},{half + 2},run,{person}"
        for person in ("ann", "bob")
        for take in range(3)
        for half in (0, 2)
    ]
    table.write_text("\n".join(["path,start,end,action,person", *rows]))
    manifest = index_csv(table, share=0.4)
    train = {clip.path for clip in manifest.part(training=True)}
    assert not train & {clip.path for clip in manifest.part(training=False)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r":1: found columns ''"),
        ("path,action\n", r":1: found columns 'path,action'; there must be path, action and one"),
        ("path,person\n", r":1: found columns"),
        ("path,action,person,person\n", r":1: .*its own name"),
        ("path,action,person,start\n", r":1: .*start and end go together"),
        ("path,action,person\na.mkv,run\n", r":2: 2 values, there must be 3"),
        ("path,start,end,action,person\na.mkv,0,x,run,ann\n", r":2: end is 'x'"),
        ("path,start,end,action,person\n\na.mkv,0,9,,ann\n", r":3: action is ''"),
        ("path,start,end,action,person\n/a.mkv,0,9,run,ann\n", r":2: path '/a.mkv'"),
        ("path,action,person\nnone.mkv,run,ann\n", r"none\.mkv: missing"),
        ("path,start,end,action,person\n", "no clips"),
        ("path,action,person\n", "no clips"),
    ],
)
def test_csv_faults(tmp_path: Path, text: str, told: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(MotionveilError, match=told):
        index_csv(table)


def test_csv_missing(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"none\.csv: cannot read"):
        index_csv(tmp_path / "none.csv")
