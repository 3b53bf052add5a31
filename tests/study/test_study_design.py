"""What is asked, and who is right: read, written and held against each other."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from motionveil.errors import MotionveilError
from motionveil.study.design import Key, Study, read_key, read_study, write_study
from study.study_examples import invented_study


def changed(study: Study, **values: object) -> Study:
    return Study.model_validate(study.model_dump() | values)


class TestFiles:
    def test_are_read_as_they_were_written(self, tmp_path: Path):
        study, key = invented_study()
        write_study(tmp_path, study, key)
        assert read_study(tmp_path) == study
        assert read_key(tmp_path, study) == key

    def test_nobody_else_may_read_the_answers(self, tmp_path: Path):
        write_study(tmp_path, *invented_study())
        assert stat.S_IMODE((tmp_path / "answers.json").stat().st_mode) == 0o600

    def test_the_study_does_not_say_who_is_right(self, tmp_path: Path):
        study, key = invented_study()
        text = write_study(tmp_path, study, key).read_text()
        for answer in key.questions.values():
            assert answer.source not in text
        assert not set(key.names.values()) & set(text.split('"'))

    def test_a_folder_that_is_none_says_what_makes_one(self, tmp_path: Path):
        with pytest.raises(MotionveilError, match="study create"):
            read_study(tmp_path)

    def test_a_file_that_is_none_is_named(self, tmp_path: Path):
        (tmp_path / "study.json").write_text("{}")
        with pytest.raises(MotionveilError, match=r"study\.json: not a study file: title"):
            read_study(tmp_path)


class TestStudy:
    def test_refuses_names_that_lead_elsewhere(self):
        study, _ = invented_study()
        people = [study.people[0].model_dump() | {"picture": "../a.jpg"}]
        with pytest.raises(ValidationError, match="picture"):
            changed(study, people=people + [one.model_dump() for one in study.people[1:]])
        question = study.questions[0].model_dump() | {"clip": "../../answers"}
        with pytest.raises(ValidationError, match="clip"):
            changed(study, questions=[question])

    def test_refuses_options_that_are_nobody(self):
        study, _ = invented_study()
        question = study.questions[0].model_dump()
        question["options"][0] = "zz"
        with pytest.raises(ValidationError, match="unknown options"):
            changed(study, questions=[question])

    def test_refuses_a_question_with_too_few_options(self):
        study, _ = invented_study()
        question = study.questions[0].model_dump()
        question["options"].pop()
        with pytest.raises(ValidationError, match="has 6 options"):
            changed(study, questions=[question])

    def test_refuses_to_have_everybody_chosen(self):
        study, _ = invented_study(persons=1, people=2, options=2)
        with pytest.raises(ValidationError, match="2 options, of which 2 are to be selected"):
            changed(study, persons_per_question=2)

    def test_refuses_a_question_twice(self):
        study, _ = invented_study()
        with pytest.raises(ValidationError, match="occurs twice"):
            changed(study, questions=[study.questions[0]] * 2)


class TestKey:
    def test_of_another_study_is_refused(self, tmp_path: Path):
        study, key = invented_study()
        other, _ = invented_study(veiled=61)
        write_study(tmp_path, study, key)
        with pytest.raises(MotionveilError, match="its questions are not those"):
            read_key(tmp_path, other)

    def test_must_name_as_many_as_are_chosen(self, tmp_path: Path):
        study, key = invented_study()
        values = key.model_dump()
        values["questions"]["q000"]["persons"].pop()
        with pytest.raises(
            MotionveilError, match=r"q000: .* cannot be correct; expected 2 of its options"
        ):
            write_study(tmp_path, study, Key.model_validate(values))
        assert not list(tmp_path.iterdir())
