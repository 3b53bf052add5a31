"""Which page comes next for a participant: consent, instructions, questions, breaks, thanks."""

from __future__ import annotations

from typing import Literal, NamedTuple

from motionveil.study.design import Study
from motionveil.study.store import Standing


class Step(NamedTuple):
    """Where a participant is, as a page.

    Attributes:
        kind: "answered" tells the answer to an example.
        position: Of the question shown, or of the example just answered; 0 on other pages.
        number: How many questions that count they have answered.
        total: How many questions that count there are.
    """

    kind: Literal["consent", "instructions", "question", "answered", "pause", "thanks"]
    position: int
    number: int
    total: int


def step_of(study: Study, standing: Standing) -> Step:
    """Return the page on which a participant is. It depends on what is stored and nothing else."""
    examples = len(study.of_kind("example"))
    answered, total = standing.answered, len(study.questions) - examples
    number = max(0, answered - examples)
    unseen = standing.passed < answered
    if not standing.consented:
        return Step("consent", 0, 0, total)
    if standing.passed < 0:
        return Step("instructions", 0, 0, total)
    if unseen and 0 < answered <= examples:
        return Step("answered", answered - 1, number, total)
    if answered >= standing.places:
        return Step("thanks", 0, number, total)
    if unseen and _is_break(study.break_every, number, total):
        return Step("pause", 0, number, total)
    return Step("question", answered, number, total)


def _is_break(every: int, number: int, total: int) -> bool:
    """Return whether a break is due; near the end it would be a nuisance."""
    return every > 0 and number > 0 and number % every == 0 and number + every // 2 < total
