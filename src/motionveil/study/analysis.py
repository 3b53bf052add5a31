"""From answers to results: accuracy by condition, person, action and participant; tests; times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from motionveil._version import __version__
from motionveil.errors import MotionveilError
from motionveil.study.design import Key, Participant, Study
from motionveil.study.findings import (
    AccuracyMeasure,
    ConditionFinding,
    Difference,
    Exclusion,
    GroupLine,
    Learning,
    PersonLine,
    Share,
    StudyFindings,
    Times,
)
from motionveil.study.inference import (
    Floats,
    Mask,
    Responses,
    bootstrap_interval,
    chance_level,
    chance_test,
    compare_conditions,
    difference_interval,
    informed_chance_level,
    kind_of,
    learning_slope,
    reasons_to_exclude,
    tabulate,
)

CONTROL = "raw"
DRAWS = 2000
MEASURES = {1: {"right": 1}, 2: {"both": 2, "at least one": 1}}
"""People in a clip -> measures, each with the number of people that must be correct."""
_QUARTERS = 4


def analyse(
    study: Study, key: Key, participants: Sequence[Participant], *, draws: int = DRAWS
) -> StudyFindings:
    """Analyse a study, with and without its exclusion criteria.

    Raises:
        MotionveilError: There are no answers, real and simulated participants are mixed, or an
            answer does not match the study.
    """
    kind = kind_of(participants)
    reasons = {one.id: reasons_to_exclude(study, key, one) for one in participants}
    if len(reasons) < len(participants):
        raise MotionveilError("two participants have the same id")
    consented = [one for one in participants if one.consented is not None]
    included = [one for one in consented if not reasons[one.id]]
    everybody = _conditions(study, key, consented, draws)
    if not everybody:
        raise MotionveilError("no questions answered yet: there is nothing to analyse")
    return StudyFindings(
        motionveil=__version__,
        kind=kind,
        study=study,
        participants=len(participants),
        excluded=[Exclusion(participant=name, reasons=why) for name, why in reasons.items() if why],
        draws=draws,
        conditions=everybody if included == consented else _conditions(study, key, included, draws),
        everybody=everybody,
    )


def _conditions(
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
    measures = MEASURES[study.persons_per_question]
    compared = condition != CONTROL and control.answered.any()
    learning = [_learning(name, n, responses, draws) for name, n in measures.items()]
    actions = np.array([key.questions[question.id].action for question in responses.questions])
    rows = np.array(responses.participants)[:, None]
    return ConditionFinding(
        condition=condition,
        participants=int(responses.answered.any(axis=1).sum()),
        questions=len(responses.questions),
        scores=[_score(study, key, name, n, responses, draws) for name, n in measures.items()],
        chance_person=study.persons_per_question / study.options,
        times=_times(responses),
        control=[
            _difference(name, n, responses, control, draws)
            for name, n in measures.items()
            if compared
        ],
        learning=[found for found in learning if found is not None],
        people=_people(key, responses, draws),
        actions=_groups(
            {name: actions == name for name in sorted(set(actions.tolist()))},
            measures.values(),
            responses,
            draws,
        ),
        # A single participant's answers carry no information on the variance among participants.
        members=_groups(
            {name: rows == name for name in responses.participants},
            measures.values(),
            responses,
            draws=1,
        ),
    )


def _score(
    study: Study, key: Key, name: str, least: int, responses: Responses, draws: int
) -> AccuracyMeasure:
    questions = study.of_kind("question")
    return AccuracyMeasure(
        measure=name,
        share=_share(responses.scores(least), responses.answered, draws),
        chance=chance_level(least, study.options, study.persons_per_question),
        informed=informed_chance_level(
            least, [(key.questions[one.id].persons, one.options) for one in questions]
        ),
        p=chance_test(responses, least, draws=draws),
    )


def _share(scores: Floats, answered: Mask, draws: int) -> Share:
    """Return the mean over the answers, without participants and questions that have none."""
    people, questions = answered.any(axis=1), answered.any(axis=0)
    scores, there = scores[people][:, questions], answered[people][:, questions]
    return Share(
        value=float(scores[there].mean()),
        interval=bootstrap_interval(scores, there, draws=draws),
        n=int(there.sum()),
    )


def _difference(
    name: str, least: int, responses: Responses, control: Responses, draws: int
) -> Difference:
    first, second = ((part.scores(least), part.answered) for part in (responses, control))
    return Difference(
        measure=name,
        value=float(first[0][first[1]].mean()) - float(second[0][second[1]].mean()),
        interval=difference_interval(first, second, draws=draws),
        p=compare_conditions(first, second, draws=draws),
    )


def _times(responses: Responses) -> Times | None:
    known = responses.seconds[np.isfinite(responses.seconds)]
    if not len(known):
        return None
    quarter, median, three = (float(value) for value in np.percentile(known, [25, 50, 75]))
    return Times(quarter=quarter, median=median, three_quarters=three, n=len(known))


def _learning(name: str, least: int, responses: Responses, draws: int) -> Learning | None:
    scores, places = responses.scores(least), responses.position
    fit = learning_slope(scores, responses.answered, places, draws=draws)
    if fit is None:
        return None
    slope, interval = fit
    quarter = np.minimum(_QUARTERS * places // (int(places.max()) + 1), _QUARTERS - 1)
    masks = [responses.answered & (quarter == number) for number in range(_QUARTERS)]
    return Learning(
        measure=name,
        slope=_per_ten(slope),
        interval=interval and (_per_ten(interval[0]), _per_ten(interval[1])),
        parts=[_share(scores, mask, draws) for mask in masks if mask.any()],
    )


def _per_ten(slope: float) -> float:
    return round(10 * slope, 12) + 0.0  # no rounding errors in the last digits, no negative zero


def _people(key: Key, responses: Responses, draws: int) -> list[PersonLine]:
    """Return a line for each person in a clip, sorted by name."""
    ids = [question.options for question in responses.questions]
    lines = []
    for name in sorted(set(key.names.values())):
        is_person = np.array([[key.names[one] == name for one in row] for row in ids], bool)
        selected = (responses.chosen & is_person).any(axis=2).astype(np.float64)
        shown = (responses.right & is_person).any(axis=1)
        present = responses.answered & shown
        absent = responses.answered & (is_person.any(axis=1) & ~shown)
        if present.any():
            taken = _share(selected, absent, draws) if absent.any() else None
            recognised = _share(selected, present, draws)
            lines.append(PersonLine(name=name, recognised=recognised, taken=taken))
    return lines


def _groups(
    masks: dict[str, Mask], measures: Iterable[int], responses: Responses, draws: int
) -> list[GroupLine]:
    """Return a line for each group of answers that is not empty; masks broadcast to (P, Q)."""
    lines = []
    for name, mask in masks.items():
        there = responses.answered & mask
        if there.any():
            shares = [_share(responses.scores(least), there, draws) for least in measures]
            lines.append(GroupLine(name=name, shares=shares))
    return lines
