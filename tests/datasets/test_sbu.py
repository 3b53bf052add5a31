"""SBU in its published layouts, and the authors' split, whose facts come with the package."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import ClipDataset, batches
from motionveil.datasets.loaders import sbu
from motionveil.datasets.manifest import Manifest
from motionveil.datasets.validate_manifest import find_faulty_clips
from motionveil.errors import MotionveilError
from videos import frame_numbers, moving_square, write_pictures

FEW = {
    "s01s02/08/002": 10,
    "s02s01/01/001": 19,
    "s03s06/01/002": 26,
    "s06s03/02/002": 17,
}
"""Some clips and their published numbers of frames, 10 being the smallest."""


def write_clip(folder: Path, frames: int, first: int = 1, step: int = 1) -> None:
    """Write colour images of `moving_square`, depth images that are white, and a skeleton."""
    colour = moving_square(frames)
    write_pictures(folder, np.full_like(colour[:1], 255), "depth_{:06d}.png")
    depth = (folder / "depth_000000.png").read_bytes()
    (folder / "depth_000000.png").unlink()
    write_pictures(folder, colour, "{}.png")
    for number in range(frames):
        name = f"{first + step * number:06d}.png"
        (folder / f"{number}.png").rename(folder / f"rgb_{name}")
        (folder / f"depth_{name}").write_bytes(depth)
    (folder / "skeleton_pos.txt").write_text("1,0.5,0.5,1.0\n")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The names of all files of the whole data set; the images are empty."""
    root = tmp_path_factory.mktemp("sbu")
    for name, published in sbu.read_list().items():
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(published.frames):
            (folder / f"rgb_{number + 17:06d}.png").touch()
            (folder / f"depth_{number + 17:06d}.png").touch()
    return root


class TestList:
    def test_is_the_released_one(self, published_lists: Path) -> None:
        released, pairs = {}, {}
        for file, split in (("train.txt", "train"), ("val.txt", "validation")):
            with (published_lists / "sbu" / file).open() as lines:
                for path, first, last, pair, action in csv.reader(lines):
                    name = path.split("/", 2)[2]
                    assert (first, int(action) + 1) == ("1", int(name.split("/")[1]))
                    released[name] = sbu.Listed(int(last), split)
                    pairs[name] = int(pair)
        assert sbu.read_list() == released
        ours = {name: "".join(sorted((name[:3], name[3:6]))) for name in released}
        assert len(set(zip(ours.values(), pairs.values(), strict=True))) == 13

    def test_has_the_published_number_of_frames(self) -> None:
        assert sum(clip.frames for clip in sbu.read_list().values()) == 6822


class TestWhole:
    def test_the_papers_split(self, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
        manifest = sbu.index(whole)
        parts = [manifest.part(training=training) for training in (True, False)]
        assert [len(part) for part in parts] == [188, 94]
        for part in parts:
            assert {clip.privacy["pair"] for clip in part} == set(manifest.names_of("pair"))
            assert {clip.action for clip in part} == set(sbu.ACTIONS)
        assert all(
            (clip.start, clip.end) == (0, sbu.read_list()[clip.path.rpartition("/")[0]].frames)
            for clip in manifest.clips
        )
        assert capsys.readouterr().err == ""

    def test_is_as_published(self, whole: Path) -> None:
        manifest = sbu.index(whole)
        assert len(manifest.clips) == sbu.PUBLISHED.clips == 282
        assert len({clip.path for clip in manifest.clips}) == sbu.PUBLISHED.videos
        assert len(manifest.actions) == sbu.PUBLISHED.actions
        for label, names in sbu.PUBLISHED.labels.items():
            assert len(manifest.names_of(label)) == names
        for split, counts in sbu.PUBLISHED.splits.items():
            clips = sbu.index(whole, split=split).clips
            assert Counter(clip.split for clip in clips) == counts

    def test_pair_folds(self, whole: Path) -> None:
        manifest = sbu.index(whole, split="pair-folds", seed=3)
        assert manifest == sbu.index(whole, split="pair-folds", seed=3)
        assert manifest.hash != sbu.index(whole, split="pair-folds", seed=4).hash
        assert manifest.splits() == tuple(f"fold{n}" for n in range(5))
        for fold in manifest.splits():
            train = manifest.part(fold, training=True)
            held_out = manifest.part(fold, training=False)
            assert 54 <= len(held_out) <= 59
            assert {c.privacy["pair"] for c in train} == set(manifest.names_of("pair"))
            actions = Counter(c.action for c in held_out)
            assert all(3 <= actions[name] <= 10 for name in sbu.ACTIONS)
            assert not {c.group for c in train} & {c.group for c in held_out}

    def test_set_folds(self, whole: Path) -> None:
        manifest = sbu.index(whole, split="set-folds")
        assert len(manifest.splits()) == 21
        unseen = set()
        for fold in manifest.splits():
            held_out = manifest.part(fold, training=False)
            assert len({clip.path.split("/")[0] for clip in held_out}) == 1
            train = manifest.part(fold, training=True)
            assert held_out[0].path.split("/")[0] not in {c.path.split("/")[0] for c in train}
            unseen |= {c.privacy["pair"] for c in held_out} - {c.privacy["pair"] for c in train}
        assert unseen == {"s01s03", "s02s04", "s02s05", "s02s07", "s03s07"}


@pytest.mark.parametrize("prefix", ["", "SBU/"])
@pytest.mark.parametrize("doubled", [False, True])
def test_layouts(tmp_path: Path, prefix: str, doubled: bool) -> None:
    for name, frames in FEW.items():
        folder = tmp_path / prefix / (name.split("/")[0] if doubled else "") / name
        folder.mkdir(parents=True)
        for number in range(frames):
            (folder / f"rgb_{number:06d}.png").touch()
    clips = sbu.index(tmp_path).clips
    assert [clip.path[-len("s01s02/01/001/rgb_*.png") :] for clip in clips] == [
        f"{name}/rgb_*.png" for name in FEW
    ]
    assert all((tmp_path / clip.path).parent.is_dir() for clip in clips)
    assert [clip.length for clip in clips] == list(FEW.values())
    assert [clip.action for clip in clips] == [
        "punching",
        "approaching",
        "approaching",
        "departing",
    ]
    assert [clip.privacy["pair"] for clip in clips] == ["s01s02", "s01s02", "s03s06", "s03s06"]


def test_from_pictures_to_batch(tmp_path: Path) -> None:
    write_clip(tmp_path / "s01s02/08/002", 10, first=95, step=3)  # 95, 98, 101, ...: gaps, 3 digits
    write_clip(tmp_path / "s06s03/02/002", 17)
    manifest = Manifest.read(sbu.index(tmp_path).write(tmp_path / "sbu.csv"))
    assert [clip.split for clip in manifest.clips] == ["train", "validation"]
    faults = find_faulty_clips(manifest, t=11)
    assert ["10 frames, the recipe needs 11" in fault.message for fault in faults] == [True]
    cache = ClipCache.build(manifest, size=48, fit="short-side", folder=tmp_path / "cache")
    for clip in manifest.clips:
        assert frame_numbers(cache.frames(clip)) == list(range(clip.length))
    dataset = ClipDataset(
        cache, manifest.clips, t=16, size=32, privacy_label="pair", training=False
    )
    [batch] = batches(dataset, 4)
    assert batch.clips.shape == (2, 3, 16, 32, 32)
    assert batch.actions.tolist() == [1, 0]  # punching, departing
    assert batch.privacy.tolist() == [0, 1]
    assert batch.clips.max() < 1.01  # moving_square's is white
    assert batch.clips.mean() < 0.6  # depth would be all white


class TestRemarks:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name, frames in FEW.items():
            (tmp_path / name).mkdir(parents=True)
            for number in range(frames):
                (tmp_path / name / f"rgb_{number:06d}.png").touch()
        return tmp_path

    def test_missing_clips(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sbu.index(root)
        told = capsys.readouterr().err
        assert "278 of 282 clips missing: s01s02/01/001, s01s02/01/002" in told

    def test_short_clip(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (root / "s03s06/01/002/rgb_000025.png").unlink()
        assert [clip.length for clip in sbu.index(root).clips] == [10, 19, 25, 17]
        told = capsys.readouterr().err
        assert "clips that end before their published end: 1, such as" in told
        assert "s03s06/01/002: 25 frames, published with 26" in told

    def test_long_clip(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (root / "s03s06/01/002/rgb_000026.png").touch()
        assert [clip.length for clip in sbu.index(root).clips] == list(FEW.values())
        told = capsys.readouterr().err
        assert "s03s06/01/002: 27 frames, published with 26" in told
        assert "noisy version" in told

    def test_clip_that_is_not_listed(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (root / "s01s02/01/009").mkdir(parents=True)
        assert len(sbu.index(root).clips) == 4
        assert "do not have them: s01s02/01/009" in capsys.readouterr().err

    def test_depth_only(self, root: Path) -> None:
        for file in (root / "s01s02/08/002").iterdir():
            file.rename(file.with_name(file.name.replace("rgb", "depth")))
        with pytest.raises(MotionveilError, match=r"s01s02/08/002/rgb_\*\.png: no frames"):
            sbu.index(root)


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"no clips of SBU.*get them from"):
        sbu.index(tmp_path)
    with pytest.raises(MotionveilError, match="sbu: no split 'half'; there are paper, pair-folds"):
        sbu.index(tmp_path, split="half")
