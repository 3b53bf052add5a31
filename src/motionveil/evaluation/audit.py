"""An audit: a plan, each of its attacks carried out once, and what they all found."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict

from motionveil.audit_results import AnyFinding, Audit, Finding
from motionveil.data.remarks import remark
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import AnyAttack, Attack
from motionveil.evaluation.attacks.recognise import strongest_of
from motionveil.evaluation.confounds import confounds
from motionveil.evaluation.data import AuditData, Video
from motionveil.evaluation.executors import Run, in_this_process
from motionveil.files import write_text_atomically
from motionveil.results import Stored, read_stored
from motionveil.training.processes import describe_environment, make_fabric
from motionveil.training.recipe import Recipe
from motionveil.training.trial import describe_dataset

PLAN = "plan.json"
FINDING = "finding.json"
VIDEOS: tuple[Video, ...] = ("veiled", "raw")


class Job(NamedTuple):
    """One attack on one kind of video."""

    attack: Attack
    video: Video

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.attack.name}-{self.video}"


class AuditPlan(BaseModel):
    """What is attacked, and how.

    Attributes:
        encoder: As `motionveil.evaluation.encode_clips.veil_of` takes it; its name only, where
            `veiled` is given.
        veiled: A folder of video that somebody else has veiled, instead of the encoder.
        manifest: The data set's `manifest.csv`.
        recipe: Sizes, networks and schedules.
        label: The privacy label attacked.
        split: The part held out.
        seed: Decides everything that is drawn.
        device, precision: As Fabric takes them.
        suite: The suite's name.
        attacks: The attacks; a name stands for one of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    veiled: str | None = None
    manifest: str
    recipe: Recipe
    label: str
    split: str
    seed: int = 0
    device: str = "auto"
    precision: str = "32-true"
    suite: str
    attacks: tuple[AnyAttack, ...]

    def jobs(self) -> list[Job]:
        """Return each attack on each video."""
        return [Job(a, video) for video in VIDEOS for a in self.attacks if video in a.videos]

    def write(self, folder: Path) -> Path:
        """Write `plan.json` into a folder, whole or not at all, and return its path."""
        return write_text_atomically(folder / PLAN, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> AuditPlan:
        """Read a plan.

        Raises:
            MotionveilError: The file is missing or is no plan; names the file and the fault.
        """
        return read_stored(cls, file, "plan")


class StoredFinding(Stored):
    """What `finding.json` of an attack's folder says.

    Attributes:
        key: See `key_of`.
        finding: What was found; None where the attack failed.
        fault: Why it failed.
        seconds: Wall time.
    """

    key: str
    finding: AnyFinding | None = None
    fault: str = ""
    seconds: float


def key_of(data: AuditData, job: Job) -> str:
    """Return a hash of all that an attack's finding depends on; not of the other attacks."""
    veil = "" if data.plan.veiled is not None else data.veil.key
    plan = data.plan.model_dump_json(exclude={"attacks", "suite"})
    text = "\n".join((veil, plan, job.video, job.attack.model_dump_json()))
    return hashlib.sha256(text.encode()).hexdigest()


def read_finding(data: AuditData, job: Job, out: Path) -> StoredFinding | None:
    """Return what an attack has left; None where it is still to be carried out.

    Raises:
        MotionveilError: The folder holds another audit's attack. It is never overwritten.
    """
    file = out / "attacks" / job.name / FINDING
    if not file.exists():
        return None
    try:
        stored = StoredFinding.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        remark(f"{file}: cannot be read; the attack is carried out again")
        return None
    if stored.key != key_of(data, job):
        raise MotionveilError(
            f"{file}: the folder holds another audit's attack; give another --out, or remove the"
            " folder"
        )
    return stored


def carry_out(plan: str, name: str, out: str) -> str:
    """Carry out one attack and store what it found, or why it failed.

    Args:
        plan: The plan as JSON.
        name: The job's name.
        out: Folder of the audit.

    Returns:
        Why it failed; empty where it did not.
    """
    data = _audit_data(plan)
    job = next(job for job in data.plan.jobs() if job.name == name)
    folder = Path(out) / "attacks" / name
    began = time.monotonic()
    finding: Finding | None = None
    fault = ""
    try:
        finding = job.attack.run(data.attack_data(job.video, folder))
    except MotionveilError as error:
        fault = str(error)
    except Exception as error:  # an attack that fails must not lose the others
        traceback.print_exc()
        fault = f"{type(error).__name__}: {error}"
    stored = StoredFinding(
        key=key_of(data, job),
        finding=finding,
        fault=fault,
        seconds=time.monotonic() - began,
    )
    write_text_atomically(folder / FINDING, stored.model_dump_json(indent=1) + "\n")
    return fault


@lru_cache(maxsize=1)
def _audit_data(plan: str) -> AuditData:
    """Return a plan's data, opened once in each process."""
    read = AuditPlan.model_validate_json(plan)
    return AuditData(read, make_fabric(read.device, read.precision))


def audit(
    plan: AuditPlan,
    out: Path,
    fabric: Fabric,
    *,
    command: str,
    run: Run = in_this_process,
    workers: int | None = None,
    retry: bool = False,
    raw_from: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Audit:
    """Carry out a plan and write `audit.json`; attacks that are done are not carried out again.

    Args:
        plan: The plan.
        out: Folder of the audit; each attack has a folder under `out/attacks`.
        fabric: Device and precision, for veiling.
        command: The command line, for the record.
        run: Where the attacks run.
        workers: Videos decoded, or clips veiled, in parallel.
        retry: Carry out again what has failed before.
        raw_from: Folder of a finished audit of the same data by the same recipe: what it found of
            raw video is taken over, and not attacked again.
        progress: Told of each attack that has ended.

    Raises:
        MotionveilError: A video cannot be read, the encoder gives no frames, `out` cannot be
            written or holds another audit's attacks, or `raw_from` asked something else of raw
            video.
        KeyboardInterrupt: What is done stays.
    """
    data = AuditData(plan, fabric, workers)
    data.make()  # what cannot be veiled is found out before anything is attacked
    taken: dict[str, Finding] = {}
    if raw_from is not None:
        taken = raw_findings(raw_from, plan, data)
        remark(f"raw video: {len(taken)} findings are taken over from {raw_from}")
    jobs = [job for job in plan.jobs() if job.name not in taken]
    before = {job.name: read_finding(data, job, out) for job in jobs}
    plan.write(out)
    left = [
        job.name
        for job in jobs
        if (one := before[job.name]) is None or (retry and one.finding is None)
    ]
    calls = [(plan.model_dump_json(), name, str(out.absolute())) for name in left]
    lost: dict[str, str] = {}
    began = time.monotonic()
    for done, (place, fault) in enumerate(run(carry_out, calls), 1):
        rest = (time.monotonic() - began) / done * (len(left) - done)
        state = f"failed: {fault}" if fault else "done"
        progress(f"{left[place]} {state} ({done} of {len(left)}, {rest:.0f} s left)")
        if fault:
            lost[left[place]] = fault
    stored = {job.name: read_finding(data, job, out) for job in jobs}
    findings = [s.finding for s in stored.values() if s is not None and s.finding is not None]
    found = Audit(
        command=command,
        encoder=plan.encoder if plan.veiled is None else plan.veiled,
        spec=_spec(data),
        order="camera",
        geometry=data.geometry,
        dataset=describe_dataset(data.manifest, [plan.split], plan.label),
        split=plan.split,
        recipe=plan.recipe.model_dump(mode="json"),
        suite=plan.suite,
        seed=plan.seed,
        frames=data.frames,
        raw_from=str(raw_from) if taken else "",
        environment=describe_environment(fabric),
        findings=[*findings, *taken.values()],
        confounds=confounds(data.manifest, plan.split, plan.label),
        failed=lost | {name: s.fault for name, s in stored.items() if s is not None and s.fault},
        seconds=sum(s.seconds for s in stored.values() if s is not None),
    )
    for video, field in (("veiled", "strongest"), ("raw", "strongest_raw")):
        of_one = [f for f in found.attacks if f.video == video and f.target == "privacy"]
        setattr(found, field, strongest_of(of_one))
    found.save(out)
    return found


def _spec(data: AuditData) -> dict[str, object] | None:
    spec = None if data.plan.veiled is not None else data.veil.spec
    return None if spec is None else spec.model_dump(mode="json")


_SAME = ("recipe", "label", "split", "seed", "device", "precision")
"""What two plans must agree on for their attacks on raw video to be the same."""


def raw_findings(earlier: Path, plan: AuditPlan, data: AuditData) -> dict[str, Finding]:
    """Return what another audit found of raw video that a plan asks for too, by the job's name.

    Args:
        earlier: Folder of the other audit.
        plan: The plan.
        data: Its data.

    Raises:
        MotionveilError: There is no finished audit, or it asked something else of raw video: of
            other clips, with another recipe, of other moments.
    """
    found, theirs = Audit.read(earlier), AuditPlan.read(earlier / PLAN)
    differing = [name for name in _SAME if getattr(theirs, name) != getattr(plan, name)]
    if differing:
        raise MotionveilError(
            f"--raw-from {earlier}: raw video was attacked in another way there: the audits differ"
            f" in {', '.join(differing)}"
        )
    ours = data.manifest.hash
    if found.dataset.hash != ours:
        raise MotionveilError(
            f"--raw-from {earlier}: that audit is of other data ({found.dataset.name}, hash"
            f" {found.dataset.hash[:12]}), this one's hash is {ours[:12]}"
        )
    if found.geometry != data.geometry:
        raise MotionveilError(
            f"--raw-from {earlier}: that audit is at"
            f" {found.geometry or 'an unknown size and rate'}, this one at {data.geometry}"
        )
    if found.frames != data.frames:
        raise MotionveilError(
            f"--raw-from {earlier}: its attackers saw {found.frames or 'an unknown number of'}"
            f" frames of a clip, this audit's see {data.frames}; take one of an encoder that leaves"
            " as many"
        )
    attacks = [job.attack.model_dump(mode="json") for job in plan.jobs() if job.video == "raw"]
    return {
        f"{one.name}-raw": one
        for one in found.findings
        if one.video == "raw" and one.attack in attacks
    }
