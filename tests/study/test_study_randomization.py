"""Each participant's own order of questions and images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from motionveil.study.design import Study
from motionveil.study.store import randomize_session
from small_study import small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("order") / "study"
    return small_study(folder, options=4, questions=12, checks=3, examples=2)[0]


def test_is_the_same_for_the_same_secret_and_another_for_another(study: Study) -> None:
    assert randomize_session(study, "one") == randomize_session(study, "one")
    assert randomize_session(study, "one") != randomize_session(study, "other")
    assert randomize_session(study, "one") != randomize_session(
        study.model_copy(update={"seed": 8}), "one"
    )


def test_every_question_is_asked_once_with_all_its_options(study: Study) -> None:
    places = randomize_session(study, "one")
    assert sorted(place.question for place in places) == [q.id for q in study.questions]
    options = {question.id: question.options for question in study.questions}
    assert all(sorted(place.options) == options[place.question] for place in places)


def test_examples_come_first_and_checks_are_spread(study: Study) -> None:
    kinds = {question.id: question.kind for question in study.questions}
    for number in range(50):
        session = [kinds[place.question] for place in randomize_session(study, str(number))]
        assert session[:2] == ["example", "example"]
        rest = session[2:]
        assert rest[0] == "question"
        assert [rest[n : n + 5].count("attention") for n in (0, 5, 10)] == [1, 1, 1]


def test_no_place_is_likelier_than_another(study: Study) -> None:
    """Of 600 participants, each option comes first about as often: within four deviations."""
    first = Counter(
        place.options[0]
        for number in range(600)
        for place in randomize_session(study, str(number))
        if place.question == "q002"
    )
    assert len(first) == 4
    assert all(abs(count - 150) < 4 * (600 * 0.25 * 0.75) ** 0.5 for count in first.values())


def test_without_checks_or_examples(tmp_path: Path) -> None:
    plain, _ = small_study(tmp_path / "study", checks=0, examples=0)
    assert len(randomize_session(plain, "one")) == 4


def test_checks_alone(tmp_path: Path) -> None:
    checks, _ = small_study(tmp_path / "study", questions=0, checks=2, examples=0)
    assert len(randomize_session(checks, "one")) == 2
