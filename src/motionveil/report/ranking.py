"""Who is ahead, in sentences and tables; every claim is held against the paired bootstrap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from motionveil.report.frontier import Area, Contest, Outcome
from motionveil.report.pooling import BDQ, families, family_label
from motionveil.report.verdict import judged
from motionveil.results import Accuracy


@dataclass(frozen=True)
class AreaLine:
    """A family's hypervolume, and how it stands to BDQ.

    Attributes:
        name: The family, or all methods together.
        area: The figures.
        outcome: Whether BDQ's family dominates this one beyond the intervals; None where that is
            not asked or not known.
        beaten: How many of this family's points one of BDQ's dominates; None likewise.
    """

    name: str
    area: Area
    outcome: Outcome | None
    beaten: int | None


@dataclass(frozen=True)
class PointLine:
    """A method's point.

    Attributes:
        name: The method.
        action, frame: Its accuracies.
        on_front: Whether it is on the Pareto front.
        dominated_by: The methods that dominate it beyond the intervals; None without a bootstrap.
    """

    name: str
    action: Accuracy
    frame: Accuracy
    on_front: bool
    dominated_by: list[str] | None


def area_lines(contest: Contest) -> list[AreaLine]:
    """Return the hypervolumes, a line a family and one of all methods together."""
    lines = []
    has_bdq = BDQ in families(contest.methods)
    for area in contest.areas:
        name = "all methods together" if area.family is None else family_label(area.family)
        outcome, beaten = None, None
        rival = area.family is not None and area.family != BDQ and has_bdq
        if rival and contest.outcomes is not None and area.family is not None:
            outcome = contest.family_dominance(BDQ, area.family)
            beaten = len(contest.beaten(BDQ, area.family))
        lines.append(AreaLine(name, area, outcome, beaten))
    return lines


def point_lines(contest: Contest) -> list[PointLine]:
    """Return every method's point, in the order of the methods."""
    lines = []
    for j, method in enumerate(contest.methods):
        by = None
        if contest.outcomes is not None:
            table = contest.outcomes
            by = [m.label for i, m in enumerate(contest.methods) if table[i][j] == "dominates"]
        lines.append(PointLine(method.label, method.action, method.frame, j in contest.front, by))
    return lines


def front_sentence(contest: Contest, privacy_label: str) -> str:
    """Return which methods are on the Pareto front."""
    names = _listed(contest.methods[i].label for i in contest.front)
    return (
        f"On the Pareto front, the most private first: {names}. For each of these no method here"
        f" has a higher action accuracy without a higher {privacy_label} accuracy by frame."
    )


def family_sentences(contest: Contest) -> list[str]:
    """Return how BDQ's family stands to the others; where there is no BDQ, they to each other."""
    groups = list(families(contest.methods))
    if len(groups) < 2:
        return []
    if contest.draws is None:
        return [
            f"Who is ahead cannot be said: there is no paired bootstrap, since {contest.obstacle}."
        ]
    if BDQ not in groups:
        return _among(contest, groups)
    return [*_by_hypervolume(contest), *_by_dominance(contest, [g for g in groups if g != BDQ])]


def point_sentences(contest: Contest) -> list[str]:
    """Return whom the trained BDQ of the largest alpha dominates, one by one."""
    shown = judged(contest.methods)
    if shown is None or contest.outcomes is None or shown.method != BDQ:
        return []
    place = next(i for i, m in enumerate(contest.methods) if m is shown)
    found: dict[Outcome, list[str]] = {"dominates": [], "dominated": [], "neither": []}
    for outcome, other in zip(contest.outcomes[place], contest.methods, strict=True):
        if other.family != BDQ:
            found[outcome].append(other.label)
    phrases: dict[Outcome, str] = {
        "dominates": "dominates, beyond the intervals:",
        "dominated": "is dominated, beyond the intervals, by:",
        "neither": "neither dominates nor is dominated by, beyond the intervals:",
    }
    return [
        _stop(f"{shown.label} {phrase} {_listed(found[outcome])}")
        for outcome, phrase in phrases.items()
        if found[outcome]
    ]


def _by_hypervolume(contest: Contest) -> Iterator[str]:
    ahead: list[str] = []
    behind: list[str] = []
    open_: list[str] = []
    for area in contest.areas:
        if area.family is None or area.difference_interval is None:
            continue
        low, high = area.difference_interval
        where = ahead if low > 0 else behind if high < 0 else open_
        where.append(family_label(area.family))
    parts = [
        f"ahead, beyond the intervals, of {_families(ahead)}" if ahead else "",
        f"behind, beyond the intervals, {_families(behind)}" if behind else "",
        f"not told apart by these clips from {_families(open_)}" if open_ else "",
    ]
    yield _stop(f"By hypervolume BDQ is {'; '.join(part for part in parts if part)}")


def _by_dominance(contest: Contest, others: Sequence[str]) -> Iterator[str]:
    outcomes = {other: contest.family_dominance(BDQ, other) for other in others}
    wins = [family_label(o) for o, outcome in outcomes.items() if outcome == "dominates"]
    loses = [family_label(o) for o, outcome in outcomes.items() if outcome == "dominated"]
    rest = [
        f"{family_label(o)} ({len(contest.beaten(BDQ, o))} of {len(contest.places(o))} points)"
        for o, outcome in outcomes.items()
        if outcome == "neither"
    ]
    if wins:
        yield _stop(f"As a family, BDQ dominates beyond the intervals: {_families(wins)}")
    if loses:
        yield _stop(f"As a family, BDQ is dominated beyond the intervals by: {_families(loses)}")
    if rest:
        yield f"As a family, BDQ does not dominate beyond the intervals: {_families(rest)}."


def _among(contest: Contest, groups: Sequence[str]) -> list[str]:
    """Return which families dominate which, where BDQ is not among them."""
    sentences = [
        f"{family_label(a)} dominates {family_label(b)} beyond the intervals, as a family."
        for a in groups
        for b in groups
        if a != b and contest.family_dominance(a, b) == "dominates"
    ]
    return sentences or ["No family dominates another beyond the intervals."]


def _listed(names: Sequence[str] | Iterator[str]) -> str:
    """Join methods' names, which hold commas themselves."""
    return "; ".join(names)


def _families(names: Sequence[str]) -> str:
    """Join families' names: `A, B and C`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _stop(sentence: str) -> str:
    """End a sentence, also where its last name is an abbreviation."""
    return sentence if sentence.endswith(".") else f"{sentence}."
