"""Re-identification succeeds by what shows identity, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.attack_examples import attack_of, data_of, hue, nothing, origin_of
from evaluation.attack_examples import write_films as films
from motionveil.audit_results import Retrieval
from motionveil.datasets.cache import ClipCache
from motionveil.errors import MotionveilError
from motionveil.evaluation.attacks.retrieve import retrieval
from motionveil.evaluation.data import AttackData

ONE_EPOCH = {"epochs": 1}
PEOPLE = tuple(f"p{k}" for k in range(8))


def searched(data: AttackData, **changes: object) -> Retrieval:
    found: Retrieval = attack_of(kind="retrieve", **changes).run(data)
    return found


@pytest.fixture(scope="module")
def colourful(tmp_path_factory: pytest.TempPathFactory) -> ClipCache:
    return films(tmp_path_factory.mktemp("films"), hue, people=8, takes=6)


def test_people_never_learned_from_are_found(colourful: ClipCache) -> None:
    found = searched(data_of(colourful))
    assert found.rank_1.value >= 0.8
    assert found.mean_precision.value >= 0.7
    assert found.area.value >= 0.8
    assert found.equal_error.value <= 0.25
    assert found.p < 0.01
    assert found.rank_1.chance_level == pytest.approx(0.25)
    assert len(found.searches) == 16  # everybody's clips that are held out, once


def test_in_a_constant_nobody_is_found(tmp_path: Path) -> None:
    found = searched(data_of(films(tmp_path, nothing, people=4, takes=6)))
    assert found.rank_1.value <= found.rank_1.chance_level
    assert found.area.value == pytest.approx(0.5)
    assert found.equal_error.value == pytest.approx(0.5)
    assert found.p > 0.5


def test_searches_at_random_are_not_taken_for_finds(colourful: ClipCache) -> None:
    """Each half of the people can only be found among themselves, which is no knowledge."""
    attack = attack_of(kind="retrieve", schedule=attack_of().schedule.model_copy(update=ONE_EPOCH))
    results = attack.search(data_of(colourful))
    low = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = [replace(h, similarity=rng.random(h.similarity.shape)) for h in results]
        found = retrieval(origin_of(attack), noise, PEOPLE)
        low += found.p <= 0.05
    assert low <= 4


def test_nobody_is_searched_for_by_a_network_that_knows_them(colourful: ClipCache) -> None:
    attack = attack_of(kind="retrieve")
    halves = attack.search(data_of(colourful))
    assert sorted(halves[0].people + halves[1].people) == list(range(8))
    for result in halves:
        names = {PEOPLE[place] for place in result.people}
        assert {clip.privacy["person"] for clip in result.queries} == names
        assert {clip.privacy["person"] for clip in result.gallery} == names
        assert {clip.split for clip in result.queries} == {"validation"}
        assert {clip.split for clip in result.gallery} == {"train"}
        assert result.similarity.shape == (len(result.queries), len(result.gallery)) == (8, 16)
        assert np.abs(result.similarity).max() <= 1 + 1e-6


def test_a_network_for_clips_searches_too(colourful: ClipCache) -> None:
    found = searched(data_of(colourful), temporal=True)
    assert found.rank_1.value > 0.5


def test_the_curve_rises_from_nothing_to_everything(colourful: ClipCache) -> None:
    curve = searched(data_of(colourful)).curve
    assert curve[-1] == (1.0, 1.0)
    assert [x for x, _ in curve] == sorted(x for x, _ in curve)
    assert [y for _, y in curve] == sorted(y for _, y in curve)


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, hue, people=3, takes=3))
    with pytest.raises(
        MotionveilError, match=r"3 values of 'person' are in both parts; .* needs 4"
    ):
        attack_of(kind="retrieve").run(data)
