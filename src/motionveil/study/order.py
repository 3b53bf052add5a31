"""In which order a participant sees questions and pictures: drawn anew for each."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

from motionveil.study.design import Question, Study

T = TypeVar("T")


class Place(NamedTuple):
    """A question in a participant's session.

    Attributes:
        question: Its id.
        options: Ids of the people whose pictures are shown, in the order shown.
    """

    question: str
    options: tuple[str, ...]


def draw_order(study: Study, token: str) -> list[Place]:
    """Return a participant's session, the same whenever it is asked for.

    Examples come first, as the study has them. Questions are shuffled, all conditions together.
    Attention checks are spread: the session is cut into as many parts of the same length, and
    each has one, anywhere but at its beginning.

    Args:
        study: The design; its seed counts.
        token: The participant's secret.
    """
    random = Random(hmac.digest(token.encode(), str(study.seed).encode(), hashlib.sha256))
    examples = [q for q in study.questions if q.kind == "example"]
    questions = _shuffled([q for q in study.questions if q.kind == "question"], random)
    checks = _shuffled([q for q in study.questions if q.kind == "attention"], random)
    session = [*examples, *_spread(checks, questions, random)]
    return [Place(q.id, tuple(_shuffled(q.options, random))) for q in session]


def _shuffled(items: Sequence[T], random: Random) -> list[T]:
    return random.sample(items, len(items))


def _spread(checks: list[Question], questions: list[Question], random: Random) -> list[Question]:
    spread: list[Question] = []
    for number, check in enumerate(checks):
        first = len(questions) * number // len(checks)
        last = len(questions) * (number + 1) // len(checks)
        part = questions[first:last]
        part.insert(random.randint(min(1, len(part)), len(part)), check)
        spread += part
    return spread or questions
