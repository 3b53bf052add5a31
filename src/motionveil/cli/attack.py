"""`motionveil attack PLAN NAME`: one attack of an audit; `motionveil audit` runs it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.findings import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="an audit's plan.json")
    parser.add_argument("name", metavar="NAME", help="the attack's name in the plan")
    parser.add_argument(
        "--video",
        choices=("veiled", "raw"),
        default="veiled",
        help="what is attacked (default: veiled)",
    )
    parser.add_argument(
        "--key", help="of the plan and the attack that are meant; refuses any other"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for finding.json")
    parser.epilog = (
        "An audit carries out its attacks by this command, each in a process of its own.\n\n"
        "example:\n"
        "  motionveil attack runs/audit/plan.json frame --video raw --out runs/frame-raw"
    )


def run(arguments: argparse.Namespace) -> int:
    """Carry out the attack and write its finding."""
    from motionveil.experiments.auditing.plan import AuditPlan, Job
    from motionveil.experiments.auditing.run import FINDING, attack
    from motionveil.training.processes import make_fabric

    plan = AuditPlan.read(arguments.plan)
    names = [a.name for a in plan.attacks]
    if arguments.name not in names:
        raise MotionveilError(
            f"{arguments.plan}: no attack {arguments.name!r}; there are {', '.join(names)}"
        )
    job = Job(plan.attack(arguments.name), arguments.video)
    if arguments.key not in (None, plan.key_of(job)):
        raise MotionveilError(
            f"{arguments.plan}: the plan was changed since the attack was to be carried out"
        )
    finding = attack(plan, job, arguments.out, make_fabric(plan.device, plan.precision))
    print(f"{job.name}: {_told(finding)}")
    print(f"wrote {arguments.out / FINDING}")
    return 0


def _told(finding: Finding) -> str:
    """Return the chief figure of a finding, in words."""
    if finding.kind == "reconstruct":
        known = finding.known
        return f"{known.psnr.value:.1f} dB, {known.blank_psnr:.1f} dB without looking"
    if finding.kind == "retrieve":
        return f"{finding.label} found first for {100 * finding.rank_1.value:.1f} % of the clips"
    if finding.kind == "faces":
        veiled, original = finding.veiled.value, finding.original.value
        return (
            f"a face in {100 * veiled:.1f} % of the frames, {100 * original:.1f} % of the original"
        )
    share = finding.judgement.clip.value
    return f"{finding.label} recognised in {100 * share:.1f} % of the clips"
