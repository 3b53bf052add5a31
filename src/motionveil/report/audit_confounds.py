"""Whether a label can be told from the place: what an audit says of other columns."""

from __future__ import annotations

from collections.abc import Iterator

from motionveil.findings import AttackFinding, Confound
from motionveil.report.audit_reading import Pair, Reading
from motionveil.report.audit_words import doing, figure, thing
from motionveil.report.templates import percent


def judge_confound(found: Confound) -> str:
    """Return what it means for a label how another column stands to it."""
    label, column = found.label, thing(found.column)
    if not found.shared:
        return (
            f"No {label} is held out under {_one(found.column)} under which it was learned: by"
            f" {column} alone the {label} cannot be recognised."
        )
    alone = f"Whoever knows only {column} of a clip names the {label} of {percent(found.tells)}"
    floor = f"guessing the commonest: {percent(found.floor)}"
    if not found.at_work:
        return f"{alone} of the clips ({floor}): by {column} alone nothing is recognised."
    if not found.crossable:
        return (
            f"{alone} of the clips ({floor}), and no {label} was filmed under several values of it:"
            f" whatever {column} has of its own, the wall, the light, the clothes, counts as the"
            f" {label} here."
        )
    return (
        f"{alone} of the clips ({floor}): some of what is recognised may be {column}, not the"
        f" {label}."
    )


def _one(column: str) -> str:
    return "a recording" if column == "group" else f"a {column}"


def told_beside(reading: Reading) -> Iterator[str]:
    """Yield what the best attack on each further label learned."""
    labels = dict.fromkeys(pair.veiled.label for pair in reading.beside)
    for label in labels:
        pairs = [pair for pair in reading.beside if pair.veiled.label == label]
        best = max(pairs, key=lambda pair: pair.veiled.judgement.clip.value)
        judged = best.veiled.judgement
        raw = f"; raw video: {figure(best.raw.judgement.clip)}" if best.raw else ""
        yield (
            f"The {label}: “{best.name}” is right about {figure(judged.clip)} of the clips;"
            f" guessing the commonest: {percent(judged.floor)}{raw}."
        )


def crossed(reading: Reading) -> Iterator[str]:
    """Yield how each attack across a column stands to its control."""
    for across, within in _with_controls(reading.crossings):
        column = thing(doing(across.veiled).across)
        yield (
            f"Asked about {reading.label}s under values of {column} under which it had not learned"
            f" them, “{across.name}” is right about {figure(across.veiled.judgement.clip)} of the"
            f" clips; “{within.name}”, which had learned from as many clips of any, about"
            f" {figure(within.veiled.judgement.clip)}; guessing the commonest:"
            f" {percent(across.veiled.judgement.floor)}. {_meaning(across, within, column)}"
        )


def _with_controls(
    pairs: list[Pair[AttackFinding]],
) -> Iterator[tuple[Pair[AttackFinding], Pair[AttackFinding]]]:
    """Yield each attack across a column with its control, where both were carried out."""
    controls = {_kind(pair): pair for pair in pairs if doing(pair.veiled).control}
    for pair in pairs:
        if not doing(pair.veiled).control and _kind(pair) in controls:
            yield pair, controls[_kind(pair)]


def _kind(pair: Pair[AttackFinding]) -> tuple[str, bool, str]:
    attack = doing(pair.veiled)
    return attack.across, attack.temporal, attack.view


def _meaning(across: Pair[AttackFinding], within: Pair[AttackFinding], column: str) -> str:
    low, high = across.veiled.judgement.clip.interval
    floor = across.veiled.judgement.floor
    if within.veiled.judgement.clip.interval[0] <= high:
        return f"These clips do not show that it goes by {column}."
    if low > floor:
        return f"Part of what is recognised is {column}."
    return f"What is recognised is {column}, as far as these clips can tell."
