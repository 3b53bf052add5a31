"""Several binary attributes at once: trained against, validated, audited and reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionveil import api
from motionveil.audit_results import AttributeRecognition, Audit
from motionveil.datasets.manifest import Manifest
from motionveil.datasets.validate_manifest import refuse_unlearnable
from motionveil.errors import MotionveilError
from motionveil.evaluation.plan_audit import attackers_of
from motionveil.evaluation.variants import joined_variant, variant_of
from motionveil.results import ClipPrediction, Result, Row
from motionveil.training.heads import Attributes
from tiny import tiny_recipe, write_toys

LABEL = "warm+green+early"


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people: two attributes are in their colour, one only in the number of the take."""
    root = tmp_path_factory.mktemp("attributes")
    manifest = write_toys(root, people=4)

    def attributes(person: str, take: int) -> dict[str, str]:
        warm, green = person in ("p0", "p3"), person in ("p1", "p3")
        return {"warm": str(int(warm)), "green": str(int(green)), "early": ("no", "yes")[take % 2]}

    clips = tuple(
        replace(c, privacy=attributes(c.privacy["person"], int(Path(c.path).stem)))
        for c in manifest.clips
    )
    replace(manifest, clips=clips, file=None).write(root / "manifest.csv")
    tiny_recipe(
        order="paper", adversarial={"epochs": 2}, validation={"epochs": 12, "lr": 0.005}
    ).write(root / "recipe.yaml")
    return root


@pytest.fixture(scope="module")
def row(toys: Path) -> Row:
    recipe, manifest = toys / "recipe.yaml", toys / "manifest.csv"
    return api.evaluate("raw", manifest, recipe=recipe, label=LABEL, out=toys / "val", device="cpu")


def slow_average_precision(answers: np.ndarray, labels: np.ndarray) -> float:
    """Mean precision at each positive one, which is the same where no two answers are equal."""
    ranked = labels[np.argsort(-answers)]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked == 1].mean())


def columns(predictions: list[ClipPrediction]) -> tuple[np.ndarray, np.ndarray]:
    answers = np.array([p.privacy_probabilities for p in predictions])
    return answers, np.array([p.privacy for p in predictions])


def test_validation_scores_each_attribute(row: Row) -> None:
    answers, labels = columns(row.predictions)
    assert labels.shape == (16, 3)
    found = row.privacy.attributes["clip"]
    expected = [slow_average_precision(a, y) for a, y in zip(answers.T, labels.T, strict=True)]
    assert [one.average_precision for one in found.each] == pytest.approx(expected)
    assert found.mean.average_precision == pytest.approx(np.mean(expected))
    for one, a, y in zip(found.each, answers.T, labels.T, strict=True):
        guess = a >= 0.5
        doubled = 2 * (guess & (y == 1)).sum()
        assert one.f1 == pytest.approx(doubled / max(1, guess.sum() + y.sum()))
        assert one.prevalence == pytest.approx(y.mean())
    right = (answers >= 0.5) == labels
    assert row.privacy.clip.accuracy == pytest.approx(right.mean())
    assert row.privacy.clip.chance_level == pytest.approx(
        np.maximum(labels.mean(0), 1 - labels.mean(0)).mean()
    )
    best = max(
        row.privacy.modes.values(), key=lambda s: s.attributes["frame"].mean.average_precision
    )
    assert row.privacy.attributes == best.attributes


def test_the_report_shows_them_and_reads_them_back(row: Row, toys: Path) -> None:
    stored = Result.read(toys / "val")
    assert stored.rows[0].privacy == row.privacy
    assert stored.dataset.privacy_names == ["warm", "green", "early"]
    page = (toys / "val" / "report.html").read_text()
    assert ": cMAP, macro F1</th>" in page
    cell = f"{100 * row.privacy.attributes['clip'].each[0].average_precision:.1f}"
    assert cell in page


def test_training_raises_the_entropy_of_each_output(toys: Path) -> None:
    """One epoch at alpha 2: the entropy that is logged is in nats of one binary answer."""
    trained = api.train(
        toys / "manifest.csv",
        recipe=toys / "recipe.yaml",
        label=LABEL,
        out=toys / "run",
        device="cpu",
    )
    assert all(0 < epoch["entropy"] <= np.log(2) + 1e-6 for epoch in trained.curves)
    assert trained.spec.provenance["privacy_label"] == LABEL


def test_the_audit_attacks_them_at_once(row: Row, toys: Path) -> None:
    (toys / "suite.yaml").write_text(
        "- {name: frame, kind: recognise}\n- {name: again, kind: retrieve}\n"
    )
    found = api.audit(
        "raw",
        toys / "manifest.csv",
        recipe=toys / "recipe.yaml",
        label=LABEL,
        suite=str(toys / "suite.yaml"),
        out=toys / "audit",
        device="cpu",
    )
    assert found == Audit.read(toys / "audit")
    assert {f.name for f in found.findings} == {"frame"}, "re-identification needs one label"
    veiled = next(f for f in found.of(AttributeRecognition) if f.video == "veiled")
    answers = np.array([a.probabilities for a in veiled.answers])
    labels = np.array([a.truth for a in veiled.answers])
    expected = [slow_average_precision(a, y) for a, y in zip(answers.T, labels.T, strict=True)]
    assert [line.average_precision for line in veiled.scores["clip"].each] == pytest.approx(
        expected, abs=1e-6
    )
    assert [name for name, _ in veiled.rows()] == ["mean", "warm", "green", "early"]
    assert veiled.chance_level == pytest.approx(labels.mean())
    assert (toys / "audit" / "audit.html").exists()
    by_frame, by_clip = attackers_of([veiled], row.predictions)
    assert by_clip.accuracy.accuracy == pytest.approx(((answers >= 0.5) == labels).mean())
    assert by_frame.accuracy.chance_level == row.privacy.frame.chance_level


def test_what_gives_no_average_precision_is_refused(toys: Path) -> None:
    manifest = Manifest.read(toys / "manifest.csv")
    clips = tuple(
        replace(c, privacy={**c.privacy, "green": "0"}) if c.split == "validation" else c
        for c in manifest.clips
    )
    with pytest.raises(MotionveilError, match="the attribute green needs both of its values"):
        refuse_unlearnable(replace(manifest, clips=clips, file=None), "validation", LABEL)


def test_the_answers_of_both_halves_are_joined() -> None:
    labels, chance = np.array([[0, 1], [1, 0], [1, 1]]), np.random.default_rng(0)
    cuts = [chance.random((count, 4, 2)) for count in (3, 2)]
    halves = [variant_of([cut], labels[: len(cut)], Attributes(), 0.1, 0, "eval") for cut in cuts]
    joined = joined_variant(halves)
    assert joined.answers is not None
    assert (joined.answers == np.concatenate(cuts)).all()
    assert joined.frames.shape == (5, 2)
