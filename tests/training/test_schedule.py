from __future__ import annotations

import io
import math
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR

from motionveil.training.loop import (
    ADVERSARIAL,
    Course,
    Log,
    make_optimizer,
    rate_factor,
    saturated,
    seed_for,
    set_rate,
)
from motionveil.training.recipe import AttackerTraining, Schedule


def test_optimisers_are_those_asked_for() -> None:
    weights = [nn.Parameter(torch.zeros(2))]
    schedule = Schedule(optimizer="sgd", lr=0.2, momentum=0.8, weight_decay=0.03)
    sgd = make_optimizer(weights, schedule)
    assert isinstance(sgd, SGD)
    group = sgd.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.2, 0.8, 0.03)
    adamw = make_optimizer(weights, schedule.model_copy(update={"optimizer": "adamw"}))
    assert isinstance(adamw, AdamW)
    group = adamw.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.2, (0.8, 0.999), 0.03)


def test_the_cosine_is_torch_s() -> None:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    mine = SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    plain = CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        set_rate(mine, rate_factor(step / 50, 0.0))
        assert mine.param_groups[0]["lr"] == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        plain.step()


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_the_factor_is_a_factor(progress: float, warmup: float) -> None:
    assert 0 <= rate_factor(progress, warmup) <= 1


def test_a_warm_up_rises_and_then_falls() -> None:
    factors = [rate_factor(step / 100, 0.2) for step in range(100)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[10] == pytest.approx(0.5)
    assert max(factors) == factors[20] == pytest.approx(1)
    assert factors[60] == pytest.approx(0.5)
    assert sorted(factors[:21]) == factors[:21]
    assert sorted(factors[20:], reverse=True) == factors[20:]
    assert factors[99] < 0.001


def test_each_group_keeps_its_own_rate() -> None:
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = SGD([{"params": [weights[0]], "lr": 1.0}, {"params": [weights[1]]}], lr=0.1)
    for factor in (0.5, 0.25):
        set_rate(optimizer, factor)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.25, 0.025])


def test_seeds_differ_by_purpose_and_never_change() -> None:
    found = {
        seed_for(seed, p, n) for seed in range(5) for p in (ADVERSARIAL, "x") for n in range(50)
    }
    assert len(found) == 500
    assert all(0 <= seed < 2**63 for seed in found)
    assert seed_for(0, ADVERSARIAL, 3) == 8356251944617502899, "or stored runs could not be resumed"
    assert seed_for(1, "2") != seed_for(12)
    torch.manual_seed(max(found))


class TestLog:
    def lines(self, monkeypatch: pytest.MonkeyPatch, first: int, **more: float) -> list[str]:
        clock = iter(range(0, 1000, 10))
        monkeypatch.setattr("motionveil.training.loop.time.monotonic", lambda: float(next(clock)))
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        log = Log("alpha 2", epochs=6)
        for epoch in range(first, 7):
            log.epoch({"epoch": epoch, "sigma": 1.25, "loss_action": math.pi, "x": 0.5} | more)
        return sys.stderr.getvalue().splitlines()  # type: ignore[attr-defined]

    def test_a_line_an_epoch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = self.lines(monkeypatch, first=1)
        assert len(lines) == 6
        assert lines[1] == "alpha 2: epoch 2/6  sigma 1.250  loss action 3.142  (40 s left)"
        assert lines[-1].endswith("(0 s left)")

    def test_boundaries_have_a_line_of_their_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = self.lines(monkeypatch, first=5, b1=0.54, b2=1.5)
        assert lines[1::2] == ["  boundaries 0.5 1.5"] * 2

    def test_a_resumed_run_counts_its_own_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "epoch 4/6" in self.lines(monkeypatch, first=4)[0]
        assert self.lines(monkeypatch, first=4)[0].endswith("(20 s left)")


def test_a_network_is_saturated_when_it_has_learned_or_learns_no_more() -> None:
    rule = AttackerTraining(accuracy=0.9, patience=2)
    assert not saturated([0.1], rule)
    assert saturated([0.1, 0.91], rule)
    assert not saturated([0.91, 0.9], rule)  # a maximum that is past is none that is kept
    assert not saturated([0.3, 0.2], rule)
    assert saturated([0.3, 0.2, 0.3], rule)  # an equal value is no new maximum
    assert not saturated([0.3, 0.2, 0.31], rule)


def course_of(accuracies: list[float], schedule: Schedule, rule: AttackerTraining) -> list[float]:
    """Return the factor of each step of a training with these accuracies, two steps per epoch."""
    course, factors = Course(schedule, 2, rule), []
    for epoch, accuracy in enumerate(accuracies):
        if epoch >= course.epochs:
            break
        factors += [course.factor(2 * epoch), course.factor(2 * epoch + 1)]
        course.follow(accuracy)
    return factors


def test_without_a_rule_the_course_is_the_schedule_s() -> None:
    course = Course(Schedule(epochs=10, warmup=2), 3, None)
    assert course.epochs == 10
    for step in range(30):
        assert course.factor(step) == pytest.approx(rate_factor(step / 30, 0.2))
        course.follow(1.0)
    assert course.epochs == 10


def test_the_rate_stays_until_saturation_and_then_falls() -> None:
    rule = AttackerTraining(accuracy=0.9, patience=3, longest=5, fall=0.5)
    rising = [0.1, 0.5, 0.7, 0.95, *([0.99] * 20)]
    factors = course_of(rising, Schedule(epochs=8, warmup=1), rule)
    assert len(factors) == 2 * (4 + 2)  # half of four epochs more
    assert factors[0] == pytest.approx(0.01)
    assert factors[1] == 0.5
    assert factors[2:9] == [1.0] * 7
    falling = [0.5 + 0.5 * math.cos(math.pi * step / 4) for step in range(4)]
    assert factors[8:] == pytest.approx(falling)


def test_a_course_has_an_end_whatever_is_learned() -> None:
    rule = AttackerTraining(accuracy=1.0, patience=100, longest=2, fall=0.25)
    slowly = [n / 1000 for n in range(100)]
    assert len(course_of(slowly, Schedule(epochs=4), rule)) == 2 * (8 + 2)
