"""Rows with attackers: what they hold is what an audit of the same encoder finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionveil.audit_results import Recognition, Retrieval
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation import audit as audits
from motionveil.evaluation.attacks.recognise import Recognise
from motionveil.evaluation.executors import in_processes
from motionveil.evaluation.plan_audit import attackers_of
from motionveil.evaluation.suites import attackers
from motionveil.experiments.tradeoff import Plan, measure_tradeoff
from motionveil.experiments.train_methods import read_choices
from motionveil.job_store import Job
from motionveil.results import Accuracy, Result, Row
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe
from tiny import tiny_recipe, write_toys

NAMES = [
    "per frame",
    "frames averaged",
    "whole clip",
    "course over time",
    "transformer",
    "re-identification",
]
RULE = {"patience": 1, "longest": 1.0, "rates": [1.0, 0.3]}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_toys(tmp_path_factory.mktemp("toys"), people=4, takes=2, held_out=2)


def plan_of(manifest: Manifest, recipe: Recipe, methods: Sequence[str] = ("blur:4",)) -> Plan:
    return Plan(
        manifest=manifest,
        recipe=recipe,
        choices=read_choices(methods, recipe, None),
        splits=manifest.splits(),
        seeds=(0,),
        privacy_label="person",
        attackers=attackers(recipe),
    )


def measure(plan: Plan, out: Path, **changes: Any) -> Result:
    fabric = make_fabric("cpu")
    words = {"kind": "tradeoff", "command": "test", "workers": 1} | changes
    return measure_tradeoff(plan, out, fabric, **words)


@pytest.fixture(scope="module")
def once(toys: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Row, Path]:
    out = tmp_path_factory.mktemp("once")
    (row,) = measure(plan_of(toys, tiny_recipe(attackers=RULE)), out).rows
    return row, out


@pytest.mark.slow
def test_a_row_holds_every_attacker_and_how_it_was_trained(once: tuple[Row, Path]) -> None:
    row, _ = once
    assert [attacker.name for attacker in row.attackers] == NAMES
    for attacker in row.attackers:
        assert len(attacker.right) == attacker.accuracy.n == len(row.predictions) == 16
        assert attacker.accuracy.chance_level == 0.25
        assert len(attacker.trainings) == (2 if attacker.name == "re-identification" else 1)
        for training in attacker.trainings:
            assert training.epochs <= 3
            assert 0 <= training.accuracy <= 1
            assert len(training.tried) == 2
            assert training.rate in training.tried


def test_the_strongest_has_the_highest_accuracy(once: tuple[Row, Path]) -> None:
    row, _ = once
    assert row.strongest is not None
    name, accuracy = row.strongest
    by_name = {a.name: np.mean([s for s in a.right if s is not None]) for a in row.attackers}
    by_name["per frame, as published"] = np.mean([p.privacy_frames for p in row.predictions])
    right = [np.argmax(p.privacy_probabilities) == p.privacy for p in row.predictions]
    by_name["by clip, as published"] = np.mean(right)
    assert by_name[name] == pytest.approx(max(by_name.values()))
    assert accuracy.accuracy == pytest.approx(by_name[name])


def test_accuracies_are_those_of_the_answers_that_the_attacks_left(
    once: tuple[Row, Path],
) -> None:
    """From the attacks' own files, by plain arithmetic."""
    row, out = once
    place = out / "seed0-validation" / "blur-4" / "attacks"
    found = {}
    for folder in place.iterdir():
        value = Job(folder, None)._load()[2].value
        found[value["name"]] = value
    assert {v["video"] for v in found.values()} == {"veiled"}
    frame, clip = found["frame"]["answers"], found["clip"]["answers"]
    hits = [search["found"] == search["truth"] for search in found["re-identification"]["searches"]]
    expected = {
        "per frame": np.mean([answer["frames"] for answer in frame]),
        "frames averaged": np.mean([np.argmax(a["probabilities"]) == a["truth"] for a in frame]),
        "whole clip": np.mean([np.argmax(a["probabilities"]) == a["truth"] for a in clip]),
        "re-identification": np.mean(hits),
    }
    measured = {a.name: a.accuracy.accuracy for a in row.attackers}
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value)


def test_what_is_done_is_not_attacked_again(
    once: tuple[Row, Path], toys: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, out = once
    place = out / "seed0-validation" / "blur-4"
    (place / "job.json").rename(place / "job.json.away")  # stopped before the row was stored
    (place / "attacks/clip-veiled/job.json").unlink()
    carried: list[int] = []

    def watched(plan: str, place: int, out: str) -> str:
        carried.append(place)
        return audits_carry_out(plan, place, out)

    audits_carry_out = audits.carry_out
    monkeypatch.setattr(audits, "carry_out", watched)
    (again,) = measure(plan_of(toys, tiny_recipe(attackers=RULE)), out).rows
    assert carried == [1]
    assert again.attackers == row.attackers


def test_without_attackers_a_row_is_the_published_one(toys: Manifest, tmp_path: Path) -> None:
    recipe = tiny_recipe(attackers=RULE)
    plan = plan_of(toys, recipe)
    plain = Plan(**{**vars(plan), "attackers": ()})
    (row,) = measure(plain, tmp_path).rows
    assert row.attackers == []
    assert row.strongest is None
    assert not (tmp_path / "seed0-validation" / "blur-4" / "attacks").exists()


def test_a_failed_attack_names_itself(
    toys: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Recognise, data: object) -> Recognition:
        raise MotionveilError("the loss is not finite")

    monkeypatch.setattr(Recognise, "run", fails)
    with pytest.raises(MotionveilError, match=r"attacks/frame-veiled: the loss is not finite"):
        measure(plan_of(toys, tiny_recipe(attackers=RULE)), tmp_path)


def test_clips_that_were_not_asked_about_are_left_out(once: tuple[Row, Path]) -> None:
    row, _ = once
    value = Job(once[1] / "seed0-validation/blur-4/attacks/re-identification-veiled", None)
    found = Retrieval.model_validate(value._load()[2].value)
    some = found.model_copy(update={"searches": found.searches[:5]})
    (attacker,) = attackers_of([some], row.predictions)
    assert attacker.right.count(None) == 11
    hits = [search.found == search.truth for search in some.searches]
    people = [search.truth for search in some.searches]
    assert attacker.accuracy == Accuracy.of([float(hit) for hit in hits], people)
    with pytest.raises(MotionveilError, match="asked about other clips than the row"):
        attackers_of([found], row.predictions[:3])


@pytest.mark.slow
def test_attackers_in_processes_find_the_same(
    once: tuple[Row, Path], toys: Manifest, tmp_path: Path
) -> None:
    recipe = tiny_recipe(attackers=RULE)
    (row,) = measure(plan_of(toys, recipe), tmp_path, run=in_processes(2, 1)).rows
    assert [a.right for a in row.attackers] == [a.right for a in once[0].attackers]
