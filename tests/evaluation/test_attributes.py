"""Several binary attributes at once: trained against, validated, audited and reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionveil import api
from motionveil.audit_results import AttributeRecognition, Audit
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.datasets.validate_manifest import refuse_unlearnable
from motionveil.errors import MotionveilError
from motionveil.evaluation.mutual_information import chosen_by_precision
from motionveil.evaluation.plan_audit import attackers_of
from motionveil.evaluation.variants import (
    Variant,
    attribute_recognition,
    joined_variant,
    strongest_of,
    variant_of,
)
from motionveil.report import write_audits
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
        prediction = a >= 0.5
        doubled = 2 * (prediction & (y == 1)).sum()
        assert one.f1 == pytest.approx(doubled / max(1, prediction.sum() + y.sum()))
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_audit_attacks_them_at_once(row: Row, toys: Path) -> None:
    (toys / "suite.yaml").write_text(
        "- {name: frame, kind: recognise}\n- {name: again, kind: retrieve}\n"
        "- {name: clip, kind: recognise, temporal: true}\n"
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
    names = {f.name for f in found.findings}
    assert names == {"frame", "clip"}, "re-identification needs one label"
    veiled = next(f for f in found.of(AttributeRecognition) if f.video == "veiled")
    answers = np.array([a.probabilities for a in veiled.answers])
    labels = np.array([a.truth for a in veiled.answers])
    expected = [slow_average_precision(a, y) for a, y in zip(answers.T, labels.T, strict=True)]
    assert [line.average_precision for line in veiled.scores["clip"].each] == pytest.approx(
        expected, abs=1e-6
    )
    assert [name for name, _ in veiled.rows()] == ["mean", "warm", "green", "early"]
    assert veiled.chance_level == pytest.approx(labels.mean())
    assert veiled.p is not None
    assert veiled.p < 0.01
    best = found.strongest
    assert best is not None
    assert set(best.chosen) <= {"frame", "clip"}
    assert best.attributes is not None
    assert best.accuracy.value == best.attributes.mean.average_precision <= best.naive + 0.05
    assert best.accuracy.chance_level == pytest.approx(labels.mean())
    page = (toys / "audit" / "audit.html").read_text()
    summary = page[page.index("Strongest attacker on warm") : page.index("Limitations")]
    for line in best.attributes.lines:
        assert f'<th scope="row">{line.name}</th>' in summary
        assert f"{100 * line.average_precision:.1f}" in summary
    again = found.model_copy(update={"encoder": "other"})
    there = write_audits([(found, toys / "audit"), (again, toys / "audit")], toys / "audits.html")
    beside = there.read_text()
    assert "cMAP of the strongest attack on warm+green+early" in beside
    assert f"{100 * best.accuracy.value:.1f}" in beside
    by_frame, by_clip = attackers_of([veiled], row.predictions)
    assert by_clip.accuracy.accuracy == pytest.approx(((answers >= 0.5) == labels).mean())
    assert by_frame.accuracy.chance_level == row.privacy.frame.chance_level


def invented(name: str, probabilities: np.ndarray, labels: np.ndarray) -> AttributeRecognition:
    """What an attacker found that gave these answers, one recording per clip."""
    rng = np.random.default_rng(0)
    frames = [np.repeat(p[None], 2, 0) for p in probabilities]
    variant = Variant(
        0.1, 0, "eval", 0, probabilities, rng.random(labels.shape), np.zeros(len(labels), np.int64),
        answers=np.stack(frames),
    )  # fmt: skip
    clips = [Clip(f"{n}.mkv", 0, 9, "a", {}, f"r{n}", "x") for n in range(len(labels))]
    origin = {"name": name, "label": "x+y", "video": "veiled", "attack": {}}
    return attribute_recognition(
        origin | {"trained_on": 9}, [variant], clips=clips, labels=labels, names=["x", "y"]
    )


@pytest.mark.slow
def test_the_strongest_is_corrected_for_its_choice() -> None:
    """The best of many that know nothing is above chance; chosen on other clips it is not."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (60, 2))
    blind = [invented(f"blind {n}", rng.random((60, 2)), labels) for n in range(30)]
    best = strongest_of(blind)
    assert best is not None
    assert best.naive > labels.mean() + 0.1
    assert best.accuracy.value < labels.mean() + 0.08
    assert min(found.p or 0 for found in blind) > 1 / 2001
    knows = invented("knows", np.clip(labels * 0.4 + rng.random((60, 2)) * 0.6, 0, 1), labels)
    assert knows.p == pytest.approx(1 / 2001)
    best = strongest_of([*blind, knows])
    assert best is not None
    assert best.chosen == ["knows"]
    assert best.accuracy.value == pytest.approx(knows.headline.value, abs=1e-6)


def test_the_variant_of_the_higher_precision_counts() -> None:
    """One ranks well with no answer over 1/2, one answers as often right and ranks badly."""
    rng = np.random.default_rng(2)
    labels = (rng.random((80, 1)) < 0.4).astype(np.int64)
    ranks = 0.1 + 0.2 * labels + 0.1 * rng.random((80, 1))
    never = 0.1 + 0.1 * rng.random((80, 1))
    chosen = chosen_by_precision([never, ranks], labels, np.arange(80))
    assert (chosen == 1).all()


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
