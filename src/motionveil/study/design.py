"""What a study consists of: `study.json` says what is asked, `answers.json` who is right.

The two lie apart, so that what the browser gets is made without knowing who is right. Names of
files and of people are drawn at random; they tell nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from motionveil.errors import MotionveilError
from motionveil.files import atomic_path, write_text_atomically
from motionveil.results import Stored, read_stored

FORMAT: Literal[1] = 1
STUDY_FILE = "study.json"
KEY_FILE = "answers.json"
MEDIA = "media"
PICTURES = "pictures"
TITLE = 200
"""Characters of a title at most."""

Condition = Literal["veiled", "raw", "face-blurred"]
Kind = Literal["question", "attention", "example"]
# Nothing else: the names become parts of paths and of addresses.
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{2,32}$")]


def _iso(text: str) -> str:
    datetime.fromisoformat(text)
    return text


IsoTime = Annotated[str, AfterValidator(_iso)]
"""A day, or a day and time, as ISO 8601."""


class _Frozen(Stored):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Person(_Frozen):
    """Somebody whose picture can be chosen.

    Attributes:
        id: Opaque, such as `"k3f9"`.
        picture: Name of a JPEG in `pictures/`.
        marked: The picture bears the mark that attention checks ask for.
    """

    id: Id
    picture: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{2,32}\.jpg$")]
    marked: bool = False


class Question(_Frozen):
    """One question: a clip, and pictures to choose from.

    Attributes:
        id: Opaque.
        condition: What was done to the clip.
        clip: Stem of its two files in `media/`.
        options: Ids of the people to choose from, in canonical order: sorted, so it tells nothing.
        kind: `"question"` counts. `"attention"` asks for the pictures with the mark, whoever the
            clip shows. `"example"` is the worked example, whose answer the participant is told.
    """

    id: Id
    condition: Condition
    clip: Id
    options: list[Id]
    kind: Kind = "question"


class StudyDataset(_Frozen):
    """The data set that the clips come from.

    Attributes:
        name: Its name in the manifest.
        hash: The manifest's hash.
    """

    name: str
    hash: str


class Exclusions(_Frozen):
    """Whose answers the analysis leaves out, said before anybody has answered.

    Attributes:
        failed_checks_allowed: Who fails more attention checks than this is left out.
        unfinished: Whether those are left out who have not answered every question.
        seconds: Who answers half of the questions faster than this is left out; 0 leaves out none.
    """

    failed_checks_allowed: int = Field(default=1, ge=0)
    unfinished: bool = True
    seconds: float = Field(default=1.0, ge=0)


class Study(_Frozen):
    """What is asked; `study.json` on disk. It never says who is right.

    Attributes:
        format: Version of this layout.
        title: What participants see above.
        created: Day, as ISO 8601.
        motionveil: Version that made it.
        command: The command line that made it.
        seed: What was drawn at random was drawn from this.
        dataset: Where the clips come from.
        label: The privacy label that is asked for.
        people: Everybody who can be chosen.
        persons_per_question: How many a clip shows, 1 or 2; as many have to be chosen.
        options: Number of pictures of a question.
        conditions: What is done to clips in this study.
        questions: All questions; each participant gets all of them, in an order of their own.
        break_every: Number of questions after which a break is offered; 0 for none.
        encoder: The encoder of the veiled clips as data; None where there is none.
        faces_found: Share of the frames of the face-blurred clips in which a face was found; where
            none was found, the frame is raw video. None without such clips.
        exclusions: Whose answers will not count.
    """

    format: Literal[1] = FORMAT
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
        _once("people", people)
        _once("pictures", [person.picture for person in self.people])
        _once("questions", [question.id for question in self.questions])
        if self.options <= self.persons_per_question:
            raise ValueError(f"{self.options} options for {self.persons_per_question} to choose")
        for question in self.questions:
            _once(f"options of {question.id}", question.options)
            if len(question.options) != self.options:
                raise ValueError(f"{question.id} has {len(question.options)} options")
            if strangers := sorted(set(question.options) - set(people)):
                raise ValueError(f"{question.id} has options that are nobody: {strangers}")
        return self

    def of_kind(self, kind: Kind) -> list[Question]:
        """Return the questions of a kind, in the design's order."""
        return [question for question in self.questions if question.kind == kind]


class RightAnswer(_Frozen):
    """What is right for a question.

    Attributes:
        persons: Ids of the people to choose: whom the clip shows, or whose picture is marked.
        action: The clip's action.
        source: Key of the clip in the manifest.
    """

    persons: list[Id]
    action: str
    source: str


class Key(_Frozen):
    """Who is right; `answers.json` on disk, for its owner's eyes only.

    Attributes:
        questions: For each question's id, what is right.
        names: For each person's id, their name: the label's value, or what it was read as.
        portraits: For each name, what the picture was cut from.
    """

    questions: dict[str, RightAnswer]
    names: dict[str, str]
    portraits: dict[str, str] = Field(default_factory=dict)


def write_study(folder: str | os.PathLike[str], study: Study, key: Key) -> Path:
    """Write both files into a study's folder, `study.json` last, and return its path.

    Raises:
        MotionveilError: They cannot be written, or do not belong together.
    """
    check_key(study, key, "the answers")
    with atomic_path(Path(folder) / KEY_FILE) as part:
        part.chmod(0o600)
        part.write_text(key.model_dump_json(indent=1) + "\n", encoding="utf-8")
    text = study.model_dump_json(indent=1) + "\n"
    return write_text_atomically(Path(folder) / STUDY_FILE, text)


def read_study(folder: str | os.PathLike[str]) -> Study:
    """Read and check a study's `study.json`.

    Raises:
        MotionveilError: The file is missing or is no study; names the file and the fault.
    """
    file = Path(folder) / STUDY_FILE
    if not file.is_file():
        raise MotionveilError(f"{file}: no such file; `motionveil study create` makes it")
    return read_stored(Study, file, "study")


def read_key(folder: str | os.PathLike[str], study: Study) -> Key:
    """Read a study's `answers.json` and hold it against the study.

    Raises:
        MotionveilError: The file is missing, is no key, or belongs to another study.
    """
    file = Path(folder) / KEY_FILE
    key = read_stored(Key, file, "answer")
    check_key(study, key, str(file))
    return key


def check_key(study: Study, key: Key, where: str) -> None:
    """Refuse answers that are not those of a study; `where` is what an error names.

    Raises:
        MotionveilError: See above.
    """
    if set(key.questions) != {question.id for question in study.questions}:
        raise MotionveilError(f"{where}: its questions are not those of {STUDY_FILE}")
    if set(key.names) != {person.id for person in study.people}:
        raise MotionveilError(f"{where}: its people are not those of {STUDY_FILE}")
    for question in study.questions:
        persons = key.questions[question.id].persons
        if len(set(persons)) != study.persons_per_question or set(persons) - set(question.options):
            raise MotionveilError(
                f"{where}: question {question.id}: {', '.join(persons) or 'nobody'} cannot be"
                f" right; {study.persons_per_question} of its options must be"
            )


def _once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what}: {name} is there twice")
        seen.add(name)
