"""What is reported of an attacker, on answers whose information is known."""

from __future__ import annotations

import numpy as np
import pytest

from motionveil.evaluation.mutual_information import entropy_bits, information_in_bits, strongest


def answers_of(predictions: np.ndarray, sure: float, classes: int) -> np.ndarray:
    """Answers that give `sure` to the prediction and the rest to all others alike."""
    rest = (1 - sure) / (classes - 1)
    return np.where(np.eye(classes)[predictions] > 0, sure, rest)


def noisy(classes: int, error: float, clips: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and predictions that are wrong with a probability, every wrong one as likely."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, clips)
    wrong = (labels + rng.integers(1, classes, clips)) % classes
    return labels, np.where(rng.random(clips) < error, wrong, labels)


def information(classes: int, error: float) -> float:
    """Shannon's capacity of that channel, in bits."""
    spread = error / (classes - 1)
    return float(
        np.log2(classes)
        + (1 - error) * np.log2(1 - error)
        + (error * np.log2(spread) if error else 0)
    )


class TestBits:
    @pytest.mark.parametrize(("classes", "error"), [(2, 0.1), (4, 0.3), (10, 0.05)])
    @pytest.mark.parametrize("sure", [0.6, 0.999999])
    def test_are_those_of_the_channel_however_sure_the_attacker(self, classes, error, sure):
        """An attacker that is wrong and sure of it has a cross-entropy far above the entropy."""
        labels, predictions = noisy(classes, error, 4000, seed=classes)
        leak = information_in_bits(answers_of(predictions, sure, classes), labels, np.arange(4000))
        seen = float((predictions != labels).mean())  # chance has made it a little more or less
        assert leak.bits == pytest.approx(information(classes, seen), abs=0.02)
        assert leak.interval[0] < leak.bits < leak.interval[1]
        assert leak.entropy == pytest.approx(np.log2(classes), abs=0.01)

    @pytest.mark.parametrize("people", [8, 30])
    def test_lie_within_their_interval_where_each_person_has_one_recording(self, people):
        """A draw of recordings misses a third of the people, and must not be taken for less."""
        labels = np.repeat(np.arange(people), 4)
        rng = np.random.default_rng(0)
        predictions = np.where(rng.random(len(labels)) < 0.2, rng.integers(0, people), labels)
        leak = information_in_bits(answers_of(predictions, 0.8, people), labels, labels)
        assert leak.interval[0] < leak.bits < leak.interval[1]

    def test_of_one_that_knows_all(self):
        labels = np.arange(200) % 8
        leak = information_in_bits(np.eye(8)[labels], labels, np.arange(200))
        assert leak.bits == pytest.approx(3, abs=0.02)

    def test_are_none_at_chance_level(self):
        """And the interval says so: it hardly ever lies above 0."""
        above = 0
        for seed in range(60):
            rng = np.random.default_rng(seed)
            labels, predictions = rng.integers(0, 5, 80), rng.integers(0, 5, 80)
            leak = information_in_bits(answers_of(predictions, 0.9, 5), labels, np.arange(80))
            assert leak.bits < 0.25
            above += leak.interval[0] > 0
        assert above <= 4

    def test_are_none_of_a_constant(self):
        labels = np.arange(60) % 3
        leak = information_in_bits(np.tile([1.0, 0.0, 0.0], (60, 1)), labels, np.arange(60))
        assert -0.05 < leak.bits <= 0.01

    def test_do_not_depend_on_the_order_of_the_clips(self):
        labels, predictions = noisy(4, 0.4, 60, seed=0)
        answers, recordings = answers_of(predictions, 0.8, 4), np.arange(60) // 3
        labels = labels[recordings * 3]  # one label per recording
        once = information_in_bits(answers, labels, recordings)
        turned = information_in_bits(answers[::-1], labels[::-1], recordings[::-1])
        assert turned.bits == pytest.approx(once.bits)
        assert turned.interval == pytest.approx(once.interval)

    def test_entropy_of_a_label(self):
        assert entropy_bits(np.array([0, 0, 1, 1])) == 1.0
        assert entropy_bits(np.array([5, 5])) == 0.0


class TestStrongest:
    def test_of_many_random_ones_is_at_chance_level(self):
        """The best of fifty random attackers looks like a leak; one chosen elsewhere does not."""
        labels = np.arange(60) % 4
        naive, corrected = [], []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            right = [(rng.integers(0, 4, 60) == labels).astype(float) for _ in range(50)]
            best = strongest(right, labels, np.arange(60))
            naive.append(best.naive)
            corrected.append(best.accuracy)
        assert np.mean(naive) > 0.36
        assert np.mean(corrected) == pytest.approx(0.25, abs=0.03)

    def test_finds_the_one_that_knows(self):
        labels = np.arange(80) % 4
        rng = np.random.default_rng(0)
        right = [(rng.integers(0, 4, 80) == labels).astype(float) for _ in range(9)]
        right[6] = (rng.random(80) < 0.9).astype(float)
        best = strongest(right, labels, np.arange(80))
        assert best.chosen == (6,)
        assert best.accuracy == pytest.approx(right[6].mean())
        assert best.interval[0] < best.accuracy < best.interval[1]
