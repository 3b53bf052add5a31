"""KTH as published: its list with all its oddities, its three ways to split, the real videos."""

from __future__ import annotations

import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import av
import pytest

from motionveil.datasets.loaders import kth as kth_module
from motionveil.datasets.loaders.kth import (
    ACTIONS,
    LIST,
    PUBLISHED,
    SPLITS,
    Listed,
    index,
    read_list,
)
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.datasets.validate_manifest import find_overlap
from motionveil.errors import MotionveilError
from motionveil.video import read_clip
from videos import frame_numbers, moving_square, write_video

PROSE = """
This database contains sequences of six classes of actions
Test:       person22, 02

"""
ROWS = """\
person02_boxing_d1\t\tframes\t1-4, 5-8, 9-12, 13-16
person02_boxing_d2\t\tframes\t1-4, 9-14, 5-8

person11_boxing_d1    \t\tframes\t1-6, 5-10, 11-16
person13_handclapping_d3\t*missing*
person13_walking_d4  frames  1-8,9 - 16
"""
LENGTH = 16

Made = Callable[[str], Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Make a small data set of a list: every video in it has 16 numbered frames."""

    def make(rows: str = ROWS) -> Path:
        text = (PROSE + rows).replace("\n", "\r\n")
        (tmp_path / LIST).write_bytes(text.encode())
        for video in {sequence.video for sequence in read_list(tmp_path / LIST)}:
            (tmp_path / video).parent.mkdir(exist_ok=True)
            write_video(tmp_path / video, moving_square(LENGTH))
        return tmp_path

    return make


@pytest.fixture
def whole(kth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The whole data set by its real list; its videos are empty and said to be long enough."""
    shutil.copy(kth / LIST, tmp_path)
    for video in {sequence.video for sequence in read_list(kth / LIST)}:
        (tmp_path / video).parent.mkdir(exist_ok=True)
        (tmp_path / video).touch()
    monkeypatch.setattr(
        kth_module, "count_or_raise", lambda folder, paths: dict.fromkeys(paths, 2000)
    )
    return tmp_path


def where(clip: Clip) -> tuple[str, int, int]:
    return Path(clip.path).name, clip.start, clip.end


def overlaps(listed: list[Listed]) -> list[int]:
    """Return how many frames two sequences of a video share, for those that share any."""
    of_video = defaultdict(list)
    for sequence in listed:
        of_video[sequence.video].append(sequence)
    shared = [
        min(a.end, b.end) - max(a.start, b.start)
        for sequences in of_video.values()
        for a, b in combinations(sequences, 2)
    ]
    return sorted(frames for frames in shared if frames > 0)


class TestMade:
    def test_a_clip_is_a_sequence(self, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
        manifest = index(made())
        assert [where(clip) for clip in manifest.clips] == [
            ("person02_boxing_d1_uncomp.avi", 0, 4),
            ("person02_boxing_d1_uncomp.avi", 4, 8),
            ("person02_boxing_d1_uncomp.avi", 8, 12),
            ("person02_boxing_d1_uncomp.avi", 12, 16),
            ("person02_boxing_d2_uncomp.avi", 0, 4),
            ("person02_boxing_d2_uncomp.avi", 8, 14),
            ("person02_boxing_d2_uncomp.avi", 4, 8),
            ("person11_boxing_d1_uncomp.avi", 0, 6),
            ("person11_boxing_d1_uncomp.avi", 4, 10),
            ("person11_boxing_d1_uncomp.avi", 10, 16),
            ("person13_walking_d4_uncomp.avi", 0, 8),
            ("person13_walking_d4_uncomp.avi", 8, 16),
        ]
        last = manifest.clips[-1]
        assert last.path == "walking/person13_walking_d4_uncomp.avi"
        assert last.action == "walking"
        assert last.privacy == {"person": "person13", "scenario": "d4"}
        assert last.group == last.path
        assert capsys.readouterr().err == ""

    def test_its_frames_are_those_listed(self, made: Made) -> None:
        manifest = index(made())
        clip = manifest.clips[1]  # 5-8, counted from 1
        assert frame_numbers(read_clip(manifest.root / clip.path, clip.start, clip.end)) == [
            4,
            5,
            6,
            7,
        ]

    def test_what_ends_past_the_video_is_cut(
        self, made: Made, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = made(
            "person02_boxing_d1 frames 1-8, 9-17, 17-20\nperson02_boxing_d2 frames 1-16\n"
        )
        found = [where(clip)[1:] for clip in index(folder).clips]
        assert found == [(0, 8), (8, 16), (0, 16)]
        video = folder / "boxing" / "person02_boxing_d1_uncomp.avi"
        assert capsys.readouterr().err.splitlines() == [
            f"warning: {video}: 16 frames, {LIST} lists 9-17: cut",
            f"warning: {video}: 16 frames, {LIST} lists 17-20: left out",
        ]

    def test_a_missing_video_is_left_out_and_changes_no_other(
        self, made: Made, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = made()
        before = index(folder)
        gone = folder / "boxing" / "person02_boxing_d2_uncomp.avi"
        gone.unlink()
        after = index(folder)
        assert after.clips == tuple(c for c in before.clips if folder / c.path != gone)
        (line,) = capsys.readouterr().err.splitlines()
        assert "1 of 4 videos are not there and left out: boxing/person02_boxing_d2" in line

    def test_without_any_video(self, made: Made) -> None:
        folder = made()
        for video in folder.rglob("*.avi"):
            video.unlink()
        with pytest.raises(MotionveilError, match="none of the 4 videos") as raised:
            index(folder)
        assert PUBLISHED.page in str(raised.value)

    def test_a_broken_video_is_named(self, made: Made) -> None:
        broken = made() / "boxing" / "person02_boxing_d2_uncomp.avi"
        broken.write_bytes(b"not a video")
        with pytest.raises(MotionveilError, match=re.escape(str(broken))):
            index(broken.parents[1])

    def test_sequences_that_share_frames_stay_together(self, made: Made) -> None:
        folder = made()
        drawn = {tuple(c.split for c in index(folder, seed=seed).clips[7:10]) for seed in range(30)}
        assert all(first == second for first, second, _ in drawn)
        assert {first for first, _, third in drawn if third != first} == {"train", "validation"}

    def test_scenario(self, made: Made) -> None:
        manifest = index(made(), split="scenario")
        for clip in manifest.clips:
            assert (
                clip.split
                == {"d1": "fold0", "d2": "fold1", "d4": "fold3"}[clip.privacy["scenario"]]
            )
        assert manifest.split_rule.startswith("scenario: ")

    def test_person(self, made: Made) -> None:
        manifest = index(made(), split="person")
        assert {c.privacy["person"] for c in manifest.part(training=False)} == {"person02"}
        assert {c.privacy["person"] for c in manifest.part(training=True)} == {
            "person11",
            "person13",
        }
        assert manifest.split_rule.startswith("person: ")

    def test_the_papers_is_marked_as_reconstructed(self, made: Made) -> None:
        manifest = index(made(), seed=3)
        assert len(manifest.part(training=False)) == 5  # 40 % of 12, rounded up
        assert manifest.split_rule.startswith("paper: 60/40 of the sequences, seed 3; reconst")
        read = Manifest.read(manifest.write(manifest.root / "manifest.csv"))
        assert read.split_rule == manifest.split_rule

    def test_other_split(self, made: Made) -> None:
        with pytest.raises(MotionveilError, match="no split 'folds'; there are paper, scenario, p"):
            index(made(), split="folds")


class TestFaultsOfTheList:
    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ("person26_boxing_d1 frames 1-4", "found 'person26_boxing_d1"),
            ("person00_boxing_d1 frames 1-4", "NN 01 to 25"),
            ("person1_boxing_d1 frames 1-4", "NN 01 to 25"),
            ("person01_swimming_d1 frames 1-4", "ACTION boxing, handclapping"),
            ("person01_boxing_d5 frames 1-4", "N 1 to 4"),
            ("person01_boxing_d1", "its frames"),
            ("person01_boxing_d1 frames", "found 'frames'"),
            ("person01_boxing_d1 frames 1-4 5-8", "found 'frames 1-4 5-8'"),
            ("person01_boxing_d1 frames 1-4, 5-", "found 'frames 1-4, 5-'"),
            ("person01_boxing_d1 lost", r"'lost', it must be `frames 1-95, 96-185, ...` or *miss"),
            ("person01_boxing_d1 frames 0-4", "frames 0-4: they count from 1"),
            ("person01_boxing_d1 frames 5-4", "frames 5-4"),
            ("person02_boxing_d1 frames 1-4", "person02_boxing_d1 is there twice"),
            ("boxing/person01 1-4", "found 'boxing/person01 1-4'"),
        ],
    )
    def test_a_bad_line_is_named(self, tmp_path: Path, row: str, told: str) -> None:
        file = tmp_path / LIST
        file.write_text(f"Prose.\n\nperson02_boxing_d1 frames 1-4\n{row}\n")
        with pytest.raises(MotionveilError) as raised:
            read_list(file)
        assert str(raised.value).startswith(f"{file}:4: ")
        assert told in str(raised.value)

    def test_no_list(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match=f"{LIST}: cannot read") as raised:
            index(tmp_path)
        assert PUBLISHED.page in str(raised.value)

    def test_a_list_of_nothing(self, tmp_path: Path) -> None:
        (tmp_path / LIST).write_text("Only prose.\n\n")
        with pytest.raises(MotionveilError, match="lists no sequences"):
            index(tmp_path)


class TestRealList:
    def test_its_oddities(self, kth: Path) -> None:
        listed = read_list(kth / LIST)
        per_video = Counter(sequence.video for sequence in listed)
        assert (len(listed), len(per_video)) == (PUBLISHED.clips, PUBLISHED.videos)
        assert Counter(per_video.values()) == {4: 594, 3: 5}
        assert len({s.person for s in listed}) * len(ACTIONS) * 4 - len(per_video) == 1
        assert "handclapping/person13_handclapping_d3_uncomp.avi" not in per_video
        assert {s.action for s in listed} == set(ACTIONS)
        assert overlaps(listed) == [1, 1, 1, 2, 10, 100, 100]

    def test_the_first_line_by_hand(self, kth: Path) -> None:
        first = read_list(kth / LIST)[:4]  # 1-95, 96-185, 186-245, 246-360
        assert [(s.start, s.end) for s in first] == [(0, 95), (95, 185), (185, 245), (245, 360)]
        assert {s.video for s in first} == {"boxing/person01_boxing_d1_uncomp.avi"}

    def test_test_people_are_those_it_names(self, kth: Path) -> None:
        line = re.search(r"^Test:(.*)$", (kth / LIST).read_text(), re.M)
        assert line is not None
        named = {f"person{number}" for number in re.findall(r"\d\d", line[1])}
        assert named == kth_module.TEST_PEOPLE

    @pytest.mark.parametrize("split", SPLITS)
    def test_parts_are_those_published(self, whole: Path, split: str) -> None:
        manifest = index(whole, split=split)
        assert Counter(clip.split for clip in manifest.clips) == PUBLISHED.splits[split]
        assert manifest.split_rule.split(":")[0] == split

    def test_paper_has_every_name_in_both_parts(self, whole: Path) -> None:
        manifests = [index(whole, seed=seed) for seed in range(5)]
        assert len({manifest.hash for manifest in manifests}) == 5
        assert index(whole, seed=4).hash == manifests[4].hash
        for manifest in manifests:
            for names in find_overlap(manifest, "validation").names.values():
                assert not names.training
                assert not names.held_out

    def test_paper_of_seed_0_stays_what_it_is(self, whole: Path) -> None:
        """Were it drawn in another way, no result on it could be measured again."""
        assert index(whole).hash.startswith("cb9b43bb528f")

    def test_person_shares_nobody(self, whole: Path) -> None:
        found = find_overlap(index(whole, split="person"), "validation")
        assert found.shared_recordings == 0
        assert [len(part) for part in found.names["person"]] == [0, 16, 9]


class TestRealVideos:
    def test_all_sequences_are_there(self, kth: Path, capsys: pytest.CaptureFixture[str]) -> None:
        manifest = index(kth)
        assert len(manifest.clips) == 36
        assert manifest.actions == ("boxing", "running", "walking")
        assert len(manifest.names_of("person")) == 9
        assert manifest.part(training=False)
        (line,) = capsys.readouterr().err.splitlines()  # no range ends past its video
        assert "590 of 599 videos are not there" in line

    def test_ranges_lie_in_the_video(self, kth: Path) -> None:
        manifest = index(kth)
        with av.open(str(kth / "running" / "person23_running_d3_uncomp.avi")) as video:
            frames = sum(1 for _ in video.decode(video=0))
        ranges = [(c.start, c.end) for c in manifest.clips if "person23" in c.path]
        assert ranges == [(0, 32), (69, 102), (171, 200), (249, 280)]
        assert frames == 280

    @pytest.mark.parametrize("split", SPLITS)
    def test_a_sequence_is_in_the_same_part_as_in_the_whole(
        self, kth: Path, whole: Path, split: str
    ) -> None:
        in_whole = {clip.key: clip.split for clip in index(whole, split=split).clips}
        for clip in index(kth, split=split).clips:
            assert in_whole[clip.key] == clip.split
