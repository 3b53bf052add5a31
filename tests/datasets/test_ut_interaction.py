"""UT-Interaction as published, and its three folds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import pytest

from motionveil.datasets.loaders.ut_interaction import index
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError


@pytest.fixture(scope="module")
def manifest(ut_interaction: Path) -> Manifest:
    return index(ut_interaction)


def test_what_is_published(manifest: Manifest) -> None:
    assert len(manifest.clips) == 60
    assert manifest.actions == ("handshake", "hug", "kick", "point", "punch", "push")
    assert manifest.privacy_labels == ("pair",)
    assert len(manifest.names_of("pair")) == 10
    cells = Counter((clip.privacy["pair"], clip.action) for clip in manifest.clips)
    assert cells["pair06", "punch"] == 0
    assert cells["pair08", "punch"] == 2
    assert len(cells) == 59


def test_labels_are_the_file_names(manifest: Manifest) -> None:
    by_name = {Path(clip.path).name: clip for clip in manifest.clips}
    assert by_name["0_1_4.avi"].action == "punch"
    assert by_name["17_3_0.avi"].action == "handshake"
    assert by_name["59_10_2.avi"].privacy == {"pair": "pair10"}
    assert [int(name.split("_")[0]) for name in by_name] == list(range(60))


def test_ranges_are_whole_clips(manifest: Manifest) -> None:
    for clip in manifest.clips[::12]:
        with av.open(str(manifest.root / clip.path)) as video:
            assert (clip.start, clip.end) == (0, sum(1 for _ in video.decode(video=0)))


def test_folds(manifest: Manifest) -> None:
    assert manifest.splits() == ("fold0", "fold1", "fold2")
    for fold in manifest.splits():
        train = manifest.part(fold, training=True)
        held_out = manifest.part(fold, training=False)
        assert not {c.path for c in train} & {c.path for c in held_out}
        assert len(train) + len(held_out) == 60
        assert 19 <= len(held_out) <= 21
        for part in (train, held_out):  # every pair and every action is in both
            assert {c.action for c in part} == set(manifest.actions)
            assert {c.privacy["pair"] for c in part} == set(manifest.names_of("pair"))
        per_action = Counter(c.action for c in held_out)
        assert per_action.pop("punch") in (2, 4)  # sequence 6 has none, 8 has two
        assert set(per_action.values()) <= {3, 4}
        assert set(Counter(c.privacy["pair"] for c in held_out).values()) <= {1, 2, 3}
        trained = {(c.privacy["pair"], c.action) for c in train}
        assert not trained & {(c.privacy["pair"], c.action) for c in held_out}


def test_either_folder_will_do(ut_interaction: Path, manifest: Manifest) -> None:
    inner = index(ut_interaction / "segmented_set1")
    assert [(c.action, c.split) for c in inner.clips] == [
        (c.action, c.split) for c in manifest.clips
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("video.avi", "CLIP_SEQUENCE_CLASS"),
        ("0_11_2.avi", "sequence 1 to 10"),
        ("0_1_6.avi", "class 0 to 5"),
        ("0_1_2.avi", "1 clips, the published set has 60"),
        ("0_1_2.mp4", "no .avi files"),
    ],
)
def test_other_data_is_refused(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(MotionveilError, match=told) as raised:
        index(tmp_path)
    assert str(tmp_path) in str(raised.value)
