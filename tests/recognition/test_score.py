"""Scores of events, against computations made in another way."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionveil.recognition.score import (
    Segment,
    average_precision,
    frame_accuracy,
    mean_average_precision,
    score,
    segment_f1,
)

LENGTH = 100
SECONDS = {"a": float(LENGTH)}


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """Draw segments that do not overlap, on whole seconds."""
    edges = sorted(draw(st.sets(st.integers(0, LENGTH), max_size=16)))
    made = []
    for start, end in pairwise(edges):
        if draw(st.booleans()):
            label, p = draw(st.sampled_from("xyz")), draw(st.integers(0, 100)) / 100
            made.append(Segment("a", float(start), float(end), label, p, float(end)))
    return made


def f1_by_sets(told: list[Segment], truth: list[Segment], overlap: Fraction) -> float | None:
    """Compute F1 as the authors' code does, with sets of seconds in place of intervals."""
    hit = [False] * len(truth)
    wrong = 0
    for one in sorted(told, key=lambda segment: segment.start):
        mine = set(range(int(one.start), int(one.end)))
        shares = []
        for true in truth:
            its = set(range(int(true.start), int(true.end)))
            same = true.label == one.label
            shares.append(Fraction(len(mine & its), len(mine | its)) if same else Fraction(0))
        best = max(range(len(truth)), key=lambda place: shares[place], default=None)
        if best is not None and shares[best] >= overlap and not hit[best]:
            hit[best] = True
        else:
            wrong += 1
    right, missed = sum(hit), hit.count(False)
    if right + wrong + missed == 0:
        return None
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / (right + missed) if right + missed else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


class TestKnownValues:
    def test_a_hand_made_case(self) -> None:
        truth = [Segment("a", 10, 20, "x"), Segment("a", 30, 40, "y"), Segment("b", 0, 10, "x")]
        told = [
            Segment("a", 12, 20, "x", 0.9, 14),  # 8 of 10
            Segment("a", 36, 41, "y", 0.8, 39),  # 4 of 11
            Segment("a", 60, 62, "x", 0.7, 61),  # a false alarm
            Segment("b", 0, 2, "x", 0.6, 1),  # 2 of 10
        ]
        found = score(told, truth, {"a": 100.0, "b": 10.0})
        assert found.f1 == pytest.approx({0.1: 6 / 7, 0.25: 4 / 7, 0.5: 2 / 7})
        assert found.f1_by_class["y"] == pytest.approx({0.1: 1.0, 0.25: 1.0, 0.5: 0.0})
        assert found.confusion == {"x": {"x": 2}, "y": {"y": 1}}
        # Wrong: 2 of the first, 6 + 1 of the second, 2 of the third, 8 of the fourth.
        assert found.frame_accuracy == pytest.approx(1 - 19 / 110)
        # x: one of two is found, first of all; y: none.
        assert found.mean_average_precision == pytest.approx(0.25)
        assert found.latency_from_start is not None
        assert found.latency_from_start.median == 4  # of 4, 9 and 1
        assert found.latency_from_start.percentile_95 == pytest.approx(8.5)
        assert found.latency_from_end is not None
        assert found.latency_from_end.median == -6  # of -6, -1 and -9
        assert (found.false_alarms, found.background_seconds) == (1, 80)
        assert found.false_alarms_per_hour == pytest.approx(45)

    def test_what_was_told_instead(self) -> None:
        truth = [Segment("a", 0, 10, "x"), Segment("a", 20, 30, "x"), Segment("a", 40, 50, "y")]
        told = [
            Segment("a", 0, 4, "x"),
            Segment("a", 4, 12, "y"),  # most of the first
            Segment("b", 20, 30, "x"),  # of another source
            Segment("a", 50, 52, "x"),  # when the third has ended
        ]
        found = score(told, truth, {"a": 60.0, "b": 60.0}).confusion
        assert found == {"x": {"y": 1, "": 1}, "y": {"": 1}}

    def test_the_second_of_two_for_one_is_wrong(self) -> None:
        truth = [Segment("a", 0, 10, "x")]
        told = [Segment("a", 0, 5, "x"), Segment("a", 5, 10, "x")]
        assert segment_f1(told, truth, 0.5) == pytest.approx(2 / 3)

    def test_average_precision_of_a_ranking(self) -> None:
        truth = [Segment("a", place * 10.0, place * 10.0 + 5, "x") for place in range(3)]
        wrong = Segment("a", 90, 95, "x", 0.8)
        told = [replace(truth[0], probability=0.9), wrong, replace(truth[1], probability=0.7)]
        # Precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
        assert average_precision(told, truth) == pytest.approx((1 + 2 / 3) / 3)

    def test_an_empty_room(self) -> None:
        quiet = score([], [], {"a": 3600.0})
        assert (quiet.false_alarms_per_hour, quiet.frame_accuracy) == (0, 1)
        assert quiet.f1[0.5] is None
        assert quiet.mean_average_precision is None
        assert quiet.latency_from_end is None
        loud = score([Segment("a", 1, 2, "x")], [], {"a": 1800.0})
        assert (loud.false_alarms_per_hour, loud.f1[0.5]) == (2, 0)

    def test_nothing_at_all(self) -> None:
        nothing = score([], [], {})
        assert nothing.frame_accuracy is None
        assert nothing.false_alarms_per_hour is None


class TestProperties:
    @settings(max_examples=60, deadline=None)
    @given(segments(), segments(), st.sampled_from([0.1, 0.25, 0.5]))
    def test_f1_is_that_of_another_computation(
        self, told: list[Segment], truth: list[Segment], overlap: float
    ) -> None:
        expected = f1_by_sets(told, truth, Fraction(overlap).limit_denominator(100))
        found = segment_f1(told, truth, overlap)
        assert found == (None if expected is None else pytest.approx(expected))

    @settings(max_examples=40, deadline=None)
    @given(segments(), segments())
    def test_frames_are_counted_one_by_one(self, told: list[Segment], truth: list[Segment]) -> None:
        def label(segments: list[Segment], time: float) -> str | None:
            return next((one.label for one in segments if one.start <= time < one.end), None)

        times = [second + 0.5 for second in range(LENGTH)]
        expected = np.mean([label(told, time) == label(truth, time) for time in times])
        for rate in (1.0, 3.0):
            assert frame_accuracy(told, truth, SECONDS, rate) == pytest.approx(expected)

    @settings(max_examples=40, deadline=None)
    @given(segments())
    def test_the_truth_itself_is_perfect(self, truth: list[Segment]) -> None:
        found = score(truth, truth, SECONDS)
        for value in (*found.f1.values(), found.mean_average_precision):
            assert value == (pytest.approx(1) if truth else None)
        assert found.frame_accuracy == 1
        assert found.false_alarms == 0
        if truth:
            assert found.latency_from_end is not None
            assert found.latency_from_end.median == 0

    @settings(max_examples=40, deadline=None)
    @given(segments(), segments())
    def test_all_values_are_in_range_and_f1_falls_with_the_overlap(
        self, told: list[Segment], truth: list[Segment]
    ) -> None:
        found = score(told, truth, SECONDS)
        values = [value for value in found.f1.values() if value is not None]
        assert values == sorted(values, reverse=True)
        for value in (*values, found.frame_accuracy, found.mean_average_precision):
            assert value is None or 0 <= value <= 1 + 1e-12
        assert found.false_alarms <= len(told)

    @settings(max_examples=40, deadline=None)
    @given(segments(), st.integers(1, 40))
    def test_shifted_segments_are_found_while_they_overlap_enough(
        self, truth: list[Segment], percent: int
    ) -> None:
        shifted = [
            replace(one, start=one.start + shift, end=one.end + shift)
            for one in truth[::2]
            if (shift := (one.end - one.start) * percent / 100) >= 0
        ]
        apart = [replace(one, label=str(place)) for place, one in enumerate(truth[::2])]
        moved = [replace(one, label=str(place)) for place, one in enumerate(shifted)]
        share = (100 - percent) / (100 + percent)  # intersection over union
        for overlap in (0.25, 0.5):
            if apart and abs(share - overlap) > 1e-6:
                assert segment_f1(moved, apart, overlap) == (1 if share > overlap else 0)

    @settings(max_examples=40, deadline=None)
    @given(segments(), segments(), st.integers(1, 1000))
    def test_one_clock_for_both_does_not_matter(
        self, told: list[Segment], truth: list[Segment], later: int
    ) -> None:
        def move(segments: list[Segment]) -> list[Segment]:
            return [replace(one, start=one.start + later, end=one.end + later) for one in segments]

        for overlap in (0.1, 0.5):
            before = segment_f1(told, truth, overlap)
            assert segment_f1(move(told), move(truth), overlap) == before
        assert mean_average_precision(move(told), move(truth)) == mean_average_precision(
            told, truth
        )
