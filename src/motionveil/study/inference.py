"""Answers as arrays; chance levels, intervals and permutation tests for participants by questions.

Neither the answers of one participant nor the answers to one question are independent trials. All
functions are deterministic given their seed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.statistics import Interval, interval_of
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


def bootstrap_shares(scores: Floats, answered: Mask, *, draws: int, seed: int = 0) -> Floats:
    """Return the mean scores of bootstrap samples, resampling participants and questions.

    The pigeonhole bootstrap (Owen, Annals of Applied Statistics 1, 2007), which generalises to
    other people and other clips and is conservative.

    Args:
        scores, answered: (P, Q); scores are ignored where not answered.

    Returns:
        (draws,), without samples that contain no answer.
    """
    rng = np.random.default_rng(seed)
    means = _resampled(scores, answered, _counts(len(scores), draws, rng), rng)
    return means[np.isfinite(means)]


def bootstrap_interval(
    scores: Floats, answered: Mask, *, draws: int, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of the mean score; see `bootstrap_shares`.

    None with a single participant or question, since their variance is unknown.
    """
    if min(scores.shape) < 2 or not answered.any():
        return None
    return interval_of(bootstrap_shares(scores, answered, draws=draws, seed=seed))


def difference_interval(
    first: tuple[Floats, Mask], second: tuple[Floats, Mask], *, draws: int, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of the difference of the mean scores of two conditions.

    A bootstrap sample has the same participants in both; questions are resampled separately. The
    arguments are those of `compare_conditions`; None with a single participant or question.
    """
    if min(*first[0].shape, second[0].shape[1]) < 2:
        return None
    rng = np.random.default_rng(seed)
    people = _counts(len(first[0]), draws, rng)
    differences = _resampled(*first, people, rng) - _resampled(*second, people, rng)
    return interval_of(differences[np.isfinite(differences)])


def compare_conditions(
    first: tuple[Floats, Mask], second: tuple[Floats, Mask], *, draws: int, seed: int = 0
) -> float:
    """Return the two-sided permutation test p-value of the difference of two conditions.

    The maximum of two p-values, since the design is crossed: (1) sign flips of the participants'
    own differences (paired); (2) permutation of the conditions over the questions. The first
    accounts for the variance of participants, the second for that of clips.

    Args:
        first: Scores and mask of the answered questions, (P, Q1) both.
        second: Likewise, (P, Q2), of the same participants.
        draws: Number of permutations of each test.

    Returns:
        In [1 / (draws + 1), 1].
    """
    rng = np.random.default_rng(seed)
    both = first[1].any(axis=1) & second[1].any(axis=1)
    pairs = _means(*first, 1)[both] - _means(*second, 1)[both]
    signs = rng.choice([-1.0, 1.0], (draws, len(pairs)))
    of_people = _two_sided_p(signs @ pairs, pairs.sum())

    values = np.concatenate([_means(*first, 0), _means(*second, 0)])
    is_first = np.arange(len(values)) < first[0].shape[1]
    known = np.isfinite(values)
    values, is_first = values[known], is_first[known]
    if not is_first.any() or is_first.all():
        return 1.0
    permuted = rng.permuted(np.tile(is_first, (draws, 1)), axis=1)
    observed = _differences(values, is_first[None])[0]
    return max(of_people, _two_sided_p(_differences(values, permuted), observed))


def learning_slope(
    scores: Floats, answered: Mask, position: NDArray[np.int64], *, draws: int, seed: int = 0
) -> tuple[float, Interval | None] | None:
    """Return the increase of the score per question, with its 95 % interval.

    Least squares of the score on the position in the session, within participants. The order of
    questions is randomised, so their difficulty is independent of the position; the bootstrap
    resamples participants.

    Args:
        scores, answered, position: (P, Q); the position is that in the session.

    Returns:
        None if no participant has two answers.
    """
    products, squares = [], []
    for row, there, places in zip(scores, answered, position, strict=True):
        if there.sum() >= 2:
            centred = places[there] - places[there].mean()
            products.append(float(centred @ row[there]))
            squares.append(float(centred @ centred))
    if not products:
        return None
    over, under = np.array(products), np.array(squares)
    slope = float(over.sum() / under.sum())
    if len(over) < 2:
        return slope, None
    counts = _counts(len(over), draws, np.random.default_rng(seed))
    return slope, interval_of((counts @ over) / (counts @ under))


def _counts(size: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `size` items is in each bootstrap sample, (draws, size)."""
    return rng.multinomial(size, np.full(size, 1 / size), size=draws).astype(np.float64)


def _resampled(scores: Floats, answered: Mask, people: Floats, rng: np.random.Generator) -> Floats:
    """Return the mean score of each bootstrap sample, (draws,); NaN without answers."""
    questions = _counts(scores.shape[1], len(people), rng)
    sums = ((people @ np.where(answered, scores, 0.0)) * questions).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / ((people @ answered) * questions).sum(axis=1))


def _means(scores: Floats, answered: Mask, axis: int) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(answered, scores, 0.0).sum(axis) / answered.sum(axis))


def _differences(values: Floats, is_first: Mask) -> Floats:
    """Return the mean of the first minus the mean of the others, for each row of `is_first`."""
    return np.asarray(is_first @ values / is_first.sum(1) - ~is_first @ values / (~is_first).sum(1))


def _two_sided_p(drawn: Floats, observed: float) -> float:
    as_large = np.abs(drawn) >= abs(observed) - 1e-12
    return float((1 + as_large.sum()) / (len(drawn) + 1))


def hypergeometric(hits: int, options: int, persons: int) -> float:
    """Return the probability that a random selection contains exactly `hits` of the people.

    Args:
        hits: Number of correct people, 0 to `persons`.

    Raises:
        ValueError: There are not more options than people.

    Examples:
        >>> round(100 * hypergeometric(2, options=7, persons=2), 2)
        4.76
    """
    if not 0 < persons < options:
        raise ValueError(f"{persons} people of {options} options")
    ways = comb(persons, hits) * comb(options - persons, persons - hits)
    return ways / comb(options, persons)


def chance_level(least: int, options: int, persons: int) -> float:
    """Return the probability that a random selection contains at least `least` of the people.

    Examples:
        >>> round(100 * chance_level(1, options=7, persons=2), 2)
        52.38
    """
    return sum(hypergeometric(hits, options, persons) for hits in range(least, persons + 1))


def informed_chance_level(
    least: int, questions: Sequence[tuple[Collection[str], Collection[str]]]
) -> float:
    """Return the chance level given knowledge of which people occur together.

    A data set of pairs seldom contains every pair. Original clips reveal the pairs, which rules
    out most selections without any information from veiled clips.

    Args:
        least: Number of people that must be correct.
        questions: Correct people and options of each question.

    Examples:
        >>> pairs = [("a", "b"), ("c", "d")]
        >>> informed_chance_level(2, [(pair, "abcd") for pair in pairs])
        0.5
    """
    groups = {frozenset(right) for right, _ in questions}
    shares = []
    for right, options in questions:
        possible = [group for group in groups if group <= set(options)]
        hits = [group for group in possible if len(group & set(right)) >= least]
        shares.append(len(hits) / len(possible))
    return sum(shares) / len(shares)


def chance_test(responses: Responses, least: int, *, draws: int, seed: int = 0) -> float:
    """Return the one-sided permutation test p-value of accuracy against the chance level.

    Null hypothesis: the answers are independent of who is in the clips. For every question, the
    correct people are redrawn among its options, identically for all participants, while the
    answers stay fixed. This preserves the dependence among answers of a participant and among
    answers to a question; preferred images do not bias it. It is conditional on these
    participants.

    Args:
        least: Number of people that must be correct.

    Returns:
        In [1 / (draws + 1), 1]: the observed assignment counts as one draw.
    """
    rng = np.random.default_rng(seed)
    chosen = responses.chosen.astype(np.int64)  # (P, Q, options)
    persons = int(responses.right[0].sum()) if len(responses.right) else 0

    def score(right: Mask) -> int:
        hits = np.einsum("pqo,qo->pq", chosen, right.astype(np.int64))
        return int(((hits >= least) & responses.answered).sum())

    observed = score(responses.right)
    as_high = 0
    for _ in range(draws):
        ranks = rng.random(responses.right.shape).argsort(axis=1).argsort(axis=1)
        as_high += score(ranks < persons) >= observed
    return (1 + as_high) / (draws + 1)
