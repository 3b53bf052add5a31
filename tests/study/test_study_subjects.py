"""How the value of a label is read as one person or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.study.subjects import Subject, read_subjects, single_subject_actions, subject_names


def of_values(*values: str, name: str = "mine") -> Manifest:
    clips = [
        Clip(f"{value}.mkv", 0, 9, "wave", {"pair": value}, value, "train") for value in values
    ]
    return Manifest(name, Path("."), tuple(clips))


class TestCast:
    def test_of_one_person_is_the_value(self):
        assert read_subjects(of_values("anna"), "pair", 1) == {"anna": (Subject("anna"),)}

    def test_of_sbu_is_read_from_the_sets_name(self):
        cast = read_subjects(of_values("s01s02", "s02s07", name="sbu"), "pair", 2)
        assert cast["s02s07"] == (Subject("s02"), Subject("s07"))
        assert subject_names(cast) == ["s01", "s02", "s07"]

    def test_of_ut_interaction_has_all_pairs_and_their_sides(self):
        pairs = [f"pair{number:02d}" for number in range(1, 11)]
        cast = read_subjects(of_values(*pairs, name="ut-interaction"), "pair", 2)
        assert len(subject_names(cast)) == 10
        assert all([shown.side for shown in cast[pair]] == ["left", "right"] for pair in pairs)
        # The data's README: the red hood is in 5, 8 and 10.
        red = [pair for pair in pairs if "red hood" in {shown.name for shown in cast[pair]}]
        assert red == ["pair05", "pair08", "pair10"]

    def test_is_read_by_a_pattern(self):
        cast = read_subjects(of_values("anna-bert"), "pair", 2, pattern="(.+)-(.+)")
        assert [shown.name for shown in cast["anna-bert"]] == ["anna", "bert"]

    @pytest.mark.parametrize("pattern", ["(.+)", "(.+)_(.+)", "((.+)-(.+)", "(.+)-a(x?)nna"])
    def test_a_pattern_that_finds_no_two_is_refused(self, pattern: str):
        with pytest.raises(MotionveilError, match="--pattern"):
            read_subjects(of_values("anna-anna"), "pair", 2, pattern=pattern)

    def test_is_read_from_a_table(self, tmp_path: Path):
        table = tmp_path / "who.csv"
        table.write_text("# ours\nvalue,left,right\na,anna,bert\n")
        cast = read_subjects(of_values("a"), "pair", 2, table=table)
        assert cast["a"] == (Subject("anna", "left"), Subject("bert", "right"))

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            (
                "value,left\na,anna\n",
                ":1: found columns 'value,left'; they must be value, left, right",
            ),
            ("value,left,right\na,anna,anna\n", ":2: 'a' must have two different people"),
            ("value,left,right\na,anna\n", ":2: 2 values, there must be 3"),
            ("value,left,right\nb,anna,bert\n", ": no line for pair 'a'"),
        ],
    )
    def test_a_table_at_fault_is_named(self, tmp_path: Path, text: str, fault: str):
        table = tmp_path / "who.csv"
        table.write_text(text)
        with pytest.raises(MotionveilError, match=rf"who\.csv{fault}"):
            read_subjects(of_values("a"), "pair", 2, table=table)

    def test_of_two_needs_to_be_told(self):
        with pytest.raises(MotionveilError, match="give --who"):
            read_subjects(of_values("a"), "pair", 2)

    def test_of_one_needs_no_table(self):
        with pytest.raises(MotionveilError, match="require two people per clip"):
            read_subjects(of_values("a"), "pair", 1, pattern="(.)(.)")


def test_pointing_shows_one_of_the_pair_only():
    manifest = of_values("pair01", name="ut-interaction")
    assert single_subject_actions(manifest, 2) == ("point",)
    assert single_subject_actions(manifest, 1) == ()
