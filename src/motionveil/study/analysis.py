"""From answers to findings: accuracy by condition, person, action and participant; tests; times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from motionveil._version import __version__
from motionveil.errors import MotionveilError
from motionveil.study.chance import chance_of_at_least, chance_of_knowing_groups
from motionveil.study.design import Key, Study
from motionveil.study.findings import (
    ConditionFinding,
    Difference,
    Exclusion,
    GroupLine,
    Learning,
    PersonLine,
    Score,
    Share,
    StudyFindings,
    Times,
)
from motionveil.study.records import Participant
from motionveil.study.resampling import (
    bootstrap_interval,
    chance_test,
    compare,
    difference_interval,
    learning_slope,
)
from motionveil.study.responses import Responses, kind_of, reasons_to_exclude, tabulate

CONTROL = "raw"
DRAWS = 2000
PARTS = 4
"""Parts of the session in which accuracy is told one by one."""


@dataclass(frozen=True)
class Measure:
    """A way to be right: at least so many people named."""

    name: str
    least: int

    def scores(self, responses: Responses) -> NDArray[np.float64]:
        """Return 1 where an answer is right, else 0, (P, Q)."""
        return (responses.hits >= self.least).astype(np.float64)


def measures_of(persons: int) -> list[Measure]:
    """Return the ways to be right with one or two people a clip."""
    if persons == 1:
        return [Measure("right", 1)]
    return [Measure("both", 2), Measure("at least one", 1)]


def analyse(
    study: Study, key: Key, participants: Sequence[Participant], *, draws: int = DRAWS
) -> StudyFindings:
    """Analyse a study's answers.

    Whose answers do not count was said in the study's design before anybody answered; what comes
    out with them is told too. Examples never count, attention checks only for exclusion.

    Args:
        study: The design.
        key: Who is right.
        participants: All who took part.
        draws: Of the bootstrap and of each test.

    Raises:
        MotionveilError: There is nobody, real and simulated participants are mixed, an answer
            does not fit the study, or nobody has answered a question.
    """
    kind = kind_of(participants)
    reasons = {one.id: reasons_to_exclude(study, key, one) for one in participants}
    if len(reasons) < len(participants):
        raise MotionveilError("two participants have the same id")
    consented = [one for one in participants if one.consented is not None]
    counted = [one for one in consented if not reasons[one.id]]
    everybody = _findings(study, key, consented, draws)
    if not everybody:
        raise MotionveilError("nobody has answered a question yet: there is nothing to analyse")
    return StudyFindings(
        motionveil=__version__,
        kind=cast(Literal["real", "simulated"], kind),
        study=study,
        participants=len(participants),
        excluded=[Exclusion(participant=name, reasons=why) for name, why in reasons.items() if why],
        draws=draws,
        conditions=everybody if counted == consented else _findings(study, key, counted, draws),
        everybody=everybody,
    )


def _findings(
    study: Study, key: Key, participants: Sequence[Participant], draws: int
) -> list[ConditionFinding]:
    responses = tabulate(study, key, participants)
    control = responses.of(CONTROL)
    return [
        _condition(study, key, condition, part, control, draws)
        for condition in study.conditions
        if (part := responses.of(condition)).answered.any()
    ]


def _condition(
    study: Study, key: Key, condition: str, responses: Responses, control: Responses, draws: int
) -> ConditionFinding:
    measures = measures_of(study.persons_per_question)
    return ConditionFinding(
        condition=condition,
        participants=int(responses.answered.any(axis=1).sum()),
        questions=len(responses.questions),
        scores=[_score(study, key, measure, responses, draws) for measure in measures],
        chance_person=study.persons_per_question / study.options,
        times=_times(responses),
        control=[
            _difference(measure, responses, control, draws)
            for measure in measures
            if condition != CONTROL and control.answered.any()
        ],
        learning=[found for m in measures if (found := _learning(m, responses, draws)) is not None],
        people=_people(key, responses, draws),
        actions=_actions(key, measures, responses, draws),
        members=_members(measures, responses),
    )


def _score(study: Study, key: Key, measure: Measure, responses: Responses, draws: int) -> Score:
    return Score(
        measure=measure.name,
        share=_share(measure.scores(responses), responses.answered, draws),
        chance=chance_of_at_least(measure.least, study.options, study.persons_per_question),
        informed=_informed(study, key, measure),
        p=chance_test(responses, measure.least, draws=draws),
    )


def _informed(study: Study, key: Key, measure: Measure) -> float:
    questions = study.of_kind("question")
    return chance_of_knowing_groups(
        measure.least, [(key.questions[one.id].persons, one.options) for one in questions]
    )


def _share(scores: NDArray[np.float64], answered: NDArray[np.bool_], draws: int) -> Share:
    """Return the mean of what was answered; rows and columns without answers are left out."""
    people, questions = answered.any(axis=1), answered.any(axis=0)
    scores, there = scores[people][:, questions], answered[people][:, questions]
    return Share(
        value=float(scores[there].mean()),
        interval=bootstrap_interval(scores, there, draws=draws),
        n=int(there.sum()),
    )


def _difference(
    measure: Measure, responses: Responses, control: Responses, draws: int
) -> Difference:
    pair = [(measure.scores(part), part.answered) for part in (responses, control)]
    shares = [float(scores[answered].mean()) for scores, answered in pair]
    return Difference(
        measure=measure.name,
        value=shares[0] - shares[1],
        interval=difference_interval(*pair, draws=draws),
        p=compare(*pair, draws=draws),
    )


def _times(responses: Responses) -> Times | None:
    known = responses.seconds[np.isfinite(responses.seconds)]
    if not len(known):
        return None
    quarter, median, three = (float(value) for value in np.percentile(known, [25, 50, 75]))
    return Times(quarter=quarter, median=median, three_quarters=three, n=len(known))


def _learning(measure: Measure, responses: Responses, draws: int) -> Learning | None:
    scores, places = measure.scores(responses), responses.position
    fit = learning_slope(scores, responses.answered, places, draws=draws)
    if fit is None:
        return None
    slope, interval = fit
    tenfold = _tidy(10 * slope)
    part = np.minimum(PARTS * places // (int(places.max()) + 1), PARTS - 1)
    there = [responses.answered & (part == number) for number in range(PARTS)]
    return Learning(
        measure=measure.name,
        slope=tenfold,
        interval=interval and (_tidy(10 * interval[0]), _tidy(10 * interval[1])),
        parts=[_share(scores, mask, draws) for mask in there if mask.any()],
    )


def _tidy(value: float) -> float:
    """Return a value without the last digits' rounding errors, and no negative zero."""
    return round(value, 12) + 0.0


def _people(key: Key, responses: Responses, draws: int) -> list[PersonLine]:
    """Return a line for each person whom a clip shows, sorted by name."""
    ids = [question.options for question in responses.questions]
    lines = []
    for name in sorted(set(key.names.values())):
        is_them = np.array([[key.names[one] == name for one in row] for row in ids], bool)
        takes = (responses.chosen & is_them).any(axis=2).astype(np.float64)
        shown = (responses.right & is_them).any(axis=1)
        seen = responses.answered & shown
        other = responses.answered & (is_them.any(axis=1) & ~shown)
        if seen.any():
            taken = _share(takes, other, draws) if other.any() else None
            lines.append(PersonLine(name=name, recognised=_share(takes, seen, draws), taken=taken))
    return lines


def _actions(
    key: Key, measures: Sequence[Measure], responses: Responses, draws: int
) -> list[GroupLine]:
    actions = np.array([key.questions[question.id].action for question in responses.questions])
    return _groups(
        sorted(set(actions.tolist())),
        lambda action: responses.answered & (actions == action),
        measures,
        responses,
        draws,
    )


def _members(measures: Sequence[Measure], responses: Responses) -> list[GroupLine]:
    rows = np.arange(len(responses.participants))
    # One participant's answers say nothing of how participants differ: no interval.
    return _groups(
        responses.participants,
        lambda name: responses.answered & (rows == responses.participants.index(name))[:, None],
        measures,
        responses,
        draws=1,
    )


def _groups(
    names: Sequence[str],
    mask_of: Callable[[str], NDArray[np.bool_]],
    measures: Sequence[Measure],
    responses: Responses,
    draws: int,
) -> list[GroupLine]:
    lines = []
    for name in names:
        mask = mask_of(name)
        if mask.any():
            shares = [_share(measure.scores(responses), mask, draws) for measure in measures]
            lines.append(GroupLine(name=name, shares=shares))
    return lines
