"""Data of a study: the design (`study.json`), the key (`answers.json`) and participants' answers.

Design and key are separate files, so that pages are rendered without access to the correct
answers. File names and ids are random and carry no information.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from motionveil.atomic_write import atomic_path, write_text_atomically
from motionveil.errors import MotionveilError
from motionveil.results import Stored, read_stored

STUDY_FILE, KEY_FILE = "study.json", "answers.json"
MEDIA, IMAGES = "media", "pictures"
SUFFIXES = (".mp4", ".webm")
"""Files of a clip: H.264, which nearly every browser plays, and VP9 for the rest."""
TITLE = 200
"""Maximum length of a title, in characters."""

Condition = Literal["veiled", "raw", "face-blurred"]
QuestionKind = Literal["question", "attention", "example"]
ParticipantKind = Literal["real", "simulated"]
# Restricted, because ids become parts of paths and of URLs.
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{2,32}$")]


def _iso(text: str) -> str:
    datetime.fromisoformat(text)
    return text


IsoTime = Annotated[str, AfterValidator(_iso)]
"""A date, or a date and time, as ISO 8601."""


class _Frozen(Stored):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Person(_Frozen):
    """A person who can be selected.

    Attributes:
        id: Opaque, such as `"k3f9"`.
        picture: Name of a JPEG in `pictures/`.
        marked: The image has the mark that attention checks ask for.
    """

    id: Id
    picture: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{2,32}\.jpg$")]
    marked: bool = False


class Question(_Frozen):
    """A question: one clip and the images to choose from.

    Attributes:
        id: Opaque.
        condition: How the clip was processed.
        clip: Stem of its two files in `media/`.
        options: Ids of the people to choose from, sorted, so that the order carries no information.
        kind: Only `"question"` is analysed. `"attention"` asks for the marked images, whatever
            the clip shows; `"example"` is the worked example, with feedback.
    """

    id: Id
    condition: Condition
    clip: Id
    options: list[Id]
    kind: QuestionKind = "question"


class StudyDataset(_Frozen):
    """Name and hash of the manifest from which the clips are taken."""

    name: str
    hash: str


class Exclusions(_Frozen):
    """Exclusion criteria, fixed before data collection.

    Attributes:
        failed_checks_allowed: Participants who fail more attention checks are excluded.
        unfinished: Whether participants with unanswered questions are excluded.
        seconds: Participants with a lower median response time are excluded; 0 excludes none.
    """

    failed_checks_allowed: int = Field(default=1, ge=0)
    unfinished: bool = True
    seconds: float = Field(default=1.0, ge=0)


class Study(_Frozen):
    """The design of a study; `study.json` on disk, without the correct answers.

    Attributes:
        format: Version of this layout.
        title: Shown to participants.
        created: Date, as ISO 8601.
        motionveil: Version that created it.
        command: The command line that created it.
        seed: Random seed.
        dataset: Source of the clips.
        label: The privacy label that participants identify.
        people: Everyone who can be selected.
        persons_per_question: People in a clip, and people to select, 1 or 2.
        options: Number of images of a question.
        conditions: The conditions of this study.
        questions: All questions; every participant answers all, in an individual order.
        break_every: Number of questions between breaks; 0 for none.
        encoder: The encoder of the veiled clips; None if there is none.
        faces_found: Share of the frames of face-blurred clips with a detected face, in [0, 1]; the
            other frames are original video. None without such clips.
        exclusions: Exclusion criteria.
    """

    format: Literal[1] = 1
    title: str = Field(min_length=1, max_length=TITLE)
    created: IsoTime
    motionveil: str
    command: str = ""
    seed: int
    dataset: StudyDataset
    label: str
    people: list[Person]
    persons_per_question: int = Field(ge=1, le=2)
    options: int = Field(ge=2)
    conditions: list[Condition]
    questions: list[Question]
    break_every: int = Field(default=20, ge=0)
    encoder: dict[str, Any] | None = None
    faces_found: float | None = Field(default=None, ge=0, le=1)
    exclusions: Exclusions = Exclusions()

    @model_validator(mode="after")
    def _is_consistent(self) -> Study:
        people = [person.id for person in self.people]
        _check_unique("people", people)
        _check_unique("pictures", [person.picture for person in self.people])
        _check_unique("questions", [question.id for question in self.questions])
        if self.options <= self.persons_per_question:
            raise ValueError(
                f"{self.options} options, of which {self.persons_per_question} are to be selected"
            )
        for question in self.questions:
            _check_unique(f"options of {question.id}", question.options)
            if len(question.options) != self.options:
                raise ValueError(
                    f"{question.id} has {len(question.options)} options, not {self.options}"
                )
            if unknown := sorted(set(question.options) - set(people)):
                raise ValueError(f"{question.id} has unknown options: {unknown}")
        return self

    def of_kind(self, kind: QuestionKind) -> list[Question]:
        """Return the questions of a kind, in the order of the design."""
        return [question for question in self.questions if question.kind == kind]


class RightAnswer(_Frozen):
    """The correct answer to a question.

    Attributes:
        persons: Ids of the people in the clip, or with marked images.
        action: The clip's action.
        source: Key of the clip in the manifest.
    """

    persons: list[Id]
    action: str
    source: str


class Key(_Frozen):
    """The correct answers; `answers.json` on disk, readable by its owner only.

    Attributes:
        questions: Question id -> correct answer.
        names: Person id -> name: the label's value, or one of the two names in it.
        portraits: Name -> source of the image.
    """

    questions: dict[str, RightAnswer]
    names: dict[str, str]
    portraits: dict[str, str] = Field(default_factory=dict)


class Answer(_Frozen):
    """An answer of a participant.

    Attributes:
        question: The question's id.
        chosen: Ids of the people selected.
        position: Place in the session, from 0, examples and checks included.
        order: Ids of the people shown, in display order.
        seconds: Response time; None if unknown.
        answered: Time of the answer.
    """

    question: str
    chosen: list[str]
    position: int = Field(ge=0)
    order: list[str]
    seconds: float | None = Field(default=None, ge=0)
    answered: IsoTime


class Participant(_Frozen):
    """A participant and their answers, in the order of the session.

    Attributes:
        id: Public, such as `"p-7Q2M"`.
        kind: `"simulated"` is for tests.
        created, consented, finished: Times; None if it has not happened.
        answers: All answers, examples and checks included.
    """

    id: str
    kind: ParticipantKind
    created: IsoTime
    consented: IsoTime | None = None
    finished: IsoTime | None = None
    answers: list[Answer] = Field(default_factory=list)


def write_study(folder: str | os.PathLike[str], study: Study, key: Key) -> Path:
    """Write both files into a study's folder, `study.json` last, and return its path.

    Raises:
        MotionveilError: They cannot be written, or do not match.
    """
    check_key(study, key, "the answers")
    with atomic_path(Path(folder) / KEY_FILE, private=True) as part:
        part.write_text(key.model_dump_json(indent=1) + "\n", encoding="utf-8")
    text = study.model_dump_json(indent=1) + "\n"
    return write_text_atomically(Path(folder) / STUDY_FILE, text)


def read_study(folder: str | os.PathLike[str]) -> Study:
    """Read and validate a study's `study.json`.

    Raises:
        MotionveilError: The file is missing or invalid.
    """
    file = Path(folder) / STUDY_FILE
    if not file.is_file():
        raise MotionveilError(f"{file}: no such file; create it with `motionveil study create`")
    return read_stored(Study, file, "study")


def read_key(folder: str | os.PathLike[str], study: Study) -> Key:
    """Read a study's `answers.json` and check it against the study.

    Raises:
        MotionveilError: The file is missing or invalid, or belongs to another study.
    """
    file = Path(folder) / KEY_FILE
    key = read_stored(Key, file, "answer")
    check_key(study, key, str(file))
    return key


def check_key(study: Study, key: Key, where: str) -> None:
    """Raise `MotionveilError` unless a key matches a study; `where` is named in the message."""
    if set(key.questions) != {question.id for question in study.questions}:
        raise MotionveilError(f"{where}: its questions are not those of {STUDY_FILE}")
    if set(key.names) != {person.id for person in study.people}:
        raise MotionveilError(f"{where}: its people are not those of {STUDY_FILE}")
    for question in study.questions:
        persons = key.questions[question.id].persons
        if len(set(persons)) != study.persons_per_question or set(persons) - set(question.options):
            raise MotionveilError(
                f"{where}: question {question.id}: {', '.join(persons) or 'nobody'} cannot be"
                f" correct; expected {study.persons_per_question} of its options"
            )


def _check_unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what}: {name} occurs twice")
        seen.add(name)
