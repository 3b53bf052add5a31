"""What the parts of a split share is found, said and, where nothing could be learned, refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.datasets.manifest import Clip, Manifest
from motionveil.datasets.validate_manifest import (
    Names,
    find_overlap,
    refuse_unlearnable,
    report_overlap,
)
from motionveil.errors import MotionveilError


def make(*rows: str, split_rule: str = "") -> Manifest:
    """Make a manifest of rows `action person place group split`, a video each."""
    clips = []
    for number, row in enumerate(rows):
        action, person, place, group, split = row.split()
        privacy = {"person": person, "place": place}
        clips.append(Clip(f"{number}.mp4", 0, 9, action, privacy, group, split))
    return Manifest("mine", Path(), tuple(clips), split_rule=split_rule)


GOOD = (
    "run ann in s1 train",
    "wave bob out s2 train",
    "run bob in s3 validation",
    "wave ann out s4 validation",
)


class TestFind:
    def test_recordings_and_names(self) -> None:
        found = find_overlap(
            make(
                "run ann in s1 train",
                "wave ann out s1 train",
                "run bob in s1 validation",
                "jump bob in s2 validation",
            ),
            "validation",
        )
        assert (found.recordings, found.shared_recordings) == (2, 1)
        assert found.names == {
            "action": Names(both=("run",), training=("wave",), held_out=("jump",)),
            "person": Names(both=(), training=("ann",), held_out=("bob",)),
            "place": Names(both=("in",), training=("out",), held_out=()),
        }

    def test_every_other_fold_is_trained_on(self) -> None:
        folds = make(
            "run ann in s1 fold0",
            "run bob in s1 fold1",
            "run ann in s2 fold2",
            "run cid in s3 fold2",
        )
        assert find_overlap(folds, "fold0").names["person"] == (("ann",), ("bob", "cid"), ())
        assert find_overlap(folds, "fold1").names["person"] == ((), ("ann", "cid"), ("bob",))
        assert [find_overlap(folds, f).shared_recordings for f in folds.splits()] == [1, 1, 0]

    @given(
        st.lists(
            st.tuples(
                st.sampled_from("abc"),
                st.sampled_from("pqr"),
                st.integers(0, 4),
                st.sampled_from(["train", "validation"]),
            ),
            min_size=1,
            max_size=12,
        )
    )
    def test_each_name_and_recording_is_counted_once(
        self, rows: list[tuple[str, str, int, str]]
    ) -> None:
        manifest = make(*(f"{a} {p} in s{group} {split}" for a, p, group, split in rows))
        found = find_overlap(manifest, "validation")
        for label, column in (("action", 0), ("person", 1)):
            for name in {row[column] for row in rows}:
                parts = {row[3] for row in rows if row[column] == name}
                side = {("train",): 1, ("validation",): 2}.get(tuple(parts), 0)
                assert [name in names for names in found.names[label]] == [
                    side == number for number in range(3)
                ]
        of_groups = [{row[3] for row in rows if row[2] == group} for group in range(5)]
        assert found.recordings == sum("validation" in parts for parts in of_groups)
        assert found.shared_recordings == sum(len(parts) == 2 for parts in of_groups)


class TestReport:
    def test_all_is_well(self) -> None:
        assert report_overlap(make(*GOOD)) == []

    def test_nothing_is_held_out(self) -> None:
        assert report_overlap(make(*GOOD[:2])) == []

    def test_nothing_is_trained_on(self) -> None:
        assert "action in validation only: run, wave (validation)" in report_overlap(
            make(*GOOD[2:])
        )

    def test_a_line_each(self) -> None:
        people = [
            f"run p{number} in s{number} validation" for number in range(5)
        ]  # s1, s2: trained
        assert report_overlap(make(*GOOD, "jump cid in s3 train", *people)) == [
            "recordings in both parts: 3 of 5 (validation)",
            "action in training only: jump",
            "person in validation only: p0, p1, p2 and 2 more (validation)",
            "person in training only: cid",
        ]

    def test_of_folds(self) -> None:
        folds = make("run ann in s1 fold0", "run bob in s2 fold1", "run bob out s1 fold1")
        assert report_overlap(folds) == [
            "recordings in both parts: 1 of 1 (fold0); 1 of 2 (fold1)",
            "person in validation only: ann (fold0); bob (fold1)",
            "place in validation only: out (fold1)",
        ]


class TestRefuse:
    def test_what_can_be_learned_is_not(self, capsys: pytest.CaptureFixture[str]) -> None:
        refuse_unlearnable(make(*GOOD), "validation", "person")
        assert capsys.readouterr().err == ""

    def test_other_people(self) -> None:
        others = make(
            "run ann in s1 train", "run bob in s2 validation", split_rule="person: new people"
        )
        with pytest.raises(MotionveilError) as raised:
            refuse_unlearnable(others, "validation", "person")
        assert str(raised.value) == (
            "mine: no person of validation occurs in training (the split is person: new people),"
            " so none can be recognised there; index with another --split, or choose --label place"
        )
        refuse_unlearnable(others, "validation", "place")

    def test_no_other_label_to_choose(self) -> None:
        with pytest.raises(MotionveilError, match=r"index with another --split$"):
            refuse_unlearnable(
                make("run ann in s1 train", "run bob out s2 validation"), "validation", "place"
            )

    def test_other_actions(self) -> None:
        """Whatever the label: then the encoder would be judged by an action it cannot show."""
        manifest = make("run ann in s1 train", "wave ann in s2 validation")
        with pytest.raises(MotionveilError, match=r"no action of validation .* --split$"):
            refuse_unlearnable(manifest, "validation", "person")

    def test_some_are_a_warning(self, capsys: pytest.CaptureFixture[str]) -> None:
        refuse_unlearnable(
            make(*GOOD, "jump cid in s5 validation", "run eve in s6 validation"),
            "validation",
            "person",
        )
        assert capsys.readouterr().err.splitlines() == [
            "warning: validation: never trained on, so not to be recognised there: action jump",
            "warning: validation: never trained on, so not to be recognised there: person cid, eve",
        ]

    def test_only_the_split_asked_for(self) -> None:
        folds = make("run ann in s1 fold0", "run ann in s2 fold1", "run bob in s3 fold2")
        refuse_unlearnable(folds, "fold0", "person")
        with pytest.raises(MotionveilError, match="no person of fold2"):
            refuse_unlearnable(folds, "fold2", "person")
