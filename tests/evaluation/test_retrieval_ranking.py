"""Figures of re-identification against slow computations of their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionveil.evaluation.attacks.retrieve import search, verify

SEEDS = st.integers(0, 2**32 - 1)


def random_case(seed: int, levels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Similarities with many ties, and who is whom."""
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 3, 7)
    queries = rng.choice(people, 5)
    return rng.integers(0, levels, (5, 7)) / levels, queries[:, None] == people


class TestSearch:
    @given(SEEDS)
    def test_without_ties_is_the_definition(self, seed: int) -> None:
        _, same = random_case(seed)
        similarity = np.random.default_rng(seed).permuted(np.arange(35.0)).reshape(5, 7)
        found = search(similarity, same)
        for query in range(5):
            ranking = sorted(range(7), key=lambda g: -similarity[query, g])
            right = [same[query, g] for g in ranking]
            precisions = [sum(right[: k + 1]) / (k + 1) for k in range(7) if right[k]]
            assert found.first[query] == right[0]
            assert found.precision[query] == pytest.approx(np.mean(precisions))

    @given(SEEDS)
    def test_ties_help_nobody(self, seed: int) -> None:
        """No way to order equally similar clips does worse."""
        similarity, same = random_case(seed)
        found = search(similarity, same)
        rng = np.random.default_rng(seed)
        for _ in range(5):
            untied = similarity + rng.random((5, 7)) * 1e-3
            other = search(untied, same)
            assert (other.precision >= found.precision - 1e-12).all()
            assert (other.first >= found.first).all()

    def test_where_all_are_alike_nothing_is_found(self) -> None:
        _, same = random_case(1)
        found = search(np.zeros((5, 7)), same)
        assert found.first.mean() == 0
        assert found.precision.mean() <= found.chance_precision.mean()

    @pytest.mark.parametrize(("hits", "size"), [(1, 1), (1, 4), (2, 5), (5, 5), (3, 6)])
    def test_the_chance_level_is_the_mean_over_all_rankings(self, hits: int, size: int) -> None:
        same = np.array([[True] * hits + [False] * (size - hits)])
        rankings = [
            search(np.array([order], float), same) for order in itertools.permutations(range(size))
        ]
        found = search(np.arange(float(size))[None], same)
        mean = np.mean([r.precision for r in rankings])
        assert found.chance_precision[0] == pytest.approx(mean)
        assert found.chance_first[0] == pytest.approx(np.mean([r.first for r in rankings]))

    def test_for_one_who_is_not_there_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not in the gallery"):
            search(np.zeros((1, 2)), np.array([[False, False]]))


class TestVerify:
    @given(SEEDS)
    def test_area_is_the_share_of_pairs_in_order(self, seed: int) -> None:
        similarity, same = random_case(seed)
        if same.all() or not same.any():
            return
        one, two = similarity[same], similarity[~same]
        wins = [(a > b) + 0.5 * (a == b) for a in one for b in two]
        assert verify(similarity, same).area == pytest.approx(np.mean(wins))

    @given(SEEDS)
    def test_every_threshold_is_a_point(self, seed: int) -> None:
        similarity, same = random_case(seed)
        if same.all() or not same.any():
            return
        found = verify(similarity, same)
        points = set(zip(found.false_alarms.round(9), found.detections.round(9), strict=True))
        for threshold in np.unique(similarity):
            taken = similarity >= threshold
            point = (round(float(taken[~same].mean()), 9), round(float(taken[same].mean()), 9))
            assert point in points

    @pytest.mark.parametrize(("apart", "error"), [(20.0, 0.0), (0.0, 0.5), (2.0, 0.1587)])
    def test_equal_error_of_two_bell_curves(self, apart: float, error: float) -> None:
        rng = np.random.default_rng(0)
        same = np.arange(40000) % 2 == 0
        similarity = rng.normal(size=40000) + apart * same
        assert verify(similarity, same).equal_error == pytest.approx(error, abs=0.01)

    def test_where_all_are_alike(self) -> None:
        found = verify(np.zeros((2, 3)), np.array([[True, False, True], [False, False, True]]))
        assert found.area == 0.5
        assert found.equal_error == 0.5

    def test_of_one_person_only_is_refused(self) -> None:
        with pytest.raises(ValueError, match="pairs of two"):
            verify(np.zeros((2, 2)), np.ones((2, 2), bool))
