"""Attackers learn until they are saturated, at a rate that no clip held out has chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluation.attack_examples import attack_of, colour, data_of, hue, nothing
from evaluation.attack_examples import write_films as films
from motionveil.audit_results import Recognition, Retrieval
from motionveil.datasets.cache import ClipCache, Frames
from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError
from motionveil.evaluation.data import AttackData
from motionveil.evaluation.fit import Learner, keep_back, learn
from motionveil.training.adversary_inputs import InputFormat
from motionveil.training.recipe import AttackerTraining, Schedule

SCHEDULE = Schedule(optimizer="adamw", epochs=6, batch=8, lr=0.003)
RULE = AttackerTraining(patience=3, rates=(1.0, 0.001))


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> ClipCache:
    return films(tmp_path_factory.mktemp("films"), colour)


class Watched(ClipCache):
    """A cache that refuses the clips held out."""

    def frames(self, clip: Clip) -> Frames:
        if clip.split == "validation":
            raise AssertionError(f"{clip.key} is held out and was read")
        return super().frames(clip)


def watched(cache: ClipCache) -> AttackData:
    return data_of(Watched(**vars(cache)))


def recognise(data: AttackData, **changes: Any) -> Recognition:
    found: Recognition = attack_of(**changes).run(data)
    return found


@pytest.mark.parametrize("kind", ["recognise", "retrieve"])
def test_no_clip_held_out_is_read_before_the_network_is_trained(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = watched(films(tmp_path, hue, people=4, takes=6))
    attack = attack_of(kind=kind, until=RULE, schedule=SCHEDULE)
    if kind == "recognise":
        assert set(attack.trained(data).training.tried) == {0.003, 0.000003}
    else:
        known = [c for c in data.part(training=True) if c.privacy["person"] in ("p0", "p1")]
        assert set(attack._train(data, known).training.tried) == {0.003, 0.000003}
    with pytest.raises(AssertionError, match="is held out and was read"):
        attack.run(data)  # the watch works


def test_the_better_rate_is_taken_and_both_are_told(coloured: ClipCache) -> None:
    found = recognise(data_of(coloured), until=RULE, schedule=SCHEDULE)
    (training,) = found.trainings
    assert training.rate == 0.003
    assert training.tried[0.003] >= 0.9 > training.tried[0.000003]
    assert training.epochs == len(found.curve)
    assert training.accuracy == pytest.approx(found.curve[-1], abs=1e-5)
    columns = {column.name: column.text() for column in found.rows()[0][1]}
    assert columns["Epochs"] == str(training.epochs)
    assert columns["Learning rate"] == "0.003"


def test_it_ends_when_the_training_clips_are_learned(coloured: ClipCache) -> None:
    """From the curve: it ends a fall after the first epoch over 95 %."""
    rule = AttackerTraining(patience=50, longest=10, rates=(1.0,), fall=0.5)
    curve = recognise(data_of(coloured), until=rule, schedule=SCHEDULE).curve
    over = next(place for place, share in enumerate(curve, 1) if share > 0.95)
    assert len(curve) == over + max(1, round(0.5 * over)) < 60


def test_the_rate_falls_though_a_last_clip_joins_the_batch_before(coloured: ClipCache) -> None:
    """32 clips in batches of 31 are one batch, and not two steps per epoch."""
    rule = AttackerTraining(patience=1, longest=1, rates=(1.0,), fall=1.0)
    schedule = SCHEDULE.model_copy(update={"batch": 31, "epochs": 2, "warmup": 0})
    curve = recognise(data_of(coloured), until=rule, schedule=schedule).curve
    assert len(curve) == 4


def test_it_ends_when_nothing_more_is_learned(tmp_path: Path) -> None:
    rule = AttackerTraining(patience=3, longest=10, rates=(1.0,), fall=0.01)
    curve = recognise(data_of(films(tmp_path, nothing)), until=rule, schedule=SCHEDULE).curve
    rising = curve[:-1]  # the fall takes one epoch
    assert max(rising[:-3]) >= max(rising[-3:])
    assert len(curve) < 60
    for earlier in range(4, len(rising)):  # and it had not ended before
        assert max(rising[: earlier - 3]) < max(rising[earlier - 3 : earlier])


class _Fixed(nn.Module):
    """Says a class whatever it sees."""

    def __init__(self, said: int) -> None:
        super().__init__()
        self.said, self.weight = said, nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.zeros(len(x), 2)
        logits[:, self.said] = 1
        return logits + self.weight


def test_what_is_tried_is_scored_on_the_clips_kept_back(coloured: ClipCache) -> None:
    """The accuracy of one who always says 0 is the share of class 0 among them."""
    data = data_of(coloured)
    clips = [c for c in data.part(training=True) if c.privacy["person"] == "p0" or c.group < "p1-4"]
    rule = AttackerTraining(rates=(1.0, 2.0), held_out=0.4)
    learned = learn(
        "t", lambda: Learner(_Fixed(0), "privacy", InputFormat()), data, clips, SCHEDULE, rule
    )
    _, asked = keep_back(clips, 0.4, data.seed)
    share = np.mean([clip.privacy["person"] == "p0" for clip in asked])
    assert 0 < share < 1
    assert learned.training.tried == {0.003: pytest.approx(share), 0.006: pytest.approx(share)}
    assert learned.training.rate == 0.003  # of equal ones the first


def test_equal_seeds_give_equal_trainings(coloured: ClipCache) -> None:
    found = [recognise(data_of(coloured), until=RULE, schedule=SCHEDULE) for _ in range(2)]
    assert found[0].trainings == found[1].trainings
    assert found[0].answers == found[1].answers


def test_recordings_are_kept_back_whole() -> None:
    clips = [
        Clip("v.mkv", n, n + 1, ("a", "b")[n % 2], {"who": f"p{n // 12}"}, f"r{n // 4}", "train")
        for n in range(36)
    ]
    learned, asked = keep_back(clips, 0.25, seed=0)
    assert sorted(learned + asked, key=clips.index) == clips
    assert not {c.group for c in learned} & {c.group for c in asked}
    assert {c.privacy["who"] for c in learned} == {"p0", "p1", "p2"}
    assert len(asked) == pytest.approx(9, abs=4)


def test_where_everybody_was_filmed_once_clips_are_kept_back() -> None:
    clips = [
        Clip("v.mkv", n, n + 1, "a", {"who": f"p{n // 6}"}, f"r{n // 6}", "train")
        for n in range(18)
    ]
    learned, asked = keep_back(clips, 0.25, seed=0)
    assert len(asked) in (4, 5)
    assert {c.privacy["who"] for c in learned} == {"p0", "p1", "p2"}
    assert all(clip in clips for clip in asked)
    with pytest.raises(MotionveilError, match="nothing can be held out of 2 clips"):
        keep_back([clips[0], replace(clips[6], action="b")], 0.25, seed=0)


def test_a_search_among_everybody_has_the_chance_level_of_recognition(tmp_path: Path) -> None:
    data = data_of(films(tmp_path, hue, people=8, takes=6))
    found: dict[bool, Retrieval] = {
        everyone: attack_of(kind="retrieve", everyone=everyone).run(data)
        for everyone in (False, True)
    }
    assert found[False].rank_1.chance_level == pytest.approx(2 / 8)
    assert found[True].rank_1.chance_level == pytest.approx(1 / 8)
    assert found[True].gallery == [32, 32]
    assert found[True].rank_1.value <= found[False].rank_1.value + 0.1
    assert len(found[True].trainings) == 2
