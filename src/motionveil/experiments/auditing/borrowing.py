"""Raw video's findings of another audit: what does not depend on the encoder is attacked once."""

from __future__ import annotations

from pathlib import Path

from motionveil.errors import MotionveilError
from motionveil.experiments.auditing.ground import Field
from motionveil.experiments.auditing.plan import FILE_NAME, AuditPlan, Job
from motionveil.findings import AttackFinding, Audit, RetrievalFinding

Shared = AttackFinding | RetrievalFinding
"""What an attack on raw video leaves."""

_SAME = ("recipe", "label", "split", "seed", "device", "precision")
"""What two plans must agree on for their attacks on raw video to be the same."""


def raw_findings(earlier: Path, plan: AuditPlan, field: Field) -> dict[str, Shared]:
    """Return what another audit found of raw video that a plan asks for too, by the job's name.

    Args:
        earlier: Folder of the other audit.
        plan: The plan.
        field: Its data.

    Raises:
        MotionveilError: There is no finished audit, or it asked something else of raw video: of
            other clips, with another recipe, of other moments.
    """
    audit, theirs = Audit.read(earlier), AuditPlan.read(earlier / FILE_NAME)
    differing = [name for name in _SAME if getattr(theirs, name) != getattr(plan, name)]
    if differing:
        raise MotionveilError(
            f"--raw-from {earlier}: raw video was attacked in another way there: the audits differ"
            f" in {', '.join(differing)}"
        )
    data, frames = field.manifest.hash, field.frames
    if audit.dataset.hash != data:
        raise MotionveilError(
            f"--raw-from {earlier}: that audit is of other data ({audit.dataset.name}, hash"
            f" {audit.dataset.hash[:12]}), this one's hash is {data[:12]}"
        )
    if audit.geometry != field.geometry:
        raise MotionveilError(
            f"--raw-from {earlier}: that audit is at"
            f" {audit.geometry or 'an unknown size and rate'}, this one at {field.geometry}"
        )
    if audit.frames != frames:
        raise MotionveilError(
            f"--raw-from {earlier}: its attackers saw {audit.frames or 'an unknown number of'}"
            f" frames of a clip, this audit's see {frames}; take one of an encoder that leaves as"
            " many"
        )
    there: list[Shared] = [*audit.attacks, *audit.beside, *audit.crossings, *audit.retrievals]
    return {
        job.name: found
        for found in there
        if found.video == "raw" and (job := _same_job(plan, found)) is not None
    }


def _same_job(plan: AuditPlan, found: Shared) -> Job | None:
    """Return the plan's job that would find the same; an attack of its name may be another one."""
    for attack in plan.attacks:
        if attack.name == found.name and attack.model_dump(mode="json") == found.attack:
            return Job(attack, "raw")
    return None
