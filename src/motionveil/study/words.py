"""What a study's findings say, in sentences; and what they do not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motionveil.statistics import Interval, p_words
from motionveil.study.findings import ConditionFinding, Score, Share, StudyFindings

PROVEN = 0.05


def percent(value: float) -> str:
    """Return a share in percent, such as `8.7`."""
    return f"{100 * value:.1f}"


def with_interval(share: Share) -> str:
    """Return a share with its interval, such as `8.7 % (5.1 to 12.9)`."""
    return f"{percent(share.value)} %{in_brackets(share.interval)}"


def in_brackets(interval: Interval | None) -> str:
    """Return an interval of shares in percent, such as ` (5.1 to 12.9)`; empty where none is."""
    if interval is None:
        return ""
    return f" ({percent(interval[0])} to {percent(interval[1])})"


def measure_words(measure: str) -> str:
    """Return what an answer is that counts as right."""
    return {
        "right": "named the person",
        "both": "named both people",
        "at least one": "named at least one of the two",
    }[measure]


def headline(findings: StudyFindings) -> str:
    """Return the finding on veiled clips, or on the first condition there is, in a sentence."""
    if not findings.conditions:
        return "No participant's answers count: all are excluded, by what the study said before."
    lead = lead_of(findings)
    score = lead.scores[0]
    return (
        f"Of {score.share.n} answers to {lead.condition} clips by {lead.participants} participants,"
        f" {with_interval(score.share)} {measure_words(score.measure)}; guessing gives"
        f" {percent(score.chance)} %."
    )


def lead_of(findings: StudyFindings) -> ConditionFinding:
    """Return what came out of veiled clips, or of the first condition where there are none."""
    by_name = {found.condition: found for found in findings.conditions}
    return by_name.get("veiled", findings.conditions[0])


def sentences(findings: StudyFindings) -> list[str]:
    """Return the further findings, each in a sentence, and what has to be known to read them."""
    said = [_of_kind(findings)] if findings.kind == "simulated" else []
    if findings.conditions:
        lead = lead_of(findings)
        for place in range(len(lead.scores)):
            said += [_further(lead, place)] if place else []
            said.append(_against_chance(lead, place))
        said += _against_control(findings, lead)
    said += _limits(findings)
    return said


def _of_kind(findings: StudyFindings) -> str:
    return (
        f"The {findings.participants} participants are simulated: this says nothing about people."
    )


def _against_chance(found: ConditionFinding, place: int) -> str:
    score = found.scores[place]
    fit = f"people dealt at random fit the answers as well with {p_words(score.p)}"
    what = f"participants {measure_words(score.measure)} more often than luck explains"
    if score.p < PROVEN:
        said = f"{found.condition.capitalize()} clips: {what}; {fit}."
        return said + _informed(score)
    ceiling = ""
    if score.share.interval is not None:
        ceiling = (
            f" It is no proof that they cannot: up to {percent(score.share.interval[1])} % is"
            " within the interval."
        )
    return f"{found.condition.capitalize()} clips: it is not shown that {what}; {fit}.{ceiling}"


def is_informed(score: Score) -> bool:
    """Return whether knowing who occurs together helps a guesser."""
    return score.informed - score.chance > 0.0005


def _informed(score: Score) -> str:
    if not is_informed(score):
        return ""
    return (
        " Yet who only knows which people occur together, and guesses among those, scores"
        f" {percent(score.informed)} %."
    )


def _further(found: ConditionFinding, place: int) -> str:
    score = found.scores[place]
    return (
        f"{with_interval(score.share)} {measure_words(score.measure)}; guessing gives"
        f" {percent(score.chance)} %."
    )


def _against_control(findings: StudyFindings, lead: ConditionFinding) -> list[str]:
    control = next((c for c in findings.conditions if c.condition == "raw"), None)
    if control is None:
        return [
            "There are no original clips in this study: nobody knows whether the task could be"
            " done at all, by these people and with these pictures."
        ]
    if control is lead or not lead.control:
        return []
    score, difference = control.scores[0], lead.control[0]
    below = difference.value <= 0
    apart = abs(difference.value)
    interval = difference.interval
    if interval is not None and below:
        interval = (-interval[1], -interval[0])
    said = [
        f"In original clips, {with_interval(score.share)} {measure_words(score.measure)};"
        f" {lead.condition} clips are {percent(apart)} points{in_brackets(interval)}"
        f" {'below' if below else 'above'} that, {p_words(difference.p)}."
    ]
    if score.p >= PROVEN:
        said.append(
            "Participants were not shown to do better than guessing with original clips either:"
            " then a low figure for veiled clips says nothing about the veil."
        )
    return said


def _limits(findings: StudyFindings) -> list[str]:
    said = []
    study = findings.study
    if "veiled" in study.conditions and not _is_adversarial(study.encoder):
        said.append(
            "The encoder was not trained against an adversary: whatever was found, it was not made"
            " to hide anybody."
        )
    if study.faces_found is not None:
        said.append(
            f"In {percent(study.faces_found)} % of the frames of face-blurred clips a face was"
            " found; the others are as they were filmed."
        )
    said.append(
        "Participants had never seen these people before. Somebody who knows a person's walk, or"
        " a machine that learned from veiled video, may recognise more: that is what the"
        " audit (motionveil audit) asks."
    )
    return said


def _is_adversarial(encoder: Mapping[str, Any] | None) -> bool:
    alpha = (encoder or {}).get("provenance", {}).get("alpha")
    return isinstance(alpha, (int, float)) and alpha > 0
