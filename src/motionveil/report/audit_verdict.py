"""What an audit says in sentences; it never says that a veil suffices."""

from __future__ import annotations

from collections.abc import Iterator

from motionveil.findings import (
    AttackFinding,
    Likeness,
    ReconstructionFinding,
    RetrievalFinding,
)
from motionveil.report.audit_confounds import crossed, judge_confound, told_beside
from motionveil.report.audit_faces import told_faces
from motionveil.report.audit_reading import ALPHA, Pair, Reading, nearer
from motionveil.report.audit_words import (
    KINDS,
    OTHER,
    Doing,
    beside_raw,
    count,
    doing,
    figure,
    kind_of,
    span,
)
from motionveil.report.templates import percent
from motionveil.statistics import p_value, p_words

NOTHING = "None of these attacks learned anything that these clips can show"
TOO_WEAK = (
    "From raw video the attacks did not learn more than guessing either: they are too weak, or the"
    " clips too few, to say anything about the veil"
)
CAVEAT = (
    "This is what the attacks listed here found. An attacker with more data, larger networks or"
    " other clues may find more; that nothing was found is no proof that nothing is there."
)


def headline(reading: Reading) -> str:
    """Return the verdict in one sentence or two, with intervals."""
    recognised, found, shown = reading.recognised(), reading.found_again(), reading.shown_again()
    if not reading.attackers and reading.audit.faces:
        return "No attack has learned from the veiled video; only faces were looked for."
    if not reading.attackers:
        return (
            "No attack on veiled video was carried out: this audit says nothing about what the"
            f" video shows of the {reading.label}."
        )
    if recognised in ("more", "signs"):
        return _learned(reading, sure=recognised == "more")
    if found in ("more", "signs"):
        return _found_only(reading, sure=found == "more")
    if shown == "more":
        return _rebuilt_only(reading)
    too_weak = f" {TOO_WEAK}." if reading.control_learned() is False else ""
    # What is nearer to the original than a blank has shown something, if nobody's identity.
    nothing = NOTHING
    if shown == "signs":
        nothing = NOTHING.replace("anything", f"anything of the {reading.label}")
    return f"{nothing}: {_closest(reading)}.{too_weak}"


def _learned(reading: Reading, *, sure: bool) -> str:
    tried = len(reading.privacy)
    which = "The only attack" if tried == 1 else f"The strongest of {count(tried, 'attack')}"
    told = f"{which} is right about the {reading.label} in {_strongest(reading)}"
    if sure:
        return f"{told}."
    return f"There are signs that something of the {reading.label} was learned. {told}."


def _strongest(reading: Reading) -> str:
    """Return the strongest attack's accuracy beside the floor and raw video."""
    lead = _lead(reading)
    floor = percent(lead.veiled.judgement.floor)
    clips = f"{len(lead.veiled.answers)} clips that it had not seen"
    beside = f"guessing the commonest would be in {floor}"
    raw = _raw_of(reading)
    if raw is not None:
        beside += f", and from raw video {_same(raw, lead)} is in {figure(raw.judgement.clip)}"
    return f"{figure(reading.strongest.accuracy)} of the {clips}; {beside}"


def _found_only(reading: Reading, *, sure: bool) -> str:
    best = max(reading.hunts, key=lambda pair: pair.veiled.rank_1.value).veiled
    signs = "" if sure else "There are signs that people can be found again. "
    known = ""
    if reading.recognised() == "nothing":
        known = f"No attack recognised the {reading.label} more often than guessing, but people"
    else:
        known = "People"
    told = (
        f"{known} of whom the attacker had learned nothing were found again in"
        f" {figure(best.rank_1)} of the searches; guessing finds {percent(best.rank_1.guessed)}."
    )
    return signs + told


def _rebuilt_only(reading: Reading) -> str:
    return f"Nobody was recognised in the veiled video itself, but {_best_rebuilt(reading)}."


def _best_rebuilt(reading: Reading) -> str:
    groups = [g for found in reading.rebuilt for g in (found.known, found.strangers)]
    best = max(groups, key=lambda group: group.recognised.value - group.floor)
    return (
        f"in reconstructed frames a network names the right person in {figure(best.recognised)}"
        f" of the frames; guessing the commonest would in {percent(best.floor)}"
    )


def _closest(reading: Reading) -> str:
    if reading.lead is not None:
        return f"the strongest is right about the {reading.label} in {_strongest(reading)}"
    if not reading.hunts:
        return _best_rebuilt(reading)
    best = max(reading.hunts, key=lambda pair: pair.veiled.rank_1.value).veiled
    return (
        f"people were found again in {figure(best.rank_1)} of the searches, and guessing finds"
        f" {percent(best.rank_1.guessed)}"
    )


def _lead(reading: Reading) -> Pair[AttackFinding]:
    assert reading.lead is not None
    return reading.lead


def _raw_of(reading: Reading) -> AttackFinding | None:
    """Return the attack on raw video to hold the strongest against: itself, or the best there."""
    raw = _lead(reading).raw
    return raw or max(reading.control, key=lambda f: f.judgement.clip.value, default=None)


def _same(raw: AttackFinding, lead: Pair[AttackFinding]) -> str:
    return "the same attack" if raw is lead.raw else f"the attack “{raw.name}”"


def findings(reading: Reading) -> list[str]:
    """Return what follows from the numbers, a sentence or two each; the caveat comes last."""
    sentences: list[str] = []
    if reading.attackers:
        sentences.append(_tried(reading))
    if reading.lead is not None:
        sentences += [_choice(reading), _bits(reading), *_control(reading)]
    if reading.hunts:
        sentences.append(_again(reading))
    sentences += [_rebuilt(found) for found in reading.rebuilt]
    sentences += told_faces(reading)
    sentences += told_beside(reading)
    sentences += [judge_confound(found) for found in reading.audit.confounds if found.shared]
    sentences += crossed(reading)
    sentences.append(_useful(reading))
    return [*sentences, CAVEAT] if reading.attackers else sentences


def _tried(reading: Reading) -> str:
    """How many attacks of which kinds, how long they learned, and from how much."""
    what = [doing(finding) for finding in reading.attackers]
    kinds = kinds_of(what)
    networks = count(sum(attack.networks for attack in what), "network")
    epochs = span(attack.schedule.epochs for attack in what)
    clips = ""
    if reading.privacy:
        learned = span(pair.veiled.trained_on for pair in reading.privacy)
        answers = reading.privacy[0].veiled.answers
        recordings = len({answer.recording for answer in answers})
        clips = (
            f" Those that recognise learned from {learned} clips and were asked about"
            f" {len(answers)} others, cut from {count(recordings, 'recording')}."
        )
    return (
        f"Tried: {count(len(what), 'attack')} on the veiled video, of"
        f" {count(len(kinds), 'kind')}: {'; '.join(kinds)}. They trained {networks} for {epochs}"
        f" passes over the clips to learn from (epochs).{clips}"
    )


def kinds_of(attacks: list[Doing]) -> list[str]:
    """Return which kinds of attacks there are, in the order of `KINDS`."""
    there = {kind_of(attack) for attack in attacks}
    return [kind for kind in (*KINDS, OTHER) if kind in there]


def _choice(reading: Reading) -> str:
    """Which attack was strongest, what its choice would have added, and whether it was chance."""
    lead, best = _lead(reading), reading.strongest
    chosen = " and ".join(f"“{name}”" for name in best.chosen)
    if len(best.chosen) > 1:
        chosen += ", one on each half of the recordings"
    p = lead.veiled.judgement.p
    tried = len(reading.privacy)
    times = f", {p_value(reading.corrected(p))} for one of {count(tried, 'attack')}"
    verdict = "chance is no explanation" if reading.corrected(p) < ALPHA else "it may be chance"
    picked = ""
    if tried > 1:
        picked = (
            " Which attack counts was chosen on other recordings than it is scored on; the best"
            f" by hindsight, which luck has chosen too, has {percent(best.naive)}."
        )
    return (
        f"Strongest: {chosen}.{picked} Labels dealt at random would be guessed as well as by"
        f" “{lead.name}” with {p_words(p)}{times if tried > 1 else ''}: {verdict}."
    )


def _bits(reading: Reading) -> str:
    lead = _lead(reading)
    judged = lead.veiled.judgement
    low, high = (max(0.0, end) for end in judged.bits.interval)
    least = max(0.0, judged.bits.value)
    if not least:
        return (
            f"The answers of “{lead.name}” prove no leak in bits: at least 0 of the"
            f" {judged.entropy:.2f} that the {reading.label} has. A lower bound says nothing about"
            " the rest."
        )
    return (
        f"The answers of “{lead.name}” prove a leak of at least {least:.2f} of the"
        f" {judged.entropy:.2f} bits that the {reading.label} has (interval {low:.2f} to"
        f" {high:.2f}). All the bits would tell everybody apart; a lower bound says"
        " nothing about the rest."
    )


def _control(reading: Reading) -> Iterator[str]:
    """How the strongest attack stands to raw video, where it is known to work or not."""
    learned = reading.control_learned()
    if learned is None:
        yield (
            "No attack was carried out on raw video: whether these attackers would have learned"
            f" the {reading.label} from a video without a veil is not known."
        )
        return
    if not learned:
        yield f"{TOO_WEAK}."
    raw = _raw_of(reading)
    if raw is not None and learned:
        standing = beside_raw(reading.strongest.accuracy, raw.judgement.clip)
        yield (
            f"The {reading.label} accuracy of the strongest attack is {standing}:"
            f" {figure(reading.strongest.accuracy)} against {figure(raw.judgement.clip)}."
        )


def _again(reading: Reading) -> str:
    start = {
        "more": "People of whom the attacker had learned nothing were found again more often than"
        " chance allows",
        "signs": "There are signs that people of whom the attacker had learned nothing can be found"
        " again: some figure of a search is beyond guessing",
        "nothing": "People of whom the attacker had learned nothing were not found again more"
        " often than guessing does",
    }[reading.found_again() or "nothing"]
    each = "; ".join(_hunt(pair) for pair in reading.hunts)
    return f"{start}. The most similar clip shows the right person: {each}."


def _hunt(pair: Pair[RetrievalFinding]) -> str:
    found = pair.veiled.rank_1
    raw = f", in raw video {figure(pair.raw.rank_1)}" if pair.raw else ""
    return (
        f"“{pair.name}” in {figure(found)} of {len(pair.veiled.searches)} searches, guessing in"
        f" {percent(found.guessed)}{raw}"
    )


def _rebuilt(found: ReconstructionFinding) -> str:
    """Whether a reconstruction shows anything, and who is recognised in it."""
    return (
        f"Reconstruction (“{found.name}”): {_group(found.known, 'people it learned from')};"
        f" {_group(found.strangers, 'people it never saw')}."
    )


def _group(group: Likeness, who: str) -> str:
    standing = "nearer to" if nearer(group) else "no nearer to"
    return (
        f"of {who} the pictures are {standing} the original than a blank one, and a network that"
        f" knows the people names the right one in {figure(group.recognised)} of the frames (of the"
        f" original: {percent(group.original_recognised)}; guessing: {percent(group.floor)})"
    )


def _useful(reading: Reading) -> str:
    pair = reading.useful
    if pair is None:
        return "How useful the veiled video remains was not measured."
    judged = pair.veiled.judgement
    told = (
        f"Usefulness: a network trained in the same way names the action of"
        f" {figure(judged.clip)} of the veiled clips; guessing the commonest:"
        f" {percent(judged.floor)}"
    )
    if pair.raw is None:
        return f"{told}. Raw video was not tried."
    raw = pair.raw.judgement.clip
    return f"{told}; raw video: {figure(raw)}. It is {beside_raw(judged.clip, raw)}."
