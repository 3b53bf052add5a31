"""An attack finds what is there by construction, and nothing where there is nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.attack_examples import (
    attack_of,
    below_the_noise,
    colour,
    data_of,
    nothing,
    one_moment,
    pace,
)
from evaluation.attack_examples import write_films as films
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import true_classes
from motionveil.evaluation.mutual_information import information_in_bits
from motionveil.evaluation.variants import Variant


def clip_accuracy(answers: Variant, labels: np.ndarray) -> float:
    return float((answers.probabilities.argmax(axis=1) == labels).mean())


def best(answers: list[Variant], labels: np.ndarray) -> float:
    return max(clip_accuracy(a, labels) for a in answers)


def test_what_every_frame_tells_is_found(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, colour))
    labels = true_classes(data, "privacy")
    answers = attack_of().variants(data)
    assert {a.batchnorm for a in answers} == {"eval", "batch", "reestimated"}
    for answer in answers:
        assert answer.probabilities.shape == (16, 2)
        assert np.allclose(answer.probabilities.sum(axis=1), 1)
        assert len(answer.curve) == 8
        assert answer.curve[-1] >= 0.9 > answer.curve[0]
    assert best(answers, labels) >= 0.95
    assert max(a.frames.mean() for a in answers) >= 0.95


@pytest.mark.parametrize("temporal", [False, True])
def test_a_constant_is_at_chance_level(tmp_path: Path, temporal: bool) -> None:
    data = data_of(films(tmp_path, nothing))
    labels = true_classes(data, "privacy")
    for answer in attack_of(temporal=temporal).variants(data):
        assert clip_accuracy(answer, labels) == 0.5
        leak = information_in_bits(answer.probabilities, labels, np.arange(len(labels)))
        assert leak.bits < 0.02


def test_what_only_time_tells_needs_a_network_that_sees_it(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, pace))
    labels = true_classes(data, "privacy")
    assert best(attack_of().variants(data), labels) <= 0.75
    assert best(attack_of(temporal=True).variants(data), labels) >= 0.9
    assert best(attack_of(view="stacked").variants(data), labels) >= 0.9


def test_what_the_noise_hides_is_found_in_the_sum(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, below_the_noise))
    plain = attack_of().variants(data)
    summed = attack_of(view="integrated").variants(data)
    assert max(a.frames.mean() for a in plain) <= 0.7
    assert max(a.frames.mean() for a in summed) >= 0.8


def test_what_few_frames_tell_is_found_where_most_moves(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, one_moment))
    moving = attack_of(view="most-motion").variants(data)
    plain = attack_of().variants(data)
    most = max(a.frames.mean() for a in moving)
    assert most >= 0.7
    assert most >= max(a.frames.mean() for a in plain) + 0.05
    told = max(moving, key=lambda a: a.frames.mean())
    assert len(set(told.surest)) > 1


def test_every_rate_and_restart_is_a_variant(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, colour, takes=6))
    answers = attack_of(rates=(0.003, 1e-6), restarts=2).variants(data)
    variants = {(a.rate, a.restart) for a in answers}
    assert variants == {(0.003, 0), (0.003, 1), (1e-6, 0), (1e-6, 1)}
    assert len(answers) == 3 * 4
    first = [a for a in answers if a.rate == 0.003 and a.batchnorm == "eval"]
    assert not np.array_equal(first[0].probabilities, first[1].probabilities)


def test_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    cache = films(tmp_path, colour, takes=6)
    runs = [attack_of(crops=1).variants(data_of(cache, seed)) for seed in (0, 0, 1)]
    assert np.array_equal(runs[0][0].probabilities, runs[1][0].probabilities)
    assert not np.array_equal(runs[0][0].probabilities, runs[2][0].probabilities)


def test_averaging_over_cuts_is_a_further_variant(tmp_path: Path) -> None:
    cache = films(tmp_path, colour, takes=6)
    data = replace(data_of(cache), scales=(0.8,))
    answers = attack_of(crops=3).variants(data)
    assert [a.cuts for a in answers] == [0, 3] * 3
    one, many = answers[:2]
    assert not np.array_equal(one.probabilities, many.probabilities)
    assert np.allclose(many.probabilities.sum(axis=1), 1)
    assert np.array_equal(one.surest, many.surest)


def test_the_action_is_a_target_too(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, nothing, takes=6))
    labels = true_classes(data, "action")
    assert labels.tolist() == [0, 1, 0, 1]
    attack = attack_of(target="action", temporal=True)
    assert attack.variants(data)[0].probabilities.shape == (4, 2)


def test_a_loss_that_is_not_finite_is_named(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, colour, takes=6))
    with pytest.raises(MotionveilError, match=r"attack: the loss is not finite .*\(1e\+30\)"):
        attack_of(rates=(1e30,)).variants(data)


def test_an_unknown_view_is_named(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, colour, takes=6))
    with pytest.raises(MotionveilError, match="no view 'sideways'; there are plain, integrated"):
        attack_of(view="sideways").variants(data)
