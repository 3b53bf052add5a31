"""`motionveil index`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from motionveil.cli import main
from motionveil.datasets.actors import make_actors
from motionveil.datasets.loaders import loaders
from motionveil.datasets.manifest import Manifest
from motionveil.video import VideoSink


def _write_video(path: Path, length: int) -> None:
    path.parent.mkdir(parents=True)
    with VideoSink(path, rate=25) as sink:
        for level in range(length):
            sink.write(np.full((8, 8, 3), level, np.uint8))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for action in ("run", "wave"):
        for person in ("ann", "bob"):
            _write_video(tmp_path / "videos" / action / person / "0.mkv", 5)
    return tmp_path / "videos"


def test_folder(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(videos.parent)
    assert main(["index", "folder", "videos"]) == 0
    manifest = Manifest.read("manifest.csv")
    assert manifest.root == videos
    assert len(manifest.clips) == 4
    printed = capsys.readouterr().out
    for word in ("run", "wave", "ann", "bob", "4 clips: 3 train, 1 validation"):
        assert word in printed
    assert "wrote manifest.csv and manifest.json" in printed


def test_long_names_of_actions_become_numbers_with_a_legend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    actions = [f"click with {fingers} fingers and wait" for fingers in ("two", "three", "four")]
    for action in actions:
        for person in ("ann", "bob"):
            _write_video(tmp_path / "videos" / action / person / "0.mkv", 5)
    assert main(["index", "folder", str(tmp_path / "videos"), "-o", str(tmp_path / "m.csv")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"person +┃ 1 +┃ 2 +┃ 3 +┃ all", said)
    assert [line for line in said.splitlines() if line.startswith(("1:", "2:", "3:"))] == [
        f"{number}: {action}" for number, action in enumerate(sorted(actions), 1)
    ]


def test_share_and_seed(videos: Path, tmp_path: Path) -> None:
    chosen = set()
    for seed in range(6):
        out = tmp_path / f"{seed}.csv"
        line = ["index", "folder", str(videos), "-o", str(out), "--share", "0.5"]
        assert main([*line, "--seed", str(seed)]) == 0
        held_out = Manifest.read(out).part(training=False)
        assert len(held_out) == 2
        chosen.add(tuple(clip.path for clip in held_out))
    assert len(chosen) == 2  # ann runs and bob waves, or the other way round


def test_csv(videos: Path, tmp_path: Path) -> None:
    rows = [f"{a}/{p}/0.mkv,{a},{p}" for a in ("run", "wave") for p in ("ann", "bob")]
    (videos / "labels.csv").write_text("\n".join(["path,action,person", *rows]))
    out = tmp_path / "out" / "manifest.csv"
    assert main(["index", "csv", str(videos / "labels.csv"), "--out", str(out)]) == 0
    assert [clip.end for clip in Manifest.read(out).clips] == [5] * 4


def test_kth_says_what_is_missing_and_shared(
    kth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "manifest.csv"
    assert main(["index", "kth", str(kth), "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert "36 clips: 25 train, 11 validation" in printed.out
    missing, whole, parts, *shared = printed.err.splitlines()
    assert "590 of 599 videos are not there" in missing
    assert whole == (
        "warning: kth, of what is published at https://www.csc.kth.se/cvap/actions/:"
        " clips 36 of 2391, videos 9 of 599, actions 3 of 6, person 9 of 25"
    )
    assert parts == "warning: kth, split paper: train 25 of 1434, validation 11 of 957"
    assert shared == [
        "warning: recordings in both parts: 7 of 7 (validation)",
        "warning: person in training only: person16, person23",
    ]


def test_a_way_to_split(kth: Path, tmp_path: Path) -> None:
    line = ["index", "kth", str(kth), "-o", str(tmp_path / "manifest.csv"), "--split"]
    assert main([*line, "scenario"]) == 0
    manifest = Manifest.read(tmp_path / "manifest.csv")
    assert manifest.splits() == ("fold0", "fold1", "fold2", "fold3")
    assert manifest.split_rule.startswith("scenario: ")


def test_a_seed_for_a_data_set(kth: Path, tmp_path: Path) -> None:
    made = []
    for seed in ("0", "1"):
        out = tmp_path / f"{seed}.csv"
        assert main(["index", "kth", str(kth), "-o", str(out), "--seed", seed]) == 0
        made.append(Manifest.read(out))
        assert f"seed {seed};" in made[-1].split_rule
    assert made[0].hash != made[1].hash


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("kth", "no split 'thirds'; there are paper, scenario, person"),
        ("sbu", "no split 'thirds'; there are paper, pair-folds, set-folds"),
        ("ipn", "no split 'thirds'; there are published"),
        ("folder", "--split is for ipn, kth, sbu, vp-hmdb51, vp-ucf101, not for folder"),
        ("csv", "--split is for ipn, kth, sbu, vp-hmdb51, vp-ucf101, not for csv"),
        (
            "ut-interaction",
            "--split is for ipn, kth, sbu, vp-hmdb51, vp-ucf101, not for ut-interaction",
        ),
    ],
)
def test_no_such_way_to_split(
    tmp_path: Path, kind: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "manifest.csv")
    assert main(["index", kind, str(tmp_path), "-o", out, "--split", "thirds"]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_how_it_was_split_is_kept(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "manifest.csv"
    line = ["index", "folder", str(videos), "-o", str(out), "--share", "0.5", "--seed", "7"]
    assert main(line) == 0
    rule = "0.5 of the clips held out, stratified, recordings whole, seed 7"
    assert Manifest.read(out).split_rule == rule


def test_seed_is_a_whole_number() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["index", "folder", "videos", "--seed", "-1"])


def test_fault_is_one_line_and_nothing_is_left(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = videos / "run" / "ann" / "0.mkv"
    broken.write_bytes(b"not a video")
    assert main(["index", "folder", str(videos), "-o", str(tmp_path / "manifest.csv")]) == 1
    error = capsys.readouterr().err
    assert str(broken) in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("manifest.*"))


def test_the_built_in_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it films is trusted to `make_actors`, which has tests of its own; here, a small cast."""

    def film_a_few(root: str, *, seed: int, attributes: bool) -> Manifest:
        few = {"people": 2, "train_sessions": 1, "validation_sessions": 1}
        return make_actors(root, seed=seed, attributes=attributes, **few)

    monkeypatch.setattr("motionveil.datasets.actors.make_actors", film_a_few)
    monkeypatch.chdir(tmp_path)
    words = ["index", "actors", "actors", "--seed", "3", "-o", "actors/manifest.csv"]
    assert main([*words, "--with-attributes"]) == 0
    attributes = Manifest.read("actors/manifest.csv")
    assert attributes.privacy_labels == ("identity", "tall", "long_hair", "long_sleeves", "shorts")
    assert attributes.values_of("tall") == ("no", "yes"), "people are drawn to differ in height"
    assert main(words) == 0
    manifest = Manifest.read("actors/manifest.csv")
    assert manifest.root == tmp_path / "actors/seed3-people2"
    assert len(manifest.clips) == 2 * 2 * 8
    assert all((manifest.root / clip.path).is_file() for clip in manifest.clips)


def test_every_kind_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["index", "--help"])
    printed = capsys.readouterr().out
    for name, loader in loaders().items():
        assert name in printed
        assert loader.help in printed
        for way, line in loader.splits.items():
            assert re.search(rf"--split {way} +{re.escape(line)}", printed)


def test_the_list_of_clips_is_not_replaced_by_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "clips.csv"
    listed.write_text("path,action,person\n")
    assert main(["index", "csv", str(listed), "-o", str(listed)]) == 1
    assert "this is the source itself" in capsys.readouterr().err
    assert listed.read_text() == "path,action,person\n"
