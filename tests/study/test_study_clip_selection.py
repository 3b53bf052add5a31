"""Clips and options come out even."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from random import Random

import pytest

from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.spec import load_spec
from motionveil.study.clips import choose_clips, choose_options
from motionveil.study.create import Plan, draw_questions
from motionveil.study.subjects import Subject, Subjects

PEOPLE = [f"p{number}" for number in range(8)]


def clips_of(values: list[str], takes: int = 4) -> list[Clip]:
    return [
        Clip(f"{value}-{action}-{take}.mkv", 0, 9, action, {"who": value}, value, "train")
        for value in values
        for action in ("wave", "walk", "sit", "turn")
        for take in range(takes)
    ]


class TestClips:
    def test_have_everybody_and_every_action_equally_often_in_each_condition(self):
        cast = {name: (Subject(name),) for name in PEOPLE}
        clips = clips_of(PEOPLE)
        chosen = choose_clips(clips, "who", cast, {"veiled": 64, "raw": 16}, Random(1))
        for condition, number in (("veiled", 64), ("raw", 16)):
            people = Counter(clip.privacy["who"] for clip in chosen[condition])
            actions = Counter(clip.action for clip in chosen[condition])
            assert set(people.values()) == {number // 8}
            assert set(actions.values()) == {number // 4}
        cells = Counter((clip.privacy["who"], clip.action) for clip in chosen["veiled"])
        assert set(cells.values()) == {2}

    def test_are_never_asked_twice(self):
        cast = {name: (Subject(name),) for name in PEOPLE}
        clips = clips_of(PEOPLE)
        chosen = choose_clips(clips, "who", cast, {"veiled": 100, "raw": 28}, Random(1))
        assert {clip.key for part in chosen.values() for clip in part} == {c.key for c in clips}

    def test_of_pairs_have_everybody_about_equally_often(self):
        pairs = {f"{a}{b}": (Subject(a), Subject(b)) for a, b in combinations(PEOPLE, 2)}
        chosen = choose_clips(clips_of(list(pairs), 1), "who", pairs, {"veiled": 40}, Random(1))
        had = Counter(one.name for c in chosen["veiled"] for one in pairs[c.privacy["who"]])
        assert max(had.values()) - min(had.values()) <= 2
        assert sum(had.values()) == 80

    def test_that_are_not_there_are_not_asked_about(self):
        cast = {"p0": (Subject("p0"),)}
        with pytest.raises(MotionveilError, match=r"17 questions .* 16 clips"):
            choose_clips(clips_of(["p0"]), "who", cast, {"veiled": 17}, Random(1))


class TestOptions:
    def test_have_everybody_equally_often(self):
        had: Counter[str] = Counter()
        random = Random(0)
        for number in range(64):
            options = choose_options([PEOPLE[number % 8]], PEOPLE, 5, had, random)
            assert len(set(options)) == 5
            assert PEOPLE[number % 8] in options
        assert max(had.values()) - min(had.values()) <= 2


class TestQuestions:
    cast: Subjects = {name: (Subject(name),) for name in PEOPLE}  # noqa: RUF012

    def plan(self, **values: object) -> Plan:
        return Plan(load_spec("bdq"), "who", **values)  # type: ignore[arg-type]

    def test_have_an_example_and_checks_of_clips_of_their_own(self):
        plan = self.plan(numbers={"veiled": 20, "raw": 4}, checks=3)
        asked = draw_questions(clips_of(PEOPLE), plan, self.cast, Random(1))
        kinds = Counter(one.kind for one in asked)
        assert kinds == {"question": 24, "example": 1, "attention": 3}
        assert len({one.clip.key for one in asked}) == 28
        assert {one.condition for one in asked if one.kind == "example"} == {"raw"}
        for one in asked:
            assert set(one.right) <= set(one.options)
            if one.kind != "attention":
                assert one.right == (one.clip.privacy["who"],)

    def test_follow_from_the_seed(self):
        plan = self.plan(numbers={"veiled": 20})
        first, again, other = (
            draw_questions(clips_of(PEOPLE), plan, self.cast, Random(seed)) for seed in (1, 1, 2)
        )
        assert first == again != other

    def test_leave_no_clip_for_the_example(self):
        plan = self.plan(numbers={"veiled": 128})
        with pytest.raises(
            MotionveilError,
            match="128 questions and a worked example requested, but only 128",
        ):
            draw_questions(clips_of(PEOPLE), plan, self.cast, Random(1))

    def test_a_check_may_have_the_clip_of_a_question(self):
        plan = self.plan(numbers={"veiled": 126}, checks=3)
        asked = draw_questions(clips_of(PEOPLE), plan, self.cast, Random(1))
        veiled = {one.clip.key for one in asked if one.kind == "question"}
        checks = [one.clip.key for one in asked if one.kind == "attention"]
        assert len([key for key in checks if key in veiled]) == 2
