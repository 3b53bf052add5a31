"""The published figures that come with the package."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import pytest
from pydantic import ValidationError

from motionveil.datasets.loaders import loaders
from motionveil.errors import MotionveilError
from motionveil.published import Publication, load_publication, publications
from motionveil.training.recipe import load_recipe


@pytest.fixture
def paper() -> Publication:
    return load_publication("paper")


@pytest.fixture
def values() -> Any:
    file = resources.files("motionveil") / "published" / "paper.json"
    return copy.deepcopy(json.loads(file.read_text("utf-8")))


def test_those_there_are() -> None:
    assert publications() == ["paper"]
    with pytest.raises(MotionveilError, match="nonesuch: no such publication; there is paper"):
        load_publication("nonesuch")


def test_figures_are_shares_of_their_n(paper: Publication) -> None:
    """An action accuracy is a number of clips of n: 84.04 % of 94 is 79."""
    for dataset in paper.datasets:
        for row in dataset.rows:
            if row.action.source == "figure":
                clips = round(row.action.accuracy * dataset.n)
                assert 100 * clips / dataset.n == pytest.approx(row.action.percent, abs=0.01)


def test_privacy_figures_are_means_over_frames(paper: Publication) -> None:
    sbu_bdq = next(row for row in paper.datasets[0].rows if row.method == "bdq")
    assert pytest.approx(sbu_bdq.privacy.percent, abs=0.005) == 100 * 482 / (94 * 15)
    assert not any(
        100 * clips / 94 == pytest.approx(sbu_bdq.privacy.percent, abs=0.005) for clips in range(95)
    )
    assert paper.reading == "frame"


@pytest.mark.parametrize("name", ["sbu", "kth", "ipn"])
def test_data_sets_are_those_that_are_indexed(paper: Publication, name: str) -> None:
    published = loaders()[name].published
    assert published is not None
    dataset = next(d for d in paper.datasets if d.name == name)
    assert dataset.split in loaders()[name].splits
    assert published.splits[dataset.split] == {
        "train": dataset.training,
        "validation": dataset.validation,
    }
    assert published.actions == dataset.actions
    assert published.labels[dataset.privacy_label] == dataset.privacy_names


def test_the_recipes_of_the_same_names_follow_the_protocol(paper: Publication) -> None:
    for dataset in paper.datasets:
        recipe = load_recipe(dataset.name)
        assert recipe.frames == dataset.frames
        assert {row.alpha for row in dataset.rows if row.method == "bdq"} == {recipe.alpha}
        for field, value in paper.protocol.items():
            if not field.endswith(".weights"):
                found: Any = recipe
                for part in field.split("."):
                    found = getattr(found, part)
                assert (list(found) if isinstance(found, tuple) else found) == value, field


def test_a_source_without_words_is_refused(values: Any) -> None:
    values["datasets"][1]["rows"][0]["action"]["source"] = "hearsay"
    with pytest.raises(ValidationError, match="hearsay"):
        Publication.model_validate(values)


@pytest.mark.parametrize("percent", [-1, 100.5])
def test_a_percentage_is_one(values: Any, percent: float) -> None:
    values["datasets"][0]["rows"][0]["privacy"]["percent"] = percent
    with pytest.raises(ValidationError, match="percent"):
        Publication.model_validate(values)
