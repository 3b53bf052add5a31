"""What is made of an attack's answers."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.attack_examples import attack_of, origin_of
from motionveil.audit_results import Recognition
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.variants import Variant, recognition

CLASSES = ("anna", "ben", "carl", "dora")


def answers_of(predictions: np.ndarray, *, restart: int = 0) -> Variant:
    sure = np.where(np.eye(4)[predictions] > 0, 0.85, 0.05)
    right = (predictions == np.arange(len(predictions)) % 4).astype(float)
    surest = np.full(len(predictions), restart)
    return Variant(0.003, restart, "eval", 0, sure, right, surest)


def finding_of(variants: list[Variant], clips: int, per_recording: int = 1) -> Recognition:
    labels = np.arange(clips) % 4
    return recognition(
        origin_of(attack_of()) | {"target": "privacy", "trained_on": 7},
        variants,
        clips=[
            Clip(f"{c}.mkv", 0, 9, "wave", {}, f"day{c // per_recording}", "validation")
            for c in range(clips)
        ],
        labels=labels,
        classes=CLASSES,
    )


def test_one_that_knows() -> None:
    found = finding_of([answers_of(np.arange(40) % 4)], 40).scores
    assert found.clip.value == found.frame.value == found.balanced == 1
    assert found.clip.interval == (1, 1)
    assert found.chance_level == 0.25
    assert found.p < 0.001
    assert found.bits.value == pytest.approx(2, abs=0.1)
    assert found.confusion == (10 * np.eye(4, dtype=int)).tolist()
    assert found.chosen == ["lr 0.003, restart 1, BatchNorm eval"]


def test_one_that_says_the_same_of_all() -> None:
    found = finding_of([answers_of(np.zeros(40, np.int64))], 40).scores
    assert found.clip.value == found.balanced == found.chance_level == 0.25
    assert found.p == 1
    assert found.bits.value < 0.01
    assert [row[0] for row in found.confusion] == [10] * 4


def test_the_best_of_many_random_attackers_stays_at_chance_level() -> None:
    rng = np.random.default_rng(0)
    values = []
    for _ in range(20):
        variants = [answers_of(rng.integers(0, 4, 60), restart=k) for k in range(30)]
        found = finding_of(variants, 60)
        assert found.scores.variants == 30
        values.append(found.scores.clip.value)
    assert np.mean(values) == pytest.approx(0.25, abs=0.04)


def test_each_clip_has_the_answer_of_the_variant_that_counts() -> None:
    rng = np.random.default_rng(1)
    knowing = answers_of(np.arange(40) % 4, restart=1)
    found = finding_of([answers_of(rng.integers(0, 4, 40)), knowing], 40)
    assert all(answer.surest == 1 for answer in found.answers)
    assert [answer.truth for answer in found.answers] == (np.arange(40) % 4).tolist()
    assert [np.argmax(answer.probabilities) for answer in found.answers] == [
        answer.truth for answer in found.answers
    ]
    assert found.answers[5].recording == "day5"


def test_the_interval_counts_recordings() -> None:
    """Half of the recordings are known, all of their clips: four clips say what one does."""
    predictions = np.where(np.arange(80) // 4 % 2, (np.arange(80) + 1) % 4, np.arange(80) % 4)
    few = finding_of([answers_of(predictions)], 80, per_recording=4).scores.clip
    many = finding_of([answers_of(predictions)], 80).scores.clip
    assert few.value == many.value == 0.5
    width = few.interval[1] - few.interval[0]
    assert width == pytest.approx(2 * (many.interval[1] - many.interval[0]), rel=0.2)


def test_a_finding_is_json_and_back() -> None:
    found = finding_of([answers_of(np.arange(40) % 4)], 40)
    assert Recognition.model_validate_json(found.model_dump_json()) == found
