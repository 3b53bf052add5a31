"""An audit: a plan, each of its attacks carried out once, and what they all found."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict

from motionveil.atomic_write import write_text_atomically
from motionveil.audit_results import Audit, Finding, read_finding
from motionveil.datasets.console import warn
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import AnyAttack, Attack, LearningAttack
from motionveil.evaluation.confounds import confounds
from motionveil.evaluation.data import AuditData, Video
from motionveil.evaluation.executors import Executor, in_this_process
from motionveil.evaluation.variants import strongest_of
from motionveil.job_store import Job, Record, differences
from motionveil.results import read_stored, stored_question
from motionveil.training.adversaries import create_network
from motionveil.training.distributed import describe_environment, make_fabric
from motionveil.training.experiment import describe_dataset
from motionveil.training.recipe import NetworkRecipe, Recipe

PLAN = "plan.json"
VIDEOS: tuple[Video, ...] = ("veiled", "raw")


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

    def jobs(self) -> list[tuple[Attack, Video]]:
        """Return each attack with each video that it is carried out on."""
        return [(a, video) for video in VIDEOS for a in self.attacks if video in a.videos]

    def write(self, folder: Path) -> Path:
        """Write `plan.json` into a folder, whole or not at all, and return its path."""
        return write_text_atomically(folder / PLAN, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> AuditPlan:
        """Read a plan.

        Raises:
            MotionveilError: The file is missing or is no plan of this version; names the file and
                the fault.
        """
        try:
            return read_stored(cls, file, "plan")
        except MotionveilError as error:
            if str(file) in str(error):
                raise
            raise MotionveilError(f"{file}: not a plan of this version: {error}") from error


def job_of(data: AuditData, attack: Attack, video: Video, out: Path) -> Job:
    """Return an attack of an audit as a job; its question is all that its finding depends on."""
    plan = data.plan.model_dump(mode="json", exclude={"attacks", "suite"})
    question = {
        "encoder": "" if data.plan.veiled is not None else data.veil.key,
        "plan": plan | {"recipe": stored_question(plan["recipe"])},
        "video": video,
        "attack": attack.model_dump(mode="json"),
    }
    return Job(out / "attacks" / f"{attack.name}-{video}", question)


def carry_out(plan: str, place: int, out: str) -> str:
    """Carry out one attack and store what it found, or why it failed.

    Args:
        plan: The plan as JSON.
        place: The attack's place in `AuditPlan.jobs`.
        out: Folder of the audit.

    Returns:
        Why it failed; empty where it did not.
    """
    data = _audit_data(plan)
    attack, video = data.plan.jobs()[place]
    job = job_of(data, attack, video, Path(out))
    began = time.monotonic()
    fault = ""
    try:
        found = attack.run(data.attack_data(video, job.folder)).model_dump(mode="json")
        record = Record("done", found)
    except Exception as error:  # an attack that fails must not lose the others
        if isinstance(error, MotionveilError):
            fault = str(error)
        else:
            traceback.print_exc()
            fault = f"{type(error).__name__}: {error}"
        record = Record("failed", reason=fault)
    job.write(replace(record, seconds=time.monotonic() - began))
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
    run: Executor = in_this_process,
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
        progress: Called with each attack that has ended.

    Raises:
        MotionveilError: A video cannot be read, the encoder gives no frames, `out` cannot be
            written or holds another audit's attacks, or `raw_from` asked something else of raw
            video.
        KeyboardInterrupt: What is done stays.
    """
    _audit_data.cache_clear()  # files may have changed since an earlier audit of this process
    data = AuditData(plan, fabric, workers)
    data.make()  # what cannot be veiled is found out before anything is attacked
    taken: dict[str, Finding] = {}
    if raw_from is not None:
        taken = raw_findings(raw_from, plan, data)
        warn(f"raw video: {len(taken)} findings are taken over from {raw_from}")
    jobs = {
        place: job_of(data, attack, video, out)
        for place, (attack, video) in enumerate(plan.jobs())
        if f"{attack.name}-{video}" not in taken
    }
    before = {place: job.read().status for place, job in jobs.items()}  # may raise
    plan.write(out)
    kept = {"done"} if retry else {"done", "failed"}
    left = [place for place, status in before.items() if status not in kept]
    left = _with_networks(left, jobs, plan)
    failed = _carry_out_all(plan, {place: jobs[place] for place in left}, out, run, progress)
    records = {job.folder.name: job.read() for job in jobs.values()}
    findings = [read_finding(r.value) for r in records.values() if r.status == "done"]
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
        failed=failed | {name: r.reason or "" for name, r in records.items() if r.reason},
        seconds=sum(record.seconds for record in records.values()),
    )
    for video, field in (("veiled", "strongest"), ("raw", "strongest_raw")):
        setattr(found, field, strongest_of(found.on_label(video)))
    found.save(out)
    return found


def _with_networks(left: list[int], jobs: dict[int, Job], plan: AuditPlan) -> list[int]:
    """Return the jobs whose networks can be had; say which cannot, and that their jobs failed."""
    faults: dict[tuple[NetworkRecipe, bool], str] = {}
    kept, planned = [], plan.jobs()
    for place in left:
        attack, _ = planned[place]
        if isinstance(attack, LearningAttack) and attack.network.weights is not None:
            wanted = (attack.network, attack.temporal)
            if wanted not in faults:
                faults[wanted] = _fault_of(*wanted)
            if faults[wanted]:
                jobs[place].write(Record("failed", reason=faults[wanted]))
                continue
        kept.append(place)
    for fault in filter(None, faults.values()):
        warn(f"{fault}; it is left out")
    if not kept and any(faults.values()):
        raise MotionveilError(f"no attack is left: {'; '.join(filter(None, faults.values()))}")
    return kept


def _fault_of(network: NetworkRecipe, temporal: bool) -> str:
    """Return why a network cannot be had; empty where it can."""
    try:
        create_network(network, 2, temporal=temporal)
    except MotionveilError as error:
        return str(error)
    return ""


def _carry_out_all(
    plan: AuditPlan, jobs: dict[int, Job], out: Path, run: Executor, progress: Callable[[str], None]
) -> dict[str, str]:
    """Carry out attacks of a plan; return the names of those that failed, and why."""
    text, folder = plan.model_dump_json(), str(out.absolute())
    failed: dict[str, str] = {}
    began = time.monotonic()
    left = list(jobs)
    calls = [(text, place, folder) for place in left]
    for done, (number, fault) in enumerate(run(carry_out, calls), 1):
        name = jobs[left[number]].folder.name
        rest = (time.monotonic() - began) / done * (len(left) - done)
        state = f"failed: {fault}" if fault else "done"
        progress(f"{name} {state} ({done} of {len(left)}, {rest:.0f} s left)")
        if fault:
            failed[name] = fault
    return failed


def attack_veiled(
    plan: AuditPlan,
    out: Path,
    fabric: Fabric,
    *,
    run: Executor = in_this_process,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Finding]:
    """Carry out a plan's attacks on veiled video, and return what they found.

    What is done is not carried out again, unless the plan has changed.

    Args:
        plan, out, fabric, run, workers, progress: As for `audit`.

    Raises:
        MotionveilError: As `audit`, or an attack failed.
    """
    _audit_data.cache_clear()
    data = AuditData(plan, fabric, workers)
    data.make()
    jobs = {
        place: job_of(data, attack, video, out)
        for place, (attack, video) in enumerate(plan.jobs())
        if video == "veiled"
    }
    left = {place: job for place, job in jobs.items() if job.get(read_finding) is None}
    for name, fault in _carry_out_all(plan, left, out, run, progress).items():
        raise MotionveilError(f"{out / 'attacks' / name}: {fault}")
    return [read_finding(job.read().value) for job in jobs.values()]


def _spec(data: AuditData) -> dict[str, object] | None:
    spec = None if data.plan.veiled is not None else data.veil.spec
    return None if spec is None else spec.model_dump(mode="json")


_SAME = {"recipe", "label", "split", "seed", "device", "precision"}
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
    was, now = (one.model_dump(mode="json", include=_SAME) for one in (theirs, plan))
    if other := differences(was, now):
        raise MotionveilError(
            f"--raw-from {earlier}: raw video was attacked in another way there: {other}"
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
    attacks = [a.model_dump(mode="json") for a, video in plan.jobs() if video == "raw"]
    return {
        f"{one.name}-raw": one
        for one in found.findings
        if one.video == "raw" and one.attack in attacks
    }
