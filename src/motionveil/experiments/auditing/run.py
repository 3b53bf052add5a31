"""Carrying out a plan: each attack in a cell of its own, and what they all found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lightning_fabric import Fabric

from motionveil.audit.attack import carry_out, labels_of
from motionveil.audit.crossing import confounds, cross
from motionveil.audit.faces import FaceTools, face_detector, find_faces, some_of_each
from motionveil.audit.judge import judge, judge_searches, strongest_of
from motionveil.audit.judge_faces import judge_faces
from motionveil.audit.judge_reconstruction import judge_reconstruction
from motionveil.audit.pictures import draw_surest
from motionveil.audit.reconstruction import reconstruct
from motionveil.audit.retrieval import retrieve
from motionveil.data.warnings import warn
from motionveil.experiments.auditing.borrowing import Shared, raw_findings
from motionveil.experiments.auditing.ground import Field
from motionveil.experiments.auditing.plan import AuditPlan, Job
from motionveil.experiments.sweep.run import (
    Engine,
    Recorded,
    SweepProgress,
    read_records,
    run_sweep,
)
from motionveil.experiments.tradeoff import describe_dataset
from motionveil.findings import Audit, Finding, read_finding, write_finding
from motionveil.training.processes import describe_environment

FINDING = "finding.json"


def attack(plan: AuditPlan, job: Job, out: Path, fabric: Fabric) -> Finding:
    """Carry out one attack and write `finding.json` into its folder.

    Raises:
        MotionveilError: A video cannot be read, a loss is not finite, or all clips held out come
            from one recording.
    """
    field = Field(plan, fabric)
    finding = _FIND[job.attack.kind](field, job, out)
    write_finding(out / FINDING, finding)
    return finding


def _recognise(field: Field, job: Job, out: Path) -> Finding:
    began = time.monotonic()
    attack, manifest = job.attack, field.manifest
    ground = field.ground(attack, job.video)
    if attack.across:
        crossed = cross(attack, ground)
        ground, variants = replace(ground, asked=crossed.clips), crossed.answers
        trained_on = crossed.learned
    else:
        variants = carry_out(attack, ground)
        trained_on = len(ground.part(training=True))
    private = attack.target == "privacy"
    clips = field.as_filmed(ground.part(training=False))
    finding = judge(
        attack,
        variants,
        video=job.video,
        label=ground.label if private else "action",
        classes=manifest.names_of(ground.label) if private else manifest.actions,
        clips=[clip.key for clip in clips],
        groups=[clip.group for clip in clips],
        labels=labels_of(ground, attack.target),
        trained_on=trained_on,
        seconds=time.monotonic() - began,
    )
    if job.video == "veiled" and private and not attack.across:
        filmed = field.ground(attack, "raw")
        finding = draw_surest(attack, finding, ground, filmed, out)
    return finding


def _retrieve(field: Field, job: Job, out: Path) -> Finding:
    began = time.monotonic()
    plan = field.plan
    hunts = retrieve(job.attack, field.ground(job.attack, job.video))
    return judge_searches(
        job.attack,
        hunts,
        video=job.video,
        label=plan.label,
        classes=field.manifest.names_of(plan.label),
        seconds=time.monotonic() - began,
    )


def _reconstruct(field: Field, job: Job, out: Path) -> Finding:
    began = time.monotonic()
    ground = field.ground(job.attack, "veiled")
    detector = job.attack.detector
    detect = face_detector(detector) if detector else None
    rebuilt, samples = reconstruct(job.attack, ground, field.original, detect=detect)
    finding = judge_reconstruction(job.attack, rebuilt, samples, out, label=field.plan.label)
    return finding.model_copy(update={"seconds": time.monotonic() - began})


def _look_for_faces(field: Field, job: Job, out: Path) -> Finding:
    began = time.monotonic()
    attack, plan, manifest = job.attack, field.plan, field.manifest
    assert attack.network.weights is not None
    seen = find_faces(
        manifest.part(plan.split, training=False),
        some_of_each(manifest.part(plan.split, training=True), plan.label),
        manifest.names_of(plan.label),
        plan.label,
        film=field.window,
        veil=field.veil_window,
        tools=FaceTools.open(attack.network.weights, attack.describer),
    )
    return judge_faces(attack, seen, label=plan.label, seconds=time.monotonic() - began)


_FIND = {
    "recognise": _recognise,
    "retrieve": _retrieve,
    "reconstruct": _reconstruct,
    "faces": _look_for_faces,
}


def audit(
    plan: AuditPlan,
    out: Path,
    engine: Engine,
    fabric: Fabric,
    *,
    command: str,
    threads: str = "1",
    workers: int | None = None,
    retry: bool = False,
    raw_from: Path | None = None,
    progress: Callable[[SweepProgress], None] = lambda progress: None,
) -> tuple[Audit, Recorded]:
    """Carry out a plan and write `audit.json`; attacks that are done are not carried out again.

    Args:
        plan: The plan.
        out: Folder of the audit; each attack has a folder under `out/attacks`.
        engine: What runs the attacks.
        fabric: Device and precision, for veiling.
        command: The command line, for the record.
        threads: OMP_NUM_THREADS of each attack.
        workers: Videos decoded, or clips veiled, at once.
        retry: Carry out again what has failed before.
        raw_from: Folder of a finished audit of the same data by the same recipe: what it found of
            raw video is taken over, and not attacked again.
        progress: Told how far it is.

    Returns:
        The audit, and what became of each attack.

    Raises:
        MotionveilError: A video cannot be read, the encoder gives no frames, `out` cannot be
            written or holds another audit's attacks, or `raw_from` asked something else of raw
            video.
        KeyboardInterrupt: The attacks that ran are stopped; done ones stay.
    """
    field = Field(plan, fabric, workers)
    field.make()  # before anything is attacked: what cannot be veiled is found out here
    taken: dict[str, Shared] = {}
    if raw_from is not None:
        taken = raw_findings(raw_from, plan, field)
        warn(f"raw video: {len(taken)} findings are taken over from {raw_from}")
    runs = [run for run in plan.runs(out) if run.name not in taken]
    read_records(runs)  # another audit's folder is refused before its plan is written over
    plan.write(out)
    outcomes = run_sweep(
        runs,
        out / "attacks",
        engine,
        threads=threads,
        retry=retry,
        progress=progress,
    )
    done = [run for run, record in outcomes if record.status == "done"]
    findings = [*(read_finding(run.folder / FINDING) for run in done), *taken.values()]
    veil = None if plan.veiled is not None else field.veil.spec
    named = [f for f in findings if f.kind == "recognise"]
    crossings = [f for f in named if f.attack["across"]]
    plain = [f for f in named if not f.attack["across"]]
    beside = [f for f in plain if f.target == "privacy" and f.label != plan.label]
    attacks = [f for f in plain if f.target == "action" or f.label == plan.label]
    found = Audit(
        command=command,
        encoder=plan.encoder if plan.veiled is None else plan.veiled,
        spec=None if veil is None else veil.model_dump(mode="json"),
        order="camera",
        geometry=field.geometry,
        dataset=describe_dataset(field.manifest, [plan.split], plan.label),
        split=plan.split,
        recipe=plan.recipe.model_dump(mode="json"),
        suite=plan.suite,
        seed=plan.seed,
        frames=field.frames,
        raw_from=str(raw_from) if taken else "",
        environment=describe_environment(fabric),
        attacks=attacks,
        beside=beside,
        crossings=crossings,
        confounds=confounds(field.manifest, plan.split, plan.label),
        strongest=strongest_of(attacks),
        reconstructions=[f for f in findings if f.kind == "reconstruct"],
        faces=[f for f in findings if f.kind == "faces"],
        retrievals=[f for f in findings if f.kind == "retrieve"],
        failed=failures(outcomes),
        seconds=sum(record.seconds for _, record in outcomes),
    )
    found.save(out)
    return found, outcomes


def failures(outcomes: Recorded) -> dict[str, str]:
    """Return why each attack that failed did, by its name."""
    return {
        run.name: record.reason or "unknown"
        for run, record in outcomes
        if record.status == "failed"
    }
