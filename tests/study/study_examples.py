"""Invented studies and simulated participants, for tests only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from motionveil.study.design import (
    Answer,
    Key,
    Participant,
    Person,
    Question,
    RightAnswer,
    Study,
    StudyDataset,
)

ACTIONS = ("wave", "walk", "sit")
Chooser = Callable[[Question, Sequence[str], Random], list[str]]


def invented_study(
    *,
    persons: int = 2,
    people: int = 7,
    options: int = 7,
    veiled: int = 60,
    raw: int = 12,
    checks: int = 3,
    seed: int = 0,
) -> tuple[Study, Key]:
    """Return a study without any clip, and who is right."""
    random = Random(seed)
    plain = [Person(id=f"p{number:02d}", picture=f"p{number:02d}.jpg") for number in range(people)]
    marked = [
        Person(id=f"m{number:02d}", picture=f"m{number:02d}.jpg", marked=True)
        for number in range(persons)
    ]
    ids = [person.id for person in plain]
    questions, right = [], {}
    kinds = ["veiled"] * veiled + ["raw"] * raw + ["attention"] * checks + ["example"]
    for number, kind in enumerate(kinds):
        shown = random.sample(ids, options)
        persons_right = shown[:persons]
        if kind == "attention":
            persons_right = [person.id for person in marked]
            shown = [*persons_right, *shown[persons:]]
        question = Question(
            id=f"q{number:03d}",
            condition="veiled" if kind in ("veiled", "attention") else "raw",
            clip=f"c{number:03d}",
            options=sorted(shown),
            kind=kind if kind in ("attention", "example") else "question",
        )
        questions.append(question)
        action = ACTIONS[number % len(ACTIONS)]
        right[question.id] = RightAnswer(
            persons=sorted(persons_right), action=action, source=f"v{number}.mkv#0-9"
        )
    study = Study(
        title="Who is it?",
        created="2026-01-02",
        motionveil="0.0",
        seed=seed,
        dataset=StudyDataset(name="invented", hash="0" * 64),
        label="identity",
        people=[*plain, *marked],
        persons_per_question=persons,
        options=options,
        conditions=["veiled", "raw"] if raw else ["veiled"],
        questions=questions,
    )
    names = {person.id: f"name {person.id[1:]}" for person in study.people}
    return study, Key(questions=right, names=names)


def random_answers(study: Study) -> Chooser:
    return lambda question, options, random: random.sample(
        list(options), study.persons_per_question
    )


def correct_answers(key: Key) -> Chooser:
    return lambda question, options, random: list(key.questions[question.id].persons)


def by_condition(key: Key, veiled: Chooser, raw: Chooser) -> Chooser:
    """Return who passes every check, and answers each condition in a way of its own."""

    def choose(question: Question, options: Sequence[str], random: Random) -> list[str]:
        if question.kind != "question":
            return list(key.questions[question.id].persons)
        return (veiled if question.condition == "veiled" else raw)(question, options, random)

    return choose


def simulated(
    study: Study,
    choose: Chooser,
    *,
    number: int = 0,
    kind: str = "simulated",
    seconds: float | None = 4.0,
    answered: int | None = None,
) -> Participant:
    """Return somebody who answers as `choose` says, in an order of their own."""
    random = Random(f"participant {number}")
    session = random.sample(study.questions, len(study.questions))[:answered]
    answers = [
        Answer(
            question=question.id,
            chosen=choose(question, question.options, random),
            position=place,
            order=random.sample(question.options, len(question.options)),
            seconds=seconds,
            answered="2026-01-02T10:00:00+00:00",
        )
        for place, question in enumerate(session)
    ]
    return Participant(
        id=f"p-{number:04d}",
        kind=kind,
        created="2026-01-02T09:00:00+00:00",
        consented="2026-01-02T09:01:00+00:00",
        finished=None if answered else "2026-01-02T10:00:00+00:00",
        answers=answers,
    )
