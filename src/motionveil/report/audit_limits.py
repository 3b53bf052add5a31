"""What an audit has not tried, derived from what it has."""

from __future__ import annotations

from motionveil.report.audit_reading import Reading
from motionveil.report.audit_verdict import kinds_of
from motionveil.report.audit_words import KINDS, count, doing
from motionveil.report.templates import percent

FEW_CLIPS, FEW_RECORDINGS = 100, 20
LEARNED = 0.9
"""Share of its own clips that an attack is right about which has learned them, in training."""

_NEVER = (
    "An attacker with other data: more clips of these people, or their raw videos to search in.",
    "People who watch: nobody looked at the veiled video.",
)
"""What no suite has."""


def not_tried(reading: Reading) -> list[str]:
    """Return what was not tried, a sentence or two each."""
    attacks = [doing(finding) for finding in reading.attackers]
    there = kinds_of(attacks)
    missing = [kind for kind in KINDS if kind not in there]
    lines = []
    if missing:
        lines.append(f"Of the usual kinds of attacks: {'; '.join(missing)}.")
    if attacks and not any(attack.network.weights for attack in attacks):
        lines.append("Networks that had learned from other pictures or videos before.")
    if reading.audit.failed:
        failed = count(len(reading.audit.failed), "attack")
        lines.append(f"What could not be carried out: {failed}, named below with the reasons.")
    if not reading.control:
        lines.append("Raw video: whether these attackers can learn anything at all.")
    if not reading.action:
        lines.append("The action: whether anything useful is left.")
    lines += [
        _other_labels(reading),
        f"Chance in training and in the choice of clips: there is one seed"
        f" ({reading.audit.seed}) and one split ({reading.audit.split}).",
    ]
    return [*_longer(reading), *lines, _made_elsewhere(reading), *_NEVER, *_small(reading)]


def _longer(reading: Reading) -> list[str]:
    """Return that attackers were stopped before they had learned even their own clips."""
    taught = [pair.veiled for pair in reading.privacy if pair.veiled.curve]
    short = [finding for finding in taught if finding.curve[-1] < LEARNED]
    if not short:
        return []
    epochs = "epochs" if len(short[0].curve) > 1 else "epoch"
    return [
        f"Attackers that learn for longer: when their training ended, {len(short)} of"
        f" {count(len(taught), 'attack')} {'was' if len(short) == 1 else 'were'} right about less"
        f" than {percent(LEARNED)} of what they learned from (“{short[0].name}”:"
        f" {percent(short[0].curve[-1])} after {len(short[0].curve)} {epochs}). Whoever has not"
        " learned that by heart might find more with more time."
    ]


def _made_elsewhere(reading: Reading) -> str:
    searches = reading.audit.faces
    if not searches:
        return "Face detection, face recognition and other programs that were made elsewhere."
    recognised = "" if any(found.naming for found in searches) else "Face recognition, and "
    told = "programs that were made elsewhere, but for the one that looked for faces."
    return recognised + told if recognised else told.capitalize()


def _other_labels(reading: Reading) -> str:
    labels = dict.fromkeys(pair.veiled.label for pair in reading.beside)
    known = " and the ".join([reading.label, *labels])
    return f"Anything but the {known}: other things about people may show."


def _small(reading: Reading) -> list[str]:
    """Return what the data are too few, or not real enough, to show."""
    lines = []
    answers = reading.privacy[0].veiled.answers if reading.privacy else []
    if answers and len(answers) < FEW_CLIPS:
        lines.append(
            f"Small leaks: there are only {count(len(answers), 'clip')}, and the intervals are"
            " wide."
        )
    recordings = len({answer.recording for answer in answers})
    if answers and recordings < FEW_RECORDINGS:
        lines.append(
            f"Enough recordings: with {recordings}, the intervals are themselves uncertain and"
            " tend to be too narrow."
        )
    if reading.audit.dataset.name == "actors":
        lines.append("Real people: the clips are drawn by a program.")
    return lines
