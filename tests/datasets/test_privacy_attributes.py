"""PA-HMDB51, VP-HMDB51 and VP-UCF101, small ones in the published layouts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionveil.datasets.loaders import loaders
from motionveil.datasets.loaders.privacy_attributes import ATTRIBUTES
from motionveil.errors import MotionveilError
from videos import moving_square, write_video

HMDB = {"wave": ("a_wave_u_0", "a_wave_u_1", "b_wave_u_0"), "sit": ("c_sit_f_0", "d_sit_f_0")}
UCF = {"YoYo": ("v_YoYo_g01_c01", "v_YoYo_g01_c02", "v_YoYo_g02_c01")}


def films(root: Path, of: dict[str, tuple[str, ...]], length: int = 20) -> None:
    for action, names in of.items():
        (root / action).mkdir(parents=True, exist_ok=True)
        for name in names:
            write_video(root / action / f"{name}.avi", moving_square(length))


def annotate(root: Path, action: str, values: dict[str, object]) -> None:
    (root / "PrivacyAttributes").mkdir(exist_ok=True)
    (root / "PrivacyAttributes" / f"{action}.json").write_text(json.dumps(values))


class TestPA:
    def test_a_clip_is_a_range_in_which_nothing_changes(self, tmp_path: Path) -> None:
        films(tmp_path / "hmdb51", {"wave": HMDB["wave"]})
        whole = {"face": [[0, 19, 1]], "gender": [[0, 19, [1, 2]]], "review": True, "note": ""}
        partial = whole | {"face": [[0, 8, 0], [9, 25, 2]], "nudity": [[0, 2, 1]]}
        videos = dict.fromkeys(("a_wave_u_0.avi", "b_wave_u_0.avi", "gone.avi"), whole)
        annotate(tmp_path, "wave", videos | {"a_wave_u_1.avi": partial})
        found = loaders()["pa-hmdb51"].index(tmp_path, share=0.4)
        assert found.privacy_labels == ATTRIBUTES
        seen = {(c.path.rsplit("/")[-1], c.start, c.end, *c.privacy.values()) for c in found.clips}
        # the first range of a_wave_u_1 is cut in two by `nudity`, and both are too short
        assert seen == {
            ("a_wave_u_0.avi", 0, 20, "1", "0", "1", "0", "0"),
            ("a_wave_u_1.avi", 9, 20, "1", "0", "1", "0", "0"),
            ("b_wave_u_0.avi", 0, 20, "1", "0", "1", "0", "0"),
        }
        assert {c.group for c in found.clips} == {"a", "b"}
        assert {c.split for c in found.clips} == {"train", "validation"}

    def test_a_damaged_range_is_named(self, tmp_path: Path) -> None:
        films(tmp_path, {"wave": ("a_wave_u_0",)})
        annotate(tmp_path, "wave", {"a_wave_u_0.avi": {"face": [[0, "x", 1]]}})
        with pytest.raises(MotionveilError, match=r"wave.json: face: \[0, 'x', 1\] must be"):
            loaders()["pa-hmdb51"].index(tmp_path)


def write_labels(root: Path, of: dict[str, tuple[str, ...]], last: str = "1") -> None:
    rows = [f"{action}/{name}.avi,1,0,1,0,{last}" for action, names in of.items() for name in names]
    (root / "labels.csv").write_text("\n".join([",".join(("path", *ATTRIBUTES)), *rows]))


class TestVP:
    def test_hmdb51(self, tmp_path: Path) -> None:
        films(tmp_path, HMDB)
        write_labels(tmp_path, HMDB)
        lists = tmp_path / "testTrainMulti_7030_splits"
        lists.mkdir()
        (lists / "wave_test_split2.txt").write_text(
            "a_wave_u_0.avi 1 \na_wave_u_1.avi 1 \nb_wave_u_0.avi 2 \n"
        )
        (lists / "sit_test_split2.txt").write_text("c_sit_f_0.avi 1 \nd_sit_f_0.avi 0 \n")
        found = loaders()["vp-hmdb51"].index(tmp_path, split="2")
        assert [(c.action, c.group, c.split) for c in found.clips] == [
            ("wave", "a", "train"),
            ("wave", "a", "train"),
            ("wave", "b", "validation"),
            ("sit", "c", "train"),
        ]
        assert dict(found.clips[0].privacy) == dict(zip(ATTRIBUTES, "10101", strict=True))
        with pytest.raises(MotionveilError, match=r"no \*_test_split1.txt"):
            loaders()["vp-hmdb51"].index(tmp_path)

    def test_ucf101(self, tmp_path: Path) -> None:
        films(tmp_path / "UCF-101", UCF)
        write_labels(tmp_path, UCF)
        (tmp_path / "trainlist01.txt").write_text(
            "YoYo/v_YoYo_g01_c01.avi 101\nYoYo/v_YoYo_g01_c02.avi 101\n"
        )
        (tmp_path / "testlist01.txt").write_text("YoYo/v_YoYo_g02_c01.avi\n")
        found = loaders()["vp-ucf101"].index(tmp_path)
        assert [(c.group, c.split) for c in found.clips] == [
            ("YoYo g01", "train"),
            ("YoYo g01", "train"),
            ("YoYo g02", "validation"),
        ]
        write_labels(tmp_path, UCF, last="2")
        with pytest.raises(MotionveilError, match=r"labels.csv:2: found '2', 0 or 1 is right"):
            loaders()["vp-ucf101"].index(tmp_path)
