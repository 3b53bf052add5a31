"""The answers as arrays, participants by questions, and the exclusion criteria."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.study.design import Answer, Key, Participant, ParticipantKind, Question, Study

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
NONE = -1


@dataclass(frozen=True)
class Responses:
    """The answers of P participants to Q questions, without examples and attention checks.

    Attributes:
        participants: Their ids.
        questions: The questions, in the order of the design.
        chosen: Selected options, bool (P, Q, options), in the order of the design.
        right: Correct options, bool (Q, options).
        answered: bool (P, Q).
        seconds: Response times, (P, Q); NaN if unknown.
        position: Place among these questions in the participant's session, from 0, (P, Q); -1 if
            not answered.
    """

    participants: list[str]
    questions: list[Question]
    chosen: Mask
    right: Mask
    answered: Mask
    seconds: Floats
    position: NDArray[np.int64]

    def scores(self, least: int) -> Floats:
        """Return 1 for answers with at least `least` correct people, else 0, (P, Q)."""
        hits = (self.chosen & self.right).sum(axis=2)
        return (self.answered & (hits >= least)).astype(np.float64)

    def of(self, condition: str) -> Responses:
        """Return the answers to the questions of one condition."""
        mask = np.array([question.condition == condition for question in self.questions], bool)
        return Responses(
            self.participants,
            [question for question in self.questions if question.condition == condition],
            self.chosen[:, mask],
            self.right[mask],
            self.answered[:, mask],
            self.seconds[:, mask],
            self.position[:, mask],
        )


def kind_of(participants: Sequence[Participant]) -> ParticipantKind:
    """Return the kind of all participants.

    Raises:
        MotionveilError: There are no participants, or real and simulated ones.
    """
    kinds = {participant.kind for participant in participants}
    if not kinds:
        raise MotionveilError("no participants yet: there is nothing to analyse")
    if len(kinds) > 1:
        raise MotionveilError(
            "real and simulated participants in one study cannot be analysed together; serve a new"
            " study to real participants"
        )
    return kinds.pop()


def tabulate(study: Study, key: Key, participants: Sequence[Participant]) -> Responses:
    """Return the answers as arrays.

    Raises:
        MotionveilError: An answer does not match the study: unknown question, second answer, or
            not a selection of its options.
    """
    questions = study.of_kind("question")
    column = {question.id: place for place, question in enumerate(questions)}
    shape = len(participants), len(questions)
    chosen = np.zeros((*shape, study.options), bool)
    answered, seconds = np.zeros(shape, bool), np.full(shape, np.nan)
    position = np.full(shape, NONE, np.int64)
    for row, participant in enumerate(participants):
        _check_answers(study, participant)
        analysed = [answer for answer in participant.answers if answer.question in column]
        analysed.sort(key=lambda answer: answer.position)
        for place, answer in enumerate(analysed):
            at = row, column[answer.question]
            chosen[at] = [person in answer.chosen for person in questions[at[1]].options]
            answered[at], position[at] = True, place
            if answer.seconds is not None:
                seconds[at] = answer.seconds
    right = np.array(
        [[person in key.questions[q.id].persons for person in q.options] for q in questions], bool
    ).reshape(len(questions), study.options)
    ids = [participant.id for participant in participants]
    return Responses(ids, questions, chosen, right, answered, seconds, position)


def reasons_to_exclude(study: Study, key: Key, participant: Participant) -> list[str]:
    """Return which exclusion criteria a participant meets; empty if included."""
    rules = study.exclusions
    answers = {answer.question: answer for answer in participant.answers}
    if participant.consented is None:
        return ["did not consent"]
    reasons = []
    expected = [question for question in study.questions if question.kind != "example"]
    missing = [question for question in expected if question.id not in answers]
    if rules.unfinished and missing:
        reasons.append(
            f"unfinished: {len(expected) - len(missing)} of {len(expected)} questions answered"
        )
    checks = [answers[q.id] for q in study.of_kind("attention") if q.id in answers]
    failed = [a for a in checks if set(a.chosen) != set(key.questions[a.question].persons)]
    if len(failed) > rules.failed_checks_allowed:
        reasons.append(f"failed {len(failed)} of {len(checks)} attention checks")
    times = [answers[q.id].seconds for q in study.of_kind("question") if q.id in answers]
    known = [time for time in times if time is not None]
    if rules.seconds and known and (median := float(np.median(known))) < rules.seconds:
        reasons.append(f"median response time {median:.2g} s, minimum {rules.seconds:g} s")
    return reasons


def _check_answers(study: Study, participant: Participant) -> None:
    questions = {question.id: question for question in study.questions}
    seen: set[str] = set()
    for answer in participant.answers:
        fault = _fault(answer, questions.get(answer.question), study.persons_per_question)
        if answer.question in seen:
            fault = "is answered twice"
        if fault is not None:
            raise MotionveilError(f"{participant.id}: question {answer.question} {fault}")
        seen.add(answer.question)


def _fault(answer: Answer, question: Question | None, persons: int) -> str | None:
    if question is None:
        return "is not in the study"
    if len(set(answer.chosen)) != persons or len(answer.chosen) != persons:
        return f"has {len(answer.chosen)} people selected, expected {persons}"
    if set(answer.chosen) - set(question.options):
        return "has a selected person who is not among its options"
    return None
