"""Intervals and tests that draw whole recordings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.errors import MotionveilError
from motionveil.results import AttributeScores
from motionveil.statistics import (
    average_precision,
    bootstrap_means,
    f1_score,
    halves,
    interval_of,
    mean_average_precision,
    numbered,
    over_draws,
    permutation_test,
    recording_of,
)


def recordings_of(count: int, clips: int) -> np.ndarray:
    """`clips` clips of each of `count` recordings."""
    return np.repeat(np.arange(count), clips)


def test_recording_of_a_clip() -> None:
    assert recording_of("a/b.avi#10-30") == "a/b.avi"


@given(st.lists(st.text(max_size=3), min_size=1, max_size=20))
def test_numbers_do_not_depend_on_the_order(names: list[str]) -> None:
    found = dict(zip(names, numbered(names), strict=True))
    assert {name: int(place) for name, place in found.items()} == {
        name: place for place, name in enumerate(sorted(set(names)))
    }


class TestBootstrap:
    def test_equals_drawing_the_clips_one_by_one(self) -> None:
        """Recordings of unequal length, drawn by the slow way with the same numbers of times."""
        rng = np.random.default_rng(1)
        recordings = np.array([0, 0, 0, 1, 2, 2])
        values = rng.random((6, 2))
        means = bootstrap_means(values, recordings, draws=30, seed=5)
        times = np.random.default_rng(5).multinomial(3, [1 / 3] * 3, size=30)
        for mean, drawn in zip(means, times, strict=True):
            clips = [c for c in range(6) for _ in range(drawn[recordings[c]])]
            assert np.allclose(mean, values[clips].mean(axis=0))

    def test_covers_the_truth_where_clips_of_a_recording_are_alike(self) -> None:
        """The interval over clips would be far too narrow: ten clips say what one does."""
        covered = narrow = 0
        recordings = recordings_of(40, 10)
        for trial in range(100):
            rng = np.random.default_rng(trial)
            right = np.repeat(rng.random(40) < 0.6, 10).astype(float)
            low, high = interval_of(bootstrap_means(right[:, None], recordings, draws=300)[:, 0])
            covered += low <= 0.6 <= high
            apart = bootstrap_means(right[:, None], np.arange(400), draws=300)[:, 0]
            low, high = interval_of(apart)
            narrow += low <= 0.6 <= high
        assert covered >= 88
        assert narrow <= 60

    def test_of_one_recording_is_refused(self) -> None:
        with pytest.raises(MotionveilError, match="one recording"):
            bootstrap_means(np.ones((3, 1)), np.zeros(3, np.int64))


def by_thresholds(answers: list[float], labels: list[int], counts: list[int]) -> float:
    """Return the average precision by its definition: a threshold at every answer."""
    positive = sum(c for y, c in zip(labels, counts, strict=True) if y)
    area = recall = 0.0
    for threshold in sorted(set(answers), reverse=True):
        taken = [(y, c) for a, y, c in zip(answers, labels, counts, strict=True) if a >= threshold]
        hits, seen = sum(c for y, c in taken if y), sum(c for _, c in taken)
        if seen:
            area += (hits / positive - recall) * hits / seen
            recall = hits / positive
    return area


class TestAttributes:
    @given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.integers(0, 1),
                              st.integers(0, 3)), min_size=1, max_size=12))  # fmt: skip
    def test_both_measures_by_their_definitions(self, rows: list[tuple[float, int, int]]) -> None:
        """Equal answers are one step; a weight counts as so many equal rows."""
        answers, labels, counts = (list(column) for column in zip(*rows, strict=True))
        values = (np.array(answers), np.array(labels), np.array([counts, counts], np.float64))
        found = average_precision(*values)
        if sum(c for y, c in zip(labels, counts, strict=True) if y):
            assert found == pytest.approx(2 * [by_thresholds(answers, labels, counts)])
        else:
            assert np.isnan(found).all()
        said = [(a >= 0.5, bool(y)) for a, y, c in rows for _ in range(c)]
        right, wrong = said.count((True, True)), sum(answer != truth for answer, truth in said)
        expected = 2 * right / (2 * right + wrong) if right + wrong else 0.0
        assert f1_score(*values) == pytest.approx(2 * [expected])

    def test_draws_are_of_whole_recordings(self) -> None:
        """Where each recording is one clip repeated, an interval is that of the clips alone."""
        rng = np.random.default_rng(0)
        answers, labels = rng.random(12), np.arange(12) % 2
        alone = over_draws(average_precision, answers, labels, np.arange(12))
        repeated = over_draws(
            average_precision, answers.repeat(40), labels.repeat(40), recordings_of(12, 40)
        )
        assert alone == pytest.approx(repeated, nan_ok=True)
        assert interval_of(alone[1:])[0] < alone[0] < interval_of(alone[1:])[1]

    def test_a_draw_without_an_attribute_is_scored_on_the_others(self) -> None:
        """The rare attribute is in one recording of four; the mean is as `motionveil audit` has."""
        rng = np.random.default_rng(0)
        labels = np.stack([np.arange(40) < 10, rng.random(40) < 0.5], axis=1).astype(np.int64)
        answers, recordings = rng.random((40, 2)), recordings_of(4, 10)
        scores = AttributeScores.of(["rare", "common"], answers, labels, recordings)
        columns = [
            over_draws(average_precision, *c, recordings)
            for c in zip(answers.T, labels.T, strict=True)
        ]
        assert np.isnan(columns[0]).any()
        draws = np.nanmean(columns, axis=0)
        low, high = np.percentile(draws[1:], [2.5, 97.5])
        assert scores.mean.average_precision == pytest.approx(draws[0])
        assert scores.mean.average_precision_interval == pytest.approx((low, high))
        assert mean_average_precision(answers, labels) == pytest.approx(draws[0])
        assert mean_average_precision(answers[10:], labels[10:]) == pytest.approx(
            average_precision(answers[10:, 1], labels[10:, 1], np.ones((1, 30)))[0]
        )


class TestPermutation:
    def test_one_that_knows_is_found(self) -> None:
        labels = recordings_of(12, 3) % 4
        assert permutation_test(labels, labels, recordings_of(12, 3), draws=999) <= 0.002

    def test_one_that_says_the_commonest_class_knows_nothing(self) -> None:
        labels = np.array([0] * 15 + [1] * 5)
        assert permutation_test(np.zeros(20, np.int64), labels, np.arange(20)) == 1.0

    @pytest.mark.parametrize("within", [False, True])
    def test_keeps_its_level_for_random_predictions(self, within: bool) -> None:
        """With predictions constant within recordings too, about 5 % of p-values are below 0.05."""
        recordings = recordings_of(20, 5)
        values = []
        for trial in range(200):
            rng = np.random.default_rng(trial)
            if within:
                labels, predictions = rng.integers(0, 3, 100), rng.integers(0, 3, 100)
            else:
                labels = rng.integers(0, 3, 20)[recordings]
                predictions = rng.integers(0, 3, 20)[recordings]
            values.append(permutation_test(predictions, labels, recordings, draws=99))
        assert np.mean(np.array(values) <= 0.05) <= 0.09
        assert np.mean(np.array(values) <= 0.5) >= 0.35

    def test_clips_of_a_person_are_not_independent(self) -> None:
        """Three recordings, three people, all named: one of six permutations."""
        labels = recordings_of(3, 10)
        p = permutation_test(labels, labels, recordings_of(3, 10), draws=5999)
        assert p == pytest.approx(1 / 6, abs=0.03)

    def test_labels_that_vary_within_recordings_are_permuted_within_them(self) -> None:
        """Predicting the recording is not significant, though it predicts most labels."""
        recordings = recordings_of(2, 50)
        labels = np.array(([0] * 45 + [1] * 5) + ([1] * 45 + [0] * 5))
        assert permutation_test(recordings.copy(), labels, recordings) == 1.0

    def test_strata_restrict_permutations(self) -> None:
        """Predictions that know their group only are significant if permuted over all clips."""
        groups, recordings = recordings_of(2, 20), np.arange(40)
        within, over_all = [], []
        for trial in range(60):
            rng = np.random.default_rng(trial)
            labels = 5 * groups + rng.integers(0, 5, 40)
            predictions = 5 * groups + rng.integers(0, 5, 40)
            arguments = (predictions, labels, recordings)
            within.append(permutation_test(*arguments, strata=groups, draws=99))
            over_all.append(permutation_test(*arguments, draws=99))
        assert np.mean(np.array(within) <= 0.05) <= 0.12
        assert np.mean(np.array(over_all) <= 0.05) >= 0.2


class TestHalves:
    @given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 2**16))
    def test_whole_recordings_and_every_label_evenly(self, count: int, people: int, seed: int):
        recordings = recordings_of(count, 3)
        labels = (np.arange(count) % people)[recordings]
        first = halves(labels, recordings, seed=seed)
        assert 0 < first.sum() < len(first)
        for recording in range(count):
            assert len(set(first[recordings == recording])) == 1
        for person in range(people):
            mine = first[labels == person].reshape(-1, 3)[:, 0]
            assert abs(2 * int(mine.sum()) - len(mine)) <= 1

    def test_of_one_recording_are_refused(self) -> None:
        with pytest.raises(MotionveilError, match="one recording"):
            halves(np.zeros(3, np.int64), np.zeros(3, np.int64))
