"""The answers as a table, participants by questions; and whose answers do not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.study.design import Key, Question, Study
from motionveil.study.records import Answer, Participant

NONE = -1


@dataclass(frozen=True)
class Responses:
    """The answers to the questions that count, of P participants to Q questions.

    Attributes:
        participants: Their ids.
        questions: The questions, in the design's order.
        chosen: Whether a participant chose an option, bool (P, Q, options), the options in
            canonical order.
        right: Whether an option is right, bool (Q, options).
        answered: bool (P, Q).
        seconds: Response times, (P, Q); NaN where nobody knows.
        position: Place of a question among those that count, from 0, in the order in which the
            participant had them, (P, Q); -1 where not answered.
    """

    participants: list[str]
    questions: list[Question]
    chosen: NDArray[np.bool_]
    right: NDArray[np.bool_]
    answered: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    position: NDArray[np.int64]

    @property
    def hits(self) -> NDArray[np.int64]:
        """How many of the people chosen are right, (P, Q); -1 where not answered."""
        hits = (self.chosen & self.right).sum(axis=2)
        return np.where(self.answered, hits, NONE)

    def of(self, condition: str) -> Responses:
        """Return the answers to the questions of one condition."""
        return self.take(
            np.array([question.condition == condition for question in self.questions], bool)
        )

    def take(self, questions: NDArray[np.bool_]) -> Responses:
        """Return the answers to some of the questions, (Q,)."""
        return Responses(
            self.participants,
            [one for one, taken in zip(self.questions, questions, strict=True) if taken],
            self.chosen[:, questions],
            self.right[questions],
            self.answered[:, questions],
            self.seconds[:, questions],
            self.position[:, questions],
        )


def kind_of(participants: Sequence[Participant]) -> str:
    """Return what all participants are, `"real"` or `"simulated"`.

    Raises:
        MotionveilError: There is nobody, or there are both: figures of the two must never mix.
    """
    kinds = {participant.kind for participant in participants}
    if not kinds:
        raise MotionveilError("nobody has taken part yet: there is nothing to analyse")
    if len(kinds) > 1:
        raise MotionveilError(
            "real and simulated participants in one study: no figure may mix the two; serve the"
            " study anew for real people"
        )
    return kinds.pop()


def tabulate(study: Study, key: Key, participants: Sequence[Participant]) -> Responses:
    """Bring answers into a table.

    Raises:
        MotionveilError: An answer does not fit the study: of no question of it, twice to the same
            question, or not a choice of its options.
    """
    questions = study.of_kind("question")
    column = {question.id: place for place, question in enumerate(questions)}
    shape = len(participants), len(questions)
    chosen = np.zeros((*shape, study.options), bool)
    answered, seconds = np.zeros(shape, bool), np.full(shape, np.nan)
    position = np.full(shape, NONE, np.int64)
    for row, participant in enumerate(participants):
        check_answers(study, participant)
        counted = [answer for answer in participant.answers if answer.question in column]
        counted.sort(key=lambda answer: answer.position)
        for place, answer in enumerate(counted):
            at = row, column[answer.question]
            options = questions[at[1]].options
            chosen[at] = [person in answer.chosen for person in options]
            answered[at], position[at] = True, place
            if answer.seconds is not None:
                seconds[at] = answer.seconds
    right = np.array(
        [[person in key.questions[q.id].persons for person in q.options] for q in questions], bool
    ).reshape(len(questions), study.options)
    ids = [participant.id for participant in participants]
    return Responses(ids, questions, chosen, right, answered, seconds, position)


def check_answers(study: Study, participant: Participant) -> None:
    """Refuse answers that do not fit the study.

    Raises:
        MotionveilError: See `tabulate`.
    """
    questions = {question.id: question for question in study.questions}
    seen: set[str] = set()
    for answer in participant.answers:
        fault = _fault(answer, questions.get(answer.question), study.persons_per_question)
        if answer.question in seen:
            fault = "is answered twice"
        if fault is not None:
            raise MotionveilError(f"{participant.id}: question {answer.question} {fault}")
        seen.add(answer.question)


def reasons_to_exclude(study: Study, key: Key, participant: Participant) -> list[str]:
    """Return why a participant's answers do not count, by what the study said in advance.

    An empty list: they count.
    """
    rules = study.exclusions
    answers = {answer.question: answer for answer in participant.answers}
    if participant.consented is None:
        return ["did not consent"]
    reasons = []
    wanted = [question for question in study.questions if question.kind != "example"]
    missing = [question for question in wanted if question.id not in answers]
    if rules.unfinished and missing:
        reasons.append(f"not finished: {len(wanted) - len(missing)} of {len(wanted)} answered")
    checks = [answers[q.id] for q in study.of_kind("attention") if q.id in answers]
    failed = [a for a in checks if set(a.chosen) != set(key.questions[a.question].persons)]
    if len(failed) > rules.failed_checks_allowed:
        reasons.append(f"failed {len(failed)} of {len(checks)} attention checks")
    times = [
        answers[question.id].seconds
        for question in study.of_kind("question")
        if question.id in answers
    ]
    known = [time for time in times if time is not None]
    if rules.seconds and known and float(np.median(known)) < rules.seconds:
        reasons.append(
            f"too fast: half of the questions within {float(np.median(known)):.2g} s,"
            f" the least is {rules.seconds:g} s"
        )
    return reasons


def _fault(answer: Answer, question: Question | None, persons: int) -> str | None:
    if question is None:
        return "is not in the study"
    if len(set(answer.chosen)) != persons or len(answer.chosen) != persons:
        return f"has {len(answer.chosen)} people chosen, there must be {persons}"
    if set(answer.chosen) - set(question.options):
        return "has somebody chosen who is not among its options"
    return None
