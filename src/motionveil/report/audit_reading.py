"""An audit read for its report: checked, sorted, veiled beside raw, and the attack that leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from motionveil.errors import MotionveilError
from motionveil.findings import (
    FILE_NAME,
    AttackFinding,
    Audit,
    Finding,
    Likeness,
    ReconstructionFinding,
    RetrievalFinding,
    Strongest,
)

ALPHA = 0.05
"""Below this p, corrected for the number of attacks, chance is no explanation."""

Outcome = Literal["more", "signs", "nothing"]
"""More than guessing; signs of something; nothing that the clips can show."""

Found = TypeVar("Found", AttackFinding, RetrievalFinding)


@dataclass(frozen=True)
class Pair(Generic[Found]):
    """An attack on veiled video, and the same on raw video where that was carried out."""

    veiled: Found
    raw: Found | None

    @property
    def name(self) -> str:
        """The attack's name."""
        return self.veiled.name


@dataclass(frozen=True)
class Reading:
    """What a report says of an audit, in its order.

    Attributes:
        audit: The audit.
        label: Name of the privacy label.
        privacy: Attacks on that label in veiled video, those that learned most first.
        action: The same for the action: how useful the video remains.
        hunts: Attacks that find people again in veiled video.
        rebuilt: Attacks that compute the original video from the veiled one.
        control: Attacks on the privacy label of raw video.
        beside: Attacks on other labels of the data set.
        crossings: Attacks across another column, each followed by its control.
    """

    audit: Audit
    label: str
    privacy: list[Pair[AttackFinding]]
    action: list[Pair[AttackFinding]]
    hunts: list[Pair[RetrievalFinding]]
    rebuilt: list[ReconstructionFinding]
    control: list[AttackFinding]
    beside: list[Pair[AttackFinding]]
    crossings: list[Pair[AttackFinding]]

    @property
    def attackers(self) -> list[Finding]:
        """All attacks on the veiled video, without those on the action."""
        pairs: list[Pair[AttackFinding] | Pair[RetrievalFinding]] = [*self.privacy, *self.hunts]
        return [*(pair.veiled for pair in pairs), *self.rebuilt]

    @property
    def strongest(self) -> Strongest:
        """The strongest attack, corrected for its choice; there is one where `privacy` is."""
        assert self.audit.strongest is not None  # `read` has made sure
        return self.audit.strongest

    @property
    def lead(self) -> Pair[AttackFinding] | None:
        """Of the attacks chosen as the strongest, the one with most clips right."""
        chosen = self.privacy and self.strongest.chosen
        return next((pair for pair in self.privacy if pair.name in chosen), None)

    @property
    def useful(self) -> Pair[AttackFinding] | None:
        """The action network reported first: the suite's first, not the luckiest."""
        names = [f.name for f in self.audit.attacks]
        return min(self.action, key=lambda pair: names.index(pair.name), default=None)

    def corrected(self, p: float) -> float:
        """Return a p-value of one of the attacks, for as many looks as there were (Bonferroni)."""
        return min(1.0, p * len(self.privacy))

    def recognised(self) -> Outcome | None:
        """Return what the attacks that recognise show; None where there are none.

        More than guessing is said where the interval of the strongest, corrected for its choice,
        lies above the floor and chance is no explanation; nothing, where no figure speaks for it.
        """
        lead = self.lead
        if lead is None:
            return None
        above = self.strongest.accuracy.interval[0] > lead.veiled.judgement.floor
        least = min(pair.veiled.judgement.p for pair in self.privacy)
        if above and self.corrected(least) < ALPHA:
            return "more"
        told = lead.veiled.judgement.bits.interval[0] > 0
        return "signs" if above or told or self.corrected(least) < ALPHA else "nothing"

    def found_again(self) -> Outcome | None:
        """Return what the attacks that find people again show; None where there are none.

        More than guessing is said where a search's first hits, with their interval, are right more
        often than guessing finds and chance is no explanation; signs of something, where any of
        its figures is beyond guessing.
        """
        if not self.hunts:
            return None
        found = [pair.veiled for pair in self.hunts]
        if any(f.rank_1.interval[0] > f.rank_1.guessed and f.p * len(found) < ALPHA for f in found):
            return "more"
        figures = [m for f in found for m in (f.rank_1, f.mean_precision, f.area)]
        beyond = any(m.interval[0] > m.guessed for m in figures)
        return "signs" if beyond else "nothing"

    def shown_again(self) -> Outcome | None:
        """Return what the reconstructions show; None where there are none.

        More than guessing is said where people are recognised in them; signs of something, where
        they are nearer to the original than a blank picture.
        """
        if not self.rebuilt:
            return None
        groups = [group for found in self.rebuilt for group in (found.known, found.strangers)]
        if any(group.recognised.interval[0] > group.floor for group in groups):
            return "more"
        return "signs" if any(nearer(group) for group in groups) else "nothing"

    def control_learned(self) -> bool | None:
        """Return whether the attacks learn anything from raw video; None where none was tried."""
        if not self.control:
            return None
        return any(f.judgement.clip.interval[0] > f.judgement.floor for f in self.control)


def nearer(group: Likeness) -> bool:
    """Return whether reconstructions are nearer to the original than a blank, by any measure."""
    return (
        group.psnr.interval[0] > group.blank_psnr
        or group.ssim.interval[0] > group.blank_ssim
        or group.gmsd.interval[1] < group.blank_gmsd
    )


def read(audit: Audit, folder: Path) -> Reading:
    """Return an audit as its report reads it.

    Args:
        audit: The audit.
        folder: Where it lies, for messages.

    Raises:
        MotionveilError: The audit contradicts itself.
    """
    file = folder / FILE_NAME
    for finding in [*audit.attacks, *audit.beside, *audit.crossings]:
        _check_attack(finding, file)
    for hunt in audit.retrievals:
        _check_retrieval(hunt, file)
    private = _paired([f for f in audit.attacks if f.target == "privacy"])
    useful = _paired([f for f in audit.attacks if f.target == "action"])
    _check_strongest(audit, [pair.name for pair in private], file)
    return Reading(
        audit=audit,
        label=audit.dataset.privacy_label,
        privacy=_most_first(private),
        action=_most_first(useful),
        hunts=_paired(audit.retrievals),
        rebuilt=[f for f in audit.reconstructions if f.video == "veiled"],
        control=[f for f in audit.attacks if f.target == "privacy" and f.video == "raw"],
        beside=_paired(audit.beside),
        crossings=_paired(audit.crossings),
    )


def _paired(findings: Sequence[Found]) -> list[Pair[Found]]:
    raw = {f.name: f for f in findings if f.video == "raw"}
    return [Pair(f, raw.get(f.name)) for f in findings if f.video == "veiled"]


def _most_first(pairs: list[Pair[AttackFinding]]) -> list[Pair[AttackFinding]]:
    return sorted(pairs, key=lambda pair: -pair.veiled.judgement.clip.value)


def _check_attack(finding: AttackFinding, file: Path) -> None:
    count = len(finding.classes)
    what = f"{file}: attack {finding.name!r} on {finding.video} video"
    if not finding.answers:
        raise MotionveilError(f"{what}: no answers, so there is nothing to report")
    for answer in finding.answers:
        if not 0 <= answer.truth < count or len(answer.probabilities) != count:
            raise MotionveilError(
                f"{what}, clip {answer.clip}: class {answer.truth} with"
                f" {len(answer.probabilities)} probabilities; there are {count} classes"
            )
    rows = finding.judgement.confusion
    if len(rows) != count or any(len(row) != count for row in rows):
        raise MotionveilError(f"{what}: the confusion matrix is not one of {count} classes")


def _check_retrieval(finding: RetrievalFinding, file: Path) -> None:
    count = len(finding.classes)
    what = f"{file}: attack {finding.name!r} on {finding.video} video"
    if not finding.searches or not finding.curve:
        raise MotionveilError(f"{what}: no searches or no ROC curve")
    for search in finding.searches:
        if not (0 <= search.truth < count and 0 <= search.found < count):
            raise MotionveilError(f"{what}, clip {search.clip}: there are {count} people")


def _check_strongest(audit: Audit, names: Sequence[str], file: Path) -> None:
    chosen = audit.strongest.chosen if audit.strongest is not None else []
    if names and not set(names) & set(chosen):
        raise MotionveilError(
            f"{file}: the strongest attack is {', '.join(chosen) or 'not named'}; it must be one of"
            f" {', '.join(names)}. Give the audit's command again: what is done is kept"
        )
