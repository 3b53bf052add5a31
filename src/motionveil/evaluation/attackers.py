"""The attackers of a comparison's row: attacks of an audit, on the row's veiled video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from lightning_fabric import Fabric

from motionveil.audit_results import Finding, Recognition, Retrieval
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import Attack
from motionveil.evaluation.audit import AuditPlan, attack_veiled
from motionveil.evaluation.executors import Run, in_this_process
from motionveil.evaluation.suites import CLIP, COURSE, FRAMES, RETRIEVAL, TRANSFORMER
from motionveil.results import Accuracy, Attacker, ClipPrediction
from motionveil.spec import EncoderSpec
from motionveil.training.experiment import Experiment

NAMES = {
    FRAMES: "per frame",
    CLIP: "whole clip",
    COURSE: "course over time",
    TRANSFORMER: "transformer",
    RETRIEVAL: "re-identification",
}
"""What tables call the attackers of `motionveil.evaluation.suites.attackers`."""

AVERAGED = "frames averaged"


def attack_row(
    experiment: Experiment,
    spec: EncoderSpec,
    weights: Path | None,
    attacks: Sequence[Attack],
    folder: Path,
    fabric: Fabric,
    *,
    precision: str = "32-true",
    run: Run = in_this_process,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Finding]:
    """Attack what an encoder makes of an experiment's clips, in 8 bits, as it leaves a camera.

    Args:
        experiment: Its manifest comes from a file.
        spec: The encoder.
        weights: Folder of its weights, if it has any.
        attacks: The attacks.
        folder: Attacks have their folders in `folder/attacks`; what is done is kept.
        fabric: Device, for veiling; one process.
        precision: Of the networks, as Fabric takes it.
        run: Where the attacks run.
        workers: Videos decoded, or clips veiled, in parallel.
        progress: Told of each attack that has ended.

    Raises:
        MotionveilError: As `motionveil.evaluation.audit.attack_veiled`.
    """
    manifest = experiment.cache.manifest
    assert manifest.file is not None
    if spec.weights is None or weights is None:
        weights = spec.save(folder / "attacked" / "encoder.json").parent
    plan = AuditPlan(
        encoder=str(weights.absolute()),
        manifest=str(manifest.file.absolute()),
        recipe=experiment.recipe,
        label=experiment.privacy_label,
        split=experiment.split,
        seed=experiment.seed,
        device=str(fabric.device),
        precision=precision,
        suite="strongest",
        attacks=tuple(attacks),
    )
    return attack_veiled(plan, folder, fabric, run=run, workers=workers, progress=progress)


def attackers_of(
    findings: Sequence[Finding], predictions: Sequence[ClipPrediction]
) -> list[Attacker]:
    """Return what attacks found, in a row's terms; frames by frame and averaged over a clip.

    Args:
        findings: What recognition and re-identification found; findings of other kinds have no
            accuracy by clip, and are left out.
        predictions: The row's, which name its clips.
    """
    found: list[Attacker] = []
    for finding in findings:
        name = NAMES.get(finding.name, finding.name)
        if isinstance(finding, Retrieval):
            hits = {s.clip: float(s.found == s.truth) for s in finding.searches}
            found.append(_attacker(name, hits, finding, predictions))
        elif isinstance(finding, Recognition):
            clips = {answer.clip: float(answer.right) for answer in finding.answers}
            if finding.by_frame:
                frames = {answer.clip: answer.frames for answer in finding.answers}
                found.append(_attacker(name, frames, finding, predictions))
                name = AVERAGED if name == NAMES[FRAMES] else f"{name}, averaged"
            found.append(_attacker(name, clips, finding, predictions))
    return found


def _attacker(
    name: str, right: dict[str, float], finding: Finding, predictions: Sequence[ClipPrediction]
) -> Attacker:
    aligned = [right.get(prediction.clip) for prediction in predictions]
    asked = [(s, p.privacy) for s, p in zip(aligned, predictions, strict=True) if s is not None]
    if len(asked) != len(right):
        raise MotionveilError(f"{finding.name}: it was asked about other clips than the row")
    scores, labels = (np.array(values) for values in zip(*asked, strict=True))
    return Attacker(
        name=name,
        accuracy=Accuracy.of(scores.tolist(), labels.tolist()),
        right=aligned,
        trainings=finding.trainings,
    )
