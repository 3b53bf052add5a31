"""The manifest: what is written is read back, and every fault is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError

CLIPS = (
    Clip("a/1.mp4", 0, 30, "wave", {"person": "ann", "gender": "f"}, "s1", "train"),
    Clip("a/1.mp4", 30, 61, "run", {"person": "ann", "gender": "f"}, "s1", "train"),
    Clip("a/2.mp4", 5, 20, "run", {"person": "bob", "gender": "m"}, "s2", "validation"),
)
GOOD = """# root: videos
path,start,end,action,person,group,split
a.mp4,0,30,wave,ann,s1,train
b.mp4,0,30,run,bob,s2,validation
"""


def test_read_gives_what_was_written(tmp_path: Path) -> None:
    written = Manifest("mine", tmp_path / "videos", CLIPS)
    read = Manifest.read(written.write(tmp_path / "manifest.csv"))
    assert read == written
    assert read.hash == written.hash
    assert read.file == tmp_path / "manifest.csv"
    assert read.actions == ("run", "wave")
    assert read.privacy_labels == ("person", "gender")
    assert read.names_of("gender") == ("f", "m")


def test_csv_is_as_documented(tmp_path: Path) -> None:
    file = Manifest("mine", tmp_path / "videos", CLIPS).write(tmp_path / "manifest.csv")
    assert file.read_text().splitlines()[:3] == [
        "# root: videos",
        "path,start,end,action,person,gender,group,split",
        "a/1.mp4,0,30,wave,ann,f,s1,train",
    ]
    sidecar = json.loads((tmp_path / "manifest.json").read_text())
    assert sidecar["name"] == "mine"
    assert sidecar["actions"] == ["run", "wave"]
    assert sidecar["privacy"] == {"person": ["ann", "bob"], "gender": ["f", "m"]}


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), min_size=1
).filter(str.strip)


@given(action=names, person=names, group=names)
def test_any_name_survives(
    tmp_path_factory: pytest.TempPathFactory, action: str, person: str, group: str
) -> None:
    folder = tmp_path_factory.mktemp("names")
    clip = Clip("x.mp4", 0, 9, action, {"person": person}, group, "train")
    written = Manifest("mine", folder, (clip,))
    assert Manifest.read(written.write(folder / "m.csv")) == written


def test_data_set_folder_can_move(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    manifest = Manifest("mine", here / "videos", CLIPS)
    manifest.write(here / "manifest.csv")
    shutil.move(here, there)
    moved = Manifest.read(there / "manifest.csv")
    assert moved.root == there / "videos"
    assert moved.hash == manifest.hash


def test_root_elsewhere_is_absolute(tmp_path: Path) -> None:
    manifest = Manifest("mine", tmp_path / "videos", CLIPS)
    file = manifest.write(tmp_path / "lists" / "manifest.csv")
    assert Manifest.read(file).root == tmp_path / "videos"


@pytest.mark.parametrize(
    "change",
    [
        {"path": "a/3.mp4"},
        {"start": 1},
        {"end": 29},
        {"action": "run"},
        {"privacy": {"person": "bob", "gender": "f"}},
        {"group": "s2"},
        {"split": "validation"},
    ],
)
def test_hash_sees_every_column(tmp_path: Path, change: dict[str, object]) -> None:
    clips = (replace(CLIPS[0], **change), *CLIPS[1:])
    assert Manifest("mine", tmp_path, clips).hash != Manifest("mine", tmp_path, CLIPS).hash


def test_hash_does_not_see_name_and_root(tmp_path: Path) -> None:
    assert Manifest("a", tmp_path, CLIPS).hash == Manifest("b", tmp_path / "x", CLIPS).hash


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("# root: videos\n", "", 1, "# root:"),
        ("# root: videos", "# root: ", 1, "# root:"),
        ("path,start", "file,start", 2, "path,start,end,action"),
        ("person,", "", 2, "privacy labels"),
        ("person,", "path,", 2, "its own name"),
        ("a.mp4,0,30,wave,ann,s1,train", "a.mp4,0,30,wave,ann,s1", 3, "6 values"),
        ("a.mp4,0", "a.mp4,-1", 3, "start is '-1'"),
        ("a.mp4,0", "a.mp4,", 3, "start is ''"),
        ("b.mp4,0,30", "b.mp4,0,3e1", 4, "end is '3e1'"),
        ("b.mp4,0,30", "b.mp4,30,30", 4, "frames 30 to 30"),
        ("wave", " ", 3, "action is ' '"),
        ("bob", "", 4, "person is ''"),
        ("s2", "", 4, "group is ''"),
        ("b.mp4", "/b.mp4", 4, "'/b.mp4'"),
        ("b.mp4", "../b.mp4", 4, "'../b.mp4'"),
        ("b.mp4", "", 4, "path ''"),
        ("b.mp4", "C:\\b.mp4", 4, "relative"),
        ("s2,validation", "s2,test", 4, "split is 'test'"),
        ("s2,validation", "s2,fold1", 4, "one kind of split"),
        ("b.mp4", "a.mp4", 4, "a.mp4#0-30 is there twice"),
        ("b.mp4,0,30", "a.mp4,29,50", 4, "frames 29 to 30 of a.mp4"),
        ("b.mp4,0,30", "./a.mp4,29,50", 4, "frames 29 to 30 of ./a.mp4"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    file = tmp_path / "manifest.csv"
    assert GOOD.count(old) == 1
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(MotionveilError) as raised:
        Manifest.read(file)
    assert str(raised.value).startswith(f"{file}:{line}: ")
    assert told in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"# root: .\n", b"\xff\xfe", GOOD.encode()[:57]])
def test_broken_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "manifest.csv"
    file.write_bytes(content)
    with pytest.raises(MotionveilError, match=r"manifest\.csv"):
        Manifest.read(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"none\.csv: cannot read"):
        Manifest.read(tmp_path / "none.csv")


def test_csv_alone_will_do(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_bytes(
        b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()
    )  # as a spreadsheet saves
    manifest = Manifest.read(file)
    assert manifest.name == "mine"
    assert [clip.key for clip in manifest.clips] == ["a.mp4#0-30", "b.mp4#0-30"]


def test_changed_csv_is_told_from_its_sidecar(tmp_path: Path) -> None:
    file = Manifest("mine", tmp_path, CLIPS).write(tmp_path / "manifest.csv")
    file.write_text(file.read_text().replace("wave", "jump"))
    with pytest.raises(MotionveilError, match="the CSV was changed"):
        Manifest.read(file)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(MotionveilError, match=r"manifest\.json"):
        Manifest.read(file)
    (tmp_path / "manifest.json").unlink()
    assert Manifest.read(file).actions == ("jump", "run")


def test_how_it_was_split_is_kept_beside_it(tmp_path: Path) -> None:
    told = Manifest("mine", tmp_path, CLIPS, split_rule="by hand")
    assert told.hash == Manifest("mine", tmp_path, CLIPS).hash
    file = told.write(tmp_path / "manifest.csv")
    assert Manifest.read(file) == told
    sidecar = json.loads((tmp_path / "manifest.json").read_text())
    assert sidecar.pop("split_rule") == "by hand"
    (tmp_path / "manifest.json").write_text(json.dumps(sidecar))  # as it was before there was one
    assert Manifest.read(file).split_rule == ""


def test_only_a_csv_is_written(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"manifest\.json: a manifest is a \.csv"):
        Manifest("mine", tmp_path, CLIPS).write(tmp_path / "manifest.json")
    assert not list(tmp_path.iterdir())


def test_parts_of_a_split(tmp_path: Path) -> None:
    manifest = Manifest("mine", tmp_path, CLIPS)
    assert manifest.splits() == ("validation",)
    assert manifest.part(training=True) == list(CLIPS[:2])
    assert manifest.part("validation", training=False) == [CLIPS[2]]
    with pytest.raises(MotionveilError, match="no split 'fold0'; it has validation"):
        manifest.part("fold0", training=True)


def test_parts_of_folds(tmp_path: Path) -> None:
    clips = tuple(replace(CLIPS[0], path=f"{i}.mp4", split=f"fold{i % 12}") for i in range(30))
    manifest = Manifest("mine", tmp_path, clips)
    assert manifest.splits() == tuple(f"fold{k}" for k in range(12))
    for fold in manifest.splits():
        held_out = manifest.part(fold, training=False)
        rest = manifest.part(fold, training=True)
        assert {clip.split for clip in held_out} == {fold}
        assert sorted(c.key for c in held_out + rest) == sorted(c.key for c in clips)
    with pytest.raises(MotionveilError, match="no split 'validation'; it has fold0, "):
        manifest.part(training=True)


def test_nothing_left_to_train_on(tmp_path: Path) -> None:
    manifest = Manifest("mine", tmp_path, (CLIPS[2],))
    with pytest.raises(MotionveilError, match="left to train on"):
        manifest.part(training=True)


def test_unknown_label(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match="'age'; it has person, gender"):
        Manifest("mine", tmp_path, CLIPS).names_of("age")


def test_faults_in_memory(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match="mine: no clips"):
        Manifest("mine", tmp_path, ())
    odd = replace(CLIPS[1], privacy={"person": "ann"})
    with pytest.raises(MotionveilError, match="mine: clip 1: privacy labels"):
        Manifest("mine", tmp_path, (CLIPS[0], odd))


def test_background_is_learned_and_not_scored(tmp_path: Path) -> None:
    still = Clip("a/2.mp4", 20, 40, "run", {"person": "bob", "gender": "m"}, "s2", "validation")
    clips = (*CLIPS[:2], replace(still, start=5, action="wave"), still)
    written = Manifest("mine", tmp_path, clips, background="run")
    assert written.hash == Manifest("mine", tmp_path, clips).hash
    read = Manifest.read(written.write(tmp_path / "manifest.csv"))
    assert read == written
    assert read.actions == ("run", "wave")
    assert read.part(training=True) == list(CLIPS[:2])
    assert read.part(training=False) == [clips[2]]
    assert read.held_out_background() == [still]
    assert Manifest("mine", tmp_path, clips).held_out_background() == []
    with pytest.raises(MotionveilError, match="background 'sit': no clip has this"):
        Manifest("mine", tmp_path, clips, background="sit")
    with pytest.raises(MotionveilError, match="no clip is left with an action in 'validation'"):
        Manifest("mine", tmp_path, (*CLIPS[:2], still), background="run").part(training=False)


def test_two_ways_to_write_a_word_are_one_class() -> None:
    one, other = (
        Clip("a", 0, 1, word, {"person": word}, "a", "train") for word in ("é", "e\u0301")
    )
    assert (one.action, one.privacy) == (other.action, other.privacy)


def test_several_columns_are_one_label() -> None:
    values = (("no", "f"), ("yes", "f"), ("yes", "m"), ("no", "m"))
    clips = tuple(
        Clip(f"{n}.avi", 0, 9, "wave", {"hat": hat, "sex": sex, "who": str(n)}, str(n), "train")
        for n, (hat, sex) in enumerate(values)
    )
    manifest = Manifest("own", Path(), clips)
    assert manifest.names_of("hat+sex") == ("hat", "sex")
    assert manifest.classes_of("hat+sex", clips) == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert manifest.classes_of("sex", clips) == [0, 0, 1, 1]
    for label, told in (("hat+who", "4 values"), ("hat+hat", "no privacy label"), ("x", "by A+B")):
        with pytest.raises(MotionveilError, match=told.replace("+", r"\+")):
            manifest.columns_of(label)


@pytest.mark.parametrize("rate", ["0", "-25", "NaN", "1e300", "Infinity"])
def test_a_rate_of_no_video_is_refused(tmp_path: Path, rate: str) -> None:
    file = Manifest("mine", tmp_path, CLIPS, rate=25.0).write(tmp_path / "manifest.csv")
    sidecar = file.with_suffix(".json")
    sidecar.write_text(sidecar.read_text().replace('"rate": 25.0', f'"rate": {rate}'))
    with pytest.raises(MotionveilError, match=r"manifest\.json: rate: Input should be"):
        Manifest.read(file)


def test_a_frame_that_no_video_can_have_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(GOOD.replace("0,30,wave", f"0,{'9' * 30},wave"))
    with pytest.raises(MotionveilError, match=r"a\.csv:3: end is '999"):
        Manifest.read(file)
