"""IPN Hand: the published lists, and small data sets in the published layouts."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from motionveil.cli import main
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import ClipDataset, batches
from motionveil.datasets.loaders import ipn
from motionveil.datasets.manifest import Manifest
from motionveil.datasets.validate_manifest import find_faulty_clips
from motionveil.errors import MotionveilError
from videos import frame_numbers, moving_square, write_pictures, write_video

HEADER = "video,label,id,t_start,t_end,frames\n"
TRAIN = (
    HEADER + "1CM1_4_R_#229,D0X,1,1,2,2\n1CM1_4_R_#229,G11,14,3,7,5\n1CM1_4_R_#229,B0A,2,8,12,5\n"
)
TEST = HEADER + "4CM11_24_L_#64,G11,14,1,6,6\n4CM11_24_L_#64,D0X,1,7,10,4\n"
METADATA = "video,frames,label,Hand,Background\r\n"
TRAIN_DATA = METADATA + "1CM1_4_R_#229,12,W,Right,Clutter \r\n"
TEST_DATA = METADATA + "4CM11_24_L_#64,10,M,Left,Plain\r\n"


def write_lists(folder: Path, train: str = TRAIN, test: str = TEST) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Annot_TrainList.txt").write_text(train)
    (folder / "Annot_TestList.txt").write_text(test)
    (folder / "metadata_train.csv").write_text(TRAIN_DATA)
    (folder / "metadata_test.csv").write_text(TEST_DATA)


def write_frames(root: Path, video: str, frames: int) -> None:
    folder = root / "frames" / video
    write_pictures(folder, moving_square(frames), "{}.jpg")
    for number in range(frames):
        (folder / f"{number}.jpg").rename(folder / f"{video}_{number + 1:06d}.jpg")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two videos of 12 and 10 frames and their lists."""
    write_lists(tmp_path / "annotations")
    write_frames(tmp_path, "1CM1_4_R_#229", 12)
    write_frames(tmp_path, "4CM11_24_L_#64", 10)
    return tmp_path


@pytest.fixture
def whole(published_lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The whole data set at `tmp_path`, its videos as long as the returned lengths say."""
    shutil.copytree(published_lists / "ipn", tmp_path / "annotations")
    lengths = {}
    for part in ("Train", "Test"):
        for line in (published_lists / f"ipn/Video_{part}List.txt").read_text().splitlines():
            video, frames = line.split()
            (tmp_path / "frames" / video).mkdir(parents=True)
            lengths[video] = int(frames)
    monkeypatch.setattr(
        ipn, "count_or_raise", lambda _, paths: {path: lengths[path[7:]] for path in paths}
    )
    return lengths


class TestWhole:
    def test_is_as_published(
        self, whole: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        manifest = ipn.index(tmp_path)
        assert len(manifest.clips) == ipn.PUBLISHED.clips == 4218
        assert len({clip.path for clip in manifest.clips}) == ipn.PUBLISHED.videos == len(whole)
        assert len(manifest.actions) == ipn.PUBLISHED.actions == 13
        for label, names in ipn.PUBLISHED.labels.items():
            assert len(manifest.names_of(label)) == names
        splits = Counter(clip.split for clip in manifest.clips)
        assert splits == ipn.PUBLISHED.splits["published"] == {"train": 3117, "validation": 1101}
        assert capsys.readouterr().err == ""

    def test_people_are_on_one_side_and_have_one_gender(
        self, whole: dict[str, int], tmp_path: Path
    ) -> None:
        manifest = ipn.index(tmp_path)
        people = [
            {clip.privacy["person"]: clip.privacy["gender"] for clip in part}
            for part in (manifest.part(training=True), manifest.part(training=False))
        ]
        assert not people[0].keys() & people[1].keys()
        assert [Counter(part.values()) for part in people] == [
            {"man": 26, "woman": 11},
            {"man": 8, "woman": 5},
        ]
        assert len({tuple(clip.privacy.values()) for clip in manifest.clips}) == 50
        videos = Counter(
            person for _, person in {(c.path, c.privacy["person"]) for c in manifest.clips}
        )
        assert set(videos.values()) == {4}

    def test_majority_of_the_test_gestures(self, whole: dict[str, int], tmp_path: Path) -> None:
        held_out = ipn.index(tmp_path).part(training=False)
        assert Counter(clip.privacy["gender"] for clip in held_out) == {"man": 675, "woman": 426}

    def test_non_gestures(self, whole: dict[str, int], tmp_path: Path) -> None:
        manifest = ipn.index(tmp_path, non_gestures=True)
        assert Counter(clip.split for clip in manifest.clips) == {"train": 4039, "validation": 1610}
        assert len(manifest.actions) == 14
        assert sum(clip.action == "non_gesture" for clip in manifest.clips) == 1431
        assert manifest.background == "non_gesture"
        assert len(manifest.part(training=False)) == 1101

    def test_videos_of_other_lengths(
        self, whole: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        whole["1CM1_1_R_#217"] = 240  # in the midst of its third gesture
        whole["1CM1_3_R_#226"] = 4786  # what the .avi has, 4795 published: its last rows are D0X
        whole["4CM11_7_R_#36"] += 1
        manifest = ipn.index(tmp_path)
        clips = [clip for clip in manifest.clips if clip.group == "1CM1_1_R_#217"]
        assert [(clip.start, clip.end) for clip in clips] == [(28, 72), (72, 235), (235, 240)]
        assert [clip.action for clip in clips] == ["zoom_in", "pointing_1_finger", "open_twice"]
        assert len(manifest.clips) == 4218 - 18
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 3
        for line, video, consequence in zip(
            sorted(told),
            ("1CM1_1_R_#217 has 240 frames, published with 3855", "1CM1_3_R_#226", "4CM11_7_R_#36"),
            ("1 clips end early, 18 are", "0 clips end early, 0 are", "0 clips end early, 0 are"),
            strict=True,
        ):
            assert video in line
            assert consequence in line


def test_few_videos_of_the_real_lists(
    published_lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(published_lists / "ipn", tmp_path, dirs_exist_ok=True)
    for video in ("1CM1_1_R_#217", "1CM1_4_R_#229"):
        (tmp_path / "frames" / video).mkdir(parents=True)
        for number in range(300):
            (tmp_path / "frames" / video / f"{video}_{number + 1:06d}.jpg").touch()
    manifest = ipn.index(tmp_path)
    assert Counter(clip.split for clip in manifest.clips) == {"validation": 4, "train": 3}
    assert max(clip.end for clip in manifest.clips) == 300
    told = capsys.readouterr().err
    assert "198 of 200 videos missing: 1CM1_1_R_#218, 1CM1_1_R_#219" in told
    assert "1CM1_4_R_#229 has 300 frames, published with 3751" in told


def test_from_frames_to_batch(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = Manifest.read(ipn.index(small).write(small / "ipn.csv"))
    assert capsys.readouterr().err == ""
    assert [(c.path, c.start, c.end, c.action, c.split) for c in manifest.clips] == [
        ("frames/1CM1_4_R_#229", 2, 7, "zoom_out", "train"),
        ("frames/1CM1_4_R_#229", 7, 12, "pointing_1_finger", "train"),
        ("frames/4CM11_24_L_#64", 0, 6, "zoom_out", "validation"),
    ]
    assert manifest.clips[0].privacy == {"gender": "woman", "person": "1CM1_4"}
    assert manifest.clips[2].privacy == {"gender": "man", "person": "4CM11_24"}
    assert find_faulty_clips(manifest, t=5) == []
    cache = ClipCache.build(manifest, size=48, fit="short-side", folder=small / "cache")
    for clip in manifest.clips:
        assert frame_numbers(cache.frames(clip)) == list(range(clip.start, clip.end))
    dataset = ClipDataset(
        cache, manifest.clips, t=5, size=32, privacy_label="gender", training=False
    )
    [batch] = batches(dataset, 4)
    assert batch.clips.shape == (3, 3, 5, 32, 32)
    assert batch.actions.tolist() == [1, 0, 1]
    assert batch.privacy.tolist() == [1, 1, 0]
    assert np.ptp(batch.clips.numpy()) > 0.5


@pytest.mark.parametrize("videos", ["videos", ""])
def test_videos_will_do(tmp_path: Path, videos: str) -> None:
    write_lists(tmp_path)
    (tmp_path / "Annot_TrainList.txt").rename(tmp_path / "annot_trainlist.txt")
    (tmp_path / videos).mkdir(exist_ok=True)
    for video, frames in (("1CM1_4_R_#229", 12), ("4CM11_24_L_#64", 10)):
        write_video(tmp_path / videos / f"{video}.avi", moving_square(frames))
    clips = ipn.index(tmp_path).clips
    assert [(clip.start, clip.end) for clip in clips] == [(2, 7), (7, 12), (0, 6)]
    assert {(tmp_path / clip.path).suffix for clip in clips} == {".avi"}


def test_frames_are_preferred(small: Path) -> None:
    write_video(small / "1CM1_4_R_#229.avi", moving_square(5))
    assert ipn.index(small).clips[0].path == "frames/1CM1_4_R_#229"


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (TRAIN.replace("G11", "G12"), r"Annot_TrainList\.txt:3: label is 'G12', there is D0X, B0A"),
        (TRAIN.replace(",3,7,", ",7,3,"), "frames 7 to 3: t_end must not be below"),
        (TRAIN.replace(",1,2,2", ",0,2,2"), "frames 0 to 2: .* t_start 1 or more"),
        (TRAIN.replace(",3,7,", ",x,7,"), r":3: t_start is 'x', it must be a whole number"),
        (TRAIN.replace("#229,G11,", "#229,"), ":3: 5 values, there must be 6"),
        (TRAIN.replace("#229", "#230"), r"1CM1_4_R_#230 is annotated, but not in the metadata"),
        (
            "video label\n",
            "found columns 'video label'; there must be video, label, t_start, t_end",
        ),
    ],
)
def test_faulty_annotations(small: Path, train: str, told: str) -> None:
    write_lists(small / "annotations", train=train)
    with pytest.raises(MotionveilError, match=told):
        ipn.index(small)


def test_other_faults(small: Path) -> None:
    with pytest.raises(MotionveilError, match="ipn: no split 'thirds'; there are published"):
        ipn.index(small, split="thirds")
    metadata = small / "annotations/metadata_test.csv"
    metadata.write_text(TEST_DATA.replace(",M,", ",X,"))
    with pytest.raises(MotionveilError, match=r"metadata_test\.csv:2: label is 'X', there is M, W"):
        ipn.index(small)
    metadata.write_text(TEST_DATA)
    shutil.rmtree(small / "frames")
    with pytest.raises(MotionveilError, match=r"no videos, such as frames/.* or videos/.*\.avi"):
        ipn.index(small)
    (small / "annotations/Annot_TestList.txt").unlink()
    with pytest.raises(MotionveilError, match=r"no Annot_TestList\.txt, in this folder or in"):
        ipn.index(small)


def test_from_the_command_line(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "manifest.csv"
    words = ["index", "ipn", str(small), "-o", str(out)]
    assert main(words) == 0
    assert "Non_gesture" not in out.read_text()
    gestures = len(Manifest.read(out).clips)
    assert main([*words, "--with-non-gestures"]) == 0
    assert len(Manifest.read(out).clips) == gestures + 2


def test_non_gestures_are_ipn_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "sbu", str(tmp_path), "--with-non-gestures"]) == 1
    assert "--with-non-gestures is for ipn" in capsys.readouterr().err
